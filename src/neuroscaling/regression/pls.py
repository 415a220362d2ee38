"""Partial least squares from inner products alone, equal to scikit-learn's to rounding.

scikit-learn's NIPALS (mode A, deflation of the targets) sees the features only through K = X X'. With Yd the deflated
targets and S = Yd' K_d Yd, one step of its power iteration is c <- S c, and its stopping rule
||w_new - w_old||^2 < tol reads 2 - 2 c_old' S c / (|X'u| |X'u_old|) < tol: O(m^2) instead of O(n p). Replaying start
and stop gives the same number of iterations; the leading eigenvector of S would be 4e-3 off in the predictions.
Dual coefficients: Rosipal and Trejo, J. Mach. Learn. Res. 2 (2001) 97-123.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np

from neuroscaling.regression.features import Features

EPS = float(np.finfo(np.float64).eps)
RANK_TOLERANCE = 1e-12


@dataclass(frozen=True)
class PLS:
    """Dual coefficients (n, m) over the training rows, and the power iterations of each component that was found."""

    dual: np.ndarray
    iterations: list[int]


def pls_predict(features: Features, targets: np.ndarray, train: np.ndarray, test: np.ndarray, n_components: int = 25):
    """Predictions (test, m) for `targets` (n, m): PLSRegression(n_components, scale=False) fitted on `train`."""
    mean = targets[train].mean(0)
    if features.prefer_gram(train):
        gram, test_gram = features.grams(train, test)
        fit = kernel_pls(lambda values: gram @ values, targets[train] - mean, n_components)
        return test_gram @ fit.dual + mean
    train_rows, test_rows = features.rows(train, test)
    fit = kernel_pls(lambda values: train_rows @ (train_rows.T @ values), targets[train] - mean, n_components)
    return test_rows @ (train_rows.T @ fit.dual) + mean


def kernel_pls(
    times_gram: Callable[[np.ndarray], np.ndarray],
    targets: np.ndarray,
    n_components: int = 25,
    tol: float = 1e-6,
    max_iter: int = 500,
) -> PLS:
    """PLS given K only as a function V -> K V (K: centred training Gram matrix, n x n).

    targets: centred, (n, m) float64. Fewer components come back when the targets or the features are used up first.
    """
    residual = targets.copy()
    deflated = times_gram(residual)  # P K Yd, where P takes out the components found so far
    scores, target_scores, gram_scores = (np.empty((n_components, len(targets))) for _ in range(3))
    iterations: list[int] = []
    first_power = None
    for a in range(n_components):
        peaks = np.abs(residual).max(0)
        residual[:, peaks < 10 * EPS] = 0.0
        power = np.vdot(residual, deflated)
        first_power = power if first_power is None else first_power
        if not (peaks >= 10 * EPS).any() or power <= RANK_TOLERANCE * first_power:
            break
        weights, n_iter = _power_iteration(residual.T @ deflated, int(np.argmax(peaks >= 10 * EPS)), tol, max_iter)
        target_scores[a] = residual @ weights
        scores[a] = _orthonormal(deflated @ weights, scores[:a])
        gram_scores[a] = times_gram(scores[a])
        loading = scores[a] @ residual
        residual -= np.multiply.outer(scores[a], loading)
        deflated -= np.multiply.outer(_orthogonal(gram_scores[a], scores[:a]), loading)
        deflated -= np.multiply.outer(scores[a], scores[a] @ deflated)
        iterations.append(n_iter)
    found = len(iterations)
    return PLS(_dual(scores[:found], target_scores[:found], gram_scores[:found], targets), iterations)


def _power_iteration(power: np.ndarray, start: int, tol: float, max_iter: int) -> tuple[np.ndarray, int]:
    """Target weights (m,) of one component and scikit-learn's number of iterations for it.

    With c the old weights and c' = Sc / |Sc| the new ones, c' S c is |Sc|: what the stopping rule needs is at hand.
    """
    weights = np.zeros(len(power))
    weights[start] = 1.0
    old_norm = old_length = None
    for n_iter in range(1, max_iter + 1):
        image = power @ weights
        norm = sqrt(max(weights.dot(image), 0.0))
        converged = old_norm is not None and 2 - 2 * old_length / (norm * old_norm) < tol if norm else True
        if converged or len(power) == 1 or n_iter == max_iter:
            return weights, n_iter
        old_norm, old_length = norm, sqrt(image.dot(image))
        weights = image / old_length
    raise ValueError("max_iter must be at least 1")


def _orthogonal(vector: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return vector - (basis @ vector) @ basis


def _orthonormal(vector: np.ndarray, basis: np.ndarray) -> np.ndarray:
    vector = _orthogonal(vector, basis)
    return vector / np.linalg.norm(vector)


def _dual(scores: np.ndarray, target_scores: np.ndarray, gram_scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if not len(scores):
        return np.zeros_like(targets)
    return target_scores.T @ np.linalg.solve(gram_scores @ target_scores.T, scores @ targets)
