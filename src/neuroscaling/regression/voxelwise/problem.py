"""Mapping sizes: which rows each is fitted on, in which folds, and whether it extends the size before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Size:
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

    def extends(self, other: "Size") -> bool:
        """Whether `other` is the beginning of this size, with the same folds."""
        return other.n <= self.n and all(
            np.array_equal(getattr(self, name)[: other.n], getattr(other, name)) for name in ("rows", "labels")
        )


def sizes_of(
    orders: Sequence[np.ndarray], folds: Sequence[np.ndarray], evaluate: np.ndarray, n_rows: int
) -> list[Size]:
    """The sizes, checked. Raises ValueError with all that is wrong: lengths, row numbers, repeated rows, folds."""
    if len(orders) != len(folds):
        raise ValueError(f"{len(orders)} lists of mapping rows, but folds for {len(folds)}")
    sizes = [
        Size(i, np.asarray(rows), np.asarray(labels))
        for i, (rows, labels) in enumerate(zip(orders, folds, strict=True))
    ]
    found = [problem for size in sizes for problem in _problems(size, n_rows)]
    found += _outside("evaluation rows", np.asarray(evaluate), n_rows)
    if found:
        raise ValueError("; ".join(found))
    return sizes


def _problems(size: Size, n_rows: int) -> list[str]:
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
