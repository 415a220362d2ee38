"""ROIs of NSD in each space: which voxels or vertices belong to the regions that scores name.

Files hold integers: 0 is none of them, -1 (in volumes) outside cortex. Their names are in `<name>.mgz.ctab`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import reading
from neuroscaling.recordings.nsd_betas import NIBABEL_KIND, open_image
from neuroscaling.study.nsd_tree import NSD_FIX, NsdPlace
from neuroscaling.study.recording_folders import FMRI_REGIONS

GENERAL = "nsdgeneral"
"""The part of cortex that responds to the experiment; drawn by NSD's authors, and the usual choice of targets."""


def read_map(file: Path) -> np.ndarray:
    """Numbers of a NIfTI, mgh or mgz file without axes of length 1 at its end: (X, Y, Z) or (vertices,).

    Raises DataError for a file that is missing or can't be read.
    """
    image = open_image(file)
    with reading(file, NIBABEL_KIND):
        values = np.asanyarray(image.dataobj)
    return values[:, 0, 0] if values.shape[1:] == (1, 1) else values


def read_label_names(file: Path) -> dict[int, str]:
    """{integer: name} of a `.ctab` file: two words a line, or FreeSurfer's table with colours behind them.

    Raises DataError for a file that is missing or has other lines.
    """
    with reading(file, "a table of ROIs with lines such as `1 V1v`", NSD_FIX):
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        return {int(words[0]): words[1] for words in lines if words and not words[0].startswith("#")}


def label_problems(place: NsdPlace, grids: Sequence[tuple[int, ...]]) -> list[Problem]:
    """What is wrong with the ROI files that the tree has; grids: shape of the space of each part."""
    problems = []
    for name in [GENERAL, *_classes()]:
        if any(place.label_file(part, name).is_file() for part in place.parts):
            try:
                read_labels(place, name, grids)
                if name != GENERAL:
                    read_label_names(place.label_names(name))
            except DataError as error:
                problems += error.problems
    return problems


def read_labels(place: NsdPlace, name: str, grids: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Integers of the ROIs `name`, parts one after another and flat (C order).

    Raises DataError for a file that is missing, or made for another space than `grids`.
    """
    values, problems = [], []
    for part, grid in zip(place.parts, grids, strict=True):
        file = place.label_file(part, name)
        try:
            labels = read_map(file)
            if labels.shape != tuple(grid):
                what = "the ROI is of another space than the responses"
                problems.append(
                    Problem(
                        what=what,
                        where=str(file),
                        value=f"shape {labels.shape}",
                        allowed=f"{tuple(grid)}, {place.space}",
                    )
                )
            values.append(np.asarray(labels, np.float64).ravel().astype(np.int64))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return np.concatenate(values)


def read_regions(place: NsdPlace, grids: Sequence[tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Boolean (targets,) of the whole space for each region that has any in it. Raises DataError as `read_labels`."""
    problems = label_problems(place, grids)
    if problems:
        raise DataError(problems)
    masks = {ALL_VERTICES: np.ones(sum(int(np.prod(grid)) for grid in grids), bool)}
    if _is_there(place, GENERAL):
        masks[GENERAL] = read_labels(place, GENERAL, grids) > 0
    for name in _classes():
        if _is_there(place, name):
            masks |= _of_class(name, read_labels(place, name, grids), read_label_names(place.label_names(name)))
    return {region: mask for region, mask in masks.items() if mask.any()}


def chosen_regions(place: NsdPlace, masks: dict[str, np.ndarray], regions: Sequence[str] | str) -> np.ndarray:
    """Ascending flat numbers of the targets in any of `regions`. Raises DataError for regions that aren't there."""
    names = [regions] if isinstance(regions, str) else list(regions)
    missing = [name for name in names if name not in masks]
    if missing or not names:
        there, what = list(masks), "regions without a voxel or vertex in this space"
        value, near = listing(missing) or "none", nearest((missing or [""])[0], there)
        where = f"{place.root}, {place.subject}, {place.space}"
        raise DataError(
            Problem(what=what, where=where, value=value, allowed=listing(there, 40), nearest=near, fix=NSD_FIX)
        )
    return np.flatnonzero(np.logical_or.reduce([masks[name] for name in names]))


def _of_class(name: str, labels: np.ndarray, names: dict[int, str]) -> dict[str, np.ndarray]:
    masks = {}
    for region, (mask_class, members) in FMRI_REGIONS.items():
        if mask_class == name:
            masks[region] = np.isin(labels, [value for value, member in names.items() if member in members])
    return masks


def _classes() -> list[str]:
    return sorted({mask_class for mask_class, _ in FMRI_REGIONS.values() if mask_class})


def _is_there(place: NsdPlace, name: str) -> bool:
    return all(place.label_file(part, name).is_file() for part in place.parts)
