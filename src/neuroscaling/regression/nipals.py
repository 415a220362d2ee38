"""The power iteration of scikit-learn's NIPALS, replayed on the m targets alone.

scikit-learn's NIPALS (mode A, deflation of the targets) sees the features only through K = X X'. With Yd the deflated
targets and S = Yd' K Yd, one step of its power iteration is c <- S c, and its stopping rule
||w_new - w_old||^2 < tol reads 2 - 2 c_old' S c / (|X'u| |X'u_old|) < tol: O(m^2) instead of O(n p). Replaying start
and stop gives the same number of iterations; the leading eigenvector of S would be 4e-3 off in the predictions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import frexp, sqrt

import numpy as np
from scipy.linalg.blas import dsymv, dsyr2

TOLERANCE = 1e-6
MAX_ITERATIONS = 500
AT_ONCE = 8
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


@dataclass(frozen=True)
class Power:
    """S (m, m), of which the lower triangle alone is kept up to date, times `scale`.

    Scaled by a power of 2 to a trace near 1, so that several steps without a norm between them stay in the range of
    numbers: no digit changes, and neither does the stopping rule.
    """

    matrix: np.ndarray
    scale: float

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Power":
        """From S itself, which is overwritten."""
        scale = 2.0 ** -frexp(np.trace(matrix))[1]
        matrix *= scale
        return cls(np.asfortranarray(matrix), scale)

    def times(self, weights: np.ndarray, image: np.ndarray) -> None:
        """Write S c, times the scale, into `image`."""
        dsymv(1.0, self.matrix, weights, y=image, overwrite_y=1, lower=1)

    def deflate(self, loading: np.ndarray, half: np.ndarray) -> None:
        """S -= l h' + h l', in place."""
        dsyr2(-self.scale, loading, half, a=self.matrix, overwrite_a=1, lower=1)


def power_iteration(
    times_power: Callable[[np.ndarray, np.ndarray], None],
    n_targets: int,
    start: int,
    tol: float = TOLERANCE,
    max_iter: int = MAX_ITERATIONS,
    at_once: int = AT_ONCE,
) -> tuple[np.ndarray, int]:
    """Target weights (m,) of one component, and scikit-learn's number of iterations for it.

    times_power: writes a multiple of S c, the same each time, into its second argument; at_once: steps that are made
    before their norms are looked at, which costs more than a step of few targets. With v the weights times any number
    and v' = S v, the stopping rule is 2 - 2 v'v / sqrt(v'Sv v_old'v) < tol: what it needs is at hand.
    """
    iterates = np.zeros((at_once + 1, n_targets))
    iterates[0, start] = 1.0
    if n_targets == 1:
        return iterates[0], 1
    n_iter, before = 0, 0.0
    while True:
        for old, new in pairwise(iterates):
            times_power(old, new)
        crossed = iterates @ iterates.T
        squares, products = crossed.diagonal().tolist(), crossed.diagonal(1).tolist()
        for step, product in enumerate(products):
            n_iter += 1
            ended = n_iter == max_iter or product <= 0
            if ended or (n_iter > 1 and 2 - 2 * squares[step] / sqrt(product * before) < tol):
                return iterates[step] / sqrt(squares[step]), n_iter
            before = product
        before /= squares[-1]
        iterates[0] = iterates[-1] / sqrt(squares[-1])
