"""The normalised responses of a monkey of TVSD, opened with their checks (THINGS_normMUA.mat, MATLAB 7.3).

h5py shows MATLAB's axes the other way round:
train_MUA        (images, 1024)
test_MUA         (images, 1024)             mean over the repetitions
test_MUA_reps    (30, images, 1024)
reliab           (pairs, 1024)              correlation between two repetitions, for all pairs of them
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroscaling.core.array_files import HDF5_FILE, open_hdf5
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.stimuli.things_images import read_tvsd_images
from neuroscaling.study.things_tree import THINGS_FIX, TVSD_SITES, Monkey

VARIABLES = {"train_MUA": 2, "test_MUA": 2, "test_MUA_reps": 3, "reliab": 2}
"""Axes of each variable; sites are the last one, as h5py shows them."""
MOST_APART = 0.01
"""In standard deviations: more than this from the mean of its repetitions, and a response is another one's."""
ROWS = 2000
"""Images that are read at once: 16 MB of float64."""


@dataclass(frozen=True)
class Responses:
    """What the file holds. ids: stimuli of the rows of `training` and `test`; training: an array on the disk (images,
    sites); test: (images, sites); repetitions: (sites, images, repetitions), NaN for those not made; reliability
    (sites,): mean over pairs of repetitions."""

    ids: dict[str, list[str]]
    training: Any
    test: np.ndarray
    repetitions: np.ndarray
    reliability: np.ndarray


@contextmanager
def opened_responses(monkey: Monkey) -> Iterator[Responses]:
    """The responses of a monkey while the block runs. Raises DataError with everything that is wrong with its files."""
    found = _readable_log(monkey)
    with open_hdf5(monkey.responses, THINGS_FIX) as opened:
        problems = list(_shape_problems(opened, monkey, found))
        if isinstance(found, list):
            raise DataError([*found, *problems])
        problems += image_problems(monkey, found)
        if problems:
            raise DataError(problems)
        with reading(monkey.responses, HDF5_FILE, THINGS_FIX):
            test, repeated, pairs = (
                np.asarray(opened[name][()], np.float64) for name in ("test_MUA", "test_MUA_reps", "reliab")
            )
        repetitions = _made(repeated)
        _check_mean(monkey, test, repetitions)
        made = np.isfinite(pairs)
        reliability = np.where(made, pairs, 0).sum(0) / np.maximum(made.sum(0), 1)
        reliability[~made.any(0)] = np.nan
        yield Responses(found, opened["train_MUA"], test, repetitions, reliability)


