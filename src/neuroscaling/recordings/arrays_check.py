"""Recordings of one's own are looked at whole: every image is decoded, every response read in blocks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.core.hashing import file_sha1
from neuroscaling.core.table_files import LINES_SHOWN
from neuroscaling.recordings.arrays_blocks import Gaps, SubjectArray, repetitions_of
from neuroscaling.stimuli.preparation import image_faults
from neuroscaling.study.array_layout import layout_of, opened_responses
from neuroscaling.study.array_names import listed_images
from neuroscaling.study.own_arrays import OwnArrays, OwnStimuli, OwnUnits, read_own_stimuli, read_own_units
from neuroscaling.study.stimulus_sources import ListedImages

MEMORY_MB = 1000.0


def check_responses(arrays: OwnArrays, subjects: Sequence[str]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """A row about each subject, and what is wrong with the responses: missing and infinite ones.

    Raises DataError for faulty tables and an array that doesn't fit them.
    """
    stimuli, units = read_own_stimuli(arrays), read_own_units(arrays)
    rows, problems = [], []
    with opened_responses(arrays) as array:
        layout = layout_of(arrays, array, stimuli, units)
        for subject in subjects:
            part = SubjectArray.of(array, layout, units, subject)
            repetitions = repetitions_of(part, MEMORY_MB)
            gaps = Gaps(repetitions > 0)
            for positions, responses in part.blocks(MEMORY_MB):
                gaps.look(positions, responses)
            if problem := gaps.problem(part, stimuli, units):
                problems.append(problem)
            rows.append(_row(subject, part, stimuli, units, repetitions))
    return rows, problems


def _row(
    subject: str, part: SubjectArray, stimuli: OwnStimuli, units: OwnUnits, repetitions: np.ndarray
) -> dict[str, Any]:
    seen = {name: [i for i in stimuli.of_split(name) if repetitions[i]] for name in dict.fromkeys(stimuli.splits)}
    counts = sorted(set(repetitions[repetitions > 0].tolist()))
    ceilings = "table" if units.ceilings is not None else "repetitions" if counts[-1:] > [1] else "none"
    return {
        "subject": subject,
        "units": len(part.units),
        "regions": listing(units.region_names(part.units), 6),
        "images": listing([f"{name} {len(images)}" for name, images in seen.items()], 6),
        "not_shown": int((repetitions == 0).sum()),
        "repetitions": f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",
        "ceilings": ceilings,
        "axes": " x ".join(part.layout.axes),
    }


def check_images(arrays: OwnArrays) -> list[Problem]:
    """Images that can't be decoded, or that are others than the sha1s of the table say. Raises DataError for a faulty
    table."""
    source = listed_images(arrays, read_own_stimuli(arrays), None)
    swapped = _swapped(source)
    return [swapped] if swapped else image_faults(source)


def _swapped(source: ListedImages) -> Problem | None:
    """Images that lie under the name of another one of the table, by their sha1."""
    stated = {sha1: file for _, file, sha1 in source.images if sha1 is not None}
    found = []
    for _, file, sha1 in source.images if stated else ():
        with reading(source.root / file, "an image"):
            own = file_sha1(source.root / file)
        if own != sha1 and own in stated:
            found.append(f"{file} is what the table calls {stated[own]}")
    if not found:
        return None
    what = f"{len(found)} images are in another order than the table says, by their sha1"
    fix = "give the files the names that the table has for them, or correct the table"
    return Problem(what=what, where=str(source.root), value=listing(found, LINES_SHOWN), fix=fix)


def array_faults(arrays: OwnArrays, subjects: Sequence[str]) -> list[Problem]:
    """Everything that is wrong with images and responses, or with the tables that say what they are."""
    problems: list[Problem] = []
    for look in (lambda: check_images(arrays), lambda: check_responses(arrays, subjects)[1]):
        try:
            problems += look()
        except DataError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    return problems
