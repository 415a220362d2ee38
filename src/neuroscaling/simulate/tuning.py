"""Simulated neuroids and vertices: sparse weights on a region's features, a smooth non-linearity, noise."""

from dataclasses import dataclass

import numpy as np

CATEGORY_SHARE = {"V4": 0.35, "IT": 1.0}
"""Share of a target's input that is evidence for categories; the rest is image features."""


@dataclass(frozen=True)
class Tuning:
    """How `n` targets of one region respond: weights (features, n); reliability (n,) of the mean over repetitions."""

    region: str
    weights: np.ndarray
    reliability: np.ndarray

    def clean(self, features: np.ndarray) -> np.ndarray:
        """Noise-free responses (images, n) to images with `features` (images, features)."""
        return smooth_rectification(features @ self.weights)

    def repetitions(self, clean: np.ndarray, repetitions: int, rng: np.random.Generator) -> np.ndarray:
        """Responses (repetitions, images, n): clean plus Gaussian noise.

        The mean over repetitions has the reliability (share of its variance that is not noise) of the tuning.
        """
        noise_variance = repetitions * clean.var(0) * (1 - self.reliability) / self.reliability
        return clean + np.sqrt(noise_variance) * rng.standard_normal((repetitions, *clean.shape))


def draw_tuning(
    region: str,
    n_features: int,
    n: int,
    rng: np.random.Generator,
    reliability: tuple[float, float],
    n_categories: int = 0,
) -> Tuning:
    """`n` targets with random tuning to a region's features, the last `n_categories` of them category evidence."""
    share = CATEGORY_SHARE.get(region, 0.0) if n_categories else 0.0
    image = _sparse(n_features - n_categories, n, 3, rng)
    category = _sparse(n_categories, n, 2, rng)
    weights = np.concatenate([np.sqrt(1 - share) * image, np.sqrt(share) * category])
    return Tuning(region, weights, rng.uniform(*reliability, n))


def smooth_rectification(drive: np.ndarray) -> np.ndarray:
    """log(1 + exp(drive + 1)): a firing rate that is never negative and nearly linear for strong drive."""
    return np.logaddexp(0, drive + 1)


def _sparse(n_features: int, n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Unit-length weights (n_features, n) on k features each, the first of them the strongest and positive."""
    weights = np.zeros((n_features, n))
    if n_features == 0:
        return weights
    for target in range(n):
        chosen = rng.choice(n_features, min(k, n_features), replace=False)
        weights[chosen, target] = rng.uniform(-0.6, 0.6, len(chosen))
        weights[chosen[0], target] = 1
    return weights / np.linalg.norm(weights, axis=0)
