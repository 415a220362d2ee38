"""A sweep scores every candidate layer on a benchmark, also inside the training images alone.

Import it after `environment.prepare_environment` was called. Layers are taken one after another, so one Gram matrix
at a time is in memory, shared by all splits.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.brainscore.kernel_engine import SERVED, estimator_maker, metric_parts, use_kernel
from neuroscaling.brainscore.row_numbers import Layers, View
from neuroscaling.brainscore.stored_model import StoredBrainModel
from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.regression.cross_validation import Fold, inner_scores

TRAIN_SHARE = 0.9
"""Of the training images, as of all images in Brain-Score's own splits."""


@dataclass(frozen=True)
class SweepRecordings:
    """What a part of a benchmark is fitted on.

    values (n, m): responses; stimulus_ids (n,); groups: columns of each subject; splits: rows of each training set;
    labels (n,): what the splits balance, or None; regression: Brain-Score's.
    """

    values: np.ndarray
    stimulus_ids: list[str]
    groups: list[np.ndarray]
    splits: list[np.ndarray]
    labels: np.ndarray | None
    regression: Any


def nested_scores(
    benchmark: Any, activations: Activations, candidates: Sequence[str], inner_splits: int
) -> list[np.ndarray]:
    """Scores (layers, inner splits) for each split of each part of `benchmark`; empty where nothing is fitted.

    Each split's training images are split again, `inner_splits` times, with the same share and balance.
    """
    found = [recordings_of(part) for part in metric_parts(benchmark)]
    recordings = [own for own in found if own is not None]
    if len(recordings) < len(found):
        return []
    folds = [list(_inner_folds(own, inner_splits)) for own in recordings]
    by_layer = [_nested_of_layer(recordings, folds, activations, layer) for layer in candidates]
    return [np.stack([scores[i] for scores in by_layer]) for i in range(len(by_layer[0]))]


def reported_scores(
    benchmark: Any, activations: Activations, candidates: Sequence[str], region: str, degrees: float
) -> np.ndarray:
    """Raw scores (layers, splits) as the benchmark reports them; benchmarks without splits have one column."""
    rows = []
    for layer in candidates:
        # The engine replaces parts of the benchmark's metric, so each layer gets a benchmark of its own.
        own, view = copy.deepcopy(benchmark), View(Layers(activations))
        use_kernel(own, view, layer)
        model = StoredBrainModel("sweep", activations, {region: layer}, layer, degrees, view)
        rows.append(_raw_splits(own(model)))
    return np.stack(rows)


def recordings_of(part: Any) -> SweepRecordings | None:
    """The recordings that a part of a benchmark fits; None where its metric fits nothing (RDM, CKA)."""
    metric: Any = getattr(part, "_similarity_metric", None)
    regression = getattr(getattr(metric, "regression", None), "_regression", None)
    if regression is None:
        return None
    if hasattr(part, "train_assembly"):
        target = part.train_assembly.transpose("presentation", "neuroid")
        everything = [np.arange(target.sizes["presentation"])]
        return _recordings(target, _groups(target, part.alpha_coord), everything, None, regression)
    target = part._assembly.transpose("presentation", "neuroid")
    split = metric.cross_validation._split
    labels = target[split._stratification_coord].values if split.do_stratify else None
    trains = [np.asarray(train) for train, _ in split.build_splits(target)[1]]
    return _recordings(target, _groups(target, None), trains, labels, regression)


def _recordings(target: Any, groups: list, splits: list, labels: np.ndarray | None, regression: Any) -> SweepRecordings:
    values = np.asarray(target.values, dtype=np.float64)
    return SweepRecordings(values, target["stimulus_id"].values.tolist(), groups, splits, labels, regression)


def _groups(target: Any, coord: str | None) -> list[np.ndarray]:
    if coord is None:
        return [np.arange(target.sizes["neuroid"])]
    names = target[coord].values
    return [np.flatnonzero(names == name) for name in np.unique(names)]


def _inner_folds(recordings: SweepRecordings, n: int) -> Iterator[list[Fold]]:
    """For each split, folds inside its training rows; the split's number is the seed."""
    for number, train in enumerate(recordings.splits):
        labels = None if recordings.labels is None else recordings.labels[train]
        yield [(train[a], train[b]) for a, b in _shuffled(len(train), labels, n, number)]


def _shuffled(n_rows: int, labels: np.ndarray | None, n: int, seed: int) -> list[Fold]:
    rows = np.zeros(n_rows)
    if labels is not None:
        try:
            return list(StratifiedShuffleSplit(n, train_size=TRAIN_SHARE, random_state=seed).split(rows, labels))
        except ValueError:  # fewer held-out images than labels: they can't be balanced
            pass
    return list(ShuffleSplit(n, train_size=TRAIN_SHARE, random_state=seed).split(rows))


def _nested_of_layer(
    recordings: Sequence[SweepRecordings], folds: Sequence[list[list[Fold]]], activations: Activations, layer: str
) -> list[np.ndarray]:
    """Scores (inner splits,) of one layer for each split of each part."""
    layers = Layers(activations)
    scores = []
    for own, own_folds in zip(recordings, folds, strict=True):
        view = View(layers)
        numbers = view.row_numbers(own.stimulus_ids)
        maker = estimator_maker(own.regression, view)
        if maker is None:
            regression = type(own.regression).__name__
            raise StudyError(Problem(what="a regression without an estimator", value=regression, allowed=SERVED))
        estimator = {layer: maker(layer)}
        scores += [inner_scores(estimator, view.rows(numbers), own.values, inner, own.groups)[0] for inner in own_folds]
    return scores


def _raw_splits(score: Any) -> np.ndarray:
    """Raw scores of the splits: the median over neuroids of each, else the one raw score."""
    raw = getattr(score.raw, "raw", None)
    if raw is not None and set(raw.dims) == {"split", "neuroid"}:
        return np.nanmedian(raw.transpose("split", "neuroid").values, axis=1)
    return np.atleast_1d(float(score.raw))
