"""The kernel engine gives Brain-Score's metric objects an inner part that computes from products.

Splits, alignment, aggregation and error bars stay Brain-Score's; the results are those of scikit-learn to rounding.
Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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

from neuroscaling.brainscore.kernel_regression import KernelRegression, Layered, estimator_maker
from neuroscaling.brainscore.row_numbers import (
    AlignedSplit,
    View,
    aligned_splits,
    check_equal_stimuli,
    holds_row_numbers,
)
from neuroscaling.brainscore.stock_regression import StockRegression
from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import linear_cka, rdm

SERVED = "pls, ridge, ridgecv, dual_ridge, dual_ridgecv, neuron_to_neuron (cross-validated or split), rdm, cka"


@dataclass(frozen=True)
class Mappings:
    """The regressions inside a benchmark, one a part; empty where nothing is fitted (rdm, cka)."""

    regressions: list[KernelRegression | StockRegression]

    def begin(self, layers: Layered, n_images: int | None = None) -> None:
        """Fit from now on in `layers`, one or one a split of each part, on `n_images` mapping images or on all."""
        for regression, own in zip(self.regressions, _for_parts(layers, self.regressions), strict=True):
            regression.begin(own, n_images)


def use_kernel(benchmark: Any, view: View, layers: Layered) -> Mappings:
    """Let `benchmark` score assemblies of row numbers of `view`, answered by `layers`; gives its mappings.

    Raises StudyError for a metric that inner products and features of a layer don't serve, and for one layer a split
    where there are no splits.
    """
    inner = list(metric_parts(benchmark))
    found: list[KernelRegression | StockRegression] = []
    for part, own in zip(inner, _for_parts(layers, inner), strict=True):
        if not hasattr(part, "_rdm"):
            found += _use_in_metric(part._similarity_metric, part, view, own)
        elif isinstance(part._similarity, CKA):  # compares the assemblies themselves
            part._similarity = KernelCKA(part._similarity, view, one_layer(own, part.identifier))
        else:
            part._rdm = KernelRDM(part._rdm, view, one_layer(own, part.identifier))
    mappings = Mappings(found)
    mappings.begin(layers)
    return mappings


def use_stock(benchmark: Any, layers: Layered) -> Mappings:
    """Let the unmodified regressions of `benchmark` fit one layer of several, or some of the images; its mappings.

    Raises StudyError for one layer a split where there are no splits, and for a metric without a regression.
    """
    inner = list(metric_parts(benchmark))
    found: list[KernelRegression | StockRegression] = []
    for part, own in zip(inner, _for_parts(layers, inner), strict=True):
        metric: Any = getattr(part, "_similarity_metric", None)
        by_split = type(metric) is stock.CrossRegressedCorrelation
        if not by_split:
            one_layer(own, part.identifier)
        if not hasattr(metric, "regression"):
            raise StudyError(_not_served(part, _name(metric)))
        balanced_by = _balanced_by(metric.cross_validation._split) if by_split else None
        metric.regression._regression = StockRegression(metric.regression._regression, by_split, balanced_by)
        found.append(metric.regression._regression)
    mappings = Mappings(found)
    mappings.begin(layers)
    return mappings


def _balanced_by(split: Any) -> str | None:
    """The coordinate that Brain-Score's splits balance, if they do."""
    return split._stratification_coord if split.do_stratify else None


def metric_parts(benchmark: Any) -> Iterator[Any]:
    """The benchmarks inside that hold a metric: the sessions of a combined one, else `benchmark`.

    Raises StudyError where there is none that is known.
    """
    inner = getattr(benchmark, "_sessions", None) or [benchmark]
    for part in inner:
        if not hasattr(part, "_rdm") and not hasattr(part, "_similarity_metric"):
            raise StudyError(_not_served(benchmark, type(benchmark).__name__))
        yield part


@dataclass(frozen=True)
class _Prepared:
    """What the splits of recordings are, whatever they are predicted from; the last is kept for other mapping sizes.

    target: the recordings as they came; numbers (rows, 2) of the source; values (rows, m) and labels (rows,) of the
    target; order: of its neuroids by id; coords: of these.
    """

    target: Any
    numbers: np.ndarray
    values: np.ndarray
    labels: np.ndarray | None
    splits: list[AlignedSplit]
    order: np.ndarray
    coords: dict[str, Any] = field(repr=False)


