"""A regression of Brain-Score's, fitted on row numbers from inner products or features of a layer.

Fitted on all training images it gives what scikit-learn gives; on some, what scikit-learn gives on those alone.
Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from brainscore_vision.metrics.regression_correlation import metric as stock
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge, RidgeCV

from neuroscaling.brainscore.row_numbers import AlignedSplit, View
from neuroscaling.core.counting import counted
from neuroscaling.regression.cross_validation import Fold
from neuroscaling.regression.dual_ridge import DualRidge, DualRidgeCV, ridge_splits
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.mapping_images import mapping_ranks
from neuroscaling.regression.pls import KernelPLS, n_components_on, pls_splits_counted
from neuroscaling.regression.scores import varies
from neuroscaling.regression.similarity import nearest_units

Layered = str | Sequence[str]
"""One layer, or one for each split in the order of the splits."""
Inputs = Features | Gram | np.ndarray
"""What an estimator reads of a layer: of `NearestUnits` the values themselves, (rows, p)."""
EstimatorMaker = Callable[[Any, int | None], Any]
"""Inputs of a layer, and the number of mapping images (None: all that there are) -> the estimator on rows."""


def estimator_maker(regression: Any) -> EstimatorMaker | None:
    """Of a regression as Brain-Score holds it, what makes the estimator that equals it; None for others.

    Of few images partial least squares is asked for fewer components (`n_components_on`).
    """
    match regression:
        case PLSRegression(scale=False):
            return lambda inputs, n: KernelPLS(inputs, components_asked(regression, n))
        case RidgeCV(cv=None, scoring=None, fit_intercept=True, alpha_per_target=False):
            return lambda inputs, n: DualRidgeCV(inputs, regression.alphas)
        case stock.DualRidgeCVRegression() if not regression._ridgecv_kwargs:
            return lambda inputs, n: DualRidgeCV(inputs, regression.alphas)
        case Ridge(fit_intercept=True) | stock.DualRidgeRegression():
            return lambda inputs, n: DualRidge(inputs, regression.alpha)
        case stock.SingleRegression():
            return lambda inputs, n: NearestUnits(inputs)
    return None


def components_asked(regression: Any, n_images: int | None) -> int:
    """Components that partial least squares is asked for on `n_images`, or on all training images."""
    return regression.n_components if n_images is None else n_components_on(n_images, regression.n_components)


def inputs_of(regression: Any, view: View, layer: str) -> Inputs:
    """What the estimator of a regression reads of a layer, for all stimuli of the view."""
    return view.values(layer) if isinstance(regression, stock.SingleRegression) else view.inputs(layer)


def inputs_of_few(inputs: Inputs, by_split: bool) -> Inputs:
    """What estimators on few of the rows read, when splits draw rows of their own: inner products, which all share.

    Each split would multiply out nearly the same ones.
    """
    return inputs.as_gram if isinstance(inputs, Features) and by_split else inputs


def taken(inputs: Features | np.ndarray, rows: np.ndarray) -> Features | np.ndarray:
    """The features of `rows` alone, in their order."""
    return Features(inputs.values[rows]) if isinstance(inputs, Features) else inputs[rows]


Together = Callable[..., Sequence[tuple[np.ndarray, int | None]]]
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


def _ridge_together(
    alpha: float, features: Features | Gram, targets: np.ndarray, splits: Sequence[Fold]
) -> list[tuple[np.ndarray, None]]:
    return [(predictions, None) for predictions in ridge_splits(features, targets, splits, alpha)]


@dataclass(frozen=True)
class _Fit:
    """A fit of the rows `train` of a layer to their targets (rows, m); estimator: None before the test rows are known.

    On some of the images a fit waits for its test rows: it then reads these rows of the layer alone.
    """

    layer: str
    train: np.ndarray
    targets: np.ndarray
    estimator: Any


class KernelRegression:
    """A regression of Brain-Score's on assemblies of row numbers, fitted on rows with an estimator of a layer.

    theirs: Brain-Score's own, which `estimator_maker` knows; view: whose rows it is fitted on; by_split: whether fits
    are those of splits, which each draw their own subset of images, or of subjects, which have the same. `used`: the
    layers of the fits since `begin`; `components`: the PLS components that each found, None of other estimators;
    `asked`: the components that it was asked for.
    """

    def __init__(self, theirs: Any, view: View, by_split: bool):
        make = estimator_maker(theirs)
        assert make is not None
        self._make = make
        self._together = together_maker(theirs)
        self._theirs = theirs
        self._view = view
        self._by_split = by_split
        self._values: tuple[Any, Any] = (None, None)
        self._taken: tuple[Any, Any] = (None, None)
        self._ranks: dict[tuple[int, bytes], np.ndarray] = {}
        self._kept: tuple[str | None, Any] = (None, None)

    def begin(self, layers: Layered, n_images: int | None = None) -> None:
        """Fit from now on in `layers`, one or one for each fit, on `n_images` mapping images; on all without them."""
        self._layers, self._n_images = layers, n_images
        self.used: list[str] = []
        self.components: list[int | None] = []
        self._kept = (None, None)

    @property
    def asked(self) -> int | None:
        """Components that partial least squares is asked for; None of other regressions."""
        pls = isinstance(self._theirs, PLSRegression)
        return components_asked(self._theirs, self._n_images) if pls else None

    def fit(self, source: Any, target: Any) -> "KernelRegression":
        """Fit targets (rows, m) on the rows of `source`, row numbers (rows, 2), in the next layer."""
        rows, targets = self._view.rows(source), np.asarray(target, dtype=np.float64)
        layer = self._next_layer()
        if self._n_images is not None:
            chosen = self._few_of(rows)
            self._fit = _Fit(layer, rows[chosen], targets[chosen], None)
            return self
        if layer != self._kept[0]:
            self._kept = layer, self._make(self._inputs(layer), None)
        self._fit = _Fit(layer, rows, targets, self._kept[1])
        self._fitted(self._fit.estimator, rows, targets)
        return self

    def predict(self, source: Any) -> np.ndarray:
        """Predictions (rows, m) of the last fit."""
        rows = self._view.rows(source)
        if self._n_images is None:
            return self._fit.estimator.predict(rows)
        return self._predicted_from_few(self._fit.layer, self._fit.train, self._fit.targets, rows)

    def predict_splits(
        self,
        numbers: np.ndarray,
        values: np.ndarray,
        splits: Sequence[AlignedSplit],
        labels: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """Held-out predictions of each split: `fit` and `predict` of one after another, together where possible.

        labels: of the rows of `values`, which subsets of the images balance.
        """
        self._view.focus(numbers)
        self._kept = (None, None)
        if self._n_images is not None:
            return list(self._from_few(numbers, values, splits, labels))
        rows = self._view.rows(numbers)
        if self._together is None or len(np.unique(rows)) < len(rows):
            return [
                self.fit(numbers[s.source_train], values[s.target_train]).predict(numbers[s.source_test])
                for s in counted(splits, "split")
            ]
        targets = np.empty(values.shape)
        for split in splits:
            targets[rows[split.source_train]] = values[split.target_train]
            targets[rows[split.source_test]] = values[split.target_test]
        folds = [(rows[split.source_train], rows[split.source_test]) for split in splits]
        layers = [self._next_layer() for _ in folds]
        found: list = [(None, None)] * len(folds)
        for layer in counted(dict.fromkeys(layers), "layer"):
            own = [i for i, other in enumerate(layers) if other == layer]
            together = self._together(self._inputs(layer), targets, [folds[i] for i in own])
            for i, result in zip(own, together, strict=True):
                found[i] = result
        self.components += [components for _, components in found]
        return [predictions for predictions, _ in found]

    @property
    def alpha_(self) -> float:
        """Penalty that the last fit selected; AttributeError where nothing is selected, as scikit-learn has it."""
        return self._fit.estimator.alpha_

    def _from_few(
        self, numbers: np.ndarray, values: np.ndarray, splits: Sequence[AlignedSplit], labels: np.ndarray | None
    ) -> Iterator[np.ndarray]:
        rows = self._view.rows(numbers)
        for split in counted(splits, "split"):
            layer, train = self._next_layer(), rows[split.source_train]
            chosen = self._few_of(train, None if labels is None else labels[split.target_train])
            targets = np.asarray(values[split.target_train[chosen]], dtype=np.float64)
            yield self._predicted_from_few(layer, train[chosen], targets, rows[split.source_test])

    def _few_of(self, train: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Which of the rows `train` are those of the mapping images; one order serves all numbers of them."""
        key = self._seed(), train.tobytes()
        if key not in self._ranks:
            self._ranks[key] = mapping_ranks(train, self._seed(), labels)
        return np.flatnonzero(self._ranks[key] < (self._n_images or 0))

    def _predicted_from_few(self, layer: str, train: np.ndarray, targets: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Predictions of the rows `test`, fitted on the rows `train`: no other row is read.

        NaN for targets that don't vary in so few images: no mapping knows anything of them.
        """
        inputs = inputs_of_few(self._inputs(layer), self._by_split)
        if not isinstance(inputs, Gram):
            inputs = self._taken_rows(inputs, layer, np.concatenate([train, test]))
            train, test = np.arange(len(train)), np.arange(len(train), len(train) + len(test))
        estimator = self._make(inputs, self._n_images)
        self._fit = _Fit(layer, train, targets, estimator)
        varying = varies(targets)
        predictions = np.full((len(test), targets.shape[1]), np.nan)
        if not varying.any():
            self.components.append(None)
            return predictions
        self._fitted(estimator, train, targets[:, varying])
        predictions[:, varying] = estimator.predict(test)
        return predictions

    def _taken_rows(self, inputs: Features | np.ndarray, layer: str, rows: np.ndarray) -> Features | np.ndarray:
        """Features of `rows` alone, kept for the next fit: subjects share their rows."""
        key = layer, self._view.seen, rows.tobytes()
        if self._taken[0] != key:
            self._taken = (None, None)
            self._taken = key, taken(inputs, rows)
        return self._taken[1]

    def _fitted(self, estimator: Any, rows: np.ndarray, targets: np.ndarray) -> None:
        estimator.fit(rows, targets)
        self.components.append(getattr(estimator, "n_found", None))

    def _inputs(self, layer: str) -> Inputs:
        """Inputs of a layer; values, which the view reads anew each time, are kept for the next fit."""
        if not isinstance(self._theirs, stock.SingleRegression):
            return self._view.inputs(layer)
        key = layer, self._view.seen
        if self._values[0] != key:
            self._values = (None, None)  # before the next are read, so that one layer is held at a time
            self._values = key, self._view.values(layer)
        return self._values[1]

    def _seed(self) -> int:
        return len(self.used) - 1 if self._by_split else 0

    def _next_layer(self) -> str:
        self.used.append(self._layers if isinstance(self._layers, str) else self._layers[len(self.used)])
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
