"""Brain-Score's benchmark objects for the definitions of a study.

Import after `neuroscaling.brainscore.environment.prepare`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore.definitions import SPLIT_METRICS, Definition, require_files
from neuroscaling.brainscore.local import check_assembly, load_stimuli
from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.regression.split_halves import split_half_ceilings


def build(definition: Definition) -> Any:
    """NeuralBenchmark (pls, ridge, neuron_to_neuron) or RSABenchmark (rdm, cka) on the recordings of `definition`.

    With `ceiling: none` the object's ceiling is 1, so that its score is the squared raw value (the raw value of rdm
    and cka). Raises DataError for missing files, coordinates, neuroids of the region, bins in the window, and for a
    ceiling where no stimulus is repeated.
    """
    from brainscore_vision.benchmark_helpers.neural_common import average_repetition

    require_files(definition)
    trials = _in_window(_of_region(_load(definition), definition), definition)
    averaged = average_repetition(trials) if "repetition" in _coords(trials, "presentation") else trials
    _require_column(averaged, definition)
    return (_neural if definition.metric in SPLIT_METRICS else _rsa)(definition, trials, averaged)


def _neural(definition: Definition, trials: Any, averaged: Any) -> Any:
    from brainscore_vision import load_metric
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark

    splits = {"stratification_coord": definition.stratified_by}
    ceiling = _no_ceiling if definition.ceiling == "none" else _consistency(trials, definition.assembly)
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

    n_subjects = len(set(averaged["subject"].values.tolist()))
    if definition.ceiling != "none" and n_subjects < 2:
        what = "Brain-Score's ceiling of dissimilarity matrices compares subjects"
        where = str(definition.assembly)
        raise DataError(Problem(what, where, f"{n_subjects} subject", "at least 2", fix="set `ceiling: none`"))
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


def _consistency(trials: Any, path: Path) -> Callable[[], Any]:
    """The ceiling from halves of the repetitions: Brain-Score's own where all stimuli were repeated equally often.

    Brain-Score halves repetitions by their numbers, and where these are unequal such halves lack stimuli. (Cowley2026
    takes them in turns: one split, whose error is 0 by construction, without the stimuli that were shown once.) Then
    halves are drawn stimulus by stimulus. Raises DataError where fewer than two stimuli were repeated.
    """
    from brainscore_vision import load_ceiling

    if "repetition" not in _coords(trials, "presentation"):
        raise _no_repetitions(path, "no coordinate `repetition`")
    counts = np.unique(trials["stimulus_id"].values, return_counts=True)[1]
    if (counts > 1).sum() < 2:
        raise _no_repetitions(path, f"{len(counts)} stimuli, {int((counts > 1).sum())} shown more than once")
    if len(np.unique(trials["repetition"].values)) * len(counts) == trials.sizes["presentation"]:
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


def _no_repetitions(path: Path, found: str) -> DataError:
    fix = "give the single trials with a coordinate `repetition`, or set `ceiling: none`"
    return DataError(Problem("a ceiling needs repetitions, which these recordings lack", str(path), found, fix=fix))


def _no_ceiling() -> Any:
    """A ceiling of 1, which divides nothing away."""
    from brainscore_core import Score

    ceiling = Score(1.0)
    ceiling.attrs["raw"] = Score([1.0], coords={"split": [0]}, dims=["split"])
    return ceiling


def _load(definition: Definition) -> Any:
    """The recordings as (presentation, neuroid, time_bin), with the columns of the stimuli as coordinates."""
    import xarray as xr
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    stimuli = load_stimuli(definition.stimuli, definition.images, definition.name, text_ids=True)
    try:
        with xr.open_dataarray(definition.assembly) as opened:
            values = opened.load()
    except (ValueError, OSError) as error:
        raise DataError(Problem(f"not an assembly: {str(error)[:200]}", str(definition.assembly))) from error
    _require_coords(values, definition)
    if "time_bin" not in values.dims:
        values = values.expand_dims("time_bin", -1)
    values = values.transpose("presentation", "neuroid", "time_bin")
    assembly = NeuroidAssembly(values.values, coords=_coordinates(values, stimuli), dims=values.dims)
    assembly.attrs |= {"stimulus_set": stimuli, "stimulus_set_identifier": definition.name}
    return check_assembly(assembly, definition.assembly)


def _coordinates(values: Any, stimuli: Any) -> dict[str, tuple[str, Any]]:
    """Coordinates by name, each along one dimension.

    Of a presentation only its stimulus, its repetition and the columns of the stimuli count: Brain-Score averages the
    trials that agree in all coordinates but the repetition.
    """
    flat = {name: (coord.dims[0], coord.values) for name, coord in values.coords.items() if len(coord.dims) == 1}
    kept = ("stimulus_id", "repetition")
    coords = {name: entry for name, entry in flat.items() if entry[0] != "presentation" or name in kept}
    coords["stimulus_id"] = ("presentation", coords["stimulus_id"][1].astype(str))
    coords.setdefault("time_bin_start", ("time_bin", np.zeros(values.sizes["time_bin"], int)))
    coords.setdefault("time_bin_end", ("time_bin", np.zeros(values.sizes["time_bin"], int)))
    coords.setdefault("subject", ("neuroid", ["all"] * values.sizes["neuroid"]))
    shown = stimuli.drop_duplicates("stimulus_id").set_index("stimulus_id").reindex(coords["stimulus_id"][1])
    return coords | {column: ("presentation", shown[column].values) for column in shown if column not in kept}


def _require_coords(values: Any, definition: Definition) -> None:
    allowed = {"presentation", "neuroid", "time_bin"}
    if not {"presentation", "neuroid"} <= set(values.dims) <= allowed:
        where = str(definition.assembly)
        raise DataError(
            Problem("recordings of other dimensions", where, listing(values.dims), listing(sorted(allowed)))
        )
    lacking = [name for name in ("stimulus_id", "neuroid_id") if name not in values.coords]
    if lacking:
        found = listing(sorted(map(str, values.coords)))
        raise DataError(Problem("coordinates are missing", str(definition.assembly), found, listing(lacking)))


def _of_region(assembly: Any, definition: Definition) -> Any:
    """The neuroids of the definition's region; all of them where the recordings name no region."""
    names = _coords(assembly, "neuroid")
    if "region" not in names:
        flat = assembly.reset_index("neuroid")
        flat = flat.assign_coords(region=("neuroid", [definition.region] * assembly.sizes["neuroid"]))
        return flat.set_index(neuroid=[*names, "region"])
    regions = assembly["region"].values
    rows = np.flatnonzero(regions == definition.region)
    if len(rows) == 0:
        found = sorted(set(regions.tolist()))
        near = nearest(definition.region, found)
        raise DataError(
            Problem("no neuroid of this region", str(definition.assembly), definition.region, listing(found), near)
        )
    return assembly.isel(neuroid=rows)


