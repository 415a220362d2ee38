"""Partial least squares from inner products of stimuli, several training sets in step: equal to scikit-learn's.

Scores of unit length t span what is found so far; with their loadings L = Y't and images K t the deflated targets and
S = Yd' K Yd follow without touching an n x m matrix twice, and one pass over K serves all training sets. Training sets
are zero-padded to all stimuli, so that no sub-matrix is copied, and centred through the vectors instead of through K.
Dual coefficients: Rosipal and Trejo, J. Mach. Learn. Res. 2 (2001) 97-123.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg.blas import dsymv

from neuroscaling.regression.features import Fit
from neuroscaling.regression.nipals import Power, Remainder, power_iteration

# Rounding in K leaves some 1e-15 of the trace of S behind when the features are used up.
EXHAUSTED = 1e-12
# A power iteration on so many targets costs less than the calls that its factors take, however few the stimuli.
FEW_TARGETS = 256


@dataclass(frozen=True)
class DualSplit:
    """The state of one training set of n_rows out of n stimuli; arrays over stimuli are 0 outside of it.

    targets, target_images: centred Y' and (K Y)', (m, n). Components, one a row: weights c and loadings (k, m), scores
    t and images K t (k, n). power: S (m, m), or None where m is so large that its factors are the smaller problem.
    """

    training: np.ndarray
    n_rows: int
    targets: np.ndarray
    target_images: np.ndarray
    power: Power | None
    trace: np.ndarray  # of S: now, and at the start
    remainder: Remainder
    weights: np.ndarray
    loadings: np.ndarray
    scores: np.ndarray
    images: np.ndarray
    iterations: list[int] = field(default_factory=list)

    def centre(self, values: np.ndarray) -> np.ndarray:
        """Vectors (..., n): less their mean over the training set, and 0 outside of it."""
        mean = (values @ self.training) / self.n_rows
        return (values - mean[..., None]) * self.training

    def residual(self, target: int) -> np.ndarray:
        """What the components leave of a target, (n,)."""
        found = len(self.iterations)
        return self.targets[target] - self.loadings[:found, target] @ self.scores[:found]

    def times_power(self, weights: np.ndarray, image: np.ndarray) -> None:
        """Write S c into `image`, through the factors of S."""
        found = len(self.iterations)
        score = weights @ self.target_images - (self.loadings[:found] @ weights) @ self.images[:found]
        image[:] = self.targets @ score - (self.scores[:found] @ score) @ self.loadings[:found]

    def add_score(self) -> bool:
        """Find the score of the next component; False where targets or features are used up."""
        start = self.remainder.start(self.residual)
        if start is None or self.trace[0] <= EXHAUSTED * self.trace[1]:
            return False
        if self.power is None:
            weights, n_iter = power_iteration(self.times_power, len(self.targets), start, at_once=1)
        else:
            weights, n_iter = power_iteration(self.power.times, len(self.targets), start)
        found = len(self.iterations)
        score = weights @ self.target_images - (self.loadings[:found] @ weights) @ self.images[:found]
        for _ in range(2):
            # Twice, since one pass leaves rounding of the size of what it took out.
            score -= (self.scores[:found] @ score) @ self.scores[:found]
            score /= np.linalg.norm(score)
        self.weights[found], self.scores[found] = weights, score
        self.iterations.append(n_iter)
        return True

    def deflate(self, image: np.ndarray) -> None:
        """Take the newest score out of the targets, given its image K t."""
        newest = len(self.iterations) - 1
        score, image = self.scores[newest], self.centre(image)
        loading, shared = self.targets @ score, self.targets @ image
        shared -= (self.scores[:newest] @ image) @ self.loadings[:newest]
        half = shared - 0.5 * (score @ image) * loading
        self.loadings[newest], self.images[newest] = loading, image
        self.remainder.reduce(loading)
        self.trace[0] -= 2 * (loading @ half)
        if self.power is not None:
            self.power.deflate(loading, half)

    def dual(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients over stimuli in two factors, (n, k) and (k, m)."""
        found = len(self.iterations)
        weights, loadings = self.weights[:found], self.loadings[:found]
        target_scores = weights @ self.targets - np.tril(weights @ loadings.T, -1) @ self.scores[:found]
        # Their sum is 0 but for rounding, which inner products of features with large means would amplify.
        target_scores = self.centre(target_scores)
        if not found:
            return target_scores.T, loadings
        return target_scores.T, np.linalg.solve(self.images[:found] @ target_scores.T, loadings)


def fit_dual(
    products: np.ndarray, targets: np.ndarray, row_sets: Sequence[np.ndarray], n_components: int
) -> list[tuple[Fit, list[int]]]:
    """For each training set (rows, none twice): the map to the targets and the power iterations of each component.

    products: raw inner products K (n, n); targets: (n, m) of all stimuli; only a training set's enter its fit.
    """
    training = np.zeros((len(row_sets), len(products)))
    for mask, rows in zip(training, row_sets, strict=True):
        mask[rows] = 1.0
    sums = (products @ training.T).T
    centred = targets - targets.mean(0)
    target_images = products @ centred
    splits = [
        _start(products, centred, target_images, mask, total, n_components)
        for mask, total in zip(training, sums, strict=True)
    ]
    active = splits
    for _ in range(n_components):
        active = [split for split in active if split.add_score()]
        if not active:
            break
        images = _times_symmetric(products, np.stack([split.scores[len(split.iterations) - 1] for split in active]))
        for split, image in zip(active, images, strict=True):
            split.deflate(image)
    return [
        _finish(split, products, total, targets[rows].mean(0))
        for split, total, rows in zip(splits, sums, row_sets, strict=True)
    ]


def _times_symmetric(products: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Images K t (splits, n) of scores (splits, n); of a single one from one triangle of K, which is half to read."""
    if len(scores) > 1:
        return (products @ scores.T).T
    return dsymv(1.0, products.T, scores[0])[None]


def _start(
    products: np.ndarray,
    targets: np.ndarray,
    target_images: np.ndarray,
    training: np.ndarray,
    sums: np.ndarray,
    n_components: int,
) -> DualSplit:
    """A training set before its first component; sums: K summed over its rows, (n,)."""
    inside = training > 0
    n_rows = int(inside.sum())
    mean = targets[inside].mean(0)
    # K times the centred targets of the training set, from K times those of all stimuli: the others are few.
    images = target_images - products[~inside].T @ targets[~inside] - np.multiply.outer(sums, mean)
    own = np.ascontiguousarray(((targets - mean) * training[:, None]).T)
    images = np.ascontiguousarray(images.T)
    images -= (images @ training / n_rows)[:, None]
    images *= training
    m, n = own.shape
    trace = np.vdot(own, images)
    return DualSplit(
        training,
        n_rows,
        own,
        images,
        Power.of(own @ images.T) if m <= max(2 * n_rows, FEW_TARGETS) else None,
        np.array([trace, trace]),
        Remainder.of(np.einsum("ij,ij->i", own, own), n_rows),
        weights=np.empty((n_components, m)),
        loadings=np.empty((n_components, m)),
        scores=np.empty((n_components, n)),
        images=np.empty((n_components, n)),
    )


def _finish(split: DualSplit, products: np.ndarray, sums: np.ndarray, mean: np.ndarray) -> tuple[Fit, list[int]]:
    left, right = split.dual()
    return Fit(products, sums / split.n_rows, left, mean, right), split.iterations
