"""Prediction of V4 neurons from a run's activations by ridge and PLS, for growing numbers of mapping images.

Five shuffled folds of the images, the same for every model. Inside each fold's training images nested subsets of n
images map features to responses; layer and penalty are chosen inside the subset; the held-out images stay the same.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.encoding.score_file import ScoreHeader, most_frequent, write_scores
from neuroscaling.encoding.v4 import Session, load_session
from neuroscaling.errors import Problem, StudyError, nearest
from neuroscaling.regression.features import Features
from neuroscaling.regression.folds import nested_subsets, shuffled_folds
from neuroscaling.regression.pls import pls_predict
from neuroscaling.regression.ridge import cv_curve, decompose, relative_alphas
from neuroscaling.regression.scores import normalised, pooled_score, prediction_correlation

log = logging.getLogger(__name__)
N_FOLDS = 5
N_INNER_FOLDS = 3
SEED = 0
MAX_COMPONENTS = 25
MIN_SAMPLES = 6
SAMPLES: tuple[int | str, ...] = (10, 30, 100, 300, "all")
METRICS = ("pls", "ridge")


@dataclass(frozen=True)
class Mapping:
    """A metric: predictions of other rows from mapping rows, and how well a layer does inside the mapping rows."""

    predict: Callable[[Features, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    inner_score: Callable[[Features, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Outcome:
    """One metric at one number of mapping images: correlations (folds, neurons) and the layer chosen in each fold."""

    metric: str
    n_mapping: int
    correlations: np.ndarray
    layers: list[str]


def score_v4(
    activations: Path,
    root: Path,
    session: str,
    output: Path,
    run: str,
    samples: Sequence[int | str] = SAMPLES,
    metrics: Sequence[str] = METRICS,
) -> None:
    """Score one run on one session and write the score file `output`: one row a metric and number of mapping images.

    activations: manifest of the run's activations to the session's images. Raises DataError for faulty recordings and
    for images without activations, StudyError for an unknown metric.
    """
    start = time.perf_counter()
    recording = load_session(root, session)
    outcomes = score_session(open_store(activations), recording, samples, metrics)
    header = ScoreHeader(run, "v4", False, output.stem, tuple(metrics))
    details = {
        "pinned": recording.pinned,
        "folds": N_FOLDS,
        "inner_folds": N_INNER_FOLDS,
        "seed": SEED,
        "ceiling": "raw repeats" if recording.ceiling is not None else "none: no raw repeats of this session",
        "components": "at most 25, and at most a third of the mapping images",
    }
    rows = [_row(recording, outcome) for outcome in outcomes]
    write_scores(output, header, rows, _table(recording, outcomes), details, time.perf_counter() - start)


def score_session(
    stored: Activations, session: Session, samples: Sequence[int | str] = SAMPLES, metrics: Sequence[str] = METRICS
) -> list[Outcome]:
    """Held-out correlations for each metric and each number of mapping images that the session can give."""
    _check_metrics(metrics)
    layers = {layer: Features.of(stored.read_rows(layer, session.stimulus_ids)) for layer in stored.layers}
    folds = shuffled_folds(len(session.stimulus_ids), N_FOLDS, SEED)
    wanted = usable_samples(samples, min(len(train) for train, _ in folds), session.name)
    subsets = [nested_subsets(train, wanted, SEED + fold) for fold, (train, _) in enumerate(folds)]
    outcomes = []
    for metric in metrics:
        for size in wanted:
            results = [
                _fold(layers, session.responses, subset[size], test, MAPPINGS[metric])
                for subset, (_, test) in zip(subsets, folds, strict=True)
            ]
            correlations = np.stack([correlation for correlation, _ in results])
            n_mapping = min(len(subset[size]) for subset in subsets)
            outcomes.append(Outcome(metric, n_mapping, correlations, [layer for _, layer in results]))
    return outcomes


def usable_samples(samples: Sequence[int | str], n_training: int, session: str) -> list[int | str]:
    """The numbers of mapping images that folds with `n_training` training images can give, ascending, "all" last.

    Larger numbers are logged and left out. Raises StudyError for numbers that leave nothing to choose penalties with.
    """
    numbers = sorted({size for size in samples if size != "all"})
    if numbers and numbers[0] < MIN_SAMPLES:
        raise StudyError(
            Problem("too few mapping images", "v4: samples", numbers[0], f"{MIN_SAMPLES} or more, or `all`")
        )
    larger = [size for size in numbers if size >= n_training]
    if larger:
        log.warning("session %s has no %s mapping images: a fold trains on %d", session, larger, n_training)
    return [size for size in numbers if size < n_training] + (["all"] if "all" in samples else [])


def _check_metrics(metrics: Sequence[str]) -> None:
    for metric in metrics:
        if metric not in MAPPINGS:
            raise StudyError(Problem("no such metric", "v4", metric, ", ".join(MAPPINGS), nearest(metric, MAPPINGS)))


def ridge_curve(features: Features, responses: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Penalties (a,) and their cross-validated R^2 (a, neurons) inside `rows`."""
    alphas = relative_alphas(features, rows)
    folds = shuffled_folds(len(rows), N_INNER_FOLDS, SEED)
    return alphas, cv_curve(features, responses, rows, alphas, folds)


