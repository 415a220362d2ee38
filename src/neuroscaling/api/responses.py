"""Responses that users give become a recording: rows by stimulus, repetitions averaged, regions, ceilings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.recordings.recording import ArrayResponses, Recording, Split
from neuroscaling.regression.scores import repeat_ceiling, varies
from neuroscaling.study.own_arrays import JOINT

WHERE = "score(): responses"
STIMULUS, NEUROID, REPETITION, REGION = "stimulus", "neuroid", "repetition", "region"
SEVERAL = {"presentation": STIMULUS, "stimulus_id": STIMULUS, "image": STIMULUS, "unit": NEUROID, "voxel": NEUROID}
"""Names that dimensions have elsewhere."""
REPEATS = "repeats"
ALL = "all"
SHOWN = 5


@dataclass(frozen=True)
class Presented:
    """Responses as they were given. values: (rows, neuroids, repetitions), NaN where nothing was recorded; stimuli: of
    each row, a name may be there several times; None: those of the activations, in their order."""

    values: np.ndarray
    stimuli: list[str] | None
    neuroids: list[Any]
    regions: list[str] | None = None


@dataclass(frozen=True)
class Aligned:
    """A recording in memory. neuroids: names of all, those included that are left out; notes: what a reader must know,
    such as what was left out."""

    recording: Recording
    neuroids: list[Any]
    notes: list[str]


def aligned_responses(
    given: Any, shown: Sequence[str], regions: Any, ceiling: Any, test: Sequence[str] | None
) -> Aligned:
    """The recording that `given` is (arguments as of `score`), for the stimuli `shown`, of which it may lack some.

    Raises StudyError for arguments of another kind, DataError for stimuli that were not shown, for gaps, and for
    lengths that differ.
    """
    found = presented(given)
    stimuli = _named(found, shown)
    by_name(stimuli, shown)
    repeats, names = _by_stimulus(found.values, stimuli)
    counts = np.isfinite(repeats).sum(2)
    notes = []
    if absent := [name for name, own in zip(names, counts, strict=True) if not own.any()]:
        notes.append(f"left out: {len(absent)} stimuli without any response: {listing(absent, SHOWN)}")
    kept = counts.any(1)
    _refuse_gaps(counts[kept], [name for name, keep in zip(names, kept, strict=True) if keep], found.neuroids)
    repeats, counts = repeats[kept], counts[kept]
    names = [name for name, keep in zip(names, kept, strict=True) if keep]
    means = np.where(np.isfinite(repeats), repeats, 0.0).sum(2) / counts
    usable = varies(means)
    if not usable.all():
        flat = [found.neuroids[i] for i in np.flatnonzero(~usable)]
        notes.append(f"left out: {len(flat)} neuroids that don't vary: {listing(flat, SHOWN)}")
    held = _held_out(names, test)
    masks = _masks(found, regions, usable)
    own_ceiling = _ceiling(ceiling, len(found.neuroids))

    def split(rows: np.ndarray) -> Split:
        return _split(rows, names, means[:, usable], repeats[:, usable], ceiling, own_ceiling, usable)

    # Of folds all stimuli are rows of the training split: their ceiling is that of all.
    training, tests = split(np.flatnonzero(~held)), {} if test is None else {"test": split(np.flatnonzero(held))}
    if ceiling is not None and (tests.get("test") or training).ceiling is None:
        notes.append("no ceiling: some neuroid has no stimulus with two repetitions")
    recording = Recording(
        name="responses",
        training=training,
        tests=tests,
        hemisphere=np.full(int(usable.sum()), "both"),
        vertex=np.flatnonzero(usable),
        regions=masks,
        ncsnr=None,
        fsaverage=None,
        masked={},
    )
    return Aligned(recording, found.neuroids, notes)


def presented(given: Any) -> Presented:
    """What the responses say by themselves. Raises StudyError for another kind, DataError for other dimensions."""
    import pandas as pd
    import xarray as xr

    if isinstance(given, xr.DataArray):
        return _of_xarray(given)
    if isinstance(given, pd.DataFrame):
        return _of_pandas(given)
    if isinstance(given, np.ndarray):
        if given.ndim not in (2, 3):
            allowed = "(stimuli, neuroids) or (stimuli, neuroids, repetitions)"
            raise DataError(Problem(what="other dimensions", where=WHERE, value=given.shape, allowed=allowed))
        values = given.astype(np.float64)
        values = values[..., None] if values.ndim == 2 else values
        return Presented(values, None, list(range(values.shape[1])))
    if hasattr(given, "to_pandas") and hasattr(given, "columns"):  # polars, which has no index
        frame = given.to_pandas()
        if STIMULUS not in frame.columns:
            have, near = [str(column) for column in frame.columns], nearest(STIMULUS, frame.columns)
            raise DataError(
                Problem(what="column is missing", where=WHERE, value=listing(have), allowed=STIMULUS, nearest=near)
            )
        return _of_pandas(frame.set_index(STIMULUS))
    allowed = "an array of xarray or numpy, or a table of pandas or polars"
    raise StudyError(Problem(what="not responses", where=WHERE, value=type(given).__name__, allowed=allowed))


def _of_xarray(given: Any) -> Presented:
    array = given.rename({old: new for old, new in SEVERAL.items() if old in given.dims and new not in given.dims})
    wanted = [STIMULUS, NEUROID, *([REPETITION] if REPETITION in array.dims else [])]
    if set(array.dims) != set(wanted):
        allowed = f"({STIMULUS}, {NEUROID}) or ({STIMULUS}, {NEUROID}, {REPETITION})"
        raise DataError(Problem(what="other dimensions", where=WHERE, value=given.dims, allowed=allowed))
    array = array.transpose(*wanted)
    values = np.asarray(array.values, dtype=np.float64)
    values = values[..., None] if values.ndim == 2 else values
    # Presentations of Brain-Score's assemblies name their stimulus by a coordinate of its own.
    named = next((array[name] for name in ("stimulus_id", STIMULUS) if name in array.coords), None)
    stimuli = None if named is None else [str(name) for name in named.values]
    neuroids = next((array[name] for name in ("neuroid_id", NEUROID) if name in array.coords), None)
    units = list(range(values.shape[1])) if neuroids is None else [_plain(one) for one in neuroids.values]
    regions = [str(name) for name in array[REGION].values] if REGION in array.coords else None
    return Presented(values, stimuli, units, regions)


def _of_pandas(given: Any) -> Presented:
    """A row for each presentation, a column for each neuroid; a level `region` of the columns, where there is one."""
    import pandas as pd

    wrong = [column for column in given.columns if not pd.api.types.is_numeric_dtype(given[column])]
    if wrong:
        fix = f"set the column with names of stimuli as the index: responses.set_index({wrong[0]!r})"
        raise DataError(Problem(what="columns that hold no numbers", where=WHERE, value=listing(wrong, SHOWN), fix=fix))
    values = given.to_numpy(dtype=np.float64, na_value=np.nan)[..., None]
    levels = [name for name in given.columns.names if name is not None]
    regions = [str(name) for name in given.columns.get_level_values(REGION)] if REGION in levels else None
    units = [_plain(one) for one in given.columns]
    is_counted = isinstance(given.index, pd.RangeIndex)
    return Presented(values, None if is_counted else [str(name) for name in given.index], units, regions)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return "|".join(map(str, value))
    return value.item() if isinstance(value, np.generic) else value


def _named(found: Presented, shown: Sequence[str]) -> list[str]:
    if found.stimuli is not None:
        return found.stimuli
    if len(found.values) != len(shown):
        fix = f"name the stimuli: an array of xarray with the coordinate `{STIMULUS}`, or a table with such an index"
        value, allowed = f"{len(found.values)} rows", f"{len(shown)} rows, one for each stimulus of the activations"
        raise DataError(
            Problem(what="responses without names of stimuli", where=WHERE, value=value, allowed=allowed, fix=fix)
        )
    return list(shown)


def by_name(wanted: Sequence[str], shown: Sequence[str]) -> np.ndarray:
    """The place among `shown` of each of `wanted`. Raises DataError, naming them, for those that are not there."""
    place = {name: i for i, name in enumerate(shown)}
    lacking = list(dict.fromkeys(name for name in wanted if name not in place))
    if lacking:
        what = f"{len(lacking)} of {len(set(wanted))} stimuli have responses and no activations"
        value, allowed, near = listing(lacking, SHOWN), listing(list(shown), SHOWN), nearest(lacking[0], shown)
        fix = "call stimuli as their images are called, or leave those out"
        raise DataError(Problem(what=what, where=WHERE, value=value, allowed=allowed, nearest=near, fix=fix))
    return np.array([place[name] for name in wanted], dtype=np.intp)


def _by_stimulus(values: np.ndarray, stimuli: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Responses (stimuli, neuroids, repetitions) with rows of one stimulus as its repetitions, and the stimuli."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(stimuli):
        rows.setdefault(name, []).append(row)
    most = max(map(len, rows.values()), default=0)
    _, units, each = values.shape
    if most <= 1:
        return values, list(rows)
    found = np.full((len(rows), units, most, each), np.nan)
    for image, own in enumerate(rows.values()):
        found[image, :, : len(own)] = np.moveaxis(values[own], 0, 1)
    return found.reshape(len(rows), units, most * each), list(rows)


def _refuse_gaps(counts: np.ndarray, names: Sequence[str], neuroids: Sequence[Any]) -> None:
    gaps = np.argwhere(counts == 0)
    if len(gaps):
        examples = [f"stimulus {names[image]}, neuroid {neuroids[unit]}" for image, unit in gaps[:SHOWN]]
        fix = "leave these stimuli or neuroids out; a stimulus that was not shown has NaN alone"
        what, value = f"{len(gaps)} responses are missing", listing(examples)
        raise DataError(Problem(what=what, where=WHERE, value=value, allowed="a number", fix=fix))


def _held_out(names: Sequence[str], test: Sequence[str] | None) -> np.ndarray:
    wanted = [] if test is None else [str(name) for name in test]
    if lacking := [name for name in wanted if name not in set(names)]:
        near = nearest(lacking[0], names)
        what = f"{len(lacking)} stimuli have no response"
        raise DataError(Problem(what=what, where="score(): test", value=listing(lacking, SHOWN), nearest=near))
    held = np.isin(np.asarray(names, dtype=object), wanted)
    if test is not None and not 0 < held.sum() < len(names):
        value, allowed = f"{int(held.sum())} of {len(names)}", "some stimuli, and some others to map with"
        raise DataError(Problem(what="no test or no training", where="score(): test", value=value, allowed=allowed))
    return held


def _masks(found: Presented, regions: Any, usable: np.ndarray) -> dict[str, np.ndarray]:
    """Boolean (usable neuroids,) by region, in the order in which they are named; one for all where nothing tells."""
    n = len(found.neuroids)
    named = found.regions if regions is None else _regions_given(regions, found.neuroids)
    if named is None:
        return {ALL: np.ones(int(usable.sum()), bool)}
    if len(named) != n:
        value, allowed = f"{len(named)} regions", f"{n}, one for each neuroid"
        raise DataError(Problem(what="of another length", where="score(): regions", value=value, allowed=allowed))
    members = [[part.strip() for part in name.split(JOINT) if part.strip()] for name in named]
    names = list(dict.fromkeys(region for own in members for region in own))
    return {name: np.array([name in own for own in members])[usable] for name in names}


def _regions_given(regions: Any, neuroids: Sequence[Any]) -> list[str]:
    if isinstance(regions, str):
        return [regions] * len(neuroids)
    if isinstance(regions, Mapping):
        lacking = [one for one in neuroids if one not in regions]
        if lacking:
            what, value = f"{len(lacking)} neuroids have no region", listing(lacking, SHOWN)
            raise DataError(Problem(what=what, where="score(): regions", value=value))
        return [str(regions[one]) for one in neuroids]
    return [str(name) for name in np.asarray(regions).ravel()]


def _ceiling(given: Any, n: int) -> np.ndarray | None:
    """Ceilings (neuroids,) that were given; None for those of repetitions, and for none."""
    if given is None or (isinstance(given, str) and given == REPEATS):
        return None
    where, allowed = "score(): ceiling", f"`{REPEATS}`, None, a number in 0..1, or one for each of {n} neuroids"
    if isinstance(given, str):
        near = nearest(given, [REPEATS])
        raise StudyError(Problem(what="no such ceiling", where=where, value=given, allowed=allowed, nearest=near))
    values = np.asarray(given, dtype=np.float64)
    if values.shape not in ((), (n,)) or not ((values >= 0) & (values <= 1)).all():
        raise DataError(Problem(what="no ceilings of these neuroids", where=where, value=given, allowed=allowed))
    return np.broadcast_to(values, (n,))


def _split(
    rows: np.ndarray,
    names: Sequence[str],
    means: np.ndarray,
    repeats: np.ndarray,
    asked: Any,
    own: np.ndarray | None,
    usable: np.ndarray,
) -> Split:
    """Some stimuli with their averages and their ceiling, of repetitions where these tell that of every neuroid."""
    made = np.isfinite(repeats[rows]).sum(2)
    ceiling, n_images = None if own is None else own[usable], None
    if own is None and asked is not None and len(rows) > 1 and (made > 1).any(0).all():
        ceiling, n_images = repeat_ceiling(np.moveaxis(repeats[rows], 0, 1)), len(rows)
    responses = ArrayResponses(means[rows].astype(np.float32))
    return Split([names[row] for row in rows], made.max(1), responses, ceiling, n_images)
