"""Registers files on this disk as the data of Brain-Score's registered ids, after looking through them."""

import importlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore.ids import DataSet
from neuroscaling.brainscore.sources import Files
from neuroscaling.errors import DataError, Problem, listing


def register(files: Files) -> None:
    """Make Brain-Score load `files` for their ids; loaded and checked once a process.

    The official layout keeps Brain-Score's own loaders (they check each file's sha1).
    """
    from brainscore_vision import data_registry, stimulus_set_registry

    data_set = files.data_set
    # Importing the plugin later would overwrite the entries made here.
    importlib.import_module(f"brainscore_vision.data.{data_set.plugin}")
    if files.official:
        load_stimuli = _explained(stimulus_set_registry[data_set.stimulus_set], files.csv)
        load_assembly = _explained(data_registry[data_set.data], files.assembly)
    else:
        load_stimuli, load_assembly = lambda: _stimuli(files), lambda: _assembly(files)
    stimulus_set_registry[data_set.stimulus_set] = _once(load_stimuli)
    data_registry[data_set.data] = _once(lambda: _checked(load_assembly(), data_set, files.assembly))


def _explained(load: Callable[[], Any], path: Path) -> Callable[[], Any]:
    """`load`, whose failures (a wrong sha1, a try to download) become DataErrors that name the file."""

    def explained() -> Any:
        try:
            return load()
        except DataError:
            raise
        except Exception as error:
            fix = "fetch the file again; folders of this directory are named after the sha1 of what they hold"
            raise DataError(Problem("Brain-Score can't load this", str(path), repr(error)[:200], fix=fix)) from error

    return explained


def _once(load: Callable[[], Any]) -> Callable[[], Any]:
    """`load`, called once; each caller gets a copy of its own (benchmarks write to what they load)."""
    loaded: list[Any] = []

    def copy() -> Any:
        if not loaded:
            loaded.append(load())
        return _copy(loaded[0])

    return copy


def _copy(loaded: Any) -> Any:
    """A copy that shares the data; pandas drops the attributes of a StimulusSet, so they are set again."""
    copied = loaded.copy(deep=False)
    if not hasattr(loaded, "dims"):
        copied.identifier, copied.stimulus_paths = loaded.identifier, loaded.stimulus_paths
    return copied


def _stimuli(files: Files) -> Any:
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    stimuli = StimulusSet.from_files(csv_path=files.csv, dir_path=files.images)
    stimuli.identifier = files.data_set.stimulus_set
    return stimuli


def _assembly(files: Files) -> Any:
    from brainscore_core.supported_data_standards.brainio import assemblies
    from brainscore_vision import stimulus_set_registry

    stimuli = stimulus_set_registry[files.data_set.stimulus_set]()
    kind = getattr(assemblies, files.data_set.kind)
    assembly = kind.from_files(files.assembly, stimulus_set_identifier=stimuli.identifier, stimulus_set=stimuli)
    assembly.attrs["identifier"] = files.data_set.assembly
    return assembly


def _checked(assembly: Any, data_set: DataSet, path: Path) -> Any:
    """`assembly`, loaded. Raises DataError for NaN responses and for stimuli without responses, or the reverse."""
    assembly.load()
    problems = [*_nan_problems(assembly, path), *_stimulus_problems(assembly, path)]
    if problems:
        raise DataError(problems)
    return assembly


def _nan_problems(assembly: Any, path: Path) -> list[Problem]:
    values = assembly.values
    if values.dtype.kind != "f" or not np.isnan(values).any():
        return []
    where = np.argwhere(np.isnan(values))
    counted = Counter(assembly["neuroid_id"].values[where[:, assembly.dims.index("neuroid")]].tolist())
    named = listing([f"{neuroid} ({count})" for neuroid, count in counted.most_common()], 8)
    what = f"{len(where)} responses are NaN, in {len(counted)} neuroids"
    return [Problem(what, str(path), named, "finite numbers", fix="mask or drop these neuroids in the file")]


def _stimulus_problems(assembly: Any, path: Path) -> list[Problem]:
    recorded = set(assembly["stimulus_id"].values.tolist())
    known = set(assembly.attrs["stimulus_set"]["stimulus_id"].tolist())
    silent, strange = sorted(known - recorded), sorted(recorded - known)
    problems = []
    if silent:
        problems.append(Problem(f"{len(silent)} stimuli have no recorded response", str(path), listing(silent, 5)))
    if strange:
        problems.append(Problem(f"{len(strange)} recorded stimuli are not in the set", str(path), listing(strange, 5)))
    return problems
