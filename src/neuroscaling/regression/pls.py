"""Partial least squares from inner products alone, equal to scikit-learn's to rounding.

scikit-learn's NIPALS (mode A, deflation of the targets) sees the features only through K = X X'. With Yd the deflated
targets and S = Yd' K_d Yd, one step of its power iteration is c <- S c, and its stopping rule
||w_new - w_old||^2 < tol reads 2 - 2 c_old' S c / (|X'u| |X'u_old|) < tol: O(m^2) instead of O(n p). Replaying start
and stop gives the same number of iterations; the leading eigenvector of S would be 4e-3 off in the predictions.
Dual coefficients: Rosipal and Trejo, J. Mach. Learn. Res. 2 (2001) 97-123.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    times_residual = times_gram(residual)
    first_power = None
    scores, target_scores, gram_scores, iterations = [], [], [], []
    for _ in range(n_components):
        residual[:, np.all(np.abs(residual) < 10 * EPS, axis=0)] = 0.0
        basis = np.array(scores).T if scores else np.empty((len(targets), 0))
        deflated = times_residual - basis @ (basis.T @ times_residual)
        start = np.any(np.abs(residual) > EPS, axis=0)
        power = float(np.einsum("ij,ij->", residual, deflated))
        first_power = power if first_power is None else first_power
        if not start.any() or power <= RANK_TOLERANCE * first_power:
            break
        weights, n_iter = _power_iteration(residual.T @ deflated, int(np.argmax(start)), tol, max_iter)
        score = deflated @ weights
        score -= basis @ (basis.T @ score)
        score /= np.linalg.norm(score)
        gram_score, loading = times_gram(score), score @ residual
        target_scores.append(residual @ weights)
        residual = residual - np.outer(score, loading)
        times_residual = times_residual - np.outer(gram_score, loading)
        scores.append(score)
        gram_scores.append(gram_score)
        iterations.append(n_iter)
    return PLS(_dual(scores, target_scores, gram_scores, targets), iterations)


def _power_iteration(power: np.ndarray, start: int, tol: float, max_iter: int) -> tuple[np.ndarray, int]:
    """Target weights (m,) of one component and scikit-learn's number of iterations for it."""
    weights = np.zeros(len(power))
    weights[start] = 1.0
    old = old_norm = None
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        image = power @ weights
        norm = np.sqrt(max(weights @ image, 0.0))
        if norm == 0.0:
            break
        if len(power) == 1 or (old is not None and 2 - 2 * (old @ image) / (norm * old_norm) < tol):
            break
        old, old_norm = weights, norm
        weights = image / np.linalg.norm(image)
    return weights, n_iter


def _dual(scores: list, target_scores: list, gram_scores: list, targets: np.ndarray) -> np.ndarray:
    if not scores:
        return np.zeros_like(targets)
    scores, target_scores, gram_scores = (np.array(part).T for part in (scores, target_scores, gram_scores))
    return target_scores @ np.linalg.solve(gram_scores.T @ target_scores, scores.T @ targets)
