"""Brain-Score's regressions on row numbers: which estimator stands for which, and how a metric calls it.

Import after `neuroscaling.brainscore.environment.prepare`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from brainscore_vision.metrics.regression_correlation import metric as stock
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge, RidgeCV

from neuroscaling.brainscore.splits import AlignedSplit
from neuroscaling.brainscore.tokens import View
from neuroscaling.regression.dual_ridge import DualRidge, DualRidgeCV, ridge_splits
from neuroscaling.regression.pls import KernelPLS, pls_splits_counted
from neuroscaling.regression.similarity import nearest_units

Layered = str | Sequence[str]
"""One layer, or one for each split in the order of the splits."""


def estimator_maker(regression: Any, view: View) -> Callable[[str], Any] | None:
    """Of a regression as Brain-Score holds it: layer -> the estimator on rows that equals it; None for others."""
    match regression:
        case PLSRegression(scale=False):
            return lambda layer: KernelPLS(view.inputs(layer), regression.n_components)
        case RidgeCV(cv=None, scoring=None, fit_intercept=True, alpha_per_target=False):
            return lambda layer: DualRidgeCV(view.inputs(layer), regression.alphas)
        case stock.DualRidgeCVRegression() if not regression._ridgecv_kwargs:
            return lambda layer: DualRidgeCV(view.inputs(layer), regression.alphas)
        case Ridge(fit_intercept=True) | stock.DualRidgeRegression():
            return lambda layer: DualRidge(view.inputs(layer), regression.alpha)
        case stock.SingleRegression():
            return lambda layer: NearestUnits(view.values(layer))
    return None


Together = Callable[..., list[tuple[np.ndarray, int | None]]]
"""Inputs, targets and splits -> predictions of each split, with the number of PLS components that were found."""


def together_maker(regression: Any) -> Together | None:
    """Of a regression as Brain-Score holds it: a function of inputs, targets and splits, for all splits at once.

    It gives what the estimator gives split by split, sharing work between the splits; None where there is none.
    """
    match regression:
        case PLSRegression(scale=False):
            return partial(pls_splits_counted, n_components=regression.n_components)
        case Ridge(fit_intercept=True) | stock.DualRidgeRegression():
            return partial(_ridge_together, regression.alpha)
    return None


def _ridge_together(alpha: float, *arguments: Any) -> list[tuple[np.ndarray, None]]:
    return [(predictions, None) for predictions in ridge_splits(*arguments, alpha=alpha)]


class KernelRegression:
    """A regression of Brain-Score's on token assemblies: fitted on rows with an estimator of a layer.

    layers: one, or one for each call of `fit`, in their order; `used`: the layers of the fits so far; `components`: the
    PLS components that each fit found, None of other estimators; view: whose rows the estimators know; together: the
    predictions of all splits, where they can share work.
    """

    def __init__(
        self,
        estimator_of: Callable[[str], Any],
        layers: Layered,
        view: View,
        together: Together | None = None,
    ):
        self.estimator_of = estimator_of
        self.layers = layers
        self.view = view
        self.together = together
        self.used: list[str] = []
        self.components: list[int | None] = []
        self._layer: str | None = None
        self._fitted: Any = None

    def fit(self, source: Any, target: Any) -> "KernelRegression":
        """Fit targets (rows, m) on the rows of `source`, tokens (rows, 2), in the next layer."""
        layer = self._next_layer()
        if layer != self._layer:
            self._layer, self._fitted = layer, self.estimator_of(layer)
        self._fitted.fit(self.view.rows(source), np.asarray(target, dtype=np.float64))
        self.components.append(getattr(self._fitted, "n_found", None))
        return self

    def predict(self, source: Any) -> np.ndarray:
        """Predictions (rows, m) of the last fit."""
        return self._fitted.predict(self.view.rows(source))

    def predict_splits(self, tokens: np.ndarray, values: np.ndarray, splits: Sequence[AlignedSplit]) -> list:
        """Held-out predictions of each split: `fit` and `predict` of one after another, together where possible."""
        self.view.focus(tokens)
        self._layer = None
        rows = self.view.rows(tokens)
        if self.together is None or len(np.unique(rows)) < len(rows):
            return [
                self.fit(tokens[s.source_train], values[s.target_train]).predict(tokens[s.source_test]) for s in splits
            ]
        targets = np.empty(values.shape)
        for split in splits:
            targets[rows[split.source_train]] = values[split.target_train]
            targets[rows[split.source_test]] = values[split.target_test]
        folds = [(rows[split.source_train], rows[split.source_test]) for split in splits]
        layers = [self._next_layer() for _ in folds]
        found: list = [(None, None)] * len(folds)
        for layer in dict.fromkeys(layers):
            own = [i for i, other in enumerate(layers) if other == layer]
            for i, result in zip(
                own, self.together(self.view.inputs(layer), targets, [folds[i] for i in own]), strict=True
            ):
                found[i] = result
        self.components += [components for _, components in found]
        return [predictions for predictions, _ in found]

    @property
    def alpha_(self) -> float:
        """Penalty that the last fit selected; AttributeError where nothing is selected, as scikit-learn has it."""
        return self._fitted.alpha_

    def _next_layer(self) -> str:
        self.used.append(self.layers if isinstance(self.layers, str) else self.layers[len(self.used)])
        return self.used[-1]


class NearestUnits:
    """Each target predicted by the one feature of `values` (n, p) that correlates most with it in training."""

    def __init__(self, values: np.ndarray):
        self.values = values
        self.units: np.ndarray | None = None

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> None:
        """Find the features for `targets` (rows, m)."""
        self.units = nearest_units(self.values[rows], targets)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Values (rows, m) of those features."""
        return self.values[rows][:, self.units]
