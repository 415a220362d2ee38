"""Recordings and their stimuli are checked before the first job, and again when they are scored.

Nothing of Brain-Score is imported.

Scoring looks again through Brain-Score's own loaders; this is so that hundreds of trainings don't end in a NaN.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore import own_benchmarks
from neuroscaling.brainscore.own_benchmarks import SPLIT_METRICS, Definition
from neuroscaling.brainscore.recordings import DIMS, Recordings, read_recordings
from neuroscaling.core.errors import DataError, NeuroscalingError, Problem, listing, nearest
from neuroscaling.core.netcdf import require_netcdf
from neuroscaling.core.table_files import LINES_SHOWN, TextTable
from neuroscaling.stimuli.stimulus_table import ID, image_problems, read_stimulus_table
from neuroscaling.study.benchmarks import (
    BENCHMARKS,
    WITH_GAPS,
    Benchmark,
    DataSetFiles,
    StimulusFiles,
    find_benchmark,
    sha1_problems,
)
from neuroscaling.study.recording_folders import V4_WINDOW, v4_session_files, v4_sha256

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
    named = [
        _place(dict(zip(dims, place, strict=True)), coords, values[tuple(place)]) for place in places[:LINES_SHOWN]
    ]
    rest = [f"... and {len(places) - LINES_SHOWN} more"] if len(places) > LINES_SHOWN else []
    what = f"{len(places)} of {values.size} responses are NaN or infinite"
    if "neuroid" in dims:
        what += f", in {len(np.unique(places[:, list(dims).index('neuroid')]))} neuroids"
    fix = "remove the neuroids or presentations concerned from the file"
    return [Problem(what=what, where=where, value="; ".join([*named, *rest]), allowed="finite numbers", fix=fix)]


def stimulus_problems(recorded: Sequence[str], table: TextTable, assembly: Path) -> Iterator[Problem]:
    """Stimuli of the table without a response, and recorded ones that the table doesn't list."""
    there, listed = set(recorded), set(table.column(ID))
    for what, ids, where in (
        ("stimuli without a recorded response", listed - there, table.path),
        ("recorded stimuli that the stimulus set does not list", there - listed, assembly),
    ):
        if ids:
            fix = "complete the files; ids are compared as they are written"
            yield Problem(what=f"{len(ids)} {what}", where=str(where), value=listing(sorted(ids)), fix=fix)


def strata_problems(column: str, values: Sequence[str], where: str) -> list[Problem]:
    """Why the splits can't be balanced by a column of the stimuli: empty cells, classes of one image, too many classes.

    values: of the column, one a stimulus. Brain-Score draws scikit-learn's StratifiedShuffleSplit with 90 % for
    training: each class needs two images, and either part as many images as there are classes.
    """
    values = [str(value) for value in values]
    empty = sum(not value for value in values)
    if empty:
        fix = "fill them, or leave `stratified_by` out"
        return [Problem(what=f"{empty} stimuli have an empty `{column}`", where=where, fix=fix)]
    counts = Counter(_as_numbers(values))
    lone = sorted(str(value) for value, count in counts.items() if count < 2)
    problems = []
    if lone:
        what = f"{len(lone)} classes of `{column}` have one image, too few to balance the splits"
        fix = "join small classes, remove these images, or leave `stratified_by` out"
        problems.append(
            Problem(what=what, where=where, value=listing(lone), allowed="at least 2 images a class", fix=fix)
        )
    train = floor(TRAIN_SHARE * len(values))
    if len(counts) > min(train, len(values) - train):
        what = f"`{column}` has {len(counts)} classes for {len(values) - train} test images of a split"
        fix = "balance by a column of fewer classes, or leave `stratified_by` out"
        allowed = f"at most {min(train, len(values) - train)} classes for {len(values)} stimuli"
        problems.append(Problem(what=what, where=where, value=len(counts), allowed=allowed, fix=fix))
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
        problems.append(
            Problem(what="recordings of other dimensions", where=where, value=listing(dims), allowed=listing(DIMS))
        )
    lacking = [name for name in ("stimulus_id", "neuroid_id") if name not in recordings.coords]
    if lacking:
        found, near = sorted(recordings.coords), nearest(lacking[0], recordings.coords)
        problems.append(
            Problem(
                what="coordinates are missing",
                where=where,
                value=listing(found),
                allowed=listing(lacking),
                nearest=near,
            )
        )
    along = {name: dim for name, (dim, _) in recordings.coords.items() if dim != ALONG.get(name, dim)}
    for name, dim in along.items():
        problems.append(
            Problem(what="coordinate along another dimension", where=f"{where}: {name}", value=dim, allowed=ALONG[name])
        )
    numbers = {name: recordings.coord(name) for name in TIMES if name in recordings.coords}
    for name, values in (numbers | {"the responses": recordings.values}).items():
        if values.dtype.kind not in "biuf":
            problems.append(Problem(what="not numbers", where=f"{where}: {name}", value=str(values.dtype)))
    if not recordings.values.size:
        problems.append(Problem(what="there are no responses", where=where, value=str(recordings.values.shape)))
    return problems


