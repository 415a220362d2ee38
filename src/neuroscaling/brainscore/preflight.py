"""Faults of a folder of recordings, found without Brain-Score and before the first job.

Scoring looks again through Brain-Score's own loaders; this is so that hundreds of trainings don't end in a NaN.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore import definitions as defined
from neuroscaling.brainscore.ids import BENCHMARKS
from neuroscaling.brainscore.sources import WITH_GAPS, Files, find_benchmark, sha1_problems
from neuroscaling.errors import DataError, NeuroscalingError, Problem, listing


def recording_problems(
    root: Path, benchmarks: Iterable[str], definitions: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[Problem]:
    """What is wrong with the files that `benchmarks` need below `root`.

    Missing files, NaN, stimuli without a response (in files of one's own), and a content that is not the one of the
    table (in Brain-Score's). definitions: settings of benchmarks that the study defines, by name.
    """
    definitions = definitions or {}
    seen: set[Path] = set()
    for benchmark in benchmarks:
        if benchmark in definitions:
            yield from _defined_problems(root, benchmark, definitions[benchmark])
        elif benchmark in BENCHMARKS:
            yield from _registered_problems(root, benchmark, seen)


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
        if isinstance(entry, Files) and not entry.official:
            yield from _assembly_problems(entry.assembly, entry.csv, entry.data_set.data in WITH_GAPS)


def _defined_problems(root: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        definition = defined.check_definitions({name: settings}, root)[name]
        defined.require_files(definition)
    except NeuroscalingError as error:
        yield from error.problems
        return
    yield from _assembly_problems(definition.assembly, definition.stimuli, gaps=False)


def _assembly_problems(assembly: Path, table: Path, gaps: bool) -> Iterator[Problem]:
    import netCDF4

    try:
        with netCDF4.Dataset(assembly) as dataset:
            dataset.set_auto_mask(False)
            yield from () if gaps else _nan_problems(dataset, assembly)
            recorded = set(_text(dataset["stimulus_id"]))
    except (OSError, IndexError) as error:
        yield Problem("not an assembly of recordings, or cut short", str(assembly), str(error)[:200])
        return
    with open(table, newline="", encoding="utf-8") as file:
        listed = {row.get("stimulus_id") or row.get("image_id", "") for row in csv.DictReader(file)}
    for what, ids, where in (
        ("stimuli without a recorded response", listed - recorded, table),
        ("recorded stimuli that the stimulus set does not list", recorded - listed, assembly),
    ):
        if ids:
            yield Problem(f"{len(ids)} {what}", str(where), listing(sorted(ids)), fix="complete the files")


def _nan_problems(dataset: object, path: Path) -> Iterator[Problem]:
    for name, variable in dataset.variables.items():
        if variable.ndim < 2 or variable.dtype.kind != "f":
            continue
        found = int(np.isnan(variable[:]).sum())
        if found:
            size = int(np.prod(variable.shape))
            fix = "remove the neuroids or presentations concerned"
            yield Problem(f"{found} of {size} responses are NaN", f"{path}: {name}", fix=fix)


def _text(variable: object) -> list[str]:
    import netCDF4

    values = variable[:]
    if values.dtype.kind == "S":
        values = netCDF4.chartostring(values)
    return [str(value) for value in values]
