"""How well forms describe and foretell the same points, on the scale of the score so that all forms can be compared."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.errors import DataError, Problem, nearest

Array = NDArray[np.float64]
HOLDOUTS = ("top_decade", "largest", "largest_of_cluster")


def aicc(y: Array, predicted: Array, parameters: int) -> float | None:
    """Akaike's criterion with the small-sample term, n ln(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1).

    k counts the parameters and the variance. y, predicted: scores (n,). None where n <= k + 1. Only differences between
    forms fitted to the same points mean anything; a form fitted with a robust loss is not at the minimum of RSS, so its
    value is an upper bound.
    """
    n, k = len(y), parameters + 1
    rss = float(np.sum((y - predicted) ** 2))
    if n <= k + 1:
        return None
    return n * float(np.log(max(rss / n, 1e-300))) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def held_out(x: Array, rule: str, clusters: Sequence[object] | None = None) -> NDArray[np.bool_]:
    """Which points (n,) are held out to test the extrapolation.

    "top_decade": x >= max / 10; "largest": the largest x; "largest_of_cluster": the largest x of each cluster, for
    clusters that end at different x, such as recording sessions with different numbers of images.
    """
    if rule not in HOLDOUTS:
        raise DataError(Problem("unknown holdout", "holdout", rule, ", ".join(HOLDOUTS), nearest(rule, HOLDOUTS)))
    if rule == "largest_of_cluster" and clusters is not None:
        labels = np.array([str(label) for label in clusters])
        top = np.array([x[labels == label].max() for label in labels])
    else:
        top = np.full(x.shape, x.max())
    return x >= top * (0.1 if rule == "top_decade" else 1.0) * (1 - 1e-12)


def errors(y: Array, predicted: Array) -> dict[str, float]:
    """Mean absolute error, root mean squared error and mean signed error (predicted - observed) of scores."""
    difference = predicted - y
    return {
        "mae": float(np.mean(np.abs(difference))),
        "rmse": float(np.sqrt(np.mean(difference**2))),
        "bias": float(np.mean(difference)),
    }


def ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a comparison (form, aicc, holdout), best AICc first, with the difference to the best as `delta_aicc`."""
    known = [row["aicc"] for row in rows if row["aicc"] is not None]
    best = min(known, default=None)
    out = [{**row, "delta_aicc": None if row["aicc"] is None else row["aicc"] - best} for row in rows]
    return sorted(out, key=lambda row: (row["aicc"] is None, row["aicc"] or 0.0))
