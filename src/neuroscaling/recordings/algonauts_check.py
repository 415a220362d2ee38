"""The check of an Algonauts 2023 tree looks through images, masks and responses of every subject.

Problems keep a tree from being used, or make its scores wrong. Notes are what a user should know of a tree that can be
used: vertices that are left out because they have NaN or don't vary, classes of ROIs that aren't there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuroscaling.core.array_files import read_npy
from neuroscaling.core.errors import DataError, Problem, listing, nearest, percent
from neuroscaling.core.images import file_bytes, load_image
from neuroscaling.recordings.algonauts_recording import Scan, count_problems, scan_responses
from neuroscaling.study import recording_folders
from neuroscaling.study.algonauts_tree import folder_problems, read_mapping, read_shape, region_masks, subject_problems
from neuroscaling.study.recording_folders import FSAVERAGE_VERTICES, HEMISPHERES, NSD_IMAGE_SIZE
from neuroscaling.study.sections.simulated_brains import ROI_CLASSES


@dataclass(frozen=True)
class Report:
    """What a walk found: problems, notes, and a row a sound subject for the summary."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def check_algonauts_tree(root: str | Path, subjects: Sequence[str] | str = "all") -> list[Problem]:
    """Everything that is wrong with the subjects of a tree; see `inspect`."""
    root = Path(root)
    return inspect_algonauts_tree(root, subjects).problems


def inspect_algonauts_tree(
    root: str | Path, subjects: Sequence[str] | str = "all", images: Literal["sample", "all"] = "sample"
) -> Report:
    """Check the subjects of a tree: names, headers, every response, mask and ceiling, and the pictures.

    images: whether a sample of each split's pictures is decoded, or all. Memory is that of a block of rows.
    """
    root, root = Path(root), Path(root)
    report = Report(problems=list(subject_problems(root, subjects)))
    found = recording_folders.subject_folders(root)
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
        found = scan_responses(folder)
        problems += [*count_problems(folder), *mask_problems(folder), *response_problems(folder, found)]
        report.notes.extend(vertex_notes(folder, found))
        if not problems:
            report.rows.append(_subject_row(folder, found))
    report.problems.extend(problems)


def _subject_row(folder: Path, found: Scan) -> dict[str, Any]:
    named = {roi for rois in ROI_CLASSES.values() for roi in rois}
    filled = [name for name, mask in region_masks(folder, sum(found.width.values())).items() if mask.any()]
    return {
        "subject": folder.name,
        "training": len(recording_folders.split_images(folder, "training")),
        "test": len(recording_folders.split_images(folder, "test")),
        **found.width,
        "masked": sum(len(found.masked(side)) for side in HEMISPHERES),
        "rois": f"{len(named & set(filled))} of {len(named)}",
        "test_responses": _yes(recording_folders.response_files(folder, "test")[0]),
        "noise_ceiling": _yes(recording_folders.ceiling_files(folder)[0]),
    }


def _yes(file: Path) -> str:
    return "yes" if file.is_file() else "no"


IMAGES_DECODED = 20
"""Pictures of a split that are decoded unless all are asked for: first, last, and some at equal distances between."""


def picture_problems(folder: Path, every: bool) -> Iterator[Problem]:
    """Pictures that can't be decoded, and those that aren't RGB of 425 x 425 px; `every`: of all, not of a sample."""
    for split in recording_folders.SPLIT_PREFIXES:
        files = [file for _, _, file in recording_folders.split_images(folder, split)]
        damaged, other = [], []
        for file in files if every else _sampled_images(files):
            kind = _kind(file)
            if kind is None:
                damaged.append(file.name)
            elif kind != f"RGB {NSD_IMAGE_SIZE} x {NSD_IMAGE_SIZE}":
                other.append(f"{file.name} ({kind})")
        place = str(recording_folders.image_folder(folder, split))
        if damaged:
            yield Problem(
                what=f"{len(damaged)} images can't be decoded",
                where=place,
                value=listing(damaged, 4),
                fix="copy them again",
            )
        if other:
            what = f"{len(other)} images aren't the challenge's"
            yield Problem(
                what=what, where=place, value=listing(other, 4), allowed=f"RGB, {NSD_IMAGE_SIZE} x {NSD_IMAGE_SIZE} px"
            )


