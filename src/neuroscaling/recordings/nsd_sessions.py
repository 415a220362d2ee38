"""Scan sessions of one subject and space: which are there, and whether their files belong together."""

from collections.abc import Iterator, Sequence

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.recordings.nsd_betas import betas_shape
from neuroscaling.recordings.nsd_regions import read_map
from neuroscaling.recordings.nsd_splits import WITHHELD
from neuroscaling.stimuli.nsd_design import Design
from neuroscaling.study.nsd_tree import FSAVERAGE_VERTICES, NSD_FIX, NsdPlace, completed_sessions, is_simulated
from neuroscaling.study.preparation_jobs import HeldOut

Grid = tuple[int, ...]


def chosen_sessions(place: NsdPlace, sessions: Sequence[int] | str, test: HeldOut) -> list[int]:
    """Scan sessions (from 1) to read, ascending: those that are there, or those named.

    Raises DataError for sessions that aren't there, and where the challenge's split needs more of them.
    """
    there = place.sessions()
    named = there if isinstance(sessions, str) else sorted(set(sessions))
    missing = sorted(set(named) - set(there))
    if missing or not named:
        what = "scan sessions are missing" if missing else "no scan session"
        raise DataError(
            Problem(
                what=what,
                where=str(place.betas),
                value=listing(missing) or None,
                allowed=listing(there, 40),
                fix=NSD_FIX,
            )
        )
    completed = completed_sessions(place.root, place.subject)
    if test == "challenge" and (completed is None or named != list(range(1, completed + 1))):
        what = (
            f"the challenge's split needs all scan sessions of the subject: its test images are of the last {WITHHELD}"
        )
        needed = f"1 to {completed}" if completed else "a subject of NSD"
        raise DataError(
            Problem(what=what, where=str(place.betas), value=listing(named, 40), allowed=needed, fix=NSD_FIX)
        )
    return named


def read_grids(place: NsdPlace, sessions: Sequence[int], design: Design) -> list[Grid]:
    """Shape of the space of each part. Raises DataError with all that is wrong with the files of these sessions."""
    grids, problems = examine(place, sessions, design)
    if problems:
        raise DataError(problems)
    return grids


def examine(place: NsdPlace, sessions: Sequence[int], design: Design | None) -> tuple[list[Grid], list[Problem]]:
    """Shape of the space of each part (by its first readable session), and what is wrong, from headers alone."""
    grids, problems = [], []
    for part in place.parts:
        shapes: dict[int, tuple[int, Grid]] = {}
        for session in sessions:
            try:
                shapes[session] = betas_shape(place.session_file(part, session))
            except DataError as error:
                problems += error.problems
        if shapes:
            grid = next(iter(shapes.values()))[1]
            grids.append(grid)
            problems += _shape_problems(place, part, shapes, grid, design)
    return grids, problems


def _shape_problems(
    place: NsdPlace, part: str, shapes: dict[int, tuple[int, Grid]], grid: Grid, design: Design | None
) -> Iterator[Problem]:
    first = next(iter(shapes))
    for session, (trials, shape) in shapes.items():
        file = str(place.session_file(part, session))
        if design and trials != design.trials:
            what = "the number of trials is not the design's"
            yield Problem(
                what=what,
                where=file,
                value=trials,
                allowed=f"{design.trials} in each scan session",
                fix="copy or download it again",
            )
        if shape != grid:
            yield Problem(what=f"another shape than session {first:02d}", where=file, value=shape, allowed=str(grid))
    if place.space == "fsaverage" and grid != (FSAVERAGE_VERTICES,) and not is_simulated(place.root):
        file = str(place.session_file(part, first))
        yield Problem(what="not the vertices of fsaverage", where=file, value=grid[0], allowed=str(FSAVERAGE_VERTICES))


def read_ncsnr(place: NsdPlace, grids: Sequence[Grid]) -> np.ndarray:
    """Signal-to-noise ratio of single trials (targets,), parts one after another and flat (C order), as NSD gives it.

    Raises DataError for files that are missing, or of another space.
    """
    values, problems = [], []
    for part, grid in zip(place.parts, grids, strict=True):
        try:
            ncsnr = read_map(place.ncsnr_file(part))
            if ncsnr.shape != tuple(grid):
                what = "ncsnr is of another space than the responses"
                problems.append(
                    Problem(
                        what=what,
                        where=str(place.ncsnr_file(part)),
                        value=f"shape {ncsnr.shape}",
                        allowed=str(tuple(grid)),
                    )
                )
            values.append(np.asarray(ncsnr, np.float32).ravel())
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return np.concatenate(values)
