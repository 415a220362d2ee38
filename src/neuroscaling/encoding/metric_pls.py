"""Partial least squares: all targets of a region take the layer that predicts them best inside the mapping rows."""

import logging
from collections.abc import Iterator

import numpy as np

from neuroscaling.core.counting import counted
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.encoding.fits import Encoded, Question, TargetFits, Task
from neuroscaling.encoding.settings import SEED
from neuroscaling.regression.cross_validation import Fold, shuffled_folds
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.pls import KernelPLS, n_components_on
from neuroscaling.regression.scores import prediction_correlation

log = logging.getLogger(__name__)
MAX_COMPONENTS = 25
COPIES = 4  # of responses that a fit holds


def pls(question: Question) -> Iterator[TargetFits]:
    """Each region by itself. Raises DataError for responses or features that memory or arithmetic can't take."""
    for region in counted(question.present, "region"):
        columns = question.columns(region)
        _check_memory(question, region, len(columns))
        responses = question.responses(columns)
        try:
            found = _fits(question, responses)
        except ValueError as error:
            raise DataError(Problem(what=str(error), where=f"{question.recording.name}: {region}, pls")) from error
        fits = TargetFits("pls", region, columns, question.layers.names, found)
        _tell_of_few_components(question, fits)
        yield fits


def _fits(question: Question, responses: np.ndarray) -> list[list[Encoded]]:
    best = _chosen(question, responses)
    found: list[list[Encoded]] = [[] for _ in question.tasks]
    fitted = {}
    for layer, name in enumerate(question.layers.names):
        cells = [cell for cell, (chosen, _) in best.items() if chosen == layer]
        for task, size in counted(cells, "fit"):
            rows = _rows(question.tasks[task], size)
            fit = _fit(question.layers.features(name), responses, rows)
            fitted[task, size] = fit.predict(question.tasks[task].evaluate), fit.n_found
    n_targets = responses.shape[1]
    for task, size in best:
        layer, score = best[task, size]
        predictions, components = fitted[task, size]
        n = question.tasks[task].draw.n_images[size]
        candidate, nothing = np.full(n_targets, layer, np.int32), np.full(n_targets, np.nan)
        found[task].append(Encoded(n, np.full(n_targets, score), nothing, candidate, predictions, components))
    return found


def _chosen(question: Question, responses: np.ndarray) -> dict[tuple[int, int], tuple[int, float]]:
    """The layer of each task and size, with its cross-validated score (NaN for one that had no other beside it)."""
    cells = [(task, size) for task, one in enumerate(question.tasks) for size in range(len(one.draw.n_images))]
    names = question.layers.names
    if len(names) == 1:
        return dict.fromkeys(cells, (0, float("nan")))
    best = dict.fromkeys(cells, (0, -np.inf))
    for layer, name in enumerate(counted(names, "candidate")):
        features = question.layers.features(name)
        for task, size in counted(cells, "fit"):
            score = _inner_score(question, features, responses, _rows(question.tasks[task], size))
            if score > best[task, size][1]:
                best[task, size] = layer, score
    return best


def _rows(task: Task, size: int) -> np.ndarray:
    return np.sort(task.draw.orders[size])


def _inner_score(question: Question, features: Features | Gram, responses: np.ndarray, rows: np.ndarray) -> float:
    """How well a layer does inside `rows`: cross-validated correlation, mean over targets."""
    parts = [(rows[train], rows[held]) for train, held in _inner_folds(question, rows)]
    predicted = [_fit(features, responses, train).predict(held) for train, held in parts]
    pairs = zip(predicted, parts, strict=True)
    return float(np.mean([prediction_correlation(values, responses[held]).mean() for values, (_, held) in pairs]))


def _inner_folds(question: Question, rows: np.ndarray) -> list[Fold]:
    """Folds of the images of `rows`, as positions in it."""
    images, which = np.unique(question.images[rows], return_inverse=True)
    found = shuffled_folds(len(images), question.settings.folds, SEED)
    return [(np.flatnonzero(np.isin(which, train)), np.flatnonzero(np.isin(which, held))) for train, held in found]


def _fit(features: Features | Gram, responses: np.ndarray, rows: np.ndarray) -> KernelPLS:
    return KernelPLS(features, n_components(len(rows))).fit(rows, responses[rows])


def n_components(n_rows: int) -> int:
    """Components that are asked for: 25, or a third of the mapping rows where those are fewer."""
    return n_components_on(n_rows, MAX_COMPONENTS)


def _check_memory(question: Question, region: str, n_targets: int) -> None:
    needed = COPIES * 8 * len(question.images) * n_targets / 1e6
    if needed > question.settings.memory_mb:
        what = f"partial least squares of {n_targets} targets and {len(question.images)} rows takes {needed:.0f} MB"
        fix = f"name smaller regions, or `ridge: {{memory_mb: {int(-(-needed // 500)) * 500}}}`"
        most = f"{question.settings.memory_mb} MB (`memory_mb`)"
        raise DataError(Problem(what=what, where=question.recording.name, value=region, allowed=most, fix=fix))


def _tell_of_few_components(question: Question, fits: TargetFits) -> None:
    """A line in the log for each size whose layers have fewer components than were asked for."""
    for size, n_images in enumerate(fits.sizes):
        found = [task[size] for task in fits.found]
        asked = [n_components(len(task.draw.orders[size])) for task in question.tasks]
        few = [one for one, wanted in zip(found, asked, strict=True) if (one.components or 0) < wanted]
        if few:
            layers = dict.fromkeys(fits.candidates[one.candidate[0]] for one in few)
            what = "%s, %d mapping images: layers %s have %d of %d components for partial least squares"
            least = min(one.components or 0 for one in few)
            log.warning(what, _called(question, fits), n_images, ", ".join(layers), least, min(asked))


def _called(question: Question, fits: TargetFits) -> str:
    return f"{question.recording.name} {fits.region}"
