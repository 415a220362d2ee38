"""Brain-Score's ceilings are computed once and kept; only those that are surely above 0 divide.

A ceiling depends on the recordings alone, and computing it takes longer than a score; all jobs share one. A record and
an `.npz` for each benchmark (and each session of a combined one), named after everything that determines it. Plain
arrays: the value, its numeric attributes, and the values that it was aggregated from with all their coordinates.
Imports of Brain-Score stand in functions: `environment.prepare_environment` comes first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.brainscore.score_file import Part, number
from neuroscaling.core.array_files import read_npz
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path, reading
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import DEFINITION, read_record, require_name, write_record
from neuroscaling.core.score_files import checked_file, file_beside, making_score
from neuroscaling.core.score_scales import reason_category
from neuroscaling.regression.denominators import correlation_error, divides, split_half_error, unusable
from neuroscaling.study.benchmarks import Benchmark

FORMAT = "ceiling/1"
ARRAYS = "npz"
FILES_KEY = "files"
AGAIN = "delete the ceiling's .json and run again"
PACKAGES = ("brainscore_vision", "numpy", "xarray")
RAW, ATTRIBUTE, COORDINATE = "raw", "attribute:", "coordinate:"
NO_REPETITIONS = "repetitions of the stimuli, from whose halves a ceiling is estimated"


def keep_ceilings(benchmark: Any, folder: Path | None, definition: Mapping[str, Any]) -> None:
    """Let `benchmark`, and the sessions of a combined one, take their ceilings from `folder`, or write them there.

    definition: everything that the ceilings depend on (recordings, version of Brain-Score, code), which their names are
    a hash of. Without a folder nothing is kept; in both cases a ceiling that can't be computed becomes a DataError.
    """
    for part in [*getattr(benchmark, "_sessions", []), benchmark]:
        own = {**definition, "part": part.identifier}
        path = folder / f"{ArtefactName(part.identifier, own)}.json" if folder else None
        _keep(part, path, own)


def _keep(benchmark: Any, path: Path | None, definition: dict[str, Any]) -> None:
    compute = benchmark._ceiling_func
    known: list[Any] = []

    def ceiling() -> Any:
        if not known:
            known.append(_kept(compute, path, definition) if path else _computed(compute, definition["part"]))
        return known[0]

    benchmark._ceiling_func = ceiling


def _kept(compute: Callable[[], Any], path: Path, definition: dict[str, Any]) -> Any:
    """The ceiling at `path`, which is computed and written where it is not there."""
    if not path.exists():
        with making_score(path, f"ceiling of {definition['part']}", [ARRAYS]) as lease:
            if lease:
                ceiling = _computed(compute, definition["part"])
                if ceiling is None:
                    return None
                lease.check()
                write_ceiling(ceiling, path, definition)
                return ceiling
    return read_ceiling(path)


def _computed(compute: Callable[[], Any], name: str) -> Any:
    try:
        return compute()
    except DataError:
        raise
    except (AssertionError, AttributeError, IndexError, KeyError, ValueError) as error:
        raise DataError(_no_ceiling(name, f"{type(error).__name__}: {error}"[:200])) from error


def _no_ceiling(name: str, found: str) -> Problem:
    fix = "give the recordings a coordinate `repetition` with at least two values, or define the benchmark without one"
    return Problem(
        what="no ceiling can be computed from these recordings",
        where=name,
        value=found,
        allowed=NO_REPETITIONS,
        fix=fix,
    )


def write_ceiling(ceiling: Any, path: Path, definition: Mapping[str, Any]) -> None:
    """Write a ceiling (a Score): its record `path`, last, and the arrays beside it, text as unicode, never pickled."""
    # Any: one of the keywords of `savez` is no array, and its type counts for all of them.
    arrays: dict[str, Any] = {"value": np.asarray(ceiling.values)}
    arrays |= {ATTRIBUTE + name: value for name, value in _numbers(ceiling)}
    if RAW in ceiling.attrs:
        raw = ceiling.attrs[RAW]
        arrays |= {RAW: raw.values, "dims": np.array(raw.dims)}
        arrays |= {f"{COORDINATE}{name}:{dims[0]}": _plain(values) for name, dims, values in _coords(raw)}
    with atomic_path(file_beside(path, ARRAYS)) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
    files = {ARRAYS: file_sha256(file_beside(path, ARRAYS))}
    facts = {"format": FORMAT, DEFINITION: dict(definition), FILES_KEY: files, "provenance": provenance(PACKAGES)}
    write_record(path, facts)


def read_ceiling(path: Path) -> Any:
    """The ceiling with the record `path`, as a Score.

    Raises DataError, naming both, where the record or the arrays are not what was written, or of another ceiling.
    """
    record = read_record(path, FORMAT, AGAIN)
    require_name(record, path, path.name.removesuffix(".json"), AGAIN)
    file = checked_file(path, record[FILES_KEY], ARRAYS, AGAIN)
    arrays = read_npz(file)
    with reading(file, "a kept ceiling"):
        return _ceiling(arrays)


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


NOT_FINITE = "the raw value is not finite"
SUBJECTS = "the agreement of each subject with the mean of the others"
PEOPLE = "the agreement of two halves of the people"


def judged(benchmark: Benchmark, parts: Sequence[Part], ceiling: Any, n_images: Sequence[int]) -> list[Part]:
    """`parts` with the `reason` why a part has no score; None where it has one.

    ceiling: Brain-Score's for the whole benchmark; n_images: that the ceiling of each part rests on, or one number for
    all parts. The significance of a ceiling is judged by its own kind: `split_half_error` over the neuroids of a part,
    for dissimilarity matrices the agreement of subjects with the others (Brain-Score's lower bound: the upper one,
    which divides, is above 0 for noise too), for behaviour the correlation of halves of the people in each split.
    """
    counts = list(n_images) if len(n_images) == len(parts) else [n_images[0]] * len(parts)
    return [replace(part, reason=_reason(benchmark, part, ceiling, n)) for part, n in zip(parts, counts, strict=True)]


def reason_of(parts: Sequence[Part]) -> str | None:
    """Why the mean over parts is no score: the reason of the first part that has none, and how many more there are."""
    without = [part for part in parts if part.reason]
    if not without:
        return None
    first = without[0]
    if first.subject is None:
        return first.reason
    same = [part.subject for part in without if reason_category(str(part.reason)) == reason_category(str(first.reason))]
    more = f" and {len(same) - 1} more" if len(same) > 1 else ""
    return f"{first.reason} ({first.subject}{more} of {len(parts)})"


def _reason(benchmark: Benchmark, part: Part, ceiling: Any, n_images: int) -> str | None:
    if part.raw is None or not np.isfinite(part.raw):
        return f"{NOT_FINITE}: {part.raw}"
    if benchmark.ceiling == "none":
        return None
    value = np.nan if part.ceiling is None else part.ceiling
    match benchmark.kind:
        case "rsa":
            pairs = n_images * (n_images - 1) // 2
            lower = number(ceiling.attrs.get("lower_bound_loo"))
            return unusable(value) or (lower is not None and _agreement(lower, pairs)) or None
        case "behavior":
            return unusable(value) or _halves(part.ceilings, n_images)
    return unusable(value, None if part.ceilings is None else split_half_error(_of_neuroids(part), n_images))


def _agreement(lower: float, pairs: int) -> str | None:
    return unusable(lower, correlation_error(lower, pairs), what=SUBJECTS)


def _halves(ceilings: Any, n_images: int) -> str | None:
    """Each split divides by the root of its own self-consistency; their mean must be above chance."""
    values = np.atleast_1d(np.asarray(ceilings.values, dtype=np.float64))
    if not divides(values).all():
        return unusable(float(values[~divides(values)][0]), what=PEOPLE)
    mean = float(values.mean())
    return unusable(mean, correlation_error(mean, n_images), what=PEOPLE)


def _of_neuroids(part: Part) -> np.ndarray:
    """Reliability of each neuroid of a part (t,), the mean over the ceiling's own splits."""
    values = part.ceilings
    values = values.mean("split") if "split" in values.dims else values
    return np.atleast_1d(np.asarray(values.values, dtype=np.float64))
