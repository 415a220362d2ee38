"""Walks a tree in the Algonauts layout and reports everything that is wrong with it at once.

Problems keep a tree from being used, or make its scores wrong. Notes are what a user should know of a tree that can be
used: vertices that are left out because they have NaN or don't vary, classes of ROIs that aren't there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.check_images import picture_problems
from neuroscaling.encoding.algonauts.check_masks import class_notes, mask_problems
from neuroscaling.encoding.algonauts.check_responses import response_problems, vertex_notes
from neuroscaling.encoding.algonauts.layout import HEMISPHERES
from neuroscaling.encoding.algonauts.read import count_problems
from neuroscaling.encoding.algonauts.regions import region_masks
from neuroscaling.encoding.algonauts.scan import Scan, scan
from neuroscaling.encoding.algonauts.tree import folder_problems, subject_problems
from neuroscaling.encoding.rois import CLASSES
from neuroscaling.errors import Problem


@dataclass(frozen=True)
class Report:
    """What a walk found: problems, notes, and a row a sound subject for the summary."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def check(root: str | Path, subjects: Sequence[str] | str = "all") -> list[Problem]:
    """Everything that is wrong with the subjects of a tree; see `inspect`."""
    root = Path(root)
    return inspect(root, subjects).problems


def inspect(
    root: str | Path, subjects: Sequence[str] | str = "all", images: Literal["sample", "all"] = "sample"
) -> Report:
    """Check the subjects of a tree: names, headers, every response, mask and ceiling, and the pictures.

    images: whether a sample of each split's pictures is decoded, or all. Memory is that of a block of rows.
    """
    root, root = Path(root), Path(root)
    report = Report(problems=list(subject_problems(root, subjects)))
    found = layout.subject_folders(root)
    for name in found if subjects == "all" else [name for name in subjects if name in found]:
        _inspect_subject(root / name, images == "all", report)
    return report


def _inspect_subject(folder: Path, every_image: bool, report: Report) -> None:
    """Adds to `report`. What the arrays hold is asked where names and headers are sound."""
    problems = folder_problems(folder, needs_test_responses=False)
    sound = not problems
    problems += picture_problems(folder, every_image)
    report.notes.extend(class_notes(folder))
    if sound:
        found = scan(folder)
        problems += [*count_problems(folder), *mask_problems(folder), *response_problems(folder, found)]
        report.notes.extend(vertex_notes(folder, found))
        if not problems:
            report.rows.append(_row(folder, found))
    report.problems.extend(problems)


def _row(folder: Path, found: Scan) -> dict[str, Any]:
    named = {roi for rois in CLASSES.values() for roi in rois}
    filled = [name for name, mask in region_masks(folder, sum(found.width.values())).items() if mask.any()]
    return {
        "subject": folder.name,
        "training": len(layout.images(folder, "training")),
        "test": len(layout.images(folder, "test")),
        **found.width,
        "masked": sum(len(found.masked(side)) for side in HEMISPHERES),
        "rois": f"{len(named & set(filled))} of {len(named)}",
        "test_responses": _yes(layout.response_files(folder, "test")[0]),
        "noise_ceiling": _yes(layout.ceiling_files(folder)[0]),
    }


def _yes(file: Path) -> str:
    return "yes" if file.is_file() else "no"