def _region_problems(definition: Definition, recordings: Recordings) -> list[Problem]:
    if "region" not in recordings.coords:
        return []
    found = sorted({str(region) for region in recordings.coord("region")})
    if definition.region in found:
        return []
    near = nearest(definition.region, found)
    return [
        Problem(
            what="no neuroid of this region",
            where=str(recordings.path),
            value=definition.region,
            allowed=listing(found),
            nearest=near,
        )
    ]


def _column_problems(definition: Definition, table: TextTable) -> list[Problem]:
    column = definition.stratified_by
    if column is None:
        return []
    if column not in table.columns:
        where = f"brainscore.define.{definition.name}.stratified_by"
        found, near = listing(table.columns), nearest(column, table.columns)
        return [Problem(what="the stimuli have no such column", where=where, value=column, allowed=found, nearest=near)]
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
    return [Problem(what="no time bin in the window", where=str(recordings.path), value=[low, high], allowed=found)]


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
    return Problem(
        what="a ceiling needs repetitions, which these recordings lack", where=str(path), value=found, fix=fix
    )


def _subject_problems(definition: Definition, recordings: Recordings) -> list[Problem]:
    subjects = recordings.coord("subject") if "subject" in recordings.coords else np.array(["all"])
    if "region" in recordings.coords and len(subjects) > 1:
        subjects = subjects[recordings.coord("region") == definition.region]
    n = len({str(subject) for subject in subjects})
    if n > 1:
        return []
    what = "Brain-Score's ceiling of dissimilarity matrices compares subjects"
    return [
        Problem(
            what=what, where=str(recordings.path), value=f"{n} subject", allowed="at least 2", fix="set `ceiling: none`"
        )
    ]


