"""Each target is predicted from all stored layers together, by banded ridge or by stacking.

A candidate is a layer at a grid size, and is a band. Nothing of the evaluated rows enters a penalty or a weight.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np

from neuroscaling.activations.layer_encoding import Candidate, Encoded, Task
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.voxelwise.banded import candidate_weights, fit_banded
from neuroscaling.regression.voxelwise.bands import Bands, BandsFit, effective_number
from neuroscaling.regression.voxelwise.blocks import GramRows, Source, check_source
from neuroscaling.regression.voxelwise.budget import USED_BYTES_OF_MB
from neuroscaling.regression.voxelwise.settings import RidgeSettings, sizes_of
from neuroscaling.regression.voxelwise.stacking import fit_stacked

log = logging.getLogger(__name__)
Combination = Literal["banded", "stacking"]
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)
# Weights that banded ridge draws, beside each layer alone and all alike.
N_DRAWS = 100
SEED = 0


def encode_combined(
    candidates: Sequence[Candidate],
    tasks: Sequence[Task],
    targets: Callable[[int, int], np.ndarray],
    n_targets: int,
    settings: RidgeSettings,
    combination: Combination,
    n_draws: int = N_DRAWS,
) -> list[list[Encoded]]:
    """For each task and each of its mapping sizes, every target fitted from all candidates; arguments as of `encode`.

    `candidate` of the result is the one with most weight, `effective_layers` how many share a target. Memory: the inner
    products of all candidates, within `settings.memory_mb`. Raises DataError for features or responses with NaN,
    unusable settings, and too little memory.
    """
    sources: list[Callable[[], Source]] = [_told(candidate) for candidate in candidates]
    if settings.scale == "centre":
        sources = _kept(sources, settings)
    drawn = candidate_weights(len(candidates), n_draws, SEED)
    try:
        return [
            _sizes(task, sources, partial(_fit, targets, n_targets, settings, combination, drawn), settings)
            for task in tasks
        ]
    except ValueError as error:
        raise DataError(Problem(what=str(error), where=f"{combination} of {len(candidates)} layers")) from error


def _told(candidate: Candidate) -> Callable[[], Source]:
    """Its features, or an error that names it."""

    def load() -> Source:
        source = candidate.load()
        try:
            check_source(source)
        except ValueError as error:
            raise DataError(Problem(what=str(error), where=candidate.name)) from error
        return source

    return load


def _kept(sources: Sequence[Callable[[], Source]], settings: RidgeSettings) -> list[Callable[[], Source]]:
    """Inner products of all rows in place of features, which then are read once: enough where features are centred."""
    kept: list[Callable[[], Source]] = []
    for load in sources:
        source = load()
        if not isinstance(source, GramRows):
            source = GramRows(Gram.of_blocks(source.column_blocks()).products)
        need = -(-len(sources) * source.products.nbytes // USED_BYTES_OF_MB)
        if need > settings.memory_mb:
            raise DataError(
                Problem(
                    what=f"the inner products of {len(sources)} layers and {source.n_rows} rows don't fit into memory",
                    where="memory_mb",
                    value=settings.memory_mb,
                    allowed=f"{need} or more",
                    fix="give more, or fewer layers",
                )
            )
        kept.append(partial(_same, source))
    return kept


def _same(source: Source) -> Source:
    return source


def _sizes(
    task: Task, sources: Sequence[Callable[[], Source]], fit: Callable[[Bands], BandsFit], settings: RidgeSettings
) -> list[Encoded]:
    draw, evaluate = task.draw, np.asarray(task.evaluate, np.int64)
    encoded = []
    for n_images, size in zip(
        draw.n_images, sizes_of(draw.orders, draw.folds, evaluate, sources[0]().n_rows), strict=True
    ):
        found = fit(Bands.of(sources, size, evaluate, settings))
        strongest = found.weights.argmax(0).astype(np.int32)
        log.info("%d mapping images: %.2f layers a target", n_images, effective_number(found.weights).mean())
        encoded.append(
            Encoded(
                n_images,
                found.cv,
                found.alpha,
                strongest,
                found.predictions.astype(np.float32),
                effective_number(found.weights),
            )
        )
    return encoded


def _fit(
    targets: Callable[[int, int], np.ndarray],
    n_targets: int,
    settings: RidgeSettings,
    combination: Combination,
    drawn: np.ndarray,
    bands: Bands,
) -> BandsFit:
    if combination == "banded":
        return fit_banded(bands, targets, n_targets, settings, drawn)
    return fit_stacked(bands, targets, n_targets, settings)
