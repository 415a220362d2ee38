"""NSD-synthetic: one scan session in which the subjects of NSD saw 284 images that are no photographs, in one order.

Gifford, Cichy, Naselaris and Kay, "A 7T fMRI dataset of synthetic images for out-of-distribution modeling of vision"
(arXiv 2503.06286), and NSD's data manual. 220 images were shown to everybody, and 64, coloured, differ between
subjects. They lie on a canvas of 714 x 1360 pixels, as large as the screen; NSD's own images took the square of 714
pixels (8.4 degrees) in its middle. Networks are shown this square, so that one degree is as many pixels for both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.array_files import read_mat
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.stimuli.nsd_images import NsdStimulus, header_problems
from neuroscaling.study.nsd_tree import (
    is_simulated,
    nsd_subject_problems,
    nsd_subjects,
    synthetic_design_file,
    synthetic_image_files,
)
from neuroscaling.study.stimulus_sources import NsdTree

TRIALS = 744
"""Of the scan session: 8 runs of 83 images and 10 that were shown twice in a row."""
COMMON, OWN = 220, 64
"""Images that all subjects saw, and of each subject alone."""
CANVAS = (714, 1360)
LUMINANCE_TO_PIXEL = (np.sqrt(np.arange(256) / 255) * 255).astype(np.uint8)
"""The files hold amounts of light, and photographs are stored on a scale of about their square root: as in the authors'
code, which cuts to whole numbers too."""


@dataclass(frozen=True)
class SyntheticStimulus(NsdStimulus):
    """An image of NSD-synthetic."""

    def shown(self, stored: np.ndarray) -> np.ndarray:
        """Return the square in the middle of the canvas, as bright as NSD's own images are stored."""
        height, width = stored.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return LUMINANCE_TO_PIXEL[stored[top : top + side, left : left + side]]


def read_synthetic_order(root: Path) -> np.ndarray:
    """Return the number (from 1) of the image of each trial (trials,). Raises DataError for another design."""
    path = synthetic_design_file(root)
    content = read_mat(path, ("masterordering",))
    with reading(path, "NSD-synthetic's design"):
        order = np.asarray(content["masterordering"], dtype=np.int64).ravel()
    problems = list(_order_problems(str(path), order))
    if problems:
        raise DataError(problems)
    return order


def _order_problems(where: str, order: np.ndarray) -> Iterator[Problem]:
    if len(order) != TRIALS:
        what = "masterordering is not that of NSD-synthetic's session"
        yield Problem(what=what, where=where, value=f"{len(order)} trials", allowed=f"{TRIALS} trials")
    numbers = np.arange(1, COMMON + OWN + 1)
    strangers, absent = np.setdiff1d(order, numbers).tolist(), np.setdiff1d(numbers, order).tolist()
    if strangers or absent:
        found = [f"without {listing(absent)}"] * bool(absent) + [f"with {listing(strangers)}"] * bool(strangers)
        yield Problem(
            what="masterordering doesn't show each image, counted from 1",
            where=where,
            value=", ".join(found),
            allowed=f"1 to {numbers[-1]}",
            fix="does it count from 0?" if strangers == [0] else "",
        )


def synthetic_ids(subject: str, numbers: np.ndarray) -> list[str]:
    """Names of images by their numbers (from 1): `nsdsynthetic-001`, `nsdsynthetic-subj01-221`."""
    return [f"nsdsynthetic-{'' if n <= COMMON else f'{subject}-'}{n:03d}" for n in numbers.tolist()]


def synthetic_images(source: NsdTree) -> Iterator[SyntheticStimulus]:
    """Yield the images of all subjects: those that everybody saw, then those of each.

    Raises DataError for subjects that are missing, and for files of images that are missing or not NSD-synthetic's.
    """
    root = source.root
    problems = nsd_subject_problems(root, source.subjects)
    subjects = nsd_subjects(root) if source.subjects == "all" else source.subjects
    problems = problems or synthetic_image_problems(root, subjects)
    if problems:
        raise DataError(problems)
    everybody, own = np.arange(1, COMMON + 1), np.arange(COMMON + 1, COMMON + OWN + 1)
    yield from _of_file(synthetic_image_files(root, "")[0], synthetic_ids("", everybody))
    for subject in subjects:
        yield from _of_file(synthetic_image_files(root, subject)[1], synthetic_ids(subject, own))


def _of_file(file: Path, names: list[str]) -> Iterator[SyntheticStimulus]:
    yield from (SyntheticStimulus(name, file, row=row) for row, name in enumerate(names))


def synthetic_image_problems(root: Path, subjects: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the files of images, by their headers."""
    canvas = (None, None) if is_simulated(root) else CANVAS
    files = {synthetic_image_files(root, subject)[0]: COMMON for subject in subjects}
    files |= {synthetic_image_files(root, subject)[1]: OWN for subject in subjects}
    return [problem for file, n in files.items() for problem in header_problems(file, (n, *canvas, 3))]
