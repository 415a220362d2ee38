"""Partial least squares on rows of stimuli, equal to scikit-learn's PLSRegression(n_components, scale=False).

Equal where the features have that many components. Of a layer with fewer (dead units, copies) scikit-learn goes on with
what rounding left of it and predicts noise; here the components end, and their number is told. Two forms of one
algorithm (nipals.py): covariances of features where features are few, inner products of stimuli where they are many.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neuroscaling.regression.cross_validation import Fold
from neuroscaling.regression.features import Features, Fit, check_numbers, is_primal, products_of
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.pls_dual import fit_dual
from neuroscaling.regression.pls_primal import fit_primal

# A copy of the training rows' inner products pays where they are this share of all rows, or less.
COPY_BELOW = 0.8


def n_components_on(n_images: int, most: int) -> int:
    """Components to ask for on few images: `most`, or a third of the images where those are fewer, at least 1.

    As many components as images would reproduce the responses to them, noise included.
    """
    return max(1, min(most, n_images // 3))


class KernelPLS:
    """PLSRegression(n_components, scale=False) on row numbers of `features`.

    Raises ValueError for less than one component. Where targets or features are used up earlier, `fit` finds fewer
    components: scikit-learn, which goes on with what rounding left of the features, has then no reproducible answer.
    """

    def __init__(self, features: Features | Gram, n_components: int = 25) -> None:
        if n_components < 1:
            raise ValueError(f"{n_components} components: at least 1")
        self.features = features
        self.n_components = n_components
        self.n_iter_: list[int] = []

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> "KernelPLS":
        """Fit on `rows` (any order, repeats allowed) with targets (len(rows), m), row by row.

        Sets `n_iter_`, the power iterations of each component. Raises ValueError for faulty shapes or numbers.
        """
        rows, targets = np.asarray(rows), np.asarray(targets, dtype=np.float64)
        check_numbers(self.features, rows, targets)
        self._fit, self.n_iter_ = _fit_one(self.features, rows, targets, self.n_components)
        return self

    @property
    def n_found(self) -> int:
        """Components that the last fit found: fewer than asked for where targets or features were used up."""
        return len(self.n_iter_)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predictions (len(rows), m)."""
        return self._fit.predict(np.asarray(rows))


def pls_splits(
    features: Features | Gram, targets: np.ndarray, splits: Sequence[Fold], n_components: int = 25
) -> list[np.ndarray]:
    """Held-out predictions (test rows, m) of each (training rows, test rows), as `KernelPLS` gives them one by one.

    targets: (n, m), a row for each stimulus. The splits share their products with all targets and each pass over the
    inner products. Raises ValueError for faulty shapes or numbers.
    """
    return [predictions for predictions, _ in pls_splits_counted(features, targets, splits, n_components)]


def pls_splits_counted(
    features: Features | Gram, targets: np.ndarray, splits: Sequence[Fold], n_components: int = 25
) -> list[tuple[np.ndarray, int]]:
    """As `pls_splits`, each split's predictions with the number of components that were found."""
    targets = np.asarray(targets, dtype=np.float64)
    everything = np.arange(len(targets))
    check_numbers(features, everything, targets)
    together = [len(np.unique(train)) == len(train) >= COPY_BELOW * len(targets) for train, _ in splits]
    if not all(together):
        fits = [_fit_one(features, train, targets[train], n_components) for train, _ in splits]
    else:
        fits = _fit_together(features, targets, [train for train, _ in splits], n_components)
    return [(fit.predict(test), len(iterations)) for (fit, iterations), (_, test) in zip(fits, splits, strict=True)]


def _fit_together(
    features: Features | Gram, targets: np.ndarray, row_sets: list[np.ndarray], n_components: int
) -> list[tuple[Fit, list[int]]]:
    if is_primal(features, min(len(rows) for rows in row_sets)):
        return fit_primal(features, targets, row_sets, n_components)
    products = products_of(features)
    # Each training set holds two (m, n) arrays: no more at a time than fit into the memory of the inner products.
    size = max(1, len(products) // (2 * targets.shape[1]))
    groups = [row_sets[start : start + size] for start in range(0, len(row_sets), size)]
    return [fit for group in groups for fit in fit_dual(products, targets, group, n_components)]


def _fit_one(
    features: Features | Gram, rows: np.ndarray, targets: np.ndarray, n_components: int
) -> tuple[Fit, list[int]]:
    n = _count(features)
    if len(rows) > COPY_BELOW * n and len(np.unique(rows)) == len(rows):
        padded = np.tile(targets.mean(0), (n, 1))
        padded[rows] = targets
        return _fit_together(features, padded, [rows], n_components)[0]
    everything = np.arange(len(rows))
    if is_primal(features, len(rows)):
        fit, iterations = fit_primal(Features(features.values[rows]), targets, [everything], n_components)[0]
        return replace(fit, source=features.values), iterations
    products = products_of(features)
    fit, iterations = fit_dual(products[np.ix_(rows, rows)], targets, [everything], n_components)[0]
    return replace(fit, source=products, columns=rows), iterations


def _count(features: Features | Gram) -> int:
    return len(features.values if isinstance(features, Features) else features.products)
