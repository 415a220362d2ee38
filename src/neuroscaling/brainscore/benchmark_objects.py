"""Brain-Score's benchmark objects are built for a study's definitions, or loaded by their id.

Imports of Brain-Score stand in functions: `environment.prepare_environment` comes first, and tests import the module
without it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from neuroscaling.brainscore.local_files import NEUROIDS_LEFT_OUT, stimulus_set
from neuroscaling.brainscore.own_benchmarks import SPLIT_METRICS, Definition, require_files
from neuroscaling.brainscore.recording_checks import definition_problems
from neuroscaling.brainscore.recordings import DIMS, Recordings, read_recordings, without_constant
from neuroscaling.core.errors import DataError
from neuroscaling.core.netcdf import require_netcdf
from neuroscaling.core.table_files import TextTable
from neuroscaling.regression.scores import split_half_ceilings
from neuroscaling.stimuli.stimulus_table import read_stimulus_table
from neuroscaling.study import benchmarks


def build_benchmark(definition: Definition) -> Any:
    """NeuralBenchmark (pls, ridge, neuron_to_neuron) or RSABenchmark (rdm, cka) on the recordings of `definition`.

    With `ceiling: none` the object's ceiling is 1, so that its score is the squared raw value (the raw value of rdm
    and cka). Neuroids that don't vary are left out; the object's `left_out` has their ids. Raises DataError for missing
    files, for all that `definition_problems` finds, and where no neuroid varies.
    """
    from brainscore_vision.benchmark_helpers.neural_common import average_repetition

    require_files(definition)
    require_netcdf(definition.assembly)
    recordings, table = read_recordings(definition.assembly), read_stimulus_table(definition.stimuli)
    problems = definition_problems(definition, recordings, table)
    if problems:
        raise DataError(problems)
    trials = _in_window(_of_region(_assembly(recordings, table, definition), definition), definition)
    averaged = average_repetition(trials) if "repetition" in _coords(trials, "presentation") else trials
    varying, left_out = without_constant(averaged, definition.assembly)
    if left_out:
        trials, averaged = trials.isel(neuroid=varying), averaged.isel(neuroid=varying)
    benchmark = (_neural if definition.metric in SPLIT_METRICS else _rsa)(definition, trials, averaged)
    benchmark.left_out = left_out
    return benchmark


def _neural(definition: Definition, trials: Any, averaged: Any) -> Any:
    from brainscore_vision import load_metric
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark

    splits = {"stratification_coord": definition.stratified_by}
    ceiling = _no_ceiling if definition.ceiling == "none" else _consistency(trials)
    return NeuralBenchmark(
        identifier=definition.name,
        version=1,
        assembly=averaged,
        similarity_metric=load_metric(definition.metric, crossvalidation_kwargs=splits),
        visual_degrees=definition.degrees,
        number_of_trials=definition.trials,
        ceiling_func=ceiling,
        parent=definition.region,
        bibtex="",
    )


def _rsa(definition: Definition, trials: Any, averaged: Any) -> Any:
    """Per subject and averaged; Brain-Score compares CKA by the same class, with the values in place of a matrix."""
    from brainscore_vision import load_metric
    from brainscore_vision.benchmark_helpers.neural_common import RSABenchmark

    parts = {"rdm": lambda values: values, "similarity": load_metric("cka")} if definition.metric == "cka" else {}
    return RSABenchmark(
        identifier=definition.name,
        version=1,
        assembly=averaged,
        region=definition.region,
        visual_degrees=definition.degrees,
        number_of_trials=definition.trials,
        bibtex="",
        ceiler=(lambda _: _no_ceiling()) if definition.ceiling == "none" else None,
        **parts,
    )


def _consistency(trials: Any) -> Callable[[], Any]:
    """The ceiling from halves of the repetitions: Brain-Score's own where all stimuli were repeated equally often.

    Brain-Score halves repetitions by their numbers, and where these are unequal such halves lack stimuli. (Cowley2026
    takes them in turns: one split, whose error is 0 by construction, without the stimuli that were shown once.) Then
    halves are drawn stimulus by stimulus.
    """
    from brainscore_vision import load_ceiling

    n_stimuli = len(np.unique(trials["stimulus_id"].values))
    if len(np.unique(trials["repetition"].values)) * n_stimuli == trials.sizes["presentation"]:
        return partial(load_ceiling("internal_consistency"), trials)
    return partial(_unequal_consistency, trials)


def _unequal_consistency(trials: Any) -> Any:
    """Reliabilities from halves that are drawn, aggregated as Brain-Score does: median of neuroids, mean of splits."""
    from brainscore_core import Score
    from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords
    from brainscore_vision.metric_helpers.transformations import Split, apply_aggregate

    trials = trials.transpose("presentation", "neuroid")
    values = split_half_ceilings(trials.values, trials["stimulus_id"].values)
    coords = {name: (dims, own) for name, dims, own in walk_coords(trials) if dims == ("neuroid",)}
    coords["split"] = ("split", np.arange(len(values)))
    raw = Score(values, coords=coords, dims=("split", "neuroid"))
    return apply_aggregate(Split.aggregate, apply_aggregate(lambda own: own.median("neuroid"), raw))


def _no_ceiling() -> Any:
    """A ceiling of 1, which divides nothing away."""
    from brainscore_core import Score

    ceiling = Score(1.0)
    ceiling.attrs["raw"] = Score([1.0], coords={"split": [0]}, dims=["split"])
    return ceiling


def _assembly(recordings: Recordings, table: TextTable, definition: Definition) -> Any:
    """The recordings as (presentation, neuroid, time_bin), with the columns of the stimuli as coordinates."""
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    stimuli = stimulus_set(table, definition.images, definition.name, text_ids=True)
    values, dims = recordings.values, recordings.dims
    if "time_bin" not in dims:
        values, dims = values[..., None], (*dims, "time_bin")
    values = values.transpose([dims.index(dim) for dim in DIMS])
    assembly = NeuroidAssembly(values, coords=_coordinates(recordings, values.shape, stimuli), dims=DIMS)
    assembly.attrs |= {"stimulus_set": stimuli, "stimulus_set_identifier": definition.name}
    return assembly


def _coordinates(recordings: Recordings, shape: tuple[int, ...], stimuli: Any) -> dict[str, tuple[str, Any]]:
    """Coordinates by name, each along one dimension.

    Of a presentation only its stimulus, its repetition and the columns of the stimuli count: Brain-Score averages the
    trials that agree in all coordinates but the repetition.
    """
    kept = ("stimulus_id", "repetition")
    coords = {name: entry for name, entry in recordings.coords.items() if entry[0] != "presentation" or name in kept}
    coords["stimulus_id"] = ("presentation", coords["stimulus_id"][1].astype(str))
    coords.setdefault("time_bin_start", ("time_bin", np.zeros(shape[2], int)))
    coords.setdefault("time_bin_end", ("time_bin", np.zeros(shape[2], int)))
    coords.setdefault("subject", ("neuroid", np.array(["all"] * shape[1])))
    shown = stimuli.set_index("stimulus_id").reindex(coords["stimulus_id"][1])
    return coords | {column: ("presentation", shown[column].values) for column in shown if column not in kept}


def _of_region(assembly: Any, definition: Definition) -> Any:
    """The neuroids of the definition's region; all of them where the recordings name no region."""
    names = _coords(assembly, "neuroid")
    if "region" not in names:
        flat = assembly.reset_index("neuroid")
        flat = flat.assign_coords(region=("neuroid", [definition.region] * assembly.sizes["neuroid"]))
        return flat.set_index(neuroid=[*names, "region"])
    return assembly.isel(neuroid=np.flatnonzero(assembly["region"].values == definition.region))


