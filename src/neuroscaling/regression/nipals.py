"""The power iteration of scikit-learn's NIPALS, replayed on the m targets alone.

scikit-learn's NIPALS (mode A, deflation of the targets) sees the features only through K = X X'. With Yd the deflated
targets and S = Yd' K Yd, one step of its power iteration is c <- S c, and its stopping rule
||w_new - w_old||^2 < tol reads 2 - 2 c_old' S c / (|X'u| |X'u_old|) < tol: O(m^2) instead of O(n p). Replaying start
and stop gives the same number of iterations; the leading eigenvector of S would be 4e-3 off in the predictions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np

TOLERANCE = 1e-6
MAX_ITERATIONS = 500
# scikit-learn takes a column of residuals for zero where all of them are below this.
ZERO = 10 * float(np.finfo(np.float64).eps)
# Below this share of a column's squares, what is left of it must be computed: the recurrence has lost its digits.
RESOLVED = 1e-10


@dataclass(frozen=True)
class Remainder:
    """Squares that the components found so far leave of each target, (m,): now, and at the start."""

    now: np.ndarray
    first: np.ndarray
    n_rows: int

    @classmethod
    def of(cls, squares: np.ndarray, n_rows: int) -> "Remainder":
        """From the sums of squares (m,) of centred targets."""
        return cls(squares.copy(), squares, n_rows)

    def reduce(self, loadings: np.ndarray) -> None:
        """Take out a component of unit length with these loadings (m,)."""
        np.subtract(self.now, loadings**2, out=self.now)

    def start(self, residual: Callable[[int], np.ndarray]) -> int | None:
        """The first target that isn't used up, where scikit-learn starts; None where all are.

        residual: gives a target's residuals (n,), which is costly and asked for only where the squares can't tell.
        """
        for target, (now, first) in enumerate(zip(self.now, self.first, strict=True)):
            if sqrt(first) < ZERO:
                continue
            sure = now > RESOLVED * first and now > self.n_rows * ZERO**2
            if sure or np.abs(residual(target)).max() >= ZERO:
                return target
        return None


def power_iteration(
    times_power: Callable[[np.ndarray], np.ndarray],
    n_targets: int,
    start: int,
    tol: float = TOLERANCE,
    max_iter: int = MAX_ITERATIONS,
) -> tuple[np.ndarray, int]:
    """Target weights (m,) of one component, and scikit-learn's number of iterations for it.

    times_power: c -> S c. With c the old weights and c' = Sc / |Sc| the new ones, c' S c is |Sc|: what the stopping
    rule needs is at hand.
    """
    weights = np.zeros(n_targets)
    weights[start] = 1.0
    old_norm = old_length = 0.0
    for n_iter in range(1, max_iter + 1):
        image = times_power(weights)
        norm = sqrt(max(weights.dot(image), 0.0))
        if n_targets == 1 or n_iter == max_iter or not norm:
            break
        if n_iter > 1 and 2 - 2 * old_length / (norm * old_norm) < tol:
            break
        old_norm, old_length = norm, sqrt(image.dot(image))
        weights = image / old_length
    return weights, n_iter
