"""Banded ridge and stacking: each target is predicted from all layers together.

A candidate, a layer at a grid size, is a band. Nothing of the evaluated rows enters a penalty or a weight.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from neuroscaling.core.counting import counted
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.encoding.fits import Encoded, Question, TargetFits, Task
from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.settings import SEED
from neuroscaling.regression.voxelwise.banded import candidate_weights, fit_banded
from neuroscaling.regression.voxelwise.bands import Bands, BandsFit, effective_number
from neuroscaling.regression.voxelwise.blocks import GramRows, Source
from neuroscaling.regression.voxelwise.settings import RidgeSettings, sizes_of
from neuroscaling.regression.voxelwise.stacking import fit_stacked

log = logging.getLogger(__name__)
# Weights that banded ridge draws, beside each layer alone and all alike.
N_DRAWS = 50

Fit = Callable[[Bands], BandsFit]


def banded(question: Question) -> Iterator[TargetFits]:
    """All targets by banded ridge: a penalty for each layer."""
    settings, n = _settings(question), question.recording.n_targets
    weights = candidate_weights(len(question.layers.names), N_DRAWS, SEED)
    yield _combined(question, "banded", lambda bands: fit_banded(bands, question.targets, n, settings, weights))


def stacking(question: Question) -> Iterator[TargetFits]:
    """All targets by convex combinations of the layers' ridge models."""
    settings, n = _settings(question), question.recording.n_targets
    yield _combined(question, "stacking", lambda bands: fit_stacked(bands, question.targets, n, settings))


def _settings(question: Question) -> RidgeSettings:
    return question.settings.ridge_settings(question.layers.only_products)


def _combined(question: Question, metric: str, fit: Fit) -> TargetFits:
    """Raises DataError for features or responses with NaN, unusable settings, and too little memory."""
    settings, names = _settings(question), question.layers.names
    sources = [partial(_source, question.layers, name, settings) for name in names]
    n_rows = len(question.layers.rows)
    try:
        found = [_sizes(task, sources, n_rows, fit, settings) for task in counted(question.tasks, "task")]
    except ValueError as error:
        where = f"{question.recording.name}: {metric} of {len(names)} layers"
        raise DataError(Problem(what=str(error), where=where)) from error
    return TargetFits(metric, None, np.arange(question.recording.n_targets), names, found)


def _source(layers: Layers, name: str, settings: RidgeSettings) -> Source:
    """Inner products of all rows, which are kept in memory, where features are centred alone."""
    return GramRows(layers.gram(name).products) if settings.scale == "centre" else layers.source(name)


def _sizes(
    task: Task, sources: Sequence[Callable[[], Source]], n_rows: int, fit: Fit, settings: RidgeSettings
) -> list[Encoded]:
    draw, evaluate = task.draw, np.asarray(task.evaluate, np.int64)
    encoded = []
    sizes = sizes_of(draw.orders, draw.folds, evaluate, n_rows)
    for n, size in zip(draw.n_images, counted(sizes, "size"), strict=True):
        found = fit(Bands.of(sources, size, evaluate, settings))
        share = effective_number(found.weights)
        log.info("%d mapping images: %.1f layers a target", n, share.mean())
        strongest, predictions = found.weights.argmax(0).astype(np.int32), found.predictions.astype(np.float32)
        encoded.append(Encoded(n, found.cv, found.alpha, strongest, predictions, effective_layers=share))
    return encoded
