"""Ridge regression on rows of stimuli with one penalty for all targets, equal to scikit-learn's Ridge and RidgeCV.

Everything goes through whichever is smaller, inner products of stimuli or covariances of features, in float64: a
Cholesky factor serves all targets, an eigenbasis all penalties. (scikit-learn's Ridge stays in float32 for float32
features and then loses digits.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh, solve_triangular

from neuroscaling.regression.cross_validation import Fold
from neuroscaling.regression.features import Features, Fit, check_numbers, is_primal, products_of
from neuroscaling.regression.gram import Gram, centre


class DualRidge:
    """Ridge(alpha) on row numbers of `features`. Raises ValueError for a penalty that isn't positive."""

    def __init__(self, features: Features | Gram, alpha: float = 1.0) -> None:
        _check_penalties([alpha])
        self.features = features
        self.alpha = alpha

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> "DualRidge":
        """Fit on `rows` (any order, repeats allowed) with targets (len(rows), m), row by row.

        Raises ValueError for faulty shapes or numbers.
        """
        rows, targets = np.asarray(rows), np.asarray(targets, dtype=np.float64)
        check_numbers(self.features, rows, targets)
        equations = _normal_equations(self.features, rows, targets)
        factor = _factor(equations.matrix, self.alpha)
        self._fit = _map(self.features, rows, equations, cho_solve(factor, equations.right_side))
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predictions (len(rows), m)."""
        return self._fit.predict(np.asarray(rows))


class DualRidgeCV:
    """RidgeCV(alphas) on row numbers of `features`: the penalty with the least squared leave-one-out error.

    The error is averaged over all rows and targets, and among equal ones the first penalty is taken. Raises ValueError
    for no penalties or for one that isn't positive.
    """

    def __init__(self, features: Features | Gram, alphas: Sequence[float]) -> None:
        _check_penalties(alphas)
        self.features = features
        self.alphas = tuple(float(alpha) for alpha in alphas)
        self.alpha_: float | None = None
        self.errors_ = np.full(len(self.alphas), np.nan)

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> "DualRidgeCV":
        """Fit on `rows` (any order, repeats allowed) with targets (len(rows), m), row by row.

        Sets `alpha_` and `errors_`, the mean squared leave-one-out error of each penalty. Raises ValueError for faulty
        shapes or numbers.
        """
        rows, targets = np.asarray(rows), np.asarray(targets, dtype=np.float64)
        check_numbers(self.features, rows, targets)
        equations = _normal_equations(self.features, rows, targets)
        if equations.chosen is None:
            _lift_mean(equations.matrix)
        values, vectors = eigh(equations.matrix, overwrite_a=True, check_finite=False, driver="evd")
        if equations.chosen is None:
            values, vectors = values[:-1], vectors[:, :-1]
        values = np.maximum(values, 0.0)
        self.errors_ = self._leave_one_out(equations, values, vectors, targets - equations.mean)
        self.alpha_ = self.alphas[int(np.argmin(self.errors_))]
        weights = vectors @ ((vectors.T @ equations.right_side) / (values + self.alpha_)[:, None])
        self._fit = _map(self.features, rows, equations, weights)
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predictions (len(rows), m)."""
        return self._fit.predict(np.asarray(rows))

    def _leave_one_out(
        self, equations: "NormalEquations", values: np.ndarray, vectors: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """Mean squared errors (penalties,) when each row is left out, from fits of all rows (Rifkin and Lippert 2007).

        With A = alpha (K + alpha)^-1 less the mean's part, the error of row i is (A y)_i / A_ii.
        """
        n, m = targets.shape
        # Only the squares of a row's errors summed over targets matter: more targets than rows can be turned into n.
        # The types of numpy know one kind of result alone.
        targets = np.asarray(np.linalg.qr(targets.T, mode="r")).T if m > n else targets
        basis = vectors if equations.chosen is None else equations.chosen @ vectors
        projected, squares = basis.T @ targets, basis**2
        errors = []
        for alpha in self.alphas:
            if equations.chosen is None:
                shrink = alpha / (values + alpha)
                residuals, share = basis @ (shrink[:, None] * projected), squares @ shrink
            else:
                shrink = 1 / (values + alpha)
                residuals, share = targets - basis @ (shrink[:, None] * projected), 1 - 1 / n - squares @ shrink
            errors.append(np.einsum("ij,ij,i->", residuals, residuals, share**-2) / (n * m))
        return np.array(errors)


def ridge_splits(
    features: Features | Gram, targets: np.ndarray, splits: Sequence[Fold], alpha: float = 1.0
) -> list[np.ndarray]:
    """Held-out predictions (test rows, m) of each (training rows, test rows), as `DualRidge` gives them one by one.

    Where each split's two sides make up all n rows, one factorisation of all rows serves all splits: with
    A = alpha (K + alpha)^-1 less the mean's part, the errors of rows s left out together are A_ss^-1 (A y)_s.
    targets: (n, m), a row for each stimulus. Raises ValueError for faulty shapes, numbers or penalties.
    """
    _check_penalties([alpha])
    targets = np.asarray(targets, dtype=np.float64)
    everything = np.arange(len(targets))
    check_numbers(features, everything, targets)
    if not all(np.array_equal(np.sort(np.concatenate(split)), everything) for split in splits):
        return [DualRidge(features, alpha).fit(train, targets[train]).predict(test) for train, test in splits]
    equations = _normal_equations(features, everything, targets)
    mean_share = 1.0 if equations.chosen is not None else alpha / (_lift_mean(equations.matrix) + alpha)
    factor = _factor(equations.matrix, alpha)
    residuals = targets - equations.mean
    if equations.chosen is None:
        residuals = alpha * cho_solve(factor, residuals)
    else:
        residuals = residuals - equations.chosen @ cho_solve(factor, equations.right_side)
    predictions = []
    for _, test in splits:
        block = _block(equations, factor, test, len(everything), alpha) - mean_share / len(everything)
        predictions.append(targets[test] - np.linalg.solve(block, residuals[test]))
    return predictions


def _block(equations: "NormalEquations", factor: tuple, rows: np.ndarray, n: int, alpha: float) -> np.ndarray:
    """Rows and columns `rows` of A (see `ridge_splits`), the mean's part included."""
    if equations.chosen is None:
        right = np.zeros((n, len(rows)))
        right[rows, np.arange(len(rows))] = 1.0
        half = solve_triangular(factor[0], right, lower=True, overwrite_b=True, check_finite=False)
        return alpha * (half.T @ half)
    chosen = equations.chosen[rows]
    return np.eye(len(rows)) - chosen @ cho_solve(factor, chosen.T)


def _lift_mean(products: np.ndarray) -> float:
    """Make the mean of all rows, which centring took out, the largest eigenvector, in place; gives its eigenvalue.

    Left at 0, where rounding puts it near 1e-16 of the others, it would cost digits: it is told apart from small
    eigenvalues only by a difference of nearly equal numbers.
    """
    value = 2 * float(np.linalg.norm(products)) or 1.0
    products += value / len(products)
    return value


class NormalEquations(NamedTuple):
    """The normal equations (matrix + alpha) w = right side, of centred training rows.

    matrix: inner products of rows (n, n) or of features (p, p); means: of its columns before centring, or of features;
    mean: of the targets, (m,); chosen: centred features of the rows (n, p), or None where inner products are used.
    """

    matrix: np.ndarray
    right_side: np.ndarray
    means: np.ndarray
    mean: np.ndarray
    chosen: np.ndarray | None


def _normal_equations(features: Features | Gram, rows: np.ndarray, targets: np.ndarray) -> NormalEquations:
    mean = targets.mean(0)
    centred = targets - mean
    if is_primal(features, len(rows)):
        means = features.values[rows].mean(0)
        chosen = features.values[rows] - means
        return NormalEquations(chosen.T @ chosen, chosen.T @ centred, means, mean, chosen)
    products = products_of(features)[np.ix_(rows, rows)]
    means = centre(products)
    return NormalEquations(products, centred, means, mean, None)


def _factor(matrix: np.ndarray, alpha: float) -> tuple[np.ndarray, bool]:
    matrix[np.diag_indices_from(matrix)] += alpha
    # The matrix is symmetric: its transpose is what LAPACK can overwrite without a copy.
    return cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)


def _map(features: Features | Gram, rows: np.ndarray, equations: NormalEquations, weights: np.ndarray) -> Fit:
    if isinstance(features, Features) and equations.chosen is not None:
        return Fit(features.values, equations.means, weights, equations.mean)
    # Their sum is 0 but for rounding, which inner products of features with large means would amplify.
    weights = weights - weights.mean(0)
    return Fit(products_of(features), equations.means, weights, equations.mean, columns=rows)


def _check_penalties(alphas: Sequence[float]) -> None:
    if not len(alphas) or not all(alpha > 0 for alpha in alphas):
        raise ValueError(f"penalties {list(alphas)}: at least one, all above 0")
