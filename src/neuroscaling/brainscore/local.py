"""Registers files on this disk as the data of Brain-Score's registered ids, after looking through them.

Brain-Score's own loaders keep reading the recordings (some of them rename coordinates); only where they look for the
file is changed. Stimulus sets come from their CSV: scoring shows a model no image, so that zips are not unpacked.
"""

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore import ids
from neuroscaling.brainscore.definitions import Definition
from neuroscaling.brainscore.sources import WITH_GAPS, Files, StimulusFiles, find_benchmark
from neuroscaling.core.archives import Zip
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.hashing import file_sha1

_paths: dict[str, Path] = {}


def register_benchmark(root: str | Path, benchmark: ids.Benchmark) -> None:
    """Register every file below `root` that a registered benchmark needs. Raises DataError for missing files."""
    files, stimuli = find_benchmark(root, benchmark)
    for entry in files:
        register(entry)
    for alone in stimuli:
        register_stimuli(alone)


def register(files: Files) -> None:
    """Make Brain-Score load `files` for their ids; loaded and checked once a process."""
    from brainscore_vision import data_registry

    data_set = files.data_set
    register_stimuli(files.stimuli)
    # Importing the plugin later would overwrite the entry made here.
    importlib.import_module(f"brainscore_vision.data.{data_set.plugin}")
    stock = data_registry[data_set.data]
    load_stock = getattr(stock, "stock", stock)
    _serve(data_set.assembly, files.assembly)
    data_registry[data_set.data] = _once(partial(_load_assembly, files, load_stock), load_stock)


def register_stimuli(files: StimulusFiles) -> None:
    """Make Brain-Score load `files` for the id of their stimulus set."""
    from brainscore_vision import stimulus_set_registry

    importlib.import_module(f"brainscore_vision.data.{files.stimulus_set.plugin}")
    known = (files.stimulus_set.csv_sha1, files.csv) if files.official else None
    load_set = partial(load_stimuli, files.csv, files.images, files.stimulus_set.identifier, known)
    stimulus_set_registry[files.stimulus_set.stimulus_set] = _once(load_set)


def load(name: str, definitions: Mapping[str, Definition] | None = None) -> Any:
    """Brain-Score's benchmark object: one defined in the study, or the registered one, whose data are registered.

    Raises StudyError for an unknown or unserved id and DataError for what is wrong with the recordings.
    """
    if definitions and name in definitions:
        from neuroscaling.brainscore.defined import build

        return build(definitions[name])
    from brainscore_vision import load_benchmark

    return load_benchmark(ids.benchmark(name).benchmark)


def load_stimuli(
    csv: Path, images: Path, identifier: str, known: tuple[str, Path] | None = None, text_ids: bool = False
) -> Any:
    """Brain-Score's StimulusSet of a CSV whose images lie in a folder or a zip, which stays packed.

    known: sha1 and path of a file to check first; text_ids: numbers among the ids stay as they are written. Raises
    DataError for another content, a CSV without the columns stimulus_id (or image_id) and filename, and images that
    are missing.
    """
    import pandas as pd
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet, StimulusSetLoader

    if known:
        _require_sha1(*known)
    table = pd.read_csv(csv, dtype={"stimulus_id": str, "image_id": str, "filename": str} if text_ids else None)
    StimulusSetLoader.correct_stimulus_id_name(table)
    lacking = [column for column in ("stimulus_id", "filename") if column not in table]
    if lacking:
        raise DataError(Problem("columns are missing", str(csv), listing(list(table)), listing(lacking)))
    stored = _image_names(images)
    missing = [str(name) for name in table["filename"] if Path(str(name)).name not in stored]
    if missing:
        raise DataError(Problem(f"{len(missing)} images of the table are missing", str(images), listing(missing, 5)))
    stimuli = StimulusSet(table)
    pairs = zip(table["stimulus_id"], table["filename"], strict=True)
    stimuli.stimulus_paths = {stimulus: images / str(name) for stimulus, name in pairs}
    stimuli.identifier = identifier
    return stimuli


def check_assembly(assembly: Any, path: Path, gaps: bool = False) -> Any:
    """`assembly`, loaded. Raises DataError for stimuli without responses, the reverse, and, without gaps, for NaN."""
    assembly.load()
    problems = [*([] if gaps else _nan_problems(assembly, path)), *_stimulus_problems(assembly, path)]
    if problems:
        raise DataError(problems)
    return assembly


def _load_assembly(files: Files, load: Callable[[], Any]) -> Any:
    if files.official:
        _require_sha1(files.data_set.sha1, files.assembly)
    assembly = _explained(load, files.assembly)
    if files.official:  # what the source publishes is taken as it is, gaps and all
        return assembly.load()
    return check_assembly(assembly, files.assembly, files.data_set.data in WITH_GAPS)


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
        raise DataError(Problem("SHA1 mismatch: not the file of this name", str(path), found, expected, fix=fix))


def _explained(load: Callable[[], Any], path: Path) -> Any:
    """What `load` returns; its failures (a damaged file, a missing coordinate) become DataErrors that name the file."""
    try:
        return load()
    except DataError:
        raise
    except Exception as error:
        fix = "fetch the file again, or compare its coordinates with docs/brainscore.md"
        raise DataError(Problem("Brain-Score can't load this", str(path), repr(error)[:200], fix=fix)) from error


def _once(load: Callable[[], Any], stock: Callable[[], Any] | None = None) -> Callable[[], Any]:
    """`load`, called once; each caller gets a copy of its own (benchmarks write to what they load)."""
    loaded: list[Any] = []

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


def _image_names(images: Path) -> set[str]:
    """Names of the images in a folder or a zip. Raises DataError for a zip that can't be read."""
    if images.is_dir():
        return {path.name for path in images.iterdir()}
    with Zip(images) as archive:
        return {Path(name).name for name in archive.names}


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
