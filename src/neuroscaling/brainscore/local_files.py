"""Files on this disk are checked, and registered as the data of Brain-Score's ids.

Brain-Score's own loaders keep reading the recordings (some of them rename coordinates); only where they look for the
file is changed. Stimulus sets come from their CSV: scoring shows a model no image, so that zips are not unpacked.

Imports of Brain-Score stand in functions: `environment.prepare_environment` comes first.
"""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore.recording_checks import response_problems
from neuroscaling.brainscore.recordings import has_text_ids, without_constant
from neuroscaling.core.archives import Zip
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.hashing import file_sha1
from neuroscaling.core.netcdf import require_netcdf
from neuroscaling.core.table_files import TextTable, text_table_frame
from neuroscaling.stimuli.stimulus_table import FILE, ID, OLD_ID, image_problems, read_stimulus_table
from neuroscaling.study import benchmarks
from neuroscaling.study.benchmarks import WITH_GAPS, DataSetFiles, StimulusFiles, find_benchmark

_paths: dict[str, Path] = {}
_loaded: list[list[Any]] = []
NEUROIDS_LEFT_OUT: dict[str, list[tuple[str, str | None]]] = {}
"""Of local recordings by their id: neuroids that don't vary, with their region."""


def register_benchmark(root: str | Path, benchmark: benchmarks.Benchmark) -> None:
    """Register every file below `root` that a registered benchmark needs. Raises DataError for missing files."""
    files, stimuli = find_benchmark(root, benchmark)
    for entry in files:
        register_data_set(entry)
    for alone in stimuli:
        register_stimuli(alone)


def register_data_set(files: DataSetFiles) -> None:
    """Make Brain-Score load `files` for their ids; loaded and checked once a process."""
    from brainscore_vision import data_registry

    data_set = files.data_set
    register_stimuli(files.stimuli, not files.official and has_text_ids(files.assembly))
    # Importing the plugin later would overwrite the entry made here.
    importlib.import_module(f"brainscore_vision.data.{data_set.plugin}")
    stock = data_registry[data_set.data]
    load_stock = getattr(stock, "stock", stock)
    _serve(data_set.assembly, files.assembly)
    data_registry[data_set.data] = _once(partial(_load_assembly, files, load_stock), load_stock)


def register_stimuli(files: StimulusFiles, text_ids: bool = False) -> None:
    """Make Brain-Score load `files` for the id of their stimulus set; text_ids: as for `stimulus_set`."""
    from brainscore_vision import stimulus_set_registry

    importlib.import_module(f"brainscore_vision.data.{files.stimulus_set.plugin}")
    known = files.stimulus_set.csv_sha1 if files.official else None
    load_set = partial(load_stimuli, files.csv, files.images, files.stimulus_set.identifier, known, text_ids)
    stimulus_set_registry[files.stimulus_set.stimulus_set] = _once(load_set)


def load_stimuli(csv: Path, images: Path, identifier: str, known: str | None = None, text_ids: bool = False) -> Any:
    """Brain-Score's StimulusSet of a CSV whose images lie in a folder or a zip, which stays packed.

    known: sha1 of a file of Brain-Score, which is read as Brain-Score reads it; text_ids: as for `stimulus_set`.
    Raises DataError for another content, what `read_stimulus_table` refuses, and images that are missing.
    """
    if known is None:
        return stimulus_set(read_stimulus_table(csv), images, identifier, text_ids)
    import pandas as pd
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSetLoader

    _require_sha1(known, csv)
    table = pd.read_csv(csv)
    StimulusSetLoader.correct_stimulus_id_name(table)
    stored = _members(images)
    missing = [str(name) for name in table[FILE] if Path(str(name)).name not in stored]
    if missing:
        raise DataError(
            Problem(
                what=f"{len(missing)} images of the table are missing", where=str(images), value=listing(missing, 5)
            )
        )
    return _as_stimulus_set(table, images, identifier)


def stimulus_set(table: TextTable, images: Path, identifier: str, text_ids: bool) -> Any:
    """Brain-Score's StimulusSet of a table of one's own, with the images in a folder.

    text_ids: numbers among the ids stay as they are written. Raises DataError for images that are missing.
    """
    problems = image_problems(table, images)
    if problems:
        raise DataError(problems)
    return _as_stimulus_set(text_table_frame(table, [ID, OLD_ID, FILE] if text_ids else [FILE]), images, identifier)


def _as_stimulus_set(table: Any, images: Path, identifier: str) -> Any:
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    stimuli = StimulusSet(table)
    pairs = zip(table[ID], table[FILE], strict=True)
    stimuli.stimulus_paths = {stimulus: images / str(name) for stimulus, name in pairs}
    stimuli.identifier = identifier
    return stimuli


def check_assembly(assembly: Any, path: Path, gaps: bool = False) -> Any:
    """`assembly`, loaded. Raises DataError for stimuli without responses, the reverse, and responses not finite.

    gaps: NaN is allowed.
    """
    assembly.load()
    problems = [*_response_problems(assembly, path, gaps), *_stimulus_problems(assembly, path)]
    if problems:
        raise DataError(problems)
    return assembly


