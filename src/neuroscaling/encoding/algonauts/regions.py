"""Regions of one subject of a tree in the Algonauts layout."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from neuroscaling.core.npy import npy_shape, read_npy
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.mapping import read_mapping
from neuroscaling.encoding.rois import ALL_VERTICES, CLASSES, REGIONS
from neuroscaling.errors import Problem, listing, nearest


def region_masks(folder: Path, n_vertices: int) -> dict[str, np.ndarray]:
    """Boolean (vertices of both hemispheres,) for each region of the tree; all False for those that a subject lacks.

    A class without a mapping gives no regions.
    """
    masks = {ALL_VERTICES: np.ones(n_vertices, bool)}
    for mask_class in CLASSES:
        if layout.mapping_file(folder, mask_class).is_file():
            masks |= _class_masks(folder, mask_class)
    return masks


def _class_masks(folder: Path, mask_class: str) -> dict[str, np.ndarray]:
    mapping = read_mapping(layout.mapping_file(folder, mask_class))
    values = np.concatenate([read_npy(file) for file in layout.mask_files(folder, mask_class)])
    wanted = {region: names for region, (c, names) in REGIONS.items() if c == mask_class}
    return {
        region: np.isin(values, [value for value, name in mapping.items() if name in names])
        for region, names in wanted.items()
    }


def region_problems(root: Path, subjects: Sequence[str], regions: Sequence[str]) -> Iterator[Problem]:
    """Regions that no vertex of any of `subjects` belongs to."""
    filled = {name for subject in subjects for name in _filled(root / subject)}
    for region in regions:
        if region not in filled:
            where, known = f"{root} ({', '.join(subjects)})", sorted(filled)
            what = "the region has no vertex in any subject"
            yield Problem(what, where, region, listing(known), nearest(region, known))


def _filled(folder: Path) -> list[str]:
    widths = [npy_shape(file)[1] for file in layout.response_files(folder, "training")]
    return [name for name, mask in region_masks(folder, sum(widths)).items() if mask.any()]
