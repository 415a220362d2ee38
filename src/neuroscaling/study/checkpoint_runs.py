"""Checkpoints that a study selects: which they are, what is wrong with them, and what their runs are named after."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem, StudyError, listing
from neuroscaling.core.hashing import kept_sha256
from neuroscaling.study.checkpoint_tables import (
    COLUMNS,
    Checkpoint,
    folder_checkpoints,
    table_checkpoints,
)
from neuroscaling.study.published_checkpoints import PUBLISHED, published_checkpoints
from neuroscaling.study.published_weights import ABSENT
from neuroscaling.study.sections.checkpoints import CheckpointRuns

MOST_MISSING = 5


def checkpoints_of(group: CheckpointRuns) -> list[Checkpoint]:
    """The checkpoints that a group of runs selects, in the order of its table.

    Raises DataError for a table or folder that can't be read, and StudyError where nothing in it is selected, or
    `columns:` names what no table has.
    """
    found = _all_of(group)
    selected = group.selection().of(found)
    if not selected:
        what, fix = "no checkpoint is selected", "look at the group's `epochs:`, `archs:`, `dataset:` and the like"
        raise StudyError(Problem(what=what, where=str(group.source), value=f"0 of {len(found)}", fix=fix))
    return selected if group.ema is None else [replace(one, ema=group.ema) for one in selected]


def checkpoint_problems(group: CheckpointRuns) -> Iterator[Problem]:
    """What is wrong with the checkpoints of a group, without reading one: the table, and files that are missing."""
    try:
        selected = checkpoints_of(group)
    except NeuroscalingError as error:
        yield from error.problems
        return
    # A file with a known checksum is only needed for what is absent.
    needed = [one for one in selected if not one.is_url and one.sha256 is None]
    missing = [one.place for one in needed if not Path(one.place).is_file()]
    if missing:
        what, fix = f"{len(missing)} checkpoints are missing", "copy them there, or give the table a column `sha256`"
        yield Problem(what=what, where=str(group.source), value=listing(missing, MOST_MISSING), fix=fix)


def checkpoint_identity(one: Checkpoint, cache: Path | None = None) -> dict[str, Any]:
    """What a run is named after: the sha256 of the file; of a URL without a known one, the URL.

    Nobody knows what a URL gives before it was fetched. The first file is trusted, and its sha256 stands in the run's
    record; another file under the same URL is refused from then on. cache: folder that checksums are kept in.
    """
    if one.sha256 is not None:
        return {"sha256": one.sha256}
    if one.is_url:
        return {"url": one.place}
    file = Path(one.place)
    return {"sha256": kept_sha256(file, cache) if file.is_file() else ABSENT}


def _all_of(group: CheckpointRuns) -> list[Checkpoint]:
    if str(group.source) == PUBLISHED:
        if group.columns:
            raise StudyError(Problem(what="the published table has its own columns", where="columns", fix="drop it"))
        return list(published_checkpoints())
    if group.source.is_dir():
        return folder_checkpoints(group.source)
    if unknown := [name for name in group.columns if name not in COLUMNS]:
        allowed = listing(list(COLUMNS), 40)
        raise StudyError(Problem(what="unknown column", where="columns", value=unknown[0], allowed=allowed))
    if not group.source.exists():
        allowed = f"`{PUBLISHED}`, a table or a folder of runs"
        raise DataError(Problem(what="table or folder is missing", where=str(group.source), allowed=allowed))
    return table_checkpoints(group.source, group.columns)