def _load_assembly(files: DataSetFiles, load: Callable[[], Any]) -> Any:
    NEUROIDS_LEFT_OUT.pop(files.data_set.data, None)
    if files.official:
        _require_sha1(files.data_set.sha1, files.assembly)
    else:
        require_netcdf(files.assembly)
    assembly = _explained(load, files.assembly)
    if files.official:  # what the source publishes is taken as it is, gaps and all
        return assembly.load()
    checked = check_assembly(assembly, files.assembly, files.data_set.data in WITH_GAPS)
    return _without_constant(checked, files)


def _without_constant(assembly: Any, files: DataSetFiles) -> Any:
    if "neuroid" not in assembly.dims or assembly.dtype.kind != "f":
        return assembly
    varying, left_out = without_constant(assembly, files.assembly)
    if not left_out:
        return assembly
    others = np.setdiff1d(np.arange(assembly.sizes["neuroid"]), varying)
    # A level of the neuroids' index, which is an attribute and not among the coordinates.
    has_region = hasattr(assembly, "region") and assembly["region"].dims == ("neuroid",)
    regions = assembly["region"].values[others].tolist() if has_region else [None] * len(others)
    NEUROIDS_LEFT_OUT[files.data_set.data] = list(zip(left_out, regions, strict=True))
    return assembly.isel(neuroid=varying)


def _serve(identifier: str, path: Path) -> None:
    """Let Brain-Score's loader find the recordings called `identifier` at `path`."""
    from brainscore_core.supported_data_standards.brainio import s3

    if not hasattr(s3.get_path, "stock"):
        s3.get_path = _path_finder(s3.get_path)
    _paths[identifier] = path


def _path_finder(stock: Callable[..., Any]) -> Callable[..., Any]:
    def get_path(identifier: str, file_type: str, *args: Any, **kwargs: Any) -> Any:
        if file_type == "nc" and identifier in _paths:
            return _paths[identifier]
        return stock(identifier, file_type, *args, **kwargs)

    get_path.stock = stock  # type: ignore[attr-defined]
    return get_path


def _require_sha1(expected: str, path: Path) -> None:
    found = file_sha1(path)
    if found != expected:
        fix = "fetch the file again; folders of this directory are named after the sha1 of what they hold"
        raise DataError(
            Problem(
                what="SHA1 mismatch: not the file of this name", where=str(path), value=found, allowed=expected, fix=fix
            )
        )


def _explained(load: Callable[[], Any], path: Path) -> Any:
    """What `load` returns; its failures (a damaged file, a missing coordinate) become DataErrors that name the file."""
    try:
        return load()
    except DataError:
        raise
    except Exception as error:
        fix = "fetch the file again, or compare its coordinates with docs/brainscore.md"
        raise DataError(
            Problem(what="Brain-Score can't load this", where=str(path), value=repr(error)[:200], fix=fix)
        ) from error


def forget_loaded() -> None:
    """Let go of the recordings and stimulus sets that were loaded: a process goes on to others."""
    for loaded in _loaded:
        loaded.clear()
    _loaded.clear()


def _once(load: Callable[[], Any], stock: Callable[[], Any] | None = None) -> Callable[[], Any]:
    """`load`, called once; each caller gets a copy of its own (benchmarks write to what they load)."""
    loaded: list[Any] = []
    _loaded.append(loaded)

    def copy() -> Any:
        if not loaded:
            loaded.append(load())
        return _copy(loaded[0])

    copy.stock = stock or load  # type: ignore[attr-defined]
    return copy


def _copy(loaded: Any) -> Any:
    """A copy that shares the data; pandas drops the attributes of a StimulusSet, so they are set again."""
    copied = loaded.copy(deep=False)
    if not hasattr(loaded, "dims"):
        copied.identifier, copied.stimulus_paths = loaded.identifier, loaded.stimulus_paths
    return copied


def _members(images: Path) -> set[str]:
    """Names of the images in a zip. Raises DataError for one that can't be read."""
    with Zip(images) as archive:
        return {Path(name).name for name in archive.names}


def _response_problems(assembly: Any, path: Path, gaps: bool) -> list[Problem]:
    named = {name for dim in assembly.indexes for name in assembly.indexes[dim].names}
    coords = {name: assembly[name].values for name in ("neuroid_id", "stimulus_id") if name in named}
    return response_problems(assembly.values, assembly.dims, coords, str(path), gaps)


def _stimulus_problems(assembly: Any, path: Path) -> list[Problem]:
    recorded = set(assembly["stimulus_id"].values.tolist())
    known = set(assembly.attrs["stimulus_set"]["stimulus_id"].tolist())
    silent, strange = sorted(known - recorded), sorted(recorded - known)
    problems = []
    if silent:
        problems.append(
            Problem(what=f"{len(silent)} stimuli have no recorded response", where=str(path), value=listing(silent, 5))
        )
    if strange:
        problems.append(
            Problem(
                what=f"{len(strange)} recorded stimuli are not in the set", where=str(path), value=listing(strange, 5)
            )
        )
    return problems
