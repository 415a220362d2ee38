"""Settings of a ridge fit and its mapping sizes: which rows are fitted, in which folds (no torch)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Literal, get_args

import numpy as np

Score = Literal["r2", "r"]
Scale = Literal["standardise", "centre"]
SCORES: tuple[Score, ...] = get_args(Score)
SCALES: tuple[Scale, ...] = get_args(Scale)
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class RidgeSettings:
    """Settings of `fit_sizes`.

    alphas: penalties, ascending; relative: whether they are in units of trace(X'X) / n of the centred (and scaled)
    mapping rows of each size; score: mean over folds of R^2 or Pearson r, by which each target chooses its penalty
    (the first among equals); scale: features centred, or also divided by the standard deviation (ddof 0) of the
    mapping rows of that size (constant features become 0); intercept: fitted without penalty in every training set,
    or, if False, none, with features centred once on all mapping rows of the size and targets as they are;
    memory_mb: megabytes (10^6 bytes) for all that is held beside the features; device: torch's name of it, None for
    CUDA where there is one; dtype: of the products with targets (factors of matrices are always float64).
    """

    alphas: tuple[float, ...]
    relative: bool = True
    score: Score = "r2"
    scale: Scale = "standardise"
    intercept: bool = True
    memory_mb: int = 2000
    device: str | None = None
    dtype: Literal["float32", "float64"] = "float32"

    def problems(self) -> list[str]:
        """Everything wrong with these settings, a sentence each."""
        found = []
        if not self.alphas:
            found.append("alphas: empty, ridge needs at least one penalty")
        faulty = [alpha for alpha in self.alphas if not isfinite(alpha) or alpha < 0]
        if faulty:
            found.append(f"alphas: {faulty[0]} is not a penalty: they are finite and not below 0")
        elif any(low >= high for low, high in zip(self.alphas, self.alphas[1:], strict=False)):
            found.append("alphas: must ascend, each once")
        for name, allowed in (("score", SCORES), ("scale", SCALES), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                found.append(f"{name}: {getattr(self, name)!r} is not one of {', '.join(allowed)}")
        if self.memory_mb <= 0:
            found.append(f"memory_mb: {self.memory_mb} is not above 0")
        return found

    def check(self) -> None:
        """Raise ValueError with everything that `problems` finds."""
        found = self.problems()
        if found:
            raise ValueError("; ".join(found))


@dataclass(frozen=True)
class MappingSize:
    """One mapping size. index: its place in the caller's list; rows (n,): row numbers; labels (n,): fold of each."""

    index: int
    rows: np.ndarray
    labels: np.ndarray

    @property
    def n(self) -> int:
        return len(self.rows)

    @cached_property
    def folds(self) -> np.ndarray:
        """Labels of the folds, ascending."""
        return np.unique(self.labels)

    def held_out(self, fold: int) -> np.ndarray:
        """Positions in `rows` that the fold holds out."""
        return np.flatnonzero(self.labels == fold)

    def training(self, fold: int) -> np.ndarray:
        """Positions in `rows` that the fold trains on."""
        return np.flatnonzero(self.labels != fold)

    def extends(self, other: "MappingSize") -> bool:
        """Whether `other` is the beginning of this size, with the same folds."""
        return other.n <= self.n and all(
            np.array_equal(getattr(self, name)[: other.n], getattr(other, name)) for name in ("rows", "labels")
        )


def sizes_of(
    orders: Sequence[np.ndarray], folds: Sequence[np.ndarray], evaluate: np.ndarray, n_rows: int
) -> list[MappingSize]:
    """The sizes, checked. Raises ValueError with all that is wrong: lengths, row numbers, repeated rows, folds."""
    if len(orders) != len(folds):
        raise ValueError(f"{len(orders)} lists of mapping rows, but folds for {len(folds)}")
    sizes = [
        MappingSize(i, np.asarray(rows), np.asarray(labels))
        for i, (rows, labels) in enumerate(zip(orders, folds, strict=True))
    ]
    found = [problem for size in sizes for problem in _size_problems(size, n_rows)]
    found += _outside("evaluation rows", np.asarray(evaluate), n_rows)
    if found:
        raise ValueError("; ".join(found))
    return sizes


def _size_problems(size: MappingSize, n_rows: int) -> list[str]:
    name = f"mapping size {size.index} ({size.n} rows)"
    if size.rows.shape != size.labels.shape or size.rows.ndim != 1:
        return [f"{name}: {size.labels.shape} fold numbers for {size.rows.shape} rows"]
    kinds = {"row": size.rows.dtype, "fold": size.labels.dtype}
    if not size.n or any(kind.kind not in "iu" for kind in kinds.values()):
        told = ", ".join(f"{what} numbers are {kind}" for what, kind in kinds.items())
        return [f"{name}: needs rows and folds as whole numbers; {told}"]
    found = _outside(name, size.rows, n_rows)
    repeated = size.n - len(np.unique(size.rows))
    if repeated:
        found.append(f"{name}: {repeated} rows are there more than once")
    if len(size.folds) < 2:
        found.append(f"{name}: {len(size.folds)} folds, cross-validation needs at least 2")
    return found


def _outside(name: str, rows: np.ndarray, n_rows: int) -> list[str]:
    outside = rows[(rows < 0) | (rows >= n_rows)]
    return [f"{name}: row {outside[0]} of {n_rows} (numbers start at 0)"] if len(outside) else []


PENALTY_GRIDS = {"corrected": (1e-3, 1e3, 10), "parity": (1.0, 1e15, 30)}
SCORE_OF_PROTOCOL: dict[str, Score] = {"corrected": "r2", "parity": "r"}


@dataclass(frozen=True)
class NestedSubsets:
    """Nested sets of mapping images: for each size the number of images, its rows in order, and the fold of each."""

    n_images: tuple[int, ...]
    orders: tuple[np.ndarray, ...]
    folds: tuple[np.ndarray, ...]
