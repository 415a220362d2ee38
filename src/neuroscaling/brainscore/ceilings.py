"""Ceilings, computed once for each benchmark and data set by Brain-Score's own ceiling and kept on disk.

A ceiling depends on the recordings alone, and computing it takes longer than a score. One file a benchmark (and a
session of a combined one), an `.npz` of plain arrays: the value, its numeric attributes, and the values that it was
aggregated from with all their coordinates. Import after `neuroscaling.brainscore.environment.prepare`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.npy import read_npz
from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path

RAW, ATTRIBUTE, COORDINATE = "raw", "attribute:", "coordinate:"
NO_REPETITIONS = "repetitions of the stimuli, from whose halves a ceiling is estimated"


def keep_ceilings(benchmark: Any, folder: Path | None, key: str) -> None:
    """Let `benchmark`, and the sessions of a combined one, take their ceilings from `folder`, or write them there.

    key: hash of everything that the ceilings depend on (data, version of Brain-Score). Without a folder nothing is
    kept; in both cases a ceiling that can't be computed becomes a DataError. Jobs that compute the same ceiling at once
    each write it whole, and one of the equal files stays.
    """
    for part in [*getattr(benchmark, "_sessions", []), benchmark]:
        path = folder / f"{part.identifier}-{key}.npz" if folder else None
        _keep(part, path)


def _keep(benchmark: Any, path: Path | None) -> None:
    compute = benchmark._ceiling_func
    known: list[Any] = []

    def ceiling() -> Any:
        if not known:
            stored = read_ceiling(path) if path else None
            known.append(stored if stored is not None else _computed(compute, path, benchmark.identifier))
        return known[0]

    benchmark._ceiling_func = ceiling


def _computed(compute: Callable[[], Any], path: Path | None, name: str) -> Any:
    try:
        ceiling = compute()
    except DataError:
        raise
    except (AssertionError, AttributeError, IndexError, KeyError, ValueError) as error:
        raise DataError(_no_ceiling(name, f"{type(error).__name__}: {error}"[:200])) from error
    if ceiling is None:
        return None
    if path:
        write_ceiling(ceiling, path)
    return ceiling


def _no_ceiling(name: str, found: str) -> Problem:
    fix = "give the recordings a coordinate `repetition` with at least two values, or define the benchmark without one"
    return Problem("no ceiling can be computed from these recordings", name, found, NO_REPETITIONS, fix=fix)


def write_ceiling(ceiling: Any, path: Path) -> None:
    """Write a ceiling (a Score) as arrays; text coordinates as unicode, never as pickled objects."""
    arrays = {"value": np.asarray(ceiling.values)}
    arrays |= {ATTRIBUTE + name: value for name, value in _numbers(ceiling)}
    if RAW in ceiling.attrs:
        raw = ceiling.attrs[RAW]
        arrays |= {RAW: raw.values, "dims": np.array(raw.dims)}
        arrays |= {f"{COORDINATE}{name}:{dims[0]}": _plain(values) for name, dims, values in _coords(raw)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_ceiling(path: Path) -> Any | None:
    """The ceiling written at `path` as a Score; None where there is none or the file is damaged."""
    try:
        arrays = read_npz(path)
        with reading(path, "a kept ceiling"):
            return _ceiling(arrays)
    except DataError:
        return None


def _ceiling(arrays: dict[str, np.ndarray]) -> Any:
    from brainscore_core import Score

    ceiling = Score(arrays["value"])
    if RAW in arrays:
        ceiling.attrs[RAW] = _raw(arrays)
    for name in arrays:
        if name.startswith(ATTRIBUTE):
            ceiling.attrs[name.removeprefix(ATTRIBUTE)] = (
                Score(arrays[name]) if name.endswith("error") else float(arrays[name])
            )
    return ceiling


def _raw(arrays: dict[str, np.ndarray]) -> Any:
    """Values over splits and neuroids; a dimension with one coordinate is stacked from it, as Brain-Score does."""
    from brainscore_core import Score

    dims = arrays["dims"].tolist()
    coords: dict[str, dict[str, np.ndarray]] = {dim: {} for dim in dims}
    for key in arrays:
        if key.startswith(COORDINATE):
            name, dim = key.removeprefix(COORDINATE).rsplit(":", 1)
            coords[dim][name] = arrays[key]
    alone = {dim: next(iter(own)) for dim, own in coords.items() if len(own) == 1 and dim not in own}
    named = [alone.get(dim, dim) for dim in dims]
    flat = {name: (alone.get(dim, dim), values) for dim, own in coords.items() for name, values in own.items()}
    raw = Score(arrays[RAW], coords=flat, dims=named)
    for dim, name in alone.items():
        raw = raw.stack(**{dim: [name]})
    return raw.transpose(*dims)


def _numbers(ceiling: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in ceiling.attrs.items():
        if name != RAW and np.size(value) == 1 and np.asarray(value).dtype.kind in "fiu":
            yield name, np.asarray(value, dtype=np.float64)


def _coords(raw: Any) -> Iterator[tuple[str, tuple[str, ...], np.ndarray]]:
    from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords

    for name, dims, values in walk_coords(raw):
        if len(dims) == 1:
            yield name, dims, np.asarray(values)


def _plain(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind in "biufU" else values.astype(str)
