"""Cross-validation deals seeded folds, and chooses a layer on images that no reported score touches.

The best of many layers is partly the luckiest. Where layers are compared on the images that are then reported, luck is
reported too; so they are compared by cross-validation inside each split's training images (nested cross-validation;
Stone, J. R. Stat. Soc. B 36 (1974) 111-147; Cawley and Talbot, J. Mach. Learn. Res. 11 (2010) 2079-2107).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from neuroscaling.regression.scores import prediction_correlation

Fold = tuple[np.ndarray, np.ndarray]


def shuffled_folds(n: int, n_folds: int, seed: int) -> list[Fold]:
    """`n_folds` pairs (training rows, held-out rows) of `range(n)`, shuffled; every row is held out once.

    Raises ValueError when there are fewer rows than folds or fewer than two folds.
    """
    if not 2 <= n_folds <= n:
        raise ValueError(f"{n_folds} folds of {n} rows: need at least 2 folds and a row for each")
    order = np.random.default_rng(seed).permutation(n)
    parts = [np.sort(part) for part in np.array_split(order, n_folds)]
    return [(np.setdiff1d(np.arange(n), part), part) for part in parts]


class Estimator(Protocol):
    """A regression from the rows of one layer's features."""

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> object:
        """Fit on `rows`, whose targets are (len(rows), m)."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predictions (len(rows), m)."""


def inner_scores(
    estimators: Mapping[str, Estimator],
    rows: np.ndarray,
    targets: np.ndarray,
    folds: Sequence[Fold],
    groups: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Scores (layers, folds): median correlation over targets of held-out rows, averaged over `groups` of targets.

    rows: of the features, for each row of `targets` (n, m); folds: positions in `rows`; groups: columns of each
    subject, all targets together without it. A prediction that doesn't vary counts as correlation 0.
    """
    groups = groups or [np.arange(targets.shape[1])]
    scores = np.empty((len(estimators), len(folds)))
    for i, estimator in enumerate(estimators.values()):
        for j, (train, held_out) in enumerate(folds):
            values = [_correlation(estimator, rows, targets[:, group], train, held_out) for group in groups]
            scores[i, j] = np.mean(values)
    return scores


def near_ties(layers: Sequence[str], scores: np.ndarray, best: int) -> tuple[str, ...]:
    """Other layers that the folds don't tell from layer `best`: difference within its own standard error.

    Of one fold only equal scores are ties, since its error is unknown.
    """
    difference = scores[best] - scores
    n = scores.shape[1]
    error = difference.std(1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(layers))
    near = difference.mean(1) <= error
    return tuple(layer for i, layer in enumerate(layers) if near[i] and i != best)


def choose_in_order(scores: Sequence[np.ndarray]) -> list[int]:
    """One layer for each region so that no region's is earlier than that of the region before it.

    scores: for each region, early to late in the ventral stream, the means (layers,) over depth. Of all such choices
    the one with the largest sum, by dynamic programming; of equal ones the earliest layers.
    """
    total = np.zeros(len(scores[0]))
    origins = []
    for means in scores:
        best_so_far = np.maximum.accumulate(total)
        origins.append(_first_positions(total, best_so_far))
        total = best_so_far + means
    chosen = [int(np.argmax(total))]
    for origin in reversed(origins[1:]):
        chosen.append(int(origin[chosen[-1]]))
    return chosen[::-1]


def _first_positions(values: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """Where each running maximum of `values` was reached first."""
    positions = np.empty(len(values), int)
    best = 0
    for i, value in enumerate(values):
        best = i if value > values[best] else best
        positions[i] = best
    assert np.array_equal(values[positions], maxima)
    return positions


def _correlation(
    estimator: Estimator, rows: np.ndarray, targets: np.ndarray, train: np.ndarray, held_out: np.ndarray
) -> float:
    estimator.fit(rows[train], targets[train])
    predictions = np.asarray(estimator.predict(rows[held_out]))
    return float(np.median(prediction_correlation(predictions.reshape(len(held_out), -1), targets[held_out])))
