"""The kernel engine gives Brain-Score's metric objects an inner part that computes from products.

Splits, alignment, aggregation and error bars stay Brain-Score's; the results are those of scikit-learn to rounding.
Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.stats
from brainscore_core import Score
from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords
from brainscore_vision.metric_helpers.transformations import CrossValidation
from brainscore_vision.metric_helpers.xarray_utils import XarrayCorrelation
from brainscore_vision.metrics.cka.metric import CKA, CKACrossValidated
from brainscore_vision.metrics.rdm.metric import RDM, RDMCrossValidated, RDMMetric
from brainscore_vision.metrics.regression_correlation import metric as stock
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge, RidgeCV

from neuroscaling.brainscore.row_numbers import (
    AlignedSplit,
    View,
    aligned_splits,
    check_equal_stimuli,
    holds_row_numbers,
)
from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.regression.cross_validation import Fold
from neuroscaling.regression.dual_ridge import DualRidge, DualRidgeCV, ridge_splits
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.pls import KernelPLS, pls_splits_counted
from neuroscaling.regression.similarity import linear_cka, nearest_units, rdm

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


class KernelRegression:
    """A regression of Brain-Score's on assemblies of row numbers: fitted on rows with an estimator of a layer.

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
        """Fit targets (rows, m) on the rows of `source`, row numbers (rows, 2), in the next layer."""
        layer = self._next_layer()
        if layer != self._layer:
            self._layer, self._fitted = layer, self.estimator_of(layer)
        self._fitted.fit(self.view.rows(source), np.asarray(target, dtype=np.float64))
        self.components.append(getattr(self._fitted, "n_found", None))
        return self

    def predict(self, source: Any) -> np.ndarray:
        """Predictions (rows, m) of the last fit."""
        return self._fitted.predict(self.view.rows(source))

    def predict_splits(self, numbers: np.ndarray, values: np.ndarray, splits: Sequence[AlignedSplit]) -> list:
        """Held-out predictions of each split: `fit` and `predict` of one after another, together where possible."""
        self.view.focus(numbers)
        self._layer = None
        rows = self.view.rows(numbers)
        if self.together is None or len(np.unique(rows)) < len(rows):
            return [
                self.fit(numbers[s.source_train], values[s.target_train]).predict(numbers[s.source_test])
                for s in splits
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


SERVED = "pls, ridge, ridgecv, dual_ridge, dual_ridgecv, neuron_to_neuron (cross-validated or split), rdm, cka"


def use_kernel(benchmark: Any, view: View, layers: Layered) -> None:
    """Let `benchmark` score assemblies of row numbers of `view`, answered by `layers`.

    Raises StudyError for a metric that inner products and features of a layer don't serve, and for one layer a split
    where there are no splits.
    """
    inner = list(metric_parts(benchmark))
    for part, own in zip(inner, _for_parts(layers, inner), strict=True):
        if not hasattr(part, "_rdm"):
            _use_in_metric(part._similarity_metric, part, view, own)
        elif isinstance(part._similarity, CKA):  # compares the assemblies themselves
            part._similarity = KernelCKA(part._similarity, view, one_layer(own, part.identifier))
        else:
            part._rdm = KernelRDM(part._rdm, view, one_layer(own, part.identifier))


def metric_parts(benchmark: Any) -> Iterator[Any]:
    """The benchmarks inside that hold a metric: the sessions of a combined one, else `benchmark`.

    Raises StudyError where there is none that is known.
    """
    inner = getattr(benchmark, "_sessions", None) or [benchmark]
    for part in inner:
        if not hasattr(part, "_rdm") and not hasattr(part, "_similarity_metric"):
            raise StudyError(_not_served(benchmark, type(benchmark).__name__))
        yield part


class KernelSplits(CrossValidation):
    """Brain-Score's cross-validation with its own splits, whose rows are picked by number.

    Made from the cross-validation of a metric and the regression of the same metric. The stock loop looks up each
    stimulus id in a Python list, copies the assemblies and correlates neuroid by neuroid, which takes longer than fits.
    """

    def __init__(self, theirs: CrossValidation, regression: KernelRegression):
        self.__dict__.update(vars(theirs))
        self._regression = regression

    def _run_pipe(self, source: Any, target: Any, apply: Any) -> Score:
        """Correlations (split, neuroid), packaged as the stock loop packages them."""
        check_equal_stimuli(source, target)
        target = target.transpose("presentation", "neuroid")
        numbers, values = source.transpose("presentation", "neuroid").values, target.values
        order = np.argsort(target["neuroid_id"].values, kind="stable")
        splits = list(aligned_splits(self, source, target))
        predictions = self._regression.predict_splits(numbers, values, splits)
        correlations = [
            pearson(values[split.target_test], prediction)[order]
            for split, prediction in zip(splits, predictions, strict=True)
        ]
        coords = {name: (dims, v[order]) for name, dims, v in walk_coords(target) if dims == ("neuroid",)}
        coords["split"] = ("split", np.arange(len(correlations)))
        return Score(np.array(correlations), coords=coords, dims=("split", "neuroid"))


class KernelCorrelation(XarrayCorrelation):
    """Brain-Score's correlation for each neuroid, all neuroids at once."""

    def __init__(self, theirs: XarrayCorrelation):
        self.__dict__.update(vars(theirs))

    def __call__(self, prediction: Any, target: Any) -> Score:
        """Correlations (neuroid,) with all neuroid coordinates of `target`, sorted as the stock ones."""
        keys = [self._correlation_coord, self._neuroid_coord]
        prediction, target = prediction.sortby(keys), target.sortby(keys)
        for key in keys:
            assert (prediction[key].values == target[key].values).all()
        dims = target[self._neuroid_coord].dims
        over = target.dims[1 - target.dims.index(dims[0])]
        values = pearson(target.transpose(over, *dims).values, prediction.transpose(over, *dims).values)
        coords = {name: (own, v) for name, own, v in walk_coords(target) if own == dims}
        return Score(values, coords=coords, dims=dims)


class KernelRDM:
    """Brain-Score's representational dissimilarity matrix of the rows that an assembly numbers, from a Gram matrix."""

    def __init__(self, theirs: RDM, view: View, layer: str):
        self._theirs = theirs
        self._view = view
        self._layer = layer
        self._rdm: np.ndarray | None = None

    def __call__(self, assembly: Any) -> Any:
        """The dissimilarities, packaged as the stock ones; recordings are left to the stock class."""
        packaged = self._theirs(assembly)
        if holds_row_numbers(assembly):
            if self._rdm is None:
                self._rdm = rdm(self._view.gram(self._layer))
            rows = self._view.rows(assembly.transpose("presentation", "neuroid"))
            packaged.values = self._rdm[np.ix_(rows, rows)]
        return packaged


class KernelCKA(CKA):
    """Brain-Score's linear centred kernel alignment of an assembly of row numbers with recordings."""

    def __init__(self, theirs: CKA, view: View, layer: str):
        self.__dict__.update(vars(theirs))
        self._view = view
        self._layer = layer

    def __call__(self, assembly1: Any, assembly2: Any) -> Score:
        """The similarity of the stimuli that both have. One of the assemblies holds row numbers."""
        both = [a.sortby(self._comparison_coord).transpose("presentation", ...) for a in (assembly1, assembly2)]
        ids = [a[self._comparison_coord].values for a in both]
        assert (ids[0] == ids[1]).all()
        first, second = (self._values(a) for a in both)
        return Score(linear_cka(first, second, self._unbiased))

    def _values(self, assembly: Any) -> Features | Gram:
        if not holds_row_numbers(assembly):
            return Features(np.asarray(assembly.values, dtype=np.float64))
        inputs, rows = self._view.inputs(self._layer), self._view.rows(assembly.values)
        return inputs.take(rows) if isinstance(inputs, Gram) else Features(inputs.values[rows])


class LayerOfFit:
    """A regression of Brain-Score's on several layers side by side, of which each fit sees one; for engine `stock`."""

    def __init__(self, theirs: Any, layers: Sequence[str]):
        self._theirs = theirs
        self._layers = layers
        self._fits = 0

    @classmethod
    def use(cls, benchmark: Any, layers: Sequence[str]) -> None:
        """Let the metric of `benchmark` fit split i on layer i. Raises StudyError where it fits nothing by split."""
        inner = list(metric_parts(benchmark))
        for part, own in zip(inner, _for_parts(layers, inner), strict=True):
            metric: Any = getattr(part, "_similarity_metric", None)
            if type(metric) is not stock.CrossRegressedCorrelation:
                one_layer(own, part.identifier)
            metric.regression._regression = cls(metric.regression._regression, own)

    def fit(self, source: Any, target: Any) -> None:
        """Fit on the features of the next layer."""
        self._fits += 1
        self._theirs.fit(self._features(source), target)

    def predict(self, source: Any) -> np.ndarray:
        """Predictions from the features of the layer of the last fit."""
        return self._theirs.predict(self._features(source))

    def _features(self, source: Any) -> Any:
        return source[:, source["layer"].values == self._layers[self._fits - 1]]


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """scipy's Pearson correlation of each column of `a` (n, m) with that of `b`; NaN for constant columns."""
    return np.asarray(scipy.stats.pearsonr(a, b, axis=0).statistic)


def one_layer(layers: Layered, benchmark: str) -> str:
    """The one layer. Raises StudyError for one layer a split: `benchmark` has no splits."""
    if isinstance(layers, str):
        return layers
    what, fix = "one layer for each split, but this metric has no splits", "choose one layer: `choose: reported`"
    raise StudyError(Problem(what=what, where=benchmark, value=list(layers), fix=fix))


def _use_in_metric(metric: Any, part: Any, view: View, layers: Layered) -> None:
    match metric:
        case RDMMetric():
            metric._rdm = KernelRDM(metric._rdm, view, one_layer(layers, part.identifier))
        case RDMCrossValidated():
            _use_in_metric(metric._metric, part, view, layers)
        case CKA():
            part._similarity_metric = KernelCKA(metric, view, one_layer(layers, part.identifier))
        case CKACrossValidated():
            metric._metric = KernelCKA(metric._metric, view, one_layer(layers, part.identifier))
        case _:
            _use_in_regression(metric, part, view, layers)


def _use_in_regression(metric: Any, part: Any, view: View, layers: Layered) -> None:
    cross_validated = type(metric) is stock.CrossRegressedCorrelation
    known = cross_validated or type(metric) is stock.TrainTestSplitCorrelation
    make = estimator_maker(getattr(metric.regression, "_regression", None), view) if known else None
    if make is None or getattr(metric.correlation, "_correlation", None) is not scipy.stats.pearsonr:
        raise StudyError(_not_served(part, _name(metric)))
    regression = KernelRegression(make, layers, view, together_maker(metric.regression._regression))
    metric.regression._regression = regression
    metric.correlation = KernelCorrelation(metric.correlation)
    if cross_validated:
        metric.cross_validation = KernelSplits(metric.cross_validation, regression)
    else:
        one_layer(layers, part.identifier)


def _for_parts(layers: Layered, inner: Sequence[Any]) -> list[Layered]:
    """One layer a split of each part, in the order of the parts; a single layer serves all."""
    if isinstance(layers, str):
        return [layers] * len(inner)
    each = len(layers) // len(inner)
    return [list(layers[i * each : (i + 1) * each]) for i in range(len(inner))]


def _name(metric: Any) -> str:
    regression = getattr(getattr(metric, "regression", None), "_regression", None)
    return type(metric).__name__ + (f" of {type(regression).__name__}" if regression is not None else "")


def _not_served(benchmark: Any, metric: str) -> Problem:
    what, fix = "engine `kernel` does not serve this metric", "`engine: stock` in `brainscore:`"
    return Problem(what=what, where=benchmark.identifier, value=metric, allowed=SERVED, fix=fix)
