"""What a score table tells beside the points of a law: their errors, layers, ceilings, and baselines for comparison.

A fit keeps the numbers that it is fitted to. Its points are found again in the table by the run, the subject and x; a
group of rows counts as a point's only where the mean of the rows is the y of the point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.score_scales import SCALE_SEPARATOR, has_ceiling
from neuroscaling.laws.filters import filtered, merged_families
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.point_checks import NotTestable

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]
MEASUREMENT = (
    "region",
    "benchmark",
    "metric",
    "subject",
    "test_set",
    "n_mapping",
    "data",
    "protocol",
    "engine",
    "scale",
)
"""Columns of the score table that tell of a measurement, and not of the network."""
UNTRAINED, BASELINE = "untrained", "baseline"
FULL = 0.9
"""Share of the most rows that a mean is of, from which on it stands for the same."""
SQUARED = ("r2/c", "r/sqrt(c)")
"""Scales on which the square root of the ceiling is the highest correlation."""


@dataclass(frozen=True)
class Level:
    """What networks without training reach: y at every x where `x` is empty, else y (q,) at x (q,). n: networks."""

    label: str
    x: Array
    y: Array
    n: int


@dataclass(frozen=True)
class Measurements:
    """Facts beside the n points of a fit. error (n,): standard errors, NaN where unknown; layer (n,): empty where
    unknown or of several regions; ceiling: the y that noise allows, None where unknown; levels: baselines.
    """

    error: Array
    layer: list[str]
    ceiling: float | None = None
    levels: tuple[Level, ...] = ()


def measurements(fit: FitRecord, table: pd.DataFrame | None) -> Measurements:
    """What `table` tells beside the points of `fit`; nothing of a point that is not found there."""
    n = len(fit.points)
    unknown = Measurements(np.full(n, np.nan), [""] * n, _ceiling_of_scale(fit))
    rows = None if table is None else _rows(fit, table)
    if rows is None:
        return unknown
    for keys in _keys(fit, rows):
        groups = _groups(rows, fit, keys)
        if groups.empty:
            continue
        place = groups.index.get_indexer(_labels(fit, keys))
        found = place >= 0
        same = np.isclose(groups["y"].to_numpy()[place], fit.points.y, rtol=1e-5, atol=1e-9) & found
        if same.mean() > 0.5:
            error = np.where(same, groups["error"].to_numpy()[place], np.nan)
            layers = groups["layer"].to_numpy()[place]
            layer = [str(name) if known else "" for name, known in zip(layers, same, strict=True)]
            each = int(np.median(groups["n"].to_numpy()[place[same]]))
            ceiling = unknown.ceiling or _ceiling_of_raw(fit, groups["ceiling"].to_numpy()[place[same]])
            return Measurements(error, layer, ceiling, tuple(_levels(fit, rows, each)))
    return unknown


def _rows(fit: FitRecord, table: pd.DataFrame) -> pd.DataFrame | None:
    """The rows of the measurements that a fit is about, of all networks; None where the table can't tell."""
    filters = {column: value for column, value in fit.filters.items() if column in MEASUREMENT}
    needed = {"run", "kind", fit.y, *filters}
    if not len(fit.points) or not needed <= set(table.columns):
        return None
    try:
        rows = filtered(table, filters)
    except NotTestable:
        return None
    rows = rows[rows[fit.y].notna()]
    return rows if len(rows) else None


def _keys(fit: FitRecord, rows: pd.DataFrame) -> Iterator[list[str]]:
    """The columns that may tell the points apart, the finest first."""
    if len(fit.points.run) != len(fit.points):
        return
    of_measurement = [column for column in fit.variables if column == "n_mapping" and column in rows]
    if len(fit.points.subject) == len(fit.points) and "subject" in rows:
        yield ["run", "subject", *of_measurement]
    yield ["run", *of_measurement]


def _labels(fit: FitRecord, keys: list[str]) -> pd.Index:
    """The keys of the points, as the index of `_groups` has them."""
    import pandas as pd

    of = {"run": fit.points.run, "subject": [value or "" for value in fit.points.subject]}
    x = dict(zip(fit.variables, fit.points.columns.T.tolist(), strict=True))
    columns = [of[key] if key in of else x[key] for key in keys]
    return pd.Index(columns[0]) if len(keys) == 1 else pd.MultiIndex.from_arrays(columns)


