"""ROI masks of a subject: do mappings name their values, and do both spaces say the same?"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neuroscaling.core.npy import read_npy
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.headers import read_shape
from neuroscaling.encoding.algonauts.layout import FSAVERAGE_VERTICES, HEMISPHERES
from neuroscaling.encoding.mapping import read_mapping
from neuroscaling.encoding.rois import CLASSES
from neuroscaling.errors import DataError, Problem, listing, nearest


def mask_problems(folder: Path) -> Iterator[Problem]:
    """Values without a name, mappings that can't be read, and masks that differ from their twins over fsaverage."""
    for mask_class in layout.classes(folder):
        try:
            named = read_mapping(layout.mapping_file(folder, mask_class))
        except DataError as error:
            yield from error.problems
            continue
        for file in layout.mask_files(folder, mask_class):
            unnamed = sorted({int(value) for value in np.unique(read_npy(file))} - set(named))
            if unnamed:
                what = "values that the mapping doesn't name"
                yield Problem(what, str(file), listing(unnamed), listing([f"{v} {n}" for v, n in named.items()]))
        yield from _twin_problems(folder, mask_class)


def _twin_problems(folder: Path, mask_class: str) -> Iterator[Problem]:
    """The challenge's mask is the one over fsaverage at the subject's vertices; swapped hemispheres show here."""
    files = layout.mask_files(folder, mask_class)
    own = [read_npy(file) for file in files]
    twins = [_at_vertices(folder, mask_class, side) for side in range(len(HEMISPHERES))]
    differing = [twin is not None and not np.array_equal(mask, twin) for mask, twin in zip(own, twins, strict=True)]
    if any(differing) and all(map(np.array_equal, own, twins[::-1])):
        what = "the masks of the hemispheres are swapped"
        yield Problem(what, str(files[0].parent), " and ".join(file.name for file in files))
        return
    for file, mask, twin, differs in zip(files, own, twins, differing, strict=True):
        if differs:
            count = int((mask != twin).sum()) if mask.shape == twin.shape else len(mask)
            where = layout.mask_files(folder, mask_class, "fsaverage")[files.index(file)].name
            yield Problem(f"differs from {where} at {count} of {len(mask)} vertices", str(file))


def _at_vertices(folder: Path, mask_class: str, side: int) -> np.ndarray | None:
    """Mask over fsaverage at the subject's vertices, or None where the tree lacks either file."""
    whole = layout.mask_files(folder, mask_class, "fsaverage")[side]
    places = layout.all_vertices_files(folder)[side]
    return read_npy(whole)[read_npy(places) != 0] if whole.is_file() and places.is_file() else None


def class_notes(folder: Path) -> Iterator[Problem]:
    """Classes of ROIs and the mask over fsaverage that aren't there, and ROIs by names that no study can ask for."""
    place = str(folder / "roi_masks")
    absent = [mask_class for mask_class in CLASSES if mask_class not in layout.classes(folder)]
    if absent:
        yield Problem("no masks of these classes of ROIs: their regions have no vertices", place, ", ".join(absent))
    surface = layout.all_vertices_files(folder)[0]
    if not surface.is_file():
        yield Problem("no all-vertices masks: surface maps can't be drawn", place)
    yield from _surface_notes(surface)
    for mask_class in layout.classes(folder):
        yield from _name_notes(layout.mapping_file(folder, mask_class), CLASSES[mask_class])


def _surface_notes(file: Path) -> Iterator[Problem]:
    shape = read_shape(file)
    if len(shape) == 1 and shape != (FSAVERAGE_VERTICES,):
        what = f"the masks are over a surface of {shape[0]} vertices, not over fsaverage: a simulated one?"
        yield Problem(what, str(file.parent), allowed=f"{FSAVERAGE_VERTICES} vertices")


def _name_notes(file: Path, known: tuple[str, ...]) -> Iterator[Problem]:
    try:
        names = read_mapping(file).items()
    except DataError:
        return
    for value, name in names:
        if value != 0 and name not in known:
            what = "the challenge has no such ROI: its vertices count for all-vertices alone"
            yield Problem(what, str(file), name, ", ".join(known), nearest(name, known))
