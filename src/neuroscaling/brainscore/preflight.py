"""Faults of a local folder of recordings, found without Brain-Score and before the first job.

Scoring looks again through Brain-Score's own loaders; this is so that hundreds of trainings don't end in a NaN.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from neuroscaling.brainscore.ids import BENCHMARKS, DATA_SETS
from neuroscaling.brainscore.sources import Files, find_files
from neuroscaling.errors import DataError, Problem, listing


def recording_problems(root: Path, benchmarks: Iterable[str]) -> Iterator[Problem]:
    """What is wrong with the files that `benchmarks` need below `root`: missing, NaN, stimuli without a response."""
    for data in sorted({BENCHMARKS[benchmark].data for benchmark in benchmarks}):
        try:
            files = find_files(root, DATA_SETS[data])
        except DataError as error:
            yield from error.problems
            continue
        yield from _assembly_problems(files)


def _assembly_problems(files: Files) -> Iterator[Problem]:
    import netCDF4

    with netCDF4.Dataset(files.assembly) as dataset:
        dataset.set_auto_mask(False)
        yield from _nan_problems(dataset, files.assembly)
        recorded = set(_text(dataset["stimulus_id"]))
    with open(files.csv, newline="", encoding="utf-8") as file:
        listed = {row["stimulus_id"] for row in csv.DictReader(file)}
    for what, ids, where in (
        ("stimuli without a recorded response", listed - recorded, files.csv),
        ("recorded stimuli that the stimulus set does not list", recorded - listed, files.assembly),
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
