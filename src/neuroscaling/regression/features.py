"""Features seen through inner products: what ridge and PLS need of them, shared by folds, sample sizes and metrics."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Features:
    """Features of all stimuli, (n, p) in float64, with their Gram matrix computed once when it is first needed."""

    values: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Features":
        """From an array (n, p) of any float type.

        The common mean is removed first: it would cost digits in a Gram matrix, and it changes no result, since every
        fit centres again with its own training rows.
        """
        values = np.asarray(values, dtype=np.float64)
        return cls(values - values.mean(0))

    @cached_property
    def gram(self) -> np.ndarray:
        """Inner products of all pairs of stimuli, (n, n)."""
        return self.values @ self.values.T

    def rows(self, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of training and test rows, centred with the training rows' mean."""
        mean = self.values[train].mean(0)
        return self.values[train] - mean, self.values[test] - mean

    def grams(self, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrices (train, train) and (test, train) of features centred with the training rows' mean."""
        return centre_grams(self.gram[np.ix_(train, train)], self.gram[np.ix_(test, train)])

    def prefer_gram(self, train: np.ndarray) -> bool:
        """Whether `train` has fewer rows than there are features, so that the Gram matrix is the smaller problem."""
        return len(train) < self.values.shape[1]


def centre_grams(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gram matrices (n, n), (q, n) of raw features -> those of features centred with the training mean."""
    means = train.mean(0)
    return (
        train - means[None] - means[:, None] + means.mean(),
        test - test.mean(1, keepdims=True) - means[None] + means.mean(),
    )


def standardise(train: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """z-scores with mean and standard deviation of the training rows alone; constant features become 0."""
    mean, deviation = train.mean(0), train.std(0)
    scale = np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1), deviation, np.inf)
    return tuple((values - mean) / scale for values in (train, *others))


def compact(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features with the same inner products in at most as many columns as there are training rows.

    train (n, p), test (q, n), both centred with the training mean. Ridge and PLS fitted on them predict the same.
    """
    if train.shape[1] <= train.shape[0]:
        return train, test
    values, vectors = np.linalg.eigh(train @ train.T)
    kept = values > values[-1] * 1e-12 if values[-1] > 0 else values < 0
    scale = np.sqrt(values[kept])
    return vectors[:, kept] * scale, (test @ train.T) @ vectors[:, kept] / scale
