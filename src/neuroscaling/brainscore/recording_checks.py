"""What keeps recordings and their stimuli from being scored: for `check` and for scoring alike.

Light: imports nothing of Brain-Score.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import floor, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore.definitions import SPLIT_METRICS, Definition
from neuroscaling.brainscore.recordings import DIMS, Recordings
from neuroscaling.errors import Problem, listing, nearest
from neuroscaling.stimuli.tables import ID
from neuroscaling.text_tables import SHOWN, TextTable

TIMES = ("time_bin_start", "time_bin_end")
ALONG = {"stimulus_id": "presentation", "repetition": "presentation"}
ALONG |= dict.fromkeys(("neuroid_id", "region", "subject"), "neuroid") | dict.fromkeys(TIMES, "time_bin")
"""The dimension of each coordinate that is looked at."""
TRAIN_SHARE = 0.9
"""Of the stimuli, in each of Brain-Score's splits."""


def response_problems(
    values: np.ndarray, dims: Sequence[str], coords: Mapping[str, Any], where: str, gaps: bool = False
) -> list[Problem]:
    """Responses that are not finite, by neuroid and presentation; with `gaps` NaN is allowed.

    coords: values by name, of which neuroid_id and stimulus_id are named where they are there.
    """
    if values.dtype.kind != "f":
        return []
    bad = np.isinf(values) if gaps else ~np.isfinite(values)
    if not bad.any():
        return []
    places = np.argwhere(bad)
    named = [_place(dict(zip(dims, place, strict=True)), coords, values[tuple(place)]) for place in places[:SHOWN]]
    rest = [f"... and {len(places) - SHOWN} more"] if len(places) > SHOWN else []
    what = f"{len(places)} of {values.size} responses are NaN or infinite"
    if "neuroid" in dims:
        what += f", in {len(np.unique(places[:, list(dims).index('neuroid')]))} neuroids"
    fix = "remove the neuroids or presentations concerned from the file"
    return [Problem(what, where, "; ".join([*named, *rest]), "finite numbers", fix=fix)]


def stimulus_problems(recorded: Sequence[str], table: TextTable, assembly: Path) -> Iterator[Problem]:
    """Stimuli of the table without a response, and recorded ones that the table doesn't list."""
    there, listed = set(recorded), set(table.column(ID))
    for what, ids, where in (
        ("stimuli without a recorded response", listed - there, table.path),
        ("recorded stimuli that the stimulus set does not list", there - listed, assembly),
    ):
        if ids:
            fix = "complete the files; ids are compared as they are written"
            yield Problem(f"{len(ids)} {what}", str(where), listing(sorted(ids)), fix=fix)


def strata_problems(column: str, values: Sequence[str], where: str) -> list[Problem]:
    """Why the splits can't be balanced by a column of the stimuli: empty cells, classes of one image, too many classes.

    values: of the column, one a stimulus. Brain-Score draws scikit-learn's StratifiedShuffleSplit with 90 % for
    training: each class needs two images, and either part as many images as there are classes.
    """
    values = [str(value) for value in values]
    empty = sum(not value for value in values)
    if empty:
        fix = "fill them, or leave `stratified_by` out"
        return [Problem(f"{empty} stimuli have an empty `{column}`", where, fix=fix)]
    counts = Counter(_as_numbers(values))
    lone = sorted(str(value) for value, count in counts.items() if count < 2)
    problems = []
    if lone:
        what = f"{len(lone)} classes of `{column}` have one image, too few to balance the splits"
        fix = "join small classes, remove these images, or leave `stratified_by` out"
        problems.append(Problem(what, where, listing(lone), "at least 2 images a class", fix=fix))
    train = floor(TRAIN_SHARE * len(values))
    if len(counts) > min(train, len(values) - train):
        what = f"`{column}` has {len(counts)} classes for {len(values) - train} test images of a split"
        fix = "balance by a column of fewer classes, or leave `stratified_by` out"
        allowed = f"at most {min(train, len(values) - train)} classes for {len(values)} stimuli"
        problems.append(Problem(what, where, len(counts), allowed, fix=fix))
    return problems


def definition_problems(definition: Definition, recordings: Recordings, table: TextTable) -> list[Problem]:
    """All that keeps a benchmark that a study defines from being scored on its recordings and stimuli."""
    path = recordings.path
    if problems := _form_problems(recordings):
        return problems
    coords = {name: values for name, (_, values) in recordings.coords.items()}
    recorded = [str(value) for value in recordings.coord("stimulus_id")]
    return [
        *response_problems(recordings.values, recordings.dims, coords, str(path)),
        *stimulus_problems(recorded, table, path),
        *_region_problems(definition, recordings),
        *_window_problems(definition, recordings),
        *_column_problems(definition, table),
        *_ceiling_problems(definition, recordings, recorded),
    ]


