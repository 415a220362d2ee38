"""A loss sums the residuals law - data over points, squared or by Huber's rule.

huber: of log misalignments ln(1 - score), delta 1e-3, the loss of Gokce & Schrimpf 2025; in effect an L1 loss, robust.
least_squares: of scores. weighted: of scores, in units of each score's own standard error. All are sums over points, so
that integer weights mean repeated points; a mean would change where an optimiser stops.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, nearest

Array = NDArray[np.float64]
DELTA = 1e-3


@dataclass(frozen=True)
class Loss:
    """A loss: the space of its residuals ("misalignment": ln(1 - score), or "score"), value and derivative of each.

    scale: what a point's loss is divided by before its logarithm is taken; count: logarithms a point (see `deviance`).
    power: by what power of the factor the loss grows when y is multiplied by one.
    """

    name: str
    space: str
    values: Callable[[Array], tuple[Array, Array]] = field(repr=False)
    scale: float
    count: float
    power: int

    def target(self, y: Array) -> Array:
        """Scores y (n,) in the space of the residuals."""
        return np.log1p(-y) if self.space == "misalignment" else y

    def deviance(self, total: Array | float, n: float) -> Array:
        """-2 log-likelihood of n points at the summed loss `total`, up to a constant, with the noise's scale fitted.

        Laplace noise for huber: 2 n ln(total / (n delta)); normal noise for squares: n ln(2 total / n). Floored at what
        float64 can tell from a perfect fit.
        """
        return self.count * n * np.log(np.maximum(total / (n * self.scale), 1e-30))


def huber(residuals: Array) -> tuple[Array, Array]:
    """Huber value and derivative of each residual: r^2 / 2 within DELTA, DELTA (|r| - DELTA / 2) beyond."""
    size = np.abs(residuals)
    clipped = np.clip(residuals, -DELTA, DELTA)
    return np.abs(clipped) * (size - 0.5 * np.abs(clipped)), clipped


def least_squares(residuals: Array) -> tuple[Array, Array]:
    """Half the square of each residual, and its derivative."""
    return 0.5 * residuals**2, residuals


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("huber", "misalignment", huber, DELTA, 2.0, 0),
        Loss("least_squares", "score", least_squares, 0.5, 1.0, 2),
        Loss("weighted", "score", least_squares, 0.5, 1.0, 0),
    )
}


def loss_by_name(name: str) -> Loss:
    """The loss called `name`. Raises DataError with the nearest name when there is none."""
    if name not in LOSSES:
        raise DataError(
            Problem(
                what="unknown loss", where="loss", value=name, allowed=", ".join(LOSSES), nearest=nearest(name, LOSSES)
            )
        )
    return LOSSES[name]