def _sampled_images(files: list[Path]) -> list[Path]:
    step = max(1, (len(files) - 1) / (IMAGES_DECODED - 1))
    return [files[round(i * step)] for i in range(min(IMAGES_DECODED, len(files)))]


def _kind(file: Path) -> str | None:
    """Mode and size, or None for a file that can't be decoded."""
    try:
        image = load_image(file_bytes(file), str(file))
    except DataError:
        return None
    return f"{image.mode} {image.width} x {image.height}"


def mask_problems(folder: Path) -> Iterator[Problem]:
    """Values without a name, mappings that can't be read, and masks that differ from their twins over fsaverage."""
    for mask_class in recording_folders.roi_classes(folder):
        try:
            named = read_mapping(recording_folders.mapping_file(folder, mask_class))
        except DataError as error:
            yield from error.problems
            continue
        for file in recording_folders.mask_files(folder, mask_class):
            unnamed = sorted({int(value) for value in np.unique(read_npy(file))} - set(named))
            if unnamed:
                what = "values that the mapping doesn't name"
                yield Problem(
                    what=what,
                    where=str(file),
                    value=listing(unnamed),
                    allowed=listing([f"{v} {n}" for v, n in named.items()]),
                )
        yield from _twin_problems(folder, mask_class)


def _twin_problems(folder: Path, mask_class: str) -> Iterator[Problem]:
    """The challenge's mask is the one over fsaverage at the subject's vertices; swapped hemispheres show here."""
    files = recording_folders.mask_files(folder, mask_class)
    own = [read_npy(file) for file in files]
    twins = [_at_vertices(folder, mask_class, side) for side in range(len(HEMISPHERES))]
    both = list(zip(files, own, twins, strict=True))
    differing = [(file, mask, twin) for file, mask, twin in both if twin is not None and not np.array_equal(mask, twin)]
    swapped = [twin is not None and np.array_equal(mask, twin) for mask, twin in zip(own, reversed(twins), strict=True)]
    if differing and all(swapped):
        what = "the masks of the hemispheres are swapped"
        yield Problem(what=what, where=str(files[0].parent), value=" and ".join(file.name for file in files))
        return
    for file, mask, twin in differing:
        count = int((mask != twin).sum()) if mask.shape == twin.shape else len(mask)
        where = recording_folders.mask_files(folder, mask_class, "fsaverage")[files.index(file)].name
        yield Problem(what=f"differs from {where} at {count} of {len(mask)} vertices", where=str(file))


def _at_vertices(folder: Path, mask_class: str, side: int) -> np.ndarray | None:
    """Mask over fsaverage at the subject's vertices, or None where the tree lacks either file."""
    whole = recording_folders.mask_files(folder, mask_class, "fsaverage")[side]
    places = recording_folders.all_vertices_files(folder)[side]
    return read_npy(whole)[read_npy(places) != 0] if whole.is_file() and places.is_file() else None


def class_notes(folder: Path) -> Iterator[Problem]:
    """Classes of ROIs and the mask over fsaverage that aren't there, and ROIs by names that no study can ask for."""
    place = str(folder / "roi_masks")
    absent = [mask_class for mask_class in ROI_CLASSES if mask_class not in recording_folders.roi_classes(folder)]
    if absent:
        yield Problem(
            what="no masks of these classes of ROIs: their regions have no vertices",
            where=place,
            value=", ".join(absent),
        )
    surface = recording_folders.all_vertices_files(folder)[0]
    if not surface.is_file():
        yield Problem(what="no all-vertices masks: surface maps can't be drawn", where=place)
    yield from _surface_notes(surface)
    for mask_class in recording_folders.roi_classes(folder):
        yield from _name_notes(recording_folders.mapping_file(folder, mask_class), ROI_CLASSES[mask_class])


def _surface_notes(file: Path) -> Iterator[Problem]:
    shape = read_shape(file)
    if len(shape) == 1 and shape != (FSAVERAGE_VERTICES,):
        what = f"the masks are over a surface of {shape[0]} vertices, not over fsaverage: a simulated one?"
        yield Problem(what=what, where=str(file.parent), allowed=f"{FSAVERAGE_VERTICES} vertices")


