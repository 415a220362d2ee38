"""A sweep scores every candidate layer on a benchmark, also inside the training images alone.

Import it after `environment.prepare_environment` was called. Layers are taken one after another, so one Gram matrix
at a time is in memory, shared by all splits.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.brainscore.kernel_engine import SERVED, metric_parts, use_kernel
from neuroscaling.brainscore.kernel_regression import (
    EstimatorMaker,
    Inputs,
    estimator_maker,
    inputs_of,
    inputs_of_few,
    taken,
)
from neuroscaling.brainscore.row_numbers import Layers, View
from neuroscaling.brainscore.stored_model import StoredBrainModel
from neuroscaling.core.counting import counted
from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.regression.cross_validation import Fold, inner_scores
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.mapping_images import mapping_rows

TRAIN_SHARE = 0.9
"""Of the training images, as of all images in Brain-Score's own splits."""
HELD_OUT = 10
"""Images that are held out of few mapping images, at least, where that is less than a third of them."""


@dataclass(frozen=True)
class SweepRecordings:
    """What a part of a benchmark is fitted on.

    values (n, m): responses; stimulus_ids (n,); groups: columns of each subject; splits: rows of each training set;
    by_split: whether each split draws its own subset of images (KernelRegression); labels (n,): what the splits
    balance, or None; regression: Brain-Score's.
    """

    values: np.ndarray
    stimulus_ids: list[str]
    groups: list[np.ndarray]
    splits: list[np.ndarray]
    by_split: bool
    labels: np.ndarray | None
    regression: Any


@dataclass(frozen=True)
class InnerFolds:
    """Where layers are compared: rows of one split's mapping images, and folds of these rows' positions.

    n_images: of the mapping, None: all training images of the split.
    """

    n_images: int | None
    rows: np.ndarray
    folds: list[Fold]


def nested_scores(
    benchmark: Any,
    activations: Activations,
    candidates: Sequence[str],
    inner_splits: int,
    sizes: Sequence[int | None] = (None,),
) -> dict[int | None, list[np.ndarray]]:
    """Scores (layers, inner splits) for each split of each part of `benchmark`, by the number of mapping images.

    Each split's training images (None), or so many of them, are split again, `inner_splits` times, with the same share
    and balance. Of few images a tenth would be too few to correlate: `HELD_OUT`, or a third, are held out of them.
    Empty where nothing is fitted.
    """
    found = [recordings_of(part) for part in metric_parts(benchmark)]
    recordings = [own for own in found if own is not None]
    if len(recordings) < len(found):
        return {}
    asked = [_inner_folds(own, inner_splits, sizes) for own in recordings]
    by_layer = [_nested_of_layer(recordings, asked, activations, layer) for layer in counted(candidates, "candidate")]
    scores: dict[int | None, list[np.ndarray]] = {size: [] for size in sizes}
    for i, inner in enumerate(one for own in asked for one in own):
        scores[inner.n_images].append(np.stack([of_layer[i] for of_layer in by_layer]))
    return scores


def reported_scores(
    benchmark: Any, activations: Activations, candidates: Sequence[str], region: str, degrees: float
) -> np.ndarray:
    """Raw scores (layers, splits) as the benchmark reports them; benchmarks without splits have one column."""
    rows = []
    for layer in counted(candidates, "candidate"):
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
        return _recordings(target, _groups(target, part.alpha_coord), everything, False, None, regression)
    target = part._assembly.transpose("presentation", "neuroid")
    split = metric.cross_validation._split
    labels = target[split._stratification_coord].values if split.do_stratify else None
    trains = [np.asarray(train) for train, _ in split.build_splits(target)[1]]
    return _recordings(target, _groups(target, None), trains, True, labels, regression)


def _recordings(
    target: Any, groups: list, splits: list, by_split: bool, labels: np.ndarray | None, regression: Any
) -> SweepRecordings:
    values, ids = np.asarray(target.values, dtype=np.float64), target["stimulus_id"].values
    return SweepRecordings(values, ids.astype(str).tolist(), groups, splits, by_split, labels, regression)


