"""Partial least squares from covariances, for fewer features than training stimuli: equal to scikit-learn's.

Deflating the features is the same as deflating X'Y and keeping the new scores orthogonal to the old ones in the inner
product X'X, so that the n stimuli are visited once (Dayal and MacGregor, J. Chemometrics 11 (1997) 73-85).
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.linalg.blas import dger, dsymv

from neuroscaling.regression.features import Features, Fit
from neuroscaling.regression.nipals import Power, Remainder, power_iteration

# (X'Y)'(X'Y) holds the squares of what is left of X'Y: rounding leaves some 1e-30 of it.
EXHAUSTED = 1e-24
# Deflation leaves rounding of the size of S when it was made: it is made anew when so much of its trace is left.
RESOLVED = 1e-2


@dataclass(frozen=True)
class PrimalSplit:
    """The state of one training set: centred covariances, and the components found so far (one a row)."""

    covariance: np.ndarray  # X'X, (p, p)
    cross: np.ndarray  # (X'Y)' of the deflated targets, (m, p)
    rotations: np.ndarray  # scores are X @ rotations.T, (components, p)
    images: np.ndarray  # X' @ scores, (components, p)
    loadings: np.ndarray  # (components, m)
    iterations: list[int] = field(default_factory=list)


def fit_primal(
    features: Features, targets: np.ndarray, row_sets: list[np.ndarray], n_components: int
) -> list[tuple[Fit, list[int]]]:
    """For each training set (rows, none twice): the map to the targets and the power iterations of each component.

    targets: (n, m) of all stimuli; only those of a training set enter its fit.
    """
    cross = features.values.T @ targets
    fits = []
    for rows in row_sets:
        mean, target_mean = features.values[rows].mean(0), targets[rows].mean(0)
        covariance, products = _within(features, targets, cross, rows)
        covariance -= len(rows) * np.multiply.outer(mean, mean)
        products -= len(rows) * np.multiply.outer(mean, target_mean)
        shape = (n_components, len(mean))
        loadings = np.empty((n_components, targets.shape[1]))
        split = PrimalSplit(covariance, products.T.copy(), np.empty(shape), np.empty(shape), loadings)
        _find_components(split, features.values, targets, rows)
        found = len(split.iterations)
        left, right = split.rotations[:found].T, split.loadings[:found]
        fits.append((Fit(features.values, mean, left, target_mean, right), split.iterations))
    return fits


def _within(
    features: Features, targets: np.ndarray, cross: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """X'X and X'Y over `rows`: those of all stimuli less the others', which are few."""
    others = np.ones(len(targets), dtype=bool)
    others[rows] = False
    rest = features.values[others]
    return features.covariance - rest.T @ rest, cross - rest.T @ targets[others]


def _find_components(split: PrimalSplit, values: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> None:
    centred = targets[rows] - targets[rows].mean(0)
    remainder = Remainder.of(np.einsum("ij,ij->j", centred, centred), len(rows))
    few_targets = len(split.cross) <= 2 * split.cross.shape[1]
    first_trace = left = np.vdot(split.cross, split.cross)
    power, trace = None, np.inf
    for component in range(len(split.loadings)):

        def residual(target: int, found: int = component) -> np.ndarray:
            fitted = values[rows] @ (split.loadings[:found, target] @ split.rotations[:found])
            return centred[:, target] - (fitted - fitted.mean())

        start = remainder.start(residual)
        if start is None or left <= EXHAUSTED * first_trace:
            break
        if few_targets and left < RESOLVED * trace:
            power, trace = Power.of(split.cross @ split.cross.T), left
        split.iterations.append(_add_component(split, component, start, power))
        remainder.reduce(split.loadings[component])
        left = np.vdot(split.cross, split.cross)


def _add_component(split: PrimalSplit, component: int, start: int, power: Power | None) -> int:
    """Find one component, write it into `split` and deflate; returns the number of power iterations.

    power: S = (X'Y)'(X'Y), which is deflated too; None where its factors are the smaller problem.
    """
    cross = split.cross
    if power is None:
        weights, n_iter = power_iteration(partial(_times_cross, cross), len(cross), start, at_once=1)
    else:
        weights, n_iter = power_iteration(power.times, len(cross), start)
    rotation = weights @ cross
    for _ in range(2):
        # Twice, since one pass leaves rounding of the size of what it took out.
        rotation -= (split.images[:component] @ rotation) @ split.rotations[:component]
    image = dsymv(1.0, split.covariance.T, rotation)
    length = np.sqrt(rotation @ image)
    image /= length
    split.rotations[component], split.images[component] = rotation / length, image
    loading = split.loadings[component] = cross @ split.rotations[component]
    if power is not None:
        power.deflate(loading, cross @ image - 0.5 * (image @ image) * loading)
    dger(-1.0, image, loading, a=cross.T, overwrite_a=1)
    return n_iter


def _times_cross(cross: np.ndarray, weights: np.ndarray, image: np.ndarray) -> None:
    np.dot(cross, weights @ cross, out=image)
