"""Losses of residuals r = law - data. The form says what r is: of ln(1 - score) for `power_law`, else of the score.

huber (delta 1e-3, a sum as published by Gokce & Schrimpf 2025): nearly an L1 loss of the log misalignment; robust, for
`power_law`. least_squares: for the forms of the score itself. Both are sums over points, so that integer weights mean
repeated points; a mean would change where an optimiser stops.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neuroscaling.errors import DataError, Problem, nearest

Array = NDArray[np.float64]
DELTA = 1e-3


def huber(residuals: Array) -> tuple[Array, Array]:
    """Huber value and derivative of each residual: r^2 / 2 within DELTA, DELTA (|r| - DELTA / 2) beyond."""
    size = np.abs(residuals)
    clipped = np.clip(residuals, -DELTA, DELTA)
    return np.abs(clipped) * (size - 0.5 * np.abs(clipped)), clipped


def least_squares(residuals: Array) -> tuple[Array, Array]:
    """Half the square of each residual, and its derivative."""
    return 0.5 * residuals**2, residuals


LOSSES: dict[str, Callable[[Array], tuple[Array, Array]]] = {"huber": huber, "least_squares": least_squares}


def loss_by_name(name: str) -> Callable[[Array], tuple[Array, Array]]:
    """The loss called `name`. Raises DataError with the nearest name when there is none."""
    if name not in LOSSES:
        raise DataError(Problem("unknown loss", "loss", name, ", ".join(LOSSES), nearest(name, LOSSES)))
    return LOSSES[name]