def _groups(target: Any, coord: str | None) -> list[np.ndarray]:
    if coord is None:
        return [np.arange(target.sizes["neuroid"])]
    names = target[coord].values
    return [np.flatnonzero(names == name) for name in np.unique(names)]


def _inner_folds(recordings: SweepRecordings, n: int, sizes: Sequence[int | None]) -> list[InnerFolds]:
    """For each split and number of mapping images, folds inside these; the split's number is the seed."""
    found = []
    for number, train in enumerate(recordings.splits):
        for size in sizes:
            rows = train if size is None else _few(recordings, train, size, number)
            labels = None if recordings.labels is None else recordings.labels[rows]
            share = TRAIN_SHARE if size is None else _training_share(len(rows))
            found.append(InnerFolds(size, rows, _shuffled(len(rows), labels, n, number, share)))
    return found


def _few(recordings: SweepRecordings, train: np.ndarray, size: int, number: int) -> np.ndarray:
    """The mapping images that scoring takes of a split's training images."""
    ids = np.asarray(recordings.stimulus_ids)[train]
    labels = None if recordings.labels is None else recordings.labels[train]
    return train[mapping_rows(ids, size, number if recordings.by_split else 0, labels)]


def _training_share(n_images: int) -> float:
    """Share of few mapping images that layers are fitted on when they are compared."""
    return min(TRAIN_SHARE, max(1 - HELD_OUT / n_images, 2 / 3))


def _shuffled(n_rows: int, labels: np.ndarray | None, n: int, seed: int, share: float) -> list[Fold]:
    rows = np.zeros(n_rows)
    if labels is not None:
        try:
            return list(StratifiedShuffleSplit(n, train_size=share, random_state=seed).split(rows, labels))
        except ValueError:  # fewer held-out images than labels: they can't be balanced
            pass
    return list(ShuffleSplit(n, train_size=share, random_state=seed).split(rows))


def _nested_of_layer(
    recordings: Sequence[SweepRecordings], asked: Sequence[list[InnerFolds]], activations: Activations, layer: str
) -> list[np.ndarray]:
    """Scores (inner splits,) of one layer for each of the folds of each part."""
    layers = Layers(activations)
    scores = []
    for own, of_part in zip(counted(recordings, "part"), asked, strict=True):
        view = View(layers)
        rows = view.rows(view.row_numbers(own.stimulus_ids))
        maker = estimator_maker(own.regression)
        if maker is None:
            regression = type(own.regression).__name__
            raise StudyError(Problem(what="a regression without an estimator", value=regression, allowed=SERVED))
        inputs = inputs_of(own.regression, view, layer)
        scores += [_compared(own, inner, maker, inputs, rows) for inner in counted(of_part, "split")]
    return scores


def _compared(
    own: SweepRecordings, inner: InnerFolds, maker: EstimatorMaker, inputs: Inputs, rows: np.ndarray
) -> np.ndarray:
    """Scores (inner splits,) of the layer with these inputs; rows: of the inputs, for each row of the recordings."""
    if inner.n_images is None:
        folds = [(inner.rows[train], inner.rows[held]) for train, held in inner.folds]
        return inner_scores({"": maker(inputs, None)}, rows, own.values, folds, own.groups)[0]
    few, own_rows = inputs_of_few(inputs, own.by_split), rows[inner.rows]
    if not isinstance(few, Gram):
        few, own_rows = taken(few, own_rows), np.arange(len(own_rows))
    estimator = maker(few, len(inner.folds[0][0]))
    return inner_scores({"": estimator}, own_rows, own.values[inner.rows], inner.folds, own.groups)[0]


def _raw_splits(score: Any) -> np.ndarray:
    """Raw scores of the splits: the median over neuroids of each, else the one raw score."""
    raw = getattr(score.raw, "raw", None)
    if raw is not None and set(raw.dims) == {"split", "neuroid"}:
        return np.nanmedian(raw.transpose("split", "neuroid").values, axis=1)
    return np.atleast_1d(float(score.raw))
