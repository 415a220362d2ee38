"""Each target takes the stored layer and the penalty that predict it best inside the mapping rows.

A candidate is a layer at a grid size. Nothing of the evaluated rows enters a choice, so accuracy on them is honest.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.regression.voxelwise.blocks import FeatureBlocks, FeatureRows, GramRows, Source
from neuroscaling.regression.voxelwise.fit import SizeFit, fit_sizes
from neuroscaling.regression.voxelwise.settings import NestedSubsets, RidgeSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """Features of one layer at one grid size; `load` gives those of all rows when they are needed."""

    name: str
    load: Callable[[], Source]


@dataclass(frozen=True)
class Task:
    """Nested mapping rows, and the rows that are predicted from them."""

    draw: NestedSubsets
    evaluate: np.ndarray


@dataclass(frozen=True)
class Encoded:
    """One mapping size: of each target (V,) the cross-validated score, the penalty and the candidate (an index) that
    were chosen, and predictions (evaluated rows, V)."""

    n_images: int
    cv: np.ndarray
    alpha: np.ndarray
    candidate: np.ndarray
    predictions: np.ndarray

    @classmethod
    def empty(cls, n_images: int, n_rows: int, n_targets: int) -> "Encoded":
        """Before any candidate was tried: the first one wins over it."""
        nothing = np.full(n_targets, -np.inf)
        predictions = np.zeros((n_rows, n_targets), np.float32)
        return cls(n_images, nothing, np.zeros(n_targets), np.zeros(n_targets, np.int32), predictions)

    def take_better(self, fit: SizeFit, candidate: int) -> None:
        """Let targets `fit.start` to `fit.stop` take a candidate where its cross-validated score is higher."""
        columns = slice(fit.start, fit.stop)
        better = fit.cv_score > self.cv[columns]
        if better.any():
            where = fit.start + np.flatnonzero(better)
            self.cv[where], self.alpha[where] = fit.cv_score[better], fit.alpha[better]
            self.candidate[where] = candidate
            self.predictions[:, where] = fit.predict(better)


def encode(
    candidates: Sequence[Candidate],
    tasks: Sequence[Task],
    targets: Callable[[int, int], np.ndarray],
    n_targets: int,
    settings: RidgeSettings,
) -> list[list[Encoded]]:
    """For each task and each of its mapping sizes, the best candidate of every target.

    targets(start, stop): responses (all rows, stop - start); rows that only are evaluated may hold anything. Memory:
    predictions of all tasks and sizes, one candidate's features, and what `settings.memory_mb` allows. Raises
    DataError, naming the candidate, for features or responses with NaN, unusable penalties, and too little memory.
    """
    found = [[Encoded.empty(n, len(task.evaluate), n_targets) for n in task.draw.n_images] for task in tasks]
    for index, candidate in enumerate(candidates):
        source = candidate.load()
        try:
            for task, sizes in zip(tasks, found, strict=True):
                draw = task.draw
                for fit in fit_sizes(source, draw.orders, draw.folds, task.evaluate, targets, n_targets, settings):
                    sizes[fit.size].take_better(fit, index)
        except ValueError as error:
            raise DataError(Problem(what=str(error), where=candidate.name)) from error
        log.info("%s: candidate %d of %d", candidate.name, index + 1, len(candidates))
    return found


def candidates_of(stored: Activations, stimulus_ids: Sequence[str], memory_mb: int) -> list[Candidate]:
    """The layers of a store as candidates, their rows in the order of `stimulus_ids` (which may repeat).

    Features too wide for `memory_mb` are read in blocks of columns; where only inner products are kept these serve.
    Raises DataError for ids without activations.
    """
    rows = stored.rows_of(stimulus_ids)
    return [Candidate(layer, _loader(stored, layer, rows, memory_mb)) for layer in stored.layers]


def _loader(stored: Activations, layer: str, rows: np.ndarray, memory_mb: int) -> Callable[[], Source]:
    n, width = len(rows), stored.shape(layer)[1]
    if not stored.keeps(layer, "features"):
        return lambda: GramRows(stored.gram(layer).products[np.ix_(rows, rows)])
    if n * width * 4 > memory_mb * 1e6:
        return lambda: FeatureBlocks(lambda: (block[rows] for block in stored.blocks(layer)), n)
    return lambda: FeatureRows(stored.read(layer)[rows])