def _in_window(assembly: Any, definition: Definition) -> Any:
    """The mean over the bins that lie in the window, (presentation, neuroid), with that window as its time bin."""
    start, end = (assembly[name].values for name in ("time_bin_start", "time_bin_end"))
    low, high = definition.time_window or (start.min(), end.max())
    inside = np.flatnonzero((start >= low) & (end <= high))
    mean = assembly.values[:, :, inside].mean(2, keepdims=True)
    coords = {
        name: (dim, assembly[name].values) for dim in ("presentation", "neuroid") for name in _coords(assembly, dim)
    }
    coords |= {"time_bin_start": ("time_bin", [start[inside].min()]), "time_bin_end": ("time_bin", [end[inside].max()])}
    averaged = type(assembly)(mean, coords=coords, dims=assembly.dims).squeeze("time_bin")
    averaged.attrs |= assembly.attrs
    return averaged


def _coords(assembly: Any, dim: str) -> list[str]:
    """Names of the coordinates along `dim`."""
    return list(assembly.indexes[dim].names)


def benchmark_object(name: str, definitions: Mapping[str, Definition] | None = None) -> Any:
    """Brain-Score's benchmark object: one defined in the study, or the registered one, whose data are registered.

    Its `left_out` has the ids of neuroids that don't vary, which recordings of one's own are scored without. Raises
    StudyError for an unknown or unserved id and DataError for what is wrong with the recordings.
    """
    if definitions and name in definitions:
        return build_benchmark(definitions[name])
    from brainscore_vision import load_benchmark

    entry = benchmarks.registered_benchmark(name)
    benchmark = load_benchmark(entry.benchmark)
    of_region = (None, entry.region)
    benchmark.left_out = [
        own for data in entry.data for own, place in NEUROIDS_LEFT_OUT.get(data, []) if place in of_region
    ]
    return benchmark