def _groups(rows: pd.DataFrame, fit: FitRecord, keys: list[str]) -> pd.DataFrame:
    """y, error, ceiling, layer and number of rows of each group of `keys`."""
    rows = rows[rows["run"].isin(set(fit.points.run))]
    known = {name: rows.get(name, np.nan) for name in ("error", "ceiling")}
    plain = {"run": rows["run"].astype(str), "y": rows[fit.y].astype(float)}
    if "subject" in keys:
        plain["subject"] = rows["subject"].astype("string").fillna("").astype(str)
    if "n_mapping" in keys:
        plain["n_mapping"] = rows["n_mapping"].astype(float)
    layer = rows["layer"].astype("string") if "layer" in rows else ""
    frame = rows.assign(**plain, **known, square=np.asarray(known["error"], dtype=float) ** 2, layer=layer)
    groups = frame.groupby(keys)
    found = groups.agg(y=("y", "mean"), n=("y", "size"), ceiling=("ceiling", "mean"), square=("square", "sum"))
    found["errors"] = groups["error"].count()
    # The error of a mean of independent scores; unknown where one is.
    error = np.sqrt(found["square"]) / found["n"]
    found["error"] = error.where((found["errors"] == found["n"]) & (error > 0))
    several = groups["layer"].nunique() > 1
    found["layer"] = groups["layer"].first().where(~several, "").fillna("")
    return found


def _ceiling_of_scale(fit: FitRecord) -> float | None:
    """1 for scores that a ceiling divides."""
    scales = str(fit.scale).split(SCALE_SEPARATOR) if fit.y == "score" and fit.scale else []
    return 1.0 if scales and all(map(has_ceiling, scales)) else None


def _ceiling_of_raw(fit: FitRecord, ceilings: Array) -> float | None:
    """The mean highest correlation of points of raw values, from the ceilings of their rows."""
    known = ceilings[np.isfinite(ceilings) & (ceilings > 0)]
    if fit.y != "raw" or not known.size or known.size < len(ceilings):
        return None
    scale = str(fit.scale)
    return float(np.sqrt(known).mean() if scale in SQUARED else known.mean())


def _levels(fit: FitRecord, rows: pd.DataFrame, each: int) -> Iterator[Level]:
    """The baselines of a fit of trained networks; each: rows of a point, and so of a baseline that can be compared."""
    shared = [column for column in fit.variables if column == "n_mapping"]
    rows = rows[rows["kind"].isin([UNTRAINED, BASELINE]) & ~rows["run"].isin(set(fit.points.run))]
    if fit.y not in ("score", "raw") or not len(rows):
        return
    for label, own in _by_label(fit, rows):
        means = own.groupby(["run", *shared])[fit.y].agg(["mean", "size"])
        means = means[(means["size"] % each == 0) & (means["size"] >= FULL * means["size"].max())]["mean"]
        if not len(means):
            continue
        n = means.index.get_level_values(0).nunique()
        if shared:
            # A mean of fewer rows (of those sessions that have so many images) is no point of the same line.
            counts = means.groupby(level=1).size()
            means = means[means.index.get_level_values(1).isin(counts.index[counts >= FULL * counts.max()])]
            at = means.groupby(level=1).mean()
            yield Level(label, at.index.to_numpy(dtype=float), at.to_numpy(dtype=float), n)
        else:
            yield Level(label, np.empty(0), np.array([float(means.mean())]), n)


def _by_label(fit: FitRecord, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Untrained networks of the families of a fit, then each baseline that is no network."""
    untrained = rows[rows["kind"] == UNTRAINED]
    family: Any = fit.filters.get("arch_family")
    if family and "arch_family" in rows:
        try:
            untrained = filtered(merged_families(untrained), {"arch_family": family})
        except NotTestable:
            untrained = untrained[:0]
    if len(untrained):
        yield UNTRAINED, untrained
    others = rows[rows["kind"] == BASELINE]
    if "arch" in others:
        for name, own in others.groupby("arch", sort=True):
            yield str(name), own