def training_blocks(monkey: Monkey, training: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Stretches of rows and their responses (rows, sites) float32.

    Raises DataError for rows without any number: of such an image nothing was recorded.
    """
    empty: list[int] = []
    for start in range(0, len(training), ROWS):
        rows = slice(start, min(start + ROWS, len(training)))
        with reading(monkey.responses, HDF5_FILE, THINGS_FIX):
            block = np.asarray(training[rows], np.float32)
        empty += (start + np.flatnonzero(~np.isfinite(block).any(1)) + 1).tolist()
        yield rows, block
    if empty:
        what, where = f"{len(empty)} images have no response at any site", f"{monkey.responses}: train_MUA"
        fix = "copy or download it again; images are counted from 1"
        raise DataError(Problem(what=what, where=where, value=listing(empty), fix=fix))


def image_problems(monkey: Monkey, ids: dict[str, list[str]]) -> list[Problem]:
    """Images that the log has twice, or in both splits."""
    problems, where = [], str(monkey.images)
    for split, rows in ids.items():
        counts: dict[str, int] = {}
        for stimulus in rows:
            counts[stimulus] = counts.get(stimulus, 0) + 1
        if twice := [stimulus for stimulus, count in counts.items() if count > 1]:
            what = f"{len(twice)} {split} images stand in the log twice"
            problems.append(Problem(what=what, where=where, value=listing(twice, 5), fix=THINGS_FIX))
    if both := sorted(set(ids["training"]) & set(ids["test"])):
        what = f"{len(both)} test images are training images too"
        problems.append(Problem(what=what, where=where, value=listing(both, 5), fix=THINGS_FIX))
    return problems


def _readable_log(monkey: Monkey) -> dict[str, list[str]] | list[Problem]:
    """The images of the rows, or what is wrong with the log."""
    try:
        return read_tvsd_images(monkey)
    except DataError as error:
        return error.problems


def _shape_problems(opened: Any, monkey: Monkey, ids: dict[str, list[str]] | list[Problem]) -> Iterator[Problem]:
    file = str(monkey.responses)
    absent = [name for name in VARIABLES if not hasattr(opened.get(name), "dtype")]
    if absent:
        what, allowed = "variables are missing", ", ".join(VARIABLES)
        fix = "the normalised responses are needed, THINGS_normMUA.mat"
        yield Problem(what=what, where=file, value=listing(absent), allowed=allowed, fix=fix)
    shapes = {name: tuple(opened[name].shape) for name in VARIABLES if name not in absent}
    numbers = {"train_MUA": "training", "test_MUA": "test", "test_MUA_reps": "test"}
    for name, shape in shapes.items():
        where, axes = f"{file}: {name}", VARIABLES[name]
        if opened[name].dtype.kind != "f":
            yield Problem(what="not numbers with a point", where=where, value=str(opened[name].dtype), fix=THINGS_FIX)
        if len(shape) != axes or shape[-1] != TVSD_SITES:
            yield _axis_problem(where, shape, axes)
        elif isinstance(ids, dict) and name in numbers and shape[-2] != len(ids[numbers[name]]):
            what = f"another number of {numbers[name]} images than the log's"
            allowed = f"{len(ids[numbers[name]])}, as in {monkey.images}"
            yield Problem(what=what, where=where, value=shape[-2], allowed=allowed, fix="copy or download both again")


def _axis_problem(where: str, shape: Sequence[int], axes: int) -> Problem:
    others = ", ".join(["repetitions", "images"][-(axes - 1) :]) if "reliab" not in where else "pairs"
    turned = bool(shape) and shape[0] == TVSD_SITES
    what = "sites are on the first axis: the file was written again, not by MATLAB" if turned else "another shape"
    allowed = f"({others}, {TVSD_SITES}) as h5py shows it"
    fix = "take the file as it was downloaded" if turned else THINGS_FIX
    return Problem(what=what, where=where, value=tuple(shape), allowed=allowed, fix=fix)


def _made(repeated: np.ndarray) -> np.ndarray:
    """Repetitions (sites, images, repetitions), NaN where an image has fewer: MATLAB fills up with zeros."""
    padded = (repeated == 0).all(axis=2)
    repetitions = np.where(padded[:, :, None], np.nan, repeated)
    return np.ascontiguousarray(repetitions.transpose(2, 1, 0))


def _check_mean(monkey: Monkey, test: np.ndarray, repetitions: np.ndarray) -> None:
    """Raise DataError where test responses aren't the mean of their repetitions: of other images, or another file."""
    made = np.isfinite(repetitions)
    mean = (np.where(made, repetitions, 0).sum(2) / np.maximum(made.sum(2), 1)).T
    known = made.any(2).T & np.isfinite(test)
    spread = np.nanstd(np.where(known, test, np.nan)) if known.any() else 0.0
    apart = known & (np.abs(np.where(known, test - mean, 0)) > MOST_APART * spread)
    if wrong := (np.flatnonzero(apart.any(1)) + 1).tolist():
        what = f"{len(wrong)} test images whose response isn't the mean of their repetitions: another order, or file?"
        where, fix = f"{monkey.responses}: test_MUA", "copy or download it again; images are counted from 1"
        raise DataError(Problem(what=what, where=where, value=listing(wrong), fix=fix))
