"""Bootstraps as integer weights on the points: no data are copied, and all resamples are fitted in one batch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVELS = (2.5, 50.0, 97.5)


def resample_weights(n: int, count: int, seed: int = 42, clusters: Sequence[object] | None = None) -> Array:
    """How often each of n points occurs in each of `count` resamples: (count, n).

    Without clusters the resamples are `default_rng(seed).integers(0, n, size=(count, n))`, those of Gokce & Schrimpf
    2025. With clusters (one label a point, such as its cell without the seed) whole clusters are drawn, since the seeds
    of one cell are not independent models.
    """
    membership = np.arange(n) if clusters is None else _membership(clusters)
    groups = int(membership.max()) + 1
    drawn = np.random.default_rng(seed).integers(0, groups, size=(count, groups))
    rows = np.repeat(np.arange(count), groups)
    counts = np.bincount(rows * groups + drawn.ravel(), minlength=count * groups).reshape(count, groups)
    return counts[:, membership].astype(np.float64)


def interval(samples: Array) -> list[float]:
    """2.5 and 97.5 percentiles of the finite `samples` (k,); NaN where there are none."""
    finite = samples[np.isfinite(samples)]
    return [float(v) for v in np.percentile(finite, LEVELS[::2])] if finite.size else [float("nan")] * 2


def _membership(clusters: Sequence[object]) -> NDArray[np.intp]:
    """Number of each point's cluster, in the order of first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in clusters])
