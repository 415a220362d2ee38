"""Ridge regression with one penalty per target chosen by cross-validation.

Two engines with one answer: himalaya (the field's library; Dupre la Tour and others, NeuroImage 2022), and an exact one
that decomposes each training set once, by features or by stimuli, whichever are fewer, and so serves many small sweeps.
Features and targets are centred with each training set's own means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuroscaling.regression.features import Features
from neuroscaling.regression.folds import Fold
from neuroscaling.regression.scores import r_squared

SEARCH_GRID = np.logspace(-4, 4, 9)
BATCH_NUMBERS = 10**8


@dataclass(frozen=True)
class Ridge:
    """Coefficients (p, t), intercepts (t,), penalties (t,) and the cross-validated R^2 of that penalty (t,)."""

    coefficients: np.ndarray
    intercepts: np.ndarray
    alphas: np.ndarray
    cv_scores: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predictions (n, t) for features (n, p)."""
        return features @ self.coefficients + self.intercepts


class Spectrum(NamedTuple):
    """A training set's eigenbasis: predictions for the test rows are `test @ (targets / (values + alpha)) + mean`."""

    values: np.ndarray
    test: np.ndarray
    targets: np.ndarray
    mean: np.ndarray

    def predict(self, alphas: np.ndarray | float) -> np.ndarray:
        """Predictions (test rows, t), with one penalty for all targets or one for each."""
        return self.test @ (self.targets / (self.values[:, None] + alphas)) + self.mean


def ridge_cv(
    features: np.ndarray, targets: np.ndarray, alphas: np.ndarray, folds: Sequence[Fold], engine: str = "himalaya"
) -> Ridge:
    """Fit ridge with a penalty for each target: the one with the best R^2 averaged over `folds`; refit on all rows.

    features (n, p), targets (n, t), penalties ascending; engine: "himalaya" or "exact". Returns a `Ridge`.
    """
    if engine == "himalaya":
        return _himalaya(features, targets, alphas, folds)
    n = np.arange(len(features))
    shared = Features.of(features)
    cv_scores = cv_curve(shared, targets, n, alphas, folds)
    best = alphas[cv_scores.argmax(0)]
    coefficients = _coefficients(features, targets, best)
    intercepts = targets.mean(0) - features.mean(0) @ coefficients
    return Ridge(coefficients, intercepts, best, cv_scores.max(0))


def cv_curve(
    features: Features, targets: np.ndarray, rows: np.ndarray, alphas: np.ndarray, folds: Sequence[Fold]
) -> np.ndarray:
    """Cross-validated R^2 (alphas, t) inside `rows`; `folds` are positions in `rows`."""
    scores = np.zeros((len(alphas), targets.shape[1]))
    for train, held_out in folds:
        spectrum = decompose(features, targets, rows[train], rows[held_out])
        for i, alpha in enumerate(alphas):
            scores[i] += r_squared(spectrum.predict(alpha), targets[rows[held_out]]) / len(folds)
    return scores


def decompose(features: Features, targets: np.ndarray, train: np.ndarray, test: np.ndarray) -> Spectrum:
    """The eigenbasis of the centred training rows, through whichever is smaller: features or stimuli."""
    mean = targets[train].mean(0)
    if features.prefer_gram(train):
        gram, test_gram = features.grams(train, test)
        values, vectors = np.linalg.eigh(gram)
        left, right = test_gram @ vectors, vectors.T @ (targets[train] - mean)
    else:
        train_rows, test_rows = features.rows(train, test)
        values, vectors = np.linalg.eigh(train_rows.T @ train_rows)
        left, right = test_rows @ vectors, vectors.T @ (train_rows.T @ (targets[train] - mean))
    return Spectrum(np.maximum(values, 0.0), left, right, mean)


def relative_alphas(features: Features, rows: np.ndarray, grid: np.ndarray = SEARCH_GRID) -> np.ndarray:
    """Penalties in units of the mean squared length of the centred `rows`: one grid suits features of any scale."""
    values = features.values[rows]
    return grid * max(float(((values - values.mean(0)) ** 2).sum()) / len(rows), np.finfo(np.float64).tiny)


def _coefficients(features: np.ndarray, targets: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    x, y = features - features.mean(0), targets - targets.mean(0)
    if x.shape[1] <= x.shape[0]:
        values, vectors = np.linalg.eigh(x.T @ x)
        return vectors @ ((vectors.T @ (x.T @ y)) / (np.maximum(values, 0)[:, None] + alphas))
    values, vectors = np.linalg.eigh(x @ x.T)
    return x.T @ (vectors @ ((vectors.T @ y) / (np.maximum(values, 0)[:, None] + alphas)))


def _himalaya(features: np.ndarray, targets: np.ndarray, alphas: np.ndarray, folds: Sequence[Fold]) -> Ridge:
    from himalaya.backend import set_backend
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import r2_score

    set_backend("numpy")
    # himalaya holds penalties x features x rows and penalties x rows x targets at once: bound both.
    n_alphas = int(np.clip(BATCH_NUMBERS // features.size, 1, len(alphas)))
    n_targets = int(max(BATCH_NUMBERS // (len(features) * n_alphas), 1))
    batches = {"n_alphas_batch": n_alphas, "n_targets_batch": n_targets}
    parameters = {"score_func": r2_score, "warn": False, **batches}
    model = RidgeCV(alphas=alphas, fit_intercept=True, cv=_Splitter(folds), solver_params=parameters)
    model.fit(features, targets)
    return Ridge(model.coef_, model.intercept_, model.best_alphas_, model.cv_scores_)


@dataclass(frozen=True)
class _Splitter:
    """Given folds in the form that scikit-learn's check_cv accepts."""

    folds: Sequence[Fold]

    def split(self, X=None, y=None, groups=None):
        return iter(self.folds)

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        return len(self.folds)
