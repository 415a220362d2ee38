"""A bootstrap is a table of integer weights on the points, so that no data are copied."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.laws.parametrisation import Form

Array = NDArray[np.float64]
Counts = NDArray[np.uint16]
LEVELS = (2.5, 15.0, 50.0, 85.0, 97.5)
DRAWN = 1 << 22  # numbers drawn at once: bounds the memory of many resamples of many points


def resample_weights(
    n: int,
    count: int,
    seed: int = 42,
    clusters: Sequence[object] | None = None,
    hierarchy: Sequence[Sequence[object]] | None = None,
) -> Counts:
    """How often each of n points occurs in each of `count` resamples: (count, n).

    Rows: the resamples are `default_rng(seed).integers(0, n, size=(count, n))`, those of Gokce & Schrimpf 2025.
    clusters: one label a point, such as its cell without the seed; whole clusters are drawn, since the seeds of one
    cell are not independent models. hierarchy: labels of each level, outermost first, such as the subject; units are
    drawn within each drawn unit of the level above, and at last points within each drawn unit of the last level.
    """
    generator = np.random.default_rng(seed)
    if hierarchy:
        return _hierarchical(n, count, generator, hierarchy)
    if clusters is None:
        return _drawn(n, count, generator)
    membership = _membership(clusters)
    return _drawn(int(membership.max()) + 1, count, generator)[:, membership]


def undetermined(x: Array, weights: Counts, parameters: int, distinct: Sequence[int] = ()) -> float:
    """Share of the resamples (k, n) of points at x (n,) or (n, d) that can't determine a law with so many parameters.

    They hold fewer different x than the law has parameters; or fewer different values of one variable than `distinct`
    (`Form.distinct`). A continuum of laws then fits them equally well, and which one a solver returns is its choice.
    Without resamples the points are judged: 0 or 1.
    """
    columns = x[:, None] if x.ndim == 1 else x
    weights = weights if len(weights) else np.ones((1, len(columns)), dtype=np.uint16)
    lacking = _different(columns, weights) < parameters
    for axis, needed in zip(columns.T, distinct, strict=False) if columns.shape[1] > 1 else ():
        lacking |= _different(axis[:, None], weights) < needed
    return float(lacking.mean())


def undetermined_of(form: Form, x: Array, weights: Counts) -> float:
    """Share of the resamples that can't determine a law of this form (`undetermined`).

    What is told by a variable that is the same at all points counts for none: its flags tell that it is not identified.
    """
    idle = sum(parameter.tells is not None and np.ptp(x[:, parameter.tells]) == 0 for parameter in form.parameters)
    return undetermined(x, weights, len(form.parameters) - idle, form.distinct)


def interval(samples: Array) -> list[float]:
    """2.5 and 97.5 percentiles of the finite `samples` (k,); NaN where there are none."""
    finite = samples[np.isfinite(samples)]
    return [float(v) for v in np.percentile(finite, [LEVELS[0], LEVELS[-1]])] if finite.size else [float("nan")] * 2


def _drawn(n: int, count: int, generator: np.random.Generator) -> Counts:
    """How often each of n units is drawn in each resample (count, n). Drawing in blocks gives the same numbers."""
    weights = np.empty((count, n), dtype=np.uint16)
    step = max(1, DRAWN // n)
    for first in range(0, count, step):
        rows = min(step, count - first)
        drawn = generator.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        weights[first : first + rows] = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
    return weights


def _different(columns: Array, weights: Counts) -> NDArray[np.intp]:
    """How many different rows of `columns` (n, d) each resample (k, n) holds: (k,)."""
    _, number = np.unique(columns, axis=0, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    first = np.flatnonzero(np.diff(number.ravel()[order], prepend=-1))
    step = max(1, DRAWN // len(columns))
    rows = range(0, len(weights), step)
    counts = [np.logical_or.reduceat(weights[row : row + step][:, order] > 0, first, axis=1).sum(1) for row in rows]
    return np.concatenate(counts)


def _hierarchical(n: int, count: int, generator: np.random.Generator, hierarchy: Sequence[Sequence[object]]) -> Counts:
    for labels in hierarchy:
        if len(labels) != n:
            raise DataError(
                Problem(what="one label a point is needed", where="hierarchy", value=len(labels), allowed=f"{n} labels")
            )
    levels = [_membership(labels) for labels in hierarchy]
    weights = np.zeros((count, n), dtype=np.uint16)
    for row in weights:
        for point, times in _descend(np.arange(n), levels, generator):
            row[point] += np.uint16(times)
    return weights


def _descend(
    points: NDArray[np.intp], levels: list[NDArray[np.intp]], generator: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Points (and how often) that one resample draws from `points`."""
    if not levels:
        drawn = points[generator.integers(0, len(points), len(points))]
        yield from zip(*np.unique(drawn, return_counts=True), strict=True)
        return
    units = np.unique(levels[0][points])
    for unit in units[generator.integers(0, len(units), len(units))]:
        yield from _descend(points[levels[0][points] == unit], levels[1:], generator)


def _membership(clusters: Sequence[object]) -> NDArray[np.intp]:
    """Number of each point's cluster, in the order of first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in clusters])
