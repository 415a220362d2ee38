"""A part of `neuroscaling plan` states what the checkpoints of a study cost that others trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neuroscaling.cli.output import GIGA, rounded
from neuroscaling.planning.checkpoint_files import CheckpointFile, checkpoint_files
from neuroscaling.study.loaded_study import LoadedStudy

BY: dict[str, Callable[[CheckpointFile], tuple[str, ...]]] = {
    "family": lambda one: (str(one.run.objective), one.run.family),
    "arch": lambda one: (str(one.run.objective), one.run.arch),
    "dataset": lambda one: (str(one.run.objective), str(one.run.dataset)),
    "run": lambda one: (one.run.run,),
}
CHECKPOINT_NOTE = (
    "fetched_gb: what passes through; estimated ones are taken for trainers' states, 8 bytes a parameter, and 16 where "
    "averaged weights are taken.\n"
    "weights_gb: of all runs, kept; with `keep: false` those of the runs in work. image_flops: one image through all."
)


def checkpoint_rows(study: LoadedStudy, by: str = "family") -> list[dict[str, Any]]:
    """One row for each group of checkpoints and one of all; empty where the study has none.

    downloads: files that are fetched; fetched_gb, largest_gb: bytes of all of them and of the largest; sizes: whether
    the table has them; weights_gb: what stays; image_flops: FLOPs of one image through all networks of the row.
    """
    found = checkpoint_files(study.runs.values())
    if not found:
        return []
    groups: dict[tuple[str, ...], list[CheckpointFile]] = {}
    for one in found:
        groups.setdefault(BY[by](one), []).append(one)
    titles = ("run",) if by == "run" else ("objective", by)
    rows = [
        dict(zip(titles, key, strict=True)) | _row(group)
        for key, group in sorted(groups.items(), key=lambda item: (item[0][0] != "supervised", item[0]))
    ]
    return [*rows, dict.fromkeys(titles, "all") | _row(found)]


def _row(group: list[CheckpointFile]) -> dict[str, Any]:
    downloads = [one for one in group if one.fetched]
    return {
        "runs": len(group),
        "downloads": len(downloads),
        "fetched_gb": rounded(sum(one.fetched for one in downloads) / GIGA),
        "largest_gb": rounded(max((one.fetched for one in downloads), default=0) / GIGA),
        "sizes": _sizes(downloads),
        "weights_gb": rounded(sum(one.kept for one in group) / GIGA),
        "image_flops": rounded(sum(one.flops for one in group)),
    }


def _sizes(downloads: list[CheckpointFile]) -> str | None:
    """Where the sizes of files are from; None where nothing is fetched."""
    known = sum(one.is_known for one in downloads)
    if not downloads:
        return None
    return "table" if known == len(downloads) else f"table has {known} of {len(downloads)}" if known else "estimated"
