"""Encoding of fMRI: ridge from a run's layers to every vertex, tested on images that no choice has seen."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.encoding.algonauts import Subject, read_subject, subjects_of, tree_problems
from neuroscaling.encoding.score_file import ScoreHeader, most_frequent, write_scores
from neuroscaling.errors import DataError
from neuroscaling.regression.features import compact, standardise
from neuroscaling.regression.folds import shuffled_folds
from neuroscaling.regression.ridge import ridge_cv
from neuroscaling.regression.scores import (
    algonauts_score,
    bootstrap_correlations,
    normalised,
    pooled_score,
    prediction_correlation,
)

log = logging.getLogger(__name__)
N_FOLDS = 5
SEED = 0
N_BOOTSTRAPS = 100
# Penalties in units of the number of features, which are z-scores.
ALPHAS = np.logspace(-3, 3, 10)


@dataclass(frozen=True)
class VertexScores:
    """Per vertex: test correlation, layer (index), penalty, cross-validated R^2; predictions are (images, vertices)."""

    correlation: np.ndarray
    layer: np.ndarray
    alpha: np.ndarray
    cv_score: np.ndarray
    predictions: np.ndarray


def score_tree(
    activations: Path,
    root: Path,
    output: Path,
    header: ScoreHeader,
    subjects: Sequence[str] | str = "all",
    regions: Sequence[str] | str = "all",
) -> None:
    """Score one run on all `subjects` of a tree in the Algonauts layout and write the score file `output`.

    activations: the manifest of the run's activations to the tree's images. Rows: one a subject and region.
    Raises DataError with all problems of the tree, and for images without activations.
    """
    start = time.perf_counter()
    stored, root = open_store(activations), Path(root)
    problems = tree_problems(root, subjects, regions)
    if problems:
        raise DataError(problems)
    rows, tables, masked = [], [], {}
    for name in subjects_of(root, subjects):
        subject = read_subject(root, name)
        _report_masked(subject)
        vertices = score_subject(subject, stored)
        rows += region_rows(subject, vertices, stored.layers, regions)
        tables.append(_table(subject, vertices, stored.layers))
        masked[name] = subject.masked
    targets = {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
    if regions == "all":
        present = {row["region"] for row in rows if row["n_targets"]}
        rows = [row for row in rows if row["region"] in present]
    details = {"masked_vertices": masked, "layers": stored.layers, "folds": N_FOLDS, "penalties": ALPHAS}
    write_scores(output, header, rows, targets, details, time.perf_counter() - start)


def score_subject(subject: Subject, stored: Activations) -> VertexScores:
    """Fit every layer on the training images, choose layer and penalty per vertex there, and predict the test images.

    Each vertex takes the layer and the penalty with the best R^2 averaged over 5 folds of the training images.
    """
    n_train = len(subject.training_ids)
    folds = shuffled_folds(n_train, min(N_FOLDS, n_train), SEED)
    best = None
    for index, layer in enumerate(stored.layers):
        features = stored.read_rows(layer, [*subject.training_ids, *subject.test_ids])
        train, test = standardise(features[:n_train].astype(np.float64), features[n_train:].astype(np.float64))
        penalties = ALPHAS * max(train.shape[1], 1)
        train, test = (part.astype(np.float32) for part in compact(train, test))
        fit = ridge_cv(train, subject.training, penalties.astype(np.float32), folds)
        best = _better(best, fit.cv_scores, fit.alphas, fit.predict(test), index)
    cv_score, alpha, predictions, layers = best
    correlation = prediction_correlation(predictions.astype(np.float64), subject.test.astype(np.float64))
    return VertexScores(correlation, layers, alpha, cv_score, predictions)


def region_rows(
    subject: Subject, vertices: VertexScores, layers: Sequence[str], regions: Sequence[str] | str
) -> list[dict[str, Any]]:
    """A row for each region; those that this subject lacks have null numbers and no targets."""
    names = subject.regions if regions == "all" else regions
    nothing = np.zeros(len(vertices.correlation), bool)
    return [_row(subject, vertices, layers, name, subject.regions.get(name, nothing)) for name in names]


def _row(subject: Subject, vertices: VertexScores, layers: Sequence[str], region: str, mask: np.ndarray) -> dict:
    row = {"region": region, "subject": subject.name, "metric": "ridge", "n_targets": int(mask.sum())}
    row["n_mapping"] = len(subject.training_ids)
    if not mask.any():
        empty = dict.fromkeys(("score", "raw", "ceiling", "error", "layer"))
        return row | empty
    ceiling = None if subject.ceiling is None else subject.ceiling[mask].astype(np.float64)
    correlation = vertices.correlation[mask]
    row |= {
        "score": pooled_score(correlation, ceiling),
        "raw": correlation.mean(),
        "ceiling": None if ceiling is None else ceiling.mean(),
        "error": _error(vertices.predictions[:, mask], subject.test[:, mask], ceiling),
        "layer": most_frequent([layers[index] for index in vertices.layer[mask]]),
    }
    if ceiling is not None:
        row["challenge_score"] = algonauts_score(correlation, ceiling).mean()
        row["median_normalised"] = np.nanmedian(normalised(correlation, ceiling))
    return row


def _error(predictions: np.ndarray, responses: np.ndarray, ceiling: np.ndarray | None) -> float:
    """Standard error of the score over resampled test images (vertices share images, so they aren't resampled)."""
    draws = bootstrap_correlations(predictions.astype(np.float64), responses.astype(np.float64), N_BOOTSTRAPS, SEED)
    return float(np.std([pooled_score(draw, ceiling) for draw in draws]))


def _better(best: tuple | None, cv_score: np.ndarray, alpha: np.ndarray, predictions: np.ndarray, layer: int) -> tuple:
    layers = np.full(len(cv_score), layer)
    if best is None:
        return cv_score, alpha, predictions, layers
    better = cv_score > best[0]
    return tuple(
        np.where(better, new, old) for new, old in zip((cv_score, alpha, predictions, layers), best, strict=True)
    )


def _report_masked(subject: Subject) -> None:
    for hemisphere, vertices in subject.masked.items():
        if vertices:
            log.warning(
                "%s %s: %d vertices are NaN or don't vary and are left out: %s",
                subject.name, hemisphere, len(vertices), vertices[:20],
            )  # fmt: skip


def _table(subject: Subject, vertices: VertexScores, layers: Sequence[str]) -> dict[str, np.ndarray]:
    n = len(subject.vertex)
    names = [name for name in subject.regions if subject.regions[name].any()]
    members = np.stack([subject.regions[name] for name in names], axis=1)
    return {
        "subject": np.full(n, subject.name),
        "hemisphere": subject.hemisphere,
        "vertex": subject.vertex,
        "regions": np.array(["|".join(np.array(names)[row]) for row in members]),
        "layer": np.array(layers)[vertices.layer],
        "alpha": vertices.alpha,
        "cv_r2": vertices.cv_score,
        "r": vertices.correlation,
        "ceiling": np.full(n, np.nan) if subject.ceiling is None else subject.ceiling.astype(np.float64),
    }
