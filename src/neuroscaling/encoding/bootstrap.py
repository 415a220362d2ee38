"""Intervals over subjects and images, and exact tests of paired differences between subjects."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

LEVELS = (2.5, 97.5)
N_RESAMPLES = 2000
SEED = 0
MAX_FLIPPED = 16  # subjects whose 2^n signs are all tried


@dataclass(frozen=True)
class Summary:
    """Mean over subjects (keys,), its 95 % interval, and how many subjects have the number.

    bias: how far the mean of the resamples lies above `value`. Resampled images add noise of their own to r^2; the
    interval is freed of that lift, which says nothing of how well the mean is known.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bias: np.ndarray
    n_subjects: np.ndarray


def summarise(values: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> Summary:
    """Mean over subjects with a hierarchical bootstrap interval: subjects are drawn, then images within each.

    values (subjects, 1 + draws, keys): the number of all images, then of each draw of images; NaN (in all draws) where
    a subject lacks it. A drawn subject comes with one of its draws at random. Of one subject the interval is over
    images alone, without draws over subjects alone; without either it is NaN. Keys share the resamples of subjects.
    """
    values = np.asarray(values, np.float64)
    present = np.isfinite(values[:, 0])
    n = present.sum(0)
    with np.errstate(invalid="ignore"):
        value = np.where(present, values[:, 0], 0).sum(0) / np.where(n, n, np.nan)
    low, high, bias = (np.full(len(n), np.nan) for _ in range(3))
    patterns, pattern = np.unique(present, axis=1, return_inverse=True)
    for number, subjects in enumerate(patterns.T):
        if subjects.sum() + (values.shape[1] > 1) > 1 and subjects.any():
            keys = np.nonzero(pattern.ravel() == number)[0]
            drawn = resamples(values[np.ix_(subjects, range(values.shape[1]), keys)], n_resamples, seed)
            bias[keys] = drawn.mean(0) - value[keys]
            low[keys], high[keys] = np.percentile(drawn, LEVELS, axis=0) - bias[keys]
    return Summary(value, low, high, bias, n)


def resamples(values: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Means over drawn subjects (n_resamples, keys), each drawn subject with one of its draws of images.

    values (subjects, 1 + draws, keys), without NaN; where there are no draws, the numbers of all images stand in.
    """
    draws = values[:, 1:] if values.shape[1] > 1 else values
    n_subjects, n_draws, n_keys = draws.shape
    rng = np.random.default_rng(seed)
    subjects = rng.integers(n_subjects, size=(n_resamples, n_subjects))
    images = rng.integers(n_draws, size=(n_resamples, n_subjects))
    total = np.zeros((n_resamples, n_keys))
    for place in range(n_subjects):
        total += draws[subjects[:, place], images[:, place]]
    return total / n_subjects


def basis(n_subjects: int, n_draws: int) -> str:
    """What an interval of `summarise` is over, in words."""
    over = ["subjects"] * (n_subjects > 1) + ["images"] * (n_draws > 0 and n_subjects > 0)
    return " and ".join(over) or "nothing"


def same_sign(differences: np.ndarray) -> np.ndarray:
    """Share of the subjects (keys,) whose difference has the sign of the mean. differences (subjects, keys) or NaN."""
    present = np.isfinite(differences)
    n = present.sum(0)
    signs = np.sign(np.where(present, differences, 0))
    agree = ((signs == np.sign(_total(differences))) & present).sum(0)
    return np.where(n > 0, agree / np.maximum(n, 1), np.nan)


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided p (keys,) that differences (subjects, keys) have mean 0: the share of all 2^n ways to give them signs
    whose mean is as far from 0. Exact where the differences are symmetric about 0 under the null hypothesis.

    NaN for no subject, or more than MAX_FLIPPED. With n subjects no p lies below 2^(1-n): .0078 for eight.
    """
    p = np.full(differences.shape[1], np.nan)
    present = np.isfinite(differences)
    for key in np.nonzero((present.sum(0) > 0) & (present.sum(0) <= MAX_FLIPPED))[0]:
        own = differences[present[:, key], key]
        means = np.abs(_signs(len(own)) @ own)
        p[key] = (means >= means[0] * (1 - 1e-12)).mean()
    return p


@cache
def _signs(n: int) -> np.ndarray:
    """All ways to sign n numbers (2^(n-1), n); the first sign stays, since flipping all changes no absolute value."""
    return np.array(list(product((1.0,), *[(1.0, -1.0)] * (n - 1))))


def _total(differences: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(differences), differences, 0).sum(0)
