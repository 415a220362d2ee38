"""The influence of a single point is what becomes of the law without it.

Each point is left out and the law fitted again, exactly; of many points only those are refitted for which one step of
Gauss and Newton says that they move the asymptote or an exponent most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws import solver
from neuroscaling.laws.influence_record import PointInfluence, Quantity
from neuroscaling.laws.law_fit import LawFit
from neuroscaling.laws.quantities import quantity_values

Array = NDArray[np.float64]
ALL_POINTS = 1000  # up to which each point is refitted
SCREENED = 200  # points that are refitted where there are more
NAMED = 10


def influential_points(
    law: LawFit, labels: Sequence[str], whole: Mapping[str, Quantity], judged: Sequence[str]
) -> tuple[list[PointInfluence], int]:
    """The ten points that move the law most, the first most; and how many were left out, one by one.

    labels: names of the points. whole: quantities of the law; judged: those that count, all of them where none does.
    """
    rows = np.arange(len(law.y)) if len(law.y) <= ALL_POINTS else _screened(law)
    weights = np.ones((len(rows), len(law.y)), dtype=np.uint16)
    weights[np.arange(len(rows)), rows] = 0
    theta = solver.warm_refit(law.data, law.minima, weights, law.mode == "corrected").theta
    values = quantity_values(law, theta)
    names = [name for name in whole if name in judged] or list(whole)
    moved = [np.abs(values[name] - whole[name].value) / _half(whole[name]) for name in names]
    weight = np.nan_to_num(np.max(moved, axis=0) if moved else np.zeros(len(rows)))
    order = np.argsort(-weight, kind="stable")[:NAMED]
    points = [
        PointInfluence(
            label=labels[rows[i]],
            x=np.atleast_1d(law.x[rows[i]]).tolist(),
            y=float(law.y[rows[i]]),
            quantities={name: float(value[i]) for name, value in values.items()},
            weight=float(weight[i]),
        )
        for i in order
    ]
    return points, len(rows)


def _half(quantity: Quantity) -> float:
    """Half of the interval; 1 where there is none, so that changes are compared as they are."""
    half = 0.5 * (quantity.high - quantity.low)
    return half if np.isfinite(half) and half > 0 else 1.0


def _screened(law: LawFit) -> NDArray[np.intp]:
    """The points whose absence moves the inner parameters most, by one step from the fit, in units of all the steps."""
    _, derivative, slopes = solver.point_losses(law.data, law.theta[None])
    J = np.array([np.broadcast_to(slope, derivative.shape)[0] for slope in slopes])
    steps = np.linalg.pinv(J @ J.T) @ (J * derivative[0])
    size = np.abs(steps / (steps.std(axis=1, keepdims=True) + 1e-300)).max(axis=0)
    return np.argsort(-size, kind="stable")[:SCREENED]
