"""One subject of a tree in the Algonauts layout, whole in memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.layout import HEMISPHERES, SPLITS
from neuroscaling.encoding.algonauts.regions import region_masks
from neuroscaling.encoding.algonauts.tree import folder_problems
from neuroscaling.errors import DataError


@dataclass(frozen=True)
class Subject:
    """One subject, both hemispheres side by side; vertices that can't be used are left out and listed in `masked`.

    training (images, vertices) and test, float32; ceiling (vertices,) in 0..1 or None; regions: rows of a boolean
    (vertices,) by name; vertex: the column in the hemisphere's file; masked: those left out, by hemisphere.
    """

    name: str
    training_ids: list[str]
    test_ids: list[str]
    training: np.ndarray
    test: np.ndarray
    ceiling: np.ndarray | None
    regions: dict[str, np.ndarray]
    hemisphere: np.ndarray
    vertex: np.ndarray
    masked: dict[str, list[int]]


def read_subject(root: Path, name: str) -> Subject:
    """Read one subject. Raises DataError with all problems of its folder.

    Vertices with NaN in a response or in the ceiling, or with responses that don't vary, are left out and listed.
    """
    folder = Path(root) / name
    problems = folder_problems(folder, needs_test_responses=True)
    if problems:
        raise DataError(problems)
    training, test = (np.hstack([np.load(file) for file in layout.response_files(folder, split)]) for split in SPLITS)
    widths = [np.load(file, mmap_mode="r").shape[1] for file in layout.response_files(folder, "test")]
    hemisphere = np.repeat(HEMISPHERES, widths)
    vertex = np.concatenate([np.arange(width) for width in widths])
    ceiling = _ceiling(folder)
    usable = _usable(training) & _usable(test) & (np.isfinite(ceiling) if ceiling is not None else True)
    masked = {side: vertex[~usable & (hemisphere == side)].tolist() for side in HEMISPHERES}
    return Subject(
        name,
        layout.image_ids(folder, "training"),
        layout.image_ids(folder, "test"),
        training[:, usable],
        test[:, usable],
        None if ceiling is None else ceiling[usable],
        {region: mask[usable] for region, mask in region_masks(folder, len(vertex), coarse=True).items()},
        hemisphere[usable],
        vertex[usable],
        masked,
    )


def _usable(responses: np.ndarray) -> np.ndarray:
    finite = np.isfinite(responses).all(0)
    return finite & (np.where(finite, responses, 0).std(0) > 0)


def _ceiling(folder: Path) -> np.ndarray | None:
    files = layout.ceiling_files(folder)
    return np.concatenate([np.load(file) for file in files]) if files[0].is_file() else None
