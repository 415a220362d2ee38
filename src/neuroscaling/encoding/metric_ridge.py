"""Ridge: each target takes the stored layer and the penalty that predict it best inside the mapping rows.

A candidate is a layer at a grid size. Nothing of the evaluated rows enters a choice, so accuracy on them is honest.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from neuroscaling.core.counting import counted
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.encoding.fits import Encoded, Question, TargetFits, Task
from neuroscaling.encoding.layers import Candidate
from neuroscaling.regression.voxelwise.fit import SizeFit, fit_sizes
from neuroscaling.regression.voxelwise.settings import RidgeSettings

log = logging.getLogger(__name__)


def ridge(question: Question) -> Iterator[TargetFits]:
    """All targets by ridge."""
    candidates, n = question.layers.candidates(), question.recording.n_targets
    settings = question.settings.ridge_settings(question.layers.only_products)
    tasks = [*question.tasks, *([question.final] if question.final else [])]
    found = encode(candidates, tasks, question.targets, n, settings)
    final = found.pop()[0] if question.final else None
    yield TargetFits("ridge", None, np.arange(n), [candidate.name for candidate in candidates], found, final)


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
    found = [[_empty(n, len(task.evaluate), n_targets) for n in task.draw.n_images] for task in tasks]
    for index, candidate in enumerate(counted(candidates, "candidate")):
        source = candidate.load()
        try:
            for task, sizes in zip(counted(tasks, "task"), found, strict=True):
                draw = task.draw
                fits = fit_sizes(source, draw.orders, draw.folds, task.evaluate, targets, n_targets, settings)
                for fit in counted(fits, "fit"):
                    _take_better(sizes[fit.size], fit, index)
        except ValueError as error:
            raise DataError(Problem(what=str(error), where=candidate.name)) from error
        log.info("%s: candidate %d of %d", candidate.name, index + 1, len(candidates))
    return found


def _empty(n_images: int, n_rows: int, n_targets: int) -> Encoded:
    """Before any candidate was tried: the first one wins over it."""
    nothing = np.full(n_targets, -np.inf)
    predictions = np.zeros((n_rows, n_targets), np.float32)
    return Encoded(n_images, nothing, np.zeros(n_targets), np.zeros(n_targets, np.int32), predictions)


def _take_better(best: Encoded, fit: SizeFit, candidate: int) -> None:
    """Let targets `fit.start` to `fit.stop` take a candidate where its cross-validated score is higher."""
    columns = slice(fit.start, fit.stop)
    better = fit.cv_score > best.cv[columns]
    if better.any():
        where = fit.start + np.flatnonzero(better)
        best.cv[where], best.alpha[where] = fit.cv_score[better], fit.alpha[better]
        best.candidate[where] = candidate
        best.predictions[:, where] = fit.predict(better)
