"""Score files as records: every stage that scores writes them so, and every reader checks before it uses anything.

scores/<benchmark>-<key>/<run>.json        the record; `files` has the sha256 of each file beside it
scores/<benchmark>-<key>/<run>.<kind>      `targets.parquet`, `accuracy.parquet`, `lh_pred_test.npy`, ...
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroscaling.core.leases import Lease, held, sweep
from neuroscaling.core.reading import require_file
from neuroscaling.core.records import DEFINITION, read_record, require_name, write_record
from neuroscaling.core.scales import SCORE_FILE
from neuroscaling.errors import DataError, Problem
from neuroscaling.hashing import file_sha256

AGAIN = "delete the score file and run again"
log = logging.getLogger(__name__)
FILES, MADE_FROM = "files", "made_from"


def beside(path: str | Path, kind: str) -> Path:
    """The file of a kind (`targets.parquet`, ...) that belongs to the score file `path`."""
    path = Path(path)
    return path.with_name(f"{path.name.removesuffix('.json')}.{kind}")


def write_score_record(
    path: str | Path,
    content: Mapping[str, Any],
    definition: Mapping[str, Any],
    made_from: Mapping[str, str],
    kinds: Sequence[str] = (),
) -> None:
    """Write a score file, last of its files: `content` with what determines it and what it was made from.

    kinds: of the files beside it, which are there already. Raises ValueError for NaN in `content`.
    """
    files = {kind: file_sha256(beside(path, kind)) for kind in sorted(kinds)}
    facts = {DEFINITION: dict(definition), MADE_FROM: dict(made_from), FILES: files}
    write_record(path, {**content, "format": SCORE_FILE, **facts})


@contextmanager
def making(path: str | Path, what: str, kinds: Sequence[str] = ()) -> Iterator[Lease | None]:
    """Hold the lease of the record `path` for the length of the block; None where the record is there already.

    what: a name for it in messages; kinds: of the files beside it, whose remains of dead writers are removed. To be
    called `check()` on before the record is written.
    """
    path = Path(path)
    with held(path, what) as lease:
        if path.exists():
            log.info("%s: another process has made it", what)
            yield None
            return
        for kind in kinds:
            sweep(beside(path, kind))
        yield lease


def read_score(path: str | Path) -> dict[str, Any]:
    """The score file at `path`. Raises DataError as `read_of_run`."""
    return read_of_run(path, SCORE_FILE, AGAIN)


def read_of_run(path: str | Path, form: str, again: str = AGAIN) -> dict[str, Any]:
    """The record `<name>-<key>/<run>.json`, of the format `form`.

    Raises DataError, naming both, for another format, a checksum that its content does not have, a definition that its
    folder is not named after, and the record of another run; and for a file that is missing or no JSON object.
    """
    path = Path(path)
    record = read_record(path, form, again)
    require_name(record, path, path.parent.name, again)
    run = path.name.removesuffix(".json")
    if record.get("run") != run:
        what = "the file of another run stands under this name"
        raise DataError(Problem(what, str(path), record.get("run"), run, fix=again))
    return record


def checked_file(path: str | Path, content: Mapping[str, Any], kind: str, again: str = AGAIN) -> Path:
    """The file of a kind that belongs to the score file `path` with this content, when it is what was written.

    Raises DataError, naming both checksums, for another one, and for a file that is missing or not of this score.
    """
    file, stated = beside(path, kind), content.get(FILES, {}).get(kind)
    require_file(file, again)
    found = file_sha256(file)
    if found != stated:
        what = "the file was altered: it does not have the checksum that the record beside it states"
        raise DataError(Problem(what, str(file), found, str(stated), fix=again))
    return file


def stored_name(path: str | Path) -> str:
    """What a file three folders deep in the store is called in `made_from`: `activations/<run>/<set>-<key>.json`."""
    return "/".join(Path(path).parts[-3:])