def _in_window(assembly: Any, definition: Definition) -> Any:
    """The mean over the bins that lie in the window, (presentation, neuroid), with that window as its time bin."""
    start, end = (assembly[name].values for name in ("time_bin_start", "time_bin_end"))
    low, high = definition.time_window or (start.min(), end.max())
    inside = np.flatnonzero((start >= low) & (end <= high))
    if len(inside) == 0:
        found = f"bins from {start.min()} to {end.max()} ms"
        raise DataError(Problem("no time bin in the window", str(definition.assembly), [low, high], found))
    mean = assembly.values[:, :, inside].mean(2, keepdims=True)
    coords = {
        name: (dim, assembly[name].values) for dim in ("presentation", "neuroid") for name in _coords(assembly, dim)
    }
    coords |= {"time_bin_start": ("time_bin", [start[inside].min()]), "time_bin_end": ("time_bin", [end[inside].max()])}
    averaged = type(assembly)(mean, coords=coords, dims=assembly.dims).squeeze("time_bin")
    averaged.attrs |= assembly.attrs
    return averaged


def _require_column(assembly: Any, definition: Definition) -> None:
    names = _coords(assembly, "presentation")
    if definition.stratified_by and definition.stratified_by not in names:
        where = f"brainscore.define.{definition.name}.stratified_by"
        near = nearest(definition.stratified_by, names)
        raise DataError(
            Problem("the stimuli have no such column", where, definition.stratified_by, listing(names), near)
        )


def _coords(assembly: Any, dim: str) -> list[str]:
    """Names of the coordinates along `dim`."""
    return list(assembly.indexes[dim].names)
