"""Responses of one subject to NSD-synthetic: one scan session, z-scored, and averaged over the trials of an image.

The ceiling comes from this session's own trials (`regression.scores.repeat_ceiling`): NSD's ncsnr is of photographs,
and other images vary the response more or less. Trials that showed the image before once more count as repetitions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.recordings.nsd_betas import betas_shape, read_betas, zscored
from neuroscaling.recordings.nsd_sessions import Grid
from neuroscaling.recordings.nsd_splits import Rows, rows_of
from neuroscaling.regression.scores import repeat_ceiling
from neuroscaling.stimuli.nsd_synthetic import TRIALS, read_synthetic_order, synthetic_ids
from neuroscaling.study.nsd_tree import NsdPlace
from neuroscaling.study.preparation_jobs import Repeats

_BYTES_PER_REPEAT = 40
"""Of a trial of an image, its float64 value and what `repeat_ceiling` makes of it."""


@dataclass(frozen=True)
class SyntheticSession:
    """The session of a subject in one space. files: one a part; order (trials,): the number (from 1) of each trial's
    image; repeats: whether its trials are averaged; rows: of the split, by the numbers of images; stimulus_ids: theirs.
    """

    files: tuple[Path, ...]
    order: np.ndarray
    repeats: Repeats
    rows: Rows
    stimulus_ids: list[str]


@dataclass(frozen=True)
class SyntheticBlock:
    """Targets `start` to `stop`: responses (rows, stop - start) float32; usable (stop - start,): finite and varying;
    ceiling (stop - start,) of the rows in 0..1, NaN where it isn't usable."""

    start: int
    stop: int
    responses: np.ndarray
    usable: np.ndarray
    ceiling: np.ndarray


def read_session(place: NsdPlace, grids: Sequence[Grid], repeats: Repeats) -> SyntheticSession:
    """The session of a subject. Raises DataError with what is wrong with the design, and with the headers of the files.

    grids: shape of the space of each part, by NSD's own sessions.
    """
    order, problems = None, session_problems(place, grids)
    try:
        order = read_synthetic_order(place.root)
    except DataError as error:
        problems = error.problems + problems
    if order is None or problems:
        raise DataError(problems)
    rows = rows_of(order[None], np.ones((1, len(order)), bool), repeats)
    files = tuple(place.synthetic_file(part) for part in place.parts)
    return SyntheticSession(files, order, repeats, rows, synthetic_ids(place.subject, rows.ids))


def session_problems(place: NsdPlace, grids: Sequence[Grid]) -> list[Problem]:
    """What is wrong with the files of responses, by their headers."""
    problems = []
    for part, grid in zip(place.parts, grids, strict=True):
        file = place.synthetic_file(part)
        try:
            trials, shape = betas_shape(file)
        except DataError as error:
            problems += error.problems
            continue
        if trials != TRIALS:
            what, allowed = "the number of trials is not that of NSD-synthetic", str(TRIALS)
            problems.append(Problem(what=what, where=str(file), value=trials, allowed=allowed))
        if shape != tuple(grid):
            what = "another shape than the subject's sessions of NSD"
            problems.append(Problem(what=what, where=str(file), value=shape, allowed=str(tuple(grid))))
    return problems


def synthetic_blocks(
    session: SyntheticSession, part: int, targets: np.ndarray, memory_mb: float
) -> Iterator[SyntheticBlock]:
    """Responses of the part-th part in blocks of targets.

    targets: flat numbers in the space, ascending; memory_mb bounds what is held at once. Raises DataError for files
    that can't be read, and where no target of a file is finite and varies.
    """
    repetitions = _repetitions(session.order)
    size = max(1, int(memory_mb * 1e6) // (_BYTES_PER_REPEAT * repetitions.size))
    any_usable = False
    for start in range(0, len(targets), size):
        block = _block(session, part, targets[start : start + size], repetitions, start)
        any_usable |= bool(block.usable.any())
        yield block
    if len(targets) and not any_usable:
        what = "no target of this session is finite and varies"
        raise DataError(Problem(what=what, where=str(session.files[part]), fix="copy or download it again"))


def _block(
    session: SyntheticSession, part: int, targets: np.ndarray, repetitions: np.ndarray, start: int
) -> SyntheticBlock:
    betas = zscored(read_betas(session.files[part], targets))
    usable = np.isfinite(betas).all(0)
    responses = np.zeros((len(session.rows.ids), len(targets)), np.float32)
    for trial, row in enumerate(session.rows.row[0]):
        responses[row] += betas[trial]
    responses /= session.rows.repeats[:, None].astype(np.float32)
    ceiling = np.full(len(targets), np.nan)
    trials = np.where(repetitions >= 0, betas[:, usable].T[:, repetitions], np.nan)
    ceiling[usable] = repeat_ceiling(trials, averaged=session.repeats == "average")
    return SyntheticBlock(start, start + len(targets), responses, usable, ceiling)


def _repetitions(order: np.ndarray) -> np.ndarray:
    """Trials of each image (images, most repetitions), -1 behind those of images that were shown less often."""
    numbers, counts = np.unique(order, return_counts=True)
    trials = np.full((len(numbers), counts.max()), -1)
    for row, number in enumerate(numbers):
        trials[row, : counts[row]] = np.flatnonzero(order == number)
    return trials
