"""Forms are compared by AICc and by how well they predict points that were held out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.laws.loss import Loss

Array = NDArray[np.float64]
HOLDOUTS = ("top_decade", "largest", "largest_of_cluster")


def aicc(loss: Loss, total: float, n: int, parameters: int, units: int | None = None) -> float | None:
    """Akaike's criterion with the small-sample term: deviance + 2 k + 2 k (k + 1) / (u - k - 1).

    total: the loss summed over the n points; units: how many of them, u, are independent: the cells that the bootstrap
    draws, by default all points. k counts the parameters and the scale of the noise. The deviance is u ln(RSS / n) for
    squares and 2 u ln(mean |r|) for the Huber loss (Laplace noise), so only forms fitted to the same points under the
    same loss can be compared. None where u <= k + 1.
    """
    k, u = parameters + 1, n if units is None else units
    if u <= k + 1:
        return None
    return float(loss.deviance(total, n)) * u / n + 2 * k + 2 * k * (k + 1) / (u - k - 1)


def held_out(x: Array, rule: str | dict[str, int], clusters: Sequence[object] | None = None) -> NDArray[np.bool_]:
    """Which points (n,) are held out to test the extrapolation; x (n,).

    "top_decade": x >= max / 10; "largest": the largest x; {"last": k}: the k largest different x; "largest_of_cluster":
    the largest x of each cluster, for clusters that end at different x, such as recording sessions with different
    numbers of images.
    """
    if isinstance(rule, dict):
        return x >= np.unique(x)[-rule["last"] :].min()
    if rule not in HOLDOUTS:
        raise DataError(
            Problem(
                what="unknown holdout",
                where="holdout",
                value=rule,
                allowed=", ".join(HOLDOUTS),
                nearest=nearest(rule, HOLDOUTS),
            )
        )
    if rule == "largest_of_cluster" and clusters is not None:
        labels = np.array([str(label) for label in clusters])
        top = np.array([x[labels == label].max() for label in labels])
    else:
        top = np.full(x.shape, x.max())
    return x >= top * (0.1 if rule == "top_decade" else 1.0) * (1 - 1e-12)


def prediction_errors(y: Array, predicted: Array) -> dict[str, float]:
    """Mean absolute error, root mean squared error and mean signed error (predicted - observed) of scores."""
    difference = predicted - y
    return {
        "mae": float(np.mean(np.abs(difference))),
        "rmse": float(np.sqrt(np.mean(difference**2))),
        "bias": float(np.mean(difference)),
    }


def ranked_by_aicc(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a comparison (form, aicc, holdout), best AICc first, with the difference to the best as `delta_aicc`."""
    known = [row["aicc"] for row in rows if row["aicc"] is not None]
    best = min(known, default=None)
    out = [{**row, "delta_aicc": None if row["aicc"] is None else row["aicc"] - best} for row in rows]
    return sorted(out, key=lambda row: (row["aicc"] is None, row["aicc"] or 0.0))