def ridge(features: Features, responses: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Predictions for `others` by ridge with a penalty for each neuron, the best inside `rows`."""
    alphas, curve = ridge_curve(features, responses, rows)
    return decompose(features, responses, rows, others).predict(alphas[curve.argmax(0)])


def ridge_inner(features: Features, responses: np.ndarray, rows: np.ndarray) -> float:
    """How well a layer does inside `rows`: R^2 with each neuron's best penalty, mean over neurons."""
    return float(ridge_curve(features, responses, rows)[1].max(0).mean())


def pls(features: Features, responses: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Predictions for `others` by PLS: 25 components, or a third of the mapping images where those are fewer."""
    return pls_predict(features, responses, rows, others, max(1, min(MAX_COMPONENTS, len(rows) // 3)))


def pls_inner(features: Features, responses: np.ndarray, rows: np.ndarray) -> float:
    """How well a layer does inside `rows`: cross-validated correlation, mean over neurons."""
    folds = shuffled_folds(len(rows), N_INNER_FOLDS, SEED)
    parts = [(rows[train], rows[held]) for train, held in folds]
    scores = [
        prediction_correlation(pls(features, responses, train, held), responses[held]).mean() for train, held in parts
    ]
    return float(np.mean(scores))


MAPPINGS = {"pls": Mapping(pls, pls_inner), "ridge": Mapping(ridge, ridge_inner)}


def _fold(
    layers: dict[str, Features], responses: np.ndarray, rows: np.ndarray, test: np.ndarray, mapping: Mapping
) -> tuple[np.ndarray, str]:
    """Correlations (neurons,) on the held-out images, from the layer that was best inside the mapping images."""
    best = next(iter(layers))
    if len(layers) > 1:
        best = max(layers, key=lambda layer: mapping.inner_score(layers[layer], responses, rows))
    predictions = mapping.predict(layers[best], responses, rows, test)
    return prediction_correlation(predictions, responses[test]), best


def _row(session: Session, outcome: Outcome) -> dict[str, Any]:
    """A row of the score file: mean over folds; its error is the standard error over folds."""
    scores = [pooled_score(correlation, session.ceiling) for correlation in outcome.correlations]
    return {
        "region": "V4",
        "subject": session.name,
        "metric": outcome.metric,
        "score": np.mean(scores),
        "raw": outcome.correlations.mean(),
        "ceiling": None if session.ceiling is None else session.ceiling.mean(),
        "error": np.std(scores, ddof=1) / np.sqrt(len(scores)),
        "layer": most_frequent(outcome.layers),
        "n_targets": outcome.correlations.shape[1],
        "n_mapping": outcome.n_mapping,
    }


def _table(session: Session, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    n = session.responses.shape[1]
    ceiling = np.full(n, np.nan) if session.ceiling is None else session.ceiling
    r = [outcome.correlations.mean(0) for outcome in outcomes]
    return {
        "metric": np.repeat([outcome.metric for outcome in outcomes], n),
        "n_mapping": np.repeat([outcome.n_mapping for outcome in outcomes], n),
        "neuron": np.tile(np.arange(n), len(outcomes)),
        "r": np.concatenate(r),
        "ceiling": np.tile(ceiling, len(outcomes)),
        "score": np.concatenate([normalised(one, ceiling) for one in r]),
    }