def _name_notes(file: Path, known: tuple[str, ...]) -> Iterator[Problem]:
    try:
        names = read_mapping(file).items()
    except DataError:
        return
    for value, name in names:
        if value != 0 and name not in known:
            what = "the challenge has no such ROI: its vertices count for all-vertices alone"
            yield Problem(
                what=what, where=str(file), value=name, allowed=", ".join(known), nearest=nearest(name, known)
            )


MOST_MASKED = 0.5
"""Share of a hemisphere's vertices; where more can't be used, the file is damaged rather than the vertices."""
MOST_REPEATS = 3


def response_problems(folder: Path, found: Scan) -> Iterator[Problem]:
    """Rows without a number, hemispheres that can't be used, hemispheres that are copies, values out of range."""
    for file, rows in found.empty.items():
        what = f"{len(rows)} rows are NaN throughout, so that no vertex can be used"
        yield Problem(
            what=what,
            where=str(file),
            value=listing(rows),
            allowed="a number in every row",
            fix="rows are counted from 1",
        )
    if not found.empty:
        yield from _masked_problems(folder, found)
    for split in recording_folders.SPLIT_PREFIXES:
        yield from _copy_problems(recording_folders.response_files(folder, split))
    yield from _ceiling_problems(folder)
    yield from _repeats_problems(folder)


def vertex_notes(folder: Path, found: Scan) -> Iterator[Problem]:
    """Vertices that are left out, by hemisphere and reason; rows in another order than the challenge's."""
    for side in HEMISPHERES:
        for vertices, reason in ((found.nan[side], "have NaN"), (found.constant[side], "don't vary")):
            if vertices:
                what = f"{len(vertices)} of {found.width[side]} {side} vertices {reason} and are left out"
                yield Problem(what=what, where=str(folder), value=listing(vertices))
    for split in recording_folders.SPLIT_PREFIXES:
        numbers = [number for _, number, _ in recording_folders.split_images(folder, split)]
        if numbers != sorted(numbers):
            what = f"{split} images aren't in ascending order of NSD numbers, as the challenge's are"
            yield Problem(what=what, where=str(recording_folders.image_folder(folder, split)))


def _masked_problems(folder: Path, found: Scan) -> Iterator[Problem]:
    for side in HEMISPHERES:
        masked = len(found.masked(side))
        if masked > MOST_MASKED * found.width[side]:
            what = f"{masked} of {found.width[side]} {side} vertices have NaN or don't vary"
            yield Problem(what=what, where=str(folder), allowed=f"at most {percent(MOST_MASKED)} of a hemisphere")


def _copy_problems(files: list[Path]) -> Iterator[Problem]:
    if not files[0].is_file():
        return
    left, right = (read_npy(file, mapped=True) for file in files)
    rows = zip(left, right, strict=True)
    if left.shape == right.shape and all(np.array_equal(a, b, equal_nan=True) for a, b in rows):
        yield Problem(
            what="both hemispheres hold the same numbers", where=str(files[0].parent), fix="copy the right file again"
        )


def _ceiling_problems(folder: Path) -> Iterator[Problem]:
    for file in (file for file in recording_folders.ceiling_files(folder) if file.is_file()):
        low, high = _range(file)
        if low < 0 or high > 1:
            fix = "divide per cent by 100" if low >= 0 and high <= 100 else ""
            yield Problem(
                what="noise ceiling out of range",
                where=str(file),
                value=f"{low:.4g} to {high:.4g}",
                allowed="0 to 1",
                fix=fix,
            )
    for file in (file for file in recording_folders.ncsnr_files(folder) if file.is_file()):
        low, high = _range(file)
        if low < 0:
            yield Problem(
                what="signal-to-noise ratio below 0",
                where=str(file),
                value=f"{low:.4g} to {high:.4g}",
                allowed="0 and above",
            )


def _repeats_problems(folder: Path) -> Iterator[Problem]:
    for split in recording_folders.SPLIT_PREFIXES:
        file = recording_folders.repeats_file(folder, split)
        if file.is_file():
            low, high = _range(file)
            if low < 1 or high > MOST_REPEATS:
                allowed = f"1 to {MOST_REPEATS}, as NSD shows an image"
                yield Problem(
                    what="number of repetitions out of range",
                    where=str(file),
                    value=f"{low:g} to {high:g}",
                    allowed=allowed,
                )


def _range(file: Path) -> tuple[float, float]:
    values = read_npy(file)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