def _as_numbers(values: list[str]) -> list[Any]:
    """The values as numbers where all of them are, so that 1 and 1.0 are one class, as they are to pandas."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return values
    return numbers if all(map(isfinite, numbers)) else values


def recording_problems(
    root: Path, benchmarks: Iterable[str], definitions: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[Problem]:
    """What is wrong with the files that `benchmarks` need below `root`.

    Missing files; in files of one's own tables that can't be read, missing images, responses that are not finite,
    stimuli without a response, columns that can't balance the splits, and what else keeps a benchmark from being
    scored; in Brain-Score's files a content that is not the one of the table. definitions: settings of benchmarks that
    the study defines, by name.
    """
    definitions = definitions or {}
    seen: set[Path] = set()
    for benchmark in benchmarks:
        if benchmark in definitions:
            yield from _defined_problems(root, benchmark, definitions[benchmark])
        elif benchmark in BENCHMARKS:
            yield from _registered_problems(root, benchmark, seen)


def session_problems(
    benchmarks: Iterable[str], definitions: Mapping[str, Mapping[str, Any]], root: Path | None
) -> Iterator[Problem]:
    """What keeps benchmarks on V4 sessions from being scored, before their assemblies are made.

    root: folder with the sessions' files; None where they are downloaded.
    """
    for name in benchmarks:
        entry, place = definitions.get(name), f"brainscore.define.{name}"
        if entry is None:
            continue
        session = Path(entry["assembly"]).parts[0]
        raw = v4_session_files(session)["raw"]
        if entry.get("stratified_by"):
            what, fix = "V4 sessions have no columns that balance the splits", "leave it out"
            yield Problem(what=what, where=f"{place}.stratified_by", value=entry["stratified_by"], fix=fix)
        if entry["region"] != "V4":
            yield Problem(
                what="no neuroid of this region", where=f"{place}.region", value=entry["region"], allowed="V4"
            )
        low, high = entry.get("time_window") or V4_WINDOW
        if not (low <= V4_WINDOW[0] and V4_WINDOW[1] <= high):
            found = f"one bin from {V4_WINDOW[0]} to {V4_WINDOW[1]} ms"
            yield Problem(
                what="no time bin in the window",
                where=f"{place}.time_window",
                value=[low, high],
                allowed=found,
                fix="leave it out",
            )
        if entry.get("ceiling", "internal_consistency") != "none" and entry["metric"] in SPLIT_METRICS:
            there = raw in v4_sha256() if root is None else (root / raw).is_file()
            if not there:
                what, fix = "a ceiling needs repetitions, which this session lacks", "set `ceiling: none`"
                yield Problem(
                    what=what, where=f"{place}.ceiling", value=session, allowed=f"sessions with {raw}", fix=fix
                )


def _registered_problems(root: Path, benchmark: str, seen: set[Path]) -> Iterator[Problem]:
    try:
        files, stimuli = find_benchmark(root, BENCHMARKS[benchmark])
    except DataError as error:
        new = [problem for problem in error.problems if Path(str(problem.where), str(problem.value)) not in seen]
        seen.update(Path(str(problem.where), str(problem.value)) for problem in new)
        yield from new
        return
    entries: list[DataSetFiles | StimulusFiles] = [*files, *stimuli]
    for entry in entries:
        path = entry.assembly if isinstance(entry, DataSetFiles) else entry.csv
        if path in seen:
            continue
        seen.add(path)
        yield from sha1_problems(entry)
        if not entry.official:
            yield from _own_problems(entry, BENCHMARKS[benchmark])


def _own_problems(entry: DataSetFiles | StimulusFiles, benchmark: Benchmark) -> Iterator[Problem]:
    """What is wrong with files of one's own under the names of a registered data set."""
    try:
        table = read_stimulus_table(entry.csv)
        yield from image_problems(table, entry.images)
        if isinstance(entry, DataSetFiles):
            require_netcdf(entry.assembly)
            recordings = read_recordings(entry.assembly)
            yield from _assembly_problems(recordings, table, entry.data_set.data in WITH_GAPS)
            yield from _balance_problems(recordings, table, benchmark)
    except DataError as error:
        yield from error.problems


def _assembly_problems(recordings: Recordings, table: TextTable, gaps: bool) -> Iterator[Problem]:
    path, coords = recordings.path, {name: values for name, (_, values) in recordings.coords.items()}
    if recordings.in_bytes:  # Brain-Score's own loader reads these files, and compares them with text
        what, fix = "coordinates whose text is stored as bytes", "store them as strings"
        yield Problem(what=what, where=str(path), value=listing(recordings.in_bytes), fix=fix)
    yield from response_problems(recordings.values, recordings.dims, coords, str(path), gaps)
    if "stimulus_id" not in coords and "image_id" not in coords:
        found = listing(sorted(coords))
        yield Problem(
            what="coordinate is missing",
            where=str(path),
            value=found,
            allowed="stimulus_id",
            nearest=nearest("stimulus_id", coords),
        )
        return
    recorded = coords["stimulus_id"] if "stimulus_id" in coords else coords["image_id"]
    yield from stimulus_problems([str(value) for value in recorded], table, path)


def _balance_problems(recordings: Recordings, table: TextTable, benchmark: Benchmark) -> list[Problem]:
    """Why the splits can't be balanced by the benchmark's column, of the table or of the recordings."""
    column = benchmark.stratified_by
    if column is None or column in recordings.coords:
        return []
    if column not in table.columns:
        where, found = f"{table.path}: line 1", listing(table.columns)
        what = f"{benchmark.benchmark} balances its splits by a column that is missing"
        return [Problem(what=what, where=where, value=found, allowed=column, nearest=nearest(column, table.columns))]
    return strata_problems(column, table.column(column), f"{table.path}: {column}")


def _defined_problems(root: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        definition = own_benchmarks.check_definitions({name: settings}, root)[name]
        own_benchmarks.require_files(definition)
        table = read_stimulus_table(definition.stimuli)
        yield from image_problems(table, definition.images)
        require_netcdf(definition.assembly)
        yield from definition_problems(definition, read_recordings(definition.assembly), table)
    except NeuroscalingError as error:
        yield from error.problems