def _place(at: dict[str, int], coords: Mapping[str, Any], value: float) -> str:
    """How messages name one response."""
    neuroid = coords["neuroid_id"][at["neuroid"]] if "neuroid_id" in coords and "neuroid" in at else at.get("neuroid")
    words = [f"{value} of neuroid {neuroid}"]
    if "presentation" in at:
        stimulus = coords["stimulus_id"][at["presentation"]] if "stimulus_id" in coords else "?"
        words.append(f"at presentation {at['presentation']} (stimulus {stimulus})")
    return " ".join(words)


def _form_problems(recordings: Recordings) -> list[Problem]:
    dims, where = recordings.dims, str(recordings.path)
    problems = []
    if not {"presentation", "neuroid"} <= set(dims) <= set(DIMS):
        problems.append(Problem("recordings of other dimensions", where, listing(dims), listing(DIMS)))
    lacking = [name for name in ("stimulus_id", "neuroid_id") if name not in recordings.coords]
    if lacking:
        found, near = sorted(recordings.coords), nearest(lacking[0], recordings.coords)
        problems.append(Problem("coordinates are missing", where, listing(found), listing(lacking), near))
    along = {name: dim for name, (dim, _) in recordings.coords.items() if dim != ALONG.get(name, dim)}
    for name, dim in along.items():
        problems.append(Problem("coordinate along another dimension", f"{where}: {name}", dim, ALONG[name]))
    numbers = {name: recordings.coord(name) for name in TIMES if name in recordings.coords}
    for name, values in (numbers | {"the responses": recordings.values}).items():
        if values.dtype.kind not in "biuf":
            problems.append(Problem("not numbers", f"{where}: {name}", str(values.dtype)))
    if not recordings.values.size:
        problems.append(Problem("there are no responses", where, str(recordings.values.shape)))
    return problems


def _region_problems(definition: Definition, recordings: Recordings) -> list[Problem]:
    if "region" not in recordings.coords:
        return []
    found = sorted({str(region) for region in recordings.coord("region")})
    if definition.region in found:
        return []
    near = nearest(definition.region, found)
    return [Problem("no neuroid of this region", str(recordings.path), definition.region, listing(found), near)]


def _column_problems(definition: Definition, table: TextTable) -> list[Problem]:
    column = definition.stratified_by
    if column is None:
        return []
    if column not in table.columns:
        where = f"brainscore.define.{definition.name}.stratified_by"
        found, near = listing(table.columns), nearest(column, table.columns)
        return [Problem("the stimuli have no such column", where, column, found, near)]
    if definition.metric not in SPLIT_METRICS:
        return []
    return strata_problems(column, table.column(column), f"{table.path}: {column}")


def _window_problems(definition: Definition, recordings: Recordings) -> list[Problem]:
    if definition.time_window is None or not set(TIMES) <= set(recordings.coords):
        return []
    (low, high), start, end = definition.time_window, *map(recordings.coord, TIMES)
    if ((start >= low) & (end <= high)).any():
        return []
    found = f"bins from {start.min()} to {end.max()} ms"
    return [Problem("no time bin in the window", str(recordings.path), [low, high], found)]


def _ceiling_problems(definition: Definition, recordings: Recordings, recorded: list[str]) -> list[Problem]:
    if definition.ceiling == "none":
        return []
    if definition.metric not in SPLIT_METRICS:
        return _subject_problems(definition, recordings)
    if "repetition" not in recordings.coords:
        return [_no_repetitions(recordings.path, "no coordinate `repetition`")]
    counts = Counter(recorded).values()
    repeated = sum(count > 1 for count in counts)
    if repeated < 2:
        return [_no_repetitions(recordings.path, f"{len(counts)} stimuli, {repeated} shown more than once")]
    return []


def _no_repetitions(path: Path, found: str) -> Problem:
    fix = "give the single trials with a coordinate `repetition`, or set `ceiling: none`"
    return Problem("a ceiling needs repetitions, which these recordings lack", str(path), found, fix=fix)


def _subject_problems(definition: Definition, recordings: Recordings) -> list[Problem]:
    subjects = recordings.coord("subject") if "subject" in recordings.coords else np.array(["all"])
    if "region" in recordings.coords and len(subjects) > 1:
        subjects = subjects[recordings.coord("region") == definition.region]
    n = len({str(subject) for subject in subjects})
    if n > 1:
        return []
    what = "Brain-Score's ceiling of dissimilarity matrices compares subjects"
    return [Problem(what, str(recordings.path), f"{n} subject", "at least 2", fix="set `ceiling: none`")]


def _as_numbers(values: list[str]) -> list[Any]:
    """The values as numbers where all of them are, so that 1 and 1.0 are one class, as they are to pandas."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return values
    return numbers if all(map(isfinite, numbers)) else values