class KernelSplits(CrossValidation):
    """Brain-Score's cross-validation with its own splits, whose rows are picked by number.

    Made from the cross-validation of a metric and the regression of the same metric. The stock loop looks up each
    stimulus id in a Python list, copies the assemblies and correlates neuroid by neuroid, which takes longer than fits.
    """

    def __init__(self, theirs: CrossValidation, regression: KernelRegression):
        self.__dict__.update(vars(theirs))
        self._regression = regression
        self._last: _Prepared | None = None

    def _run_pipe(self, source: Any, target: Any, apply: Any) -> Score:
        """Correlations (split, neuroid), packaged as the stock loop packages them."""
        own = self._prepared(source, target)
        predictions = self._regression.predict_splits(own.numbers, own.values, own.splits, own.labels)
        correlations = [
            pearson(own.values[split.target_test], prediction)[own.order]
            for split, prediction in zip(own.splits, predictions, strict=True)
        ]
        coords = own.coords | {"split": ("split", np.arange(len(correlations)))}
        return Score(np.array(correlations), coords=coords, dims=("split", "neuroid"))

    def _prepared(self, source: Any, target: Any) -> _Prepared:
        numbers = source.transpose("presentation", "neuroid").values
        last = self._last
        if last is None or last.target is not target or not np.array_equal(last.numbers, numbers):
            check_equal_stimuli(source, target)
            turned, balanced_by = target.transpose("presentation", "neuroid"), _balanced_by(self._split)
            order = np.argsort(turned["neuroid_id"].values, kind="stable")
            last = self._last = _Prepared(
                target=target,
                numbers=numbers,
                values=turned.values,
                labels=None if balanced_by is None else turned[balanced_by].values,
                splits=list(aligned_splits(self, source, turned)),
                order=order,
                coords={name: (dims, v[order]) for name, dims, v in walk_coords(turned) if dims == ("neuroid",)},
            )
        return last


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


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column of `a` (n, m) with that of `b`, as scipy has it; NaN for constant columns.

    scipy's own prepares a test of significance too, which for few columns takes several times as long.
    """
    unit = []
    for values in (a, b):
        values = np.asarray(values, dtype=np.float64)
        centred = values - values.mean(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            centred /= np.linalg.norm(centred, axis=0)
        centred[:, (values == values[0]).all(0)] = np.nan
        unit.append(centred)
    return np.clip(np.einsum("ij,ij->j", *unit), -1.0, 1.0)


def one_layer(layers: Layered, benchmark: str) -> str:
    """The one layer. Raises StudyError for one layer a split: `benchmark` has no splits."""
    if isinstance(layers, str):
        return layers
    what, fix = "one layer for each split, but this metric has no splits", "choose one layer: `choose: reported`"
    raise StudyError(Problem(what=what, where=benchmark, value=list(layers), fix=fix))


def _use_in_metric(metric: Any, part: Any, view: View, layers: Layered) -> list[KernelRegression]:
    """Let a metric compute by the view's rows; its regression, where it has one."""
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
            return [_use_in_regression(metric, part, view, layers)]
    return []


def _use_in_regression(metric: Any, part: Any, view: View, layers: Layered) -> KernelRegression:
    cross_validated = type(metric) is stock.CrossRegressedCorrelation
    known = cross_validated or type(metric) is stock.TrainTestSplitCorrelation
    theirs = getattr(metric.regression, "_regression", None) if known else None
    if estimator_maker(theirs) is None or getattr(metric.correlation, "_correlation", None) is not scipy.stats.pearsonr:
        raise StudyError(_not_served(part, _name(metric)))
    regression = KernelRegression(theirs, view, by_split=cross_validated)
    metric.regression._regression = regression
    metric.correlation = KernelCorrelation(metric.correlation)
    if cross_validated:
        metric.cross_validation = KernelSplits(metric.cross_validation, regression)
    else:
        one_layer(layers, part.identifier)
    return regression


def _for_parts(layers: Layered, inner: Sequence[Any]) -> list[Layered]:
    """One layer a split of each part, in the order of the parts; a single layer serves all."""
    if isinstance(layers, str) or not inner:
        return [layers] * len(inner)
    each = len(layers) // len(inner)
    return [list(layers[i * each : (i + 1) * each]) for i in range(len(inner))]


def _name(metric: Any) -> str:
    regression = getattr(getattr(metric, "regression", None), "_regression", None)
    return type(metric).__name__ + (f" of {type(regression).__name__}" if regression is not None else "")


def _not_served(benchmark: Any, metric: str) -> Problem:
    what, fix = "engine `kernel` does not serve this metric", "`engine: stock` in `brainscore:`"
    return Problem(what=what, where=benchmark.identifier, value=metric, allowed=SERVED, fix=fix)
