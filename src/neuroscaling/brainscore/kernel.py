"""Engine `kernel`: Brain-Score's own metric objects, whose inner part reads row numbers and computes from products.

Splits, alignment, aggregation and error bars stay Brain-Score's; the results are those of scikit-learn to rounding.
Import after `neuroscaling.brainscore.environment.prepare`.
"""

from collections.abc import Iterator, Sequence
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

from neuroscaling.brainscore.estimators import KernelRegression, Layered, estimator_maker, together_maker
from neuroscaling.brainscore.splits import aligned_splits, check_equal_stimuli
from neuroscaling.brainscore.tokens import View, is_tokens
from neuroscaling.errors import Problem, StudyError
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import linear_cka, rdm

SERVED = "pls, ridge, ridgecv, dual_ridge, dual_ridgecv, neuron_to_neuron (cross-validated or split), rdm, cka"


def use_kernel(benchmark: Any, view: View, layers: Layered) -> None:
    """Let `benchmark` score token assemblies of `view`, answered by `layers`.

    Raises StudyError for a metric that inner products and features of a layer don't serve, and for one layer a split
    where there are no splits.
    """
    inner = list(parts(benchmark))
    for part, own in zip(inner, _for_parts(layers, inner), strict=True):
        if not hasattr(part, "_rdm"):
            _use_in_metric(part._similarity_metric, part, view, own)
        elif isinstance(part._similarity, CKA):  # compares the assemblies themselves
            part._similarity = KernelCKA(part._similarity, view, one_layer(own, part.identifier))
        else:
            part._rdm = KernelRDM(part._rdm, view, one_layer(own, part.identifier))


def parts(benchmark: Any) -> Iterator[Any]:
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
        vars(self).update(vars(theirs))
        self._regression = regression

    def _run_pipe(self, source: Any, target: Any, apply: Any) -> Score:
        """Correlations (split, neuroid), packaged as the stock loop packages them."""
        check_equal_stimuli(source, target)
        target = target.transpose("presentation", "neuroid")
        tokens, values = source.transpose("presentation", "neuroid").values, target.values
        order = np.argsort(target["neuroid_id"].values, kind="stable")
        splits = list(aligned_splits(self, source, target))
        predictions = self._regression.predict_splits(tokens, values, splits)
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
        vars(self).update(vars(theirs))

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
    """Brain-Score's representational dissimilarity matrix, of a token assembly from the layer's Gram matrix."""

    def __init__(self, theirs: RDM, view: View, layer: str):
        self._theirs = theirs
        self._view = view
        self._layer = layer
        self._rdm: np.ndarray | None = None

    def __call__(self, assembly: Any) -> Any:
        """The dissimilarities, packaged as the stock ones; recordings are left to the stock class."""
        packaged = self._theirs(assembly)
        if is_tokens(assembly):
            if self._rdm is None:
                self._rdm = rdm(self._view.gram(self._layer))
            rows = self._view.rows(assembly.transpose("presentation", "neuroid"))
            packaged.values = self._rdm[np.ix_(rows, rows)]
        return packaged


class KernelCKA(CKA):
    """Brain-Score's linear centred kernel alignment of a token assembly with recordings."""

    def __init__(self, theirs: CKA, view: View, layer: str):
        vars(self).update(vars(theirs))
        self._view = view
        self._layer = layer

    def __call__(self, assembly1: Any, assembly2: Any) -> Score:
        """The similarity of the stimuli that both have. One of the assemblies holds tokens."""
        both = [a.sortby(self._comparison_coord).transpose("presentation", ...) for a in (assembly1, assembly2)]
        ids = [a[self._comparison_coord].values for a in both]
        assert (ids[0] == ids[1]).all()
        return Score(linear_cka(*(self._values(a) for a in both), unbiased=self._unbiased))

    def _values(self, assembly: Any) -> Features | Gram:
        if not is_tokens(assembly):
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
        inner = list(parts(benchmark))
        for part, own in zip(inner, _for_parts(layers, inner), strict=True):
            metric = getattr(part, "_similarity_metric", None)
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
    raise StudyError(Problem(what, benchmark, list(layers), fix=fix))


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
    return Problem(what, benchmark.identifier, metric, SERVED, fix=fix)
