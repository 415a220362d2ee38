"""Features of stimuli are checked for NaN, and give ridge and PLS their inner products once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np

from neuroscaling.regression.gram import Gram


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
        mean = values.mean(0)
        if not np.isfinite(mean).all():
            # A stimulus with a NaN must not make this feature NaN for all others.
            finite = np.isfinite(values)
            mean = np.where(finite, values, 0.0).sum(0) / np.maximum(finite.sum(0), 1)
        return cls(values - mean)

    @cached_property
    def gram(self) -> np.ndarray:
        """Inner products of all pairs of stimuli, (n, n)."""
        return self.values @ self.values.T

    @cached_property
    def as_gram(self) -> Gram:
        """The inner products with what else a Gram tells."""
        return Gram(self.gram, self.values.sum(1), self.values.shape[1])

    @cached_property
    def covariance(self) -> np.ndarray:
        """Inner products of all pairs of features, (p, p)."""
        return self.values.T @ self.values

    @cached_property
    def finite(self) -> np.ndarray:
        """Whether a stimulus has neither NaN nor infinity among its features, (n,)."""
        return finite_rows(self.values)


@dataclass(frozen=True)
class Fit:
    """A linear map from the rows of `source` (features, or inner products with all stimuli) to targets.

    source (n, d), its mean over the training rows (d,), left (d, k), right (k, m) where the map has low rank, and the
    mean of the training targets (m,). columns: of the source, where the map is of these alone.
    """

    source: np.ndarray
    source_mean: np.ndarray
    left: np.ndarray
    target_mean: np.ndarray
    right: np.ndarray | None = None
    columns: np.ndarray | None = None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predictions (len(rows), m)."""
        source = self.source[rows] if self.columns is None else self.source[np.ix_(rows, self.columns)]
        projected = (source - self.source_mean) @ self.left
        return (projected if self.right is None else projected @ self.right) + self.target_mean


def is_primal(features: Features | Gram, n_rows: int) -> TypeGuard[Features]:
    """Whether the features themselves are the smaller problem for `n_rows` training rows."""
    return isinstance(features, Features) and features.values.shape[1] <= n_rows


def products_of(features: Features | Gram) -> np.ndarray:
    """Inner products (n, n) of all stimuli."""
    return features.gram if isinstance(features, Features) else features.products


def check_numbers(features: Features | Gram, rows: np.ndarray, targets: np.ndarray) -> None:
    """Raise ValueError for targets whose shape doesn't fit `rows`, and for NaN or infinity on either side.

    The message names stimuli by their rows, and the features. One NaN feature of a stimulus makes its own inner product
    NaN, so that a Gram is checked by its diagonal.
    """
    if targets.ndim != 2 or len(targets) != len(rows):
        raise ValueError(f"targets have the shape {targets.shape}, expected {len(rows)} rows and any number of columns")
    if isinstance(features, Features) and not features.finite.all():
        # Of all stimuli, since their products are shared: a NaN would reach predictions from other rows.
        words = not_finite_in_words(features.values, [f"row {row}" for row in range(len(features.values))])
        raise ValueError(f"features of {len(features.values)} stimuli: {words}")
    if isinstance(features, Gram):
        faulty = rows[~np.isfinite(features.products.diagonal())[rows]]
        if len(faulty):
            named = ", ".join(map(str, faulty[:10])) + (", .." if len(faulty) > 10 else "")
            raise ValueError(f"features of {len(faulty)} of {len(rows)} training rows are not finite: rows {named}")
    broken = ~np.isfinite(targets)
    if broken.any():
        columns = np.flatnonzero(broken.any(0))
        named = ", ".join(map(str, columns[:10])) + (", .." if len(columns) > 10 else "")
        raise ValueError(f"{len(columns)} targets are not finite, in {int(broken.sum())} responses: targets {named}")


STIMULI, FEATURES = 5, 5


def finite_rows(values: np.ndarray) -> np.ndarray:
    """Whether a row of (n, p) has neither NaN nor infinity, (n,); a sum each is enough where all are finite."""
    with np.errstate(over="ignore"):
        rows = np.isfinite(values.sum(1, dtype=np.float64))
    if not rows.all():
        rows[~rows] = np.isfinite(values[~rows]).all(1)
    return rows


def not_finite_in_words(values: np.ndarray, names: Sequence[object], first_feature: int = 0) -> str:
    """Where features (n, p) are NaN or infinite: in how many stimuli and features, and the first of them.

    names: of each row, for the message; first_feature: number of the first column, where these are a block of columns.
    """
    faulty = np.flatnonzero(~finite_rows(values))
    broken = ~np.isfinite(values[faulty])
    named = [
        f"{names[row]} (feature {_some((np.flatnonzero(bad) + first_feature).tolist())})"
        for row, bad in zip(faulty[:STIMULI], broken, strict=False)
    ]
    counted = f"{len(faulty)} stimuli and {int(broken.any(0).sum())} features"
    return f"NaN or infinite in {counted}: {', '.join(named)}{', ..' if len(faulty) > STIMULI else ''}"


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:FEATURES])) + (", .." if len(numbers) > FEATURES else "")
