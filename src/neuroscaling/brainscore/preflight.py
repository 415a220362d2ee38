"""Faults of a folder of recordings, found without Brain-Score and before the first job.

Scoring looks again through Brain-Score's own loaders; this is so that hundreds of trainings don't end in a NaN.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from neuroscaling.brainscore import definitions as defined
from neuroscaling.brainscore.definitions import SPLIT_METRICS
from neuroscaling.brainscore.ids import BENCHMARKS, Benchmark
from neuroscaling.brainscore.recording_checks import (
    definition_problems,
    response_problems,
    stimulus_problems,
    strata_problems,
)
from neuroscaling.brainscore.recordings import Recordings, read_recordings
from neuroscaling.brainscore.sources import WITH_GAPS, Files, StimulusFiles, find_benchmark, sha1_problems
from neuroscaling.core.netcdf import require_netcdf
from neuroscaling.encoding.v4 import checksums, session_files
from neuroscaling.encoding.v4_assembly import WINDOW
from neuroscaling.errors import DataError, NeuroscalingError, Problem, listing, nearest
from neuroscaling.stimuli.tables import image_problems, read_stimulus_table
from neuroscaling.text_tables import TextTable


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
        raw = session_files(session)["raw"]
        if entry.get("stratified_by"):
            what, fix = "V4 sessions have no columns that balance the splits", "leave it out"
            yield Problem(what, f"{place}.stratified_by", entry["stratified_by"], fix=fix)
        if entry["region"] != "V4":
            yield Problem("no neuroid of this region", f"{place}.region", entry["region"], "V4")
        low, high = entry.get("time_window") or WINDOW
        if not (low <= WINDOW[0] and WINDOW[1] <= high):
            found = f"one bin from {WINDOW[0]} to {WINDOW[1]} ms"
            yield Problem("no time bin in the window", f"{place}.time_window", [low, high], found, fix="leave it out")
        if entry.get("ceiling", "internal_consistency") != "none" and entry["metric"] in SPLIT_METRICS:
            there = raw in checksums() if root is None else (root / raw).is_file()
            if not there:
                what, fix = "a ceiling needs repetitions, which this session lacks", "set `ceiling: none`"
                yield Problem(what, f"{place}.ceiling", session, f"sessions with {raw}", fix=fix)


def _registered_problems(root: Path, benchmark: str, seen: set[Path]) -> Iterator[Problem]:
    try:
        files, stimuli = find_benchmark(root, BENCHMARKS[benchmark])
    except DataError as error:
        new = [problem for problem in error.problems if Path(problem.where, str(problem.value)) not in seen]
        seen.update(Path(problem.where, str(problem.value)) for problem in new)
        yield from new
        return
    for entry in [*files, *stimuli]:
        path = entry.assembly if isinstance(entry, Files) else entry.csv
        if path in seen:
            continue
        seen.add(path)
        yield from sha1_problems(entry)
        if not entry.official:
            yield from _own_problems(entry, BENCHMARKS[benchmark])


def _own_problems(entry: Files | StimulusFiles, benchmark: Benchmark) -> Iterator[Problem]:
    """What is wrong with files of one's own under the names of a registered data set."""
    try:
        table = read_stimulus_table(entry.csv)
        yield from image_problems(table, entry.images)
        if isinstance(entry, Files):
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
        yield Problem(what, str(path), listing(recordings.in_bytes), fix=fix)
    yield from response_problems(recordings.values, recordings.dims, coords, str(path), gaps)
    if "stimulus_id" not in coords and "image_id" not in coords:
        found = listing(sorted(coords))
        yield Problem("coordinate is missing", str(path), found, "stimulus_id", nearest("stimulus_id", coords))
        return
    recorded = coords.get("stimulus_id", coords.get("image_id"))
    yield from stimulus_problems([str(value) for value in recorded], table, path)


def _balance_problems(recordings: Recordings, table: TextTable, benchmark: Benchmark) -> list[Problem]:
    """Why the splits can't be balanced by the benchmark's column, of the table or of the recordings."""
    column = benchmark.stratified_by
    if column is None or column in recordings.coords:
        return []
    if column not in table.columns:
        where, found = f"{table.path}: line 1", listing(table.columns)
        what = f"{benchmark.benchmark} balances its splits by a column that is missing"
        return [Problem(what, where, found, column, nearest(column, table.columns))]
    return strata_problems(column, table.column(column), f"{table.path}: {column}")


def _defined_problems(root: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        definition = defined.check_definitions({name: settings}, root)[name]
        defined.require_files(definition)
        table = read_stimulus_table(definition.stimuli)
        yield from image_problems(table, definition.images)
        require_netcdf(definition.assembly)
        yield from definition_problems(definition, read_recordings(definition.assembly), table)
    except NeuroscalingError as error:
        yield from error.problems
