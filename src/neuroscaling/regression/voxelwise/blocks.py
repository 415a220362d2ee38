"""Features and targets come in blocks, of which moments and sums of each fold are kept."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch

ROWS_TOGETHER = 1024


# Numbers that differ by so many units in their last place, or less, are equal up to rounding.
ROUNDING = 4


@dataclass(frozen=True)
class TargetBlock:
    """Targets `start` to `stop`: values (N, b) minus offset (b,), which is 0 where `read_block` doesn't centre; floor
    (b,): variances up to this are rounding of what was read, float64."""

    start: int
    stop: int
    values: torch.Tensor
    offset: torch.Tensor
    floor: torch.Tensor


class HeldOutTargets(NamedTuple):
    """One fold's targets, less the block's offset. n: held-out rows; sums (b,) over them; spread (b,): sum of squared
    deviations from their mean, and varies (b,): whether that is more than rounding; mean (b,) of the training targets
    (without an intercept where 0 lies); constant (b,): whether a training target doesn't vary, so that nothing can be
    learnt; float64."""

    n: int
    sums: torch.Tensor
    spread: torch.Tensor
    varies: torch.Tensor
    mean: torch.Tensor
    constant: torch.Tensor


def read_block(
    targets: Callable[[int, int], np.ndarray],
    start: int,
    stop: int,
    rows: torch.Tensor,
    like: torch.Tensor,
    centre: bool = True,
) -> TargetBlock:
    """Read targets of all rows; `rows` are those of the mapping, `like` has the type and device.

    Their mean over `rows` is removed if `centre` is set, before they are rounded to the type of `like`: whether a
    target varies, and how much, must not depend on the size of its mean. Raises ValueError for another shape, and for
    targets that aren't finite, by their numbers.
    """
    raw = np.asarray(targets(start, stop))
    if raw.ndim != 2 or raw.shape[1] != stop - start or len(raw) <= int(rows.max()):
        raise ValueError(f"targets {start} to {stop}: shape {raw.shape}, expected all rows and {stop - start} columns")
    wide = torch.float64 if raw.dtype == np.float64 else like.dtype
    values = torch.tensor(raw, dtype=wide, device=like.device)
    total = torch.zeros(stop - start, dtype=torch.float64, device=like.device)
    for part in rows.split(ROWS_TOGETHER):
        total += values[part].sum(0)
    _check_finite(total, start, stop)
    offset = (total / len(rows) if centre else torch.zeros_like(total)).to(like.dtype)
    if centre:
        values -= offset
    floor = (ROUNDING * torch.finfo(wide).eps * total / len(rows)) ** 2
    return TargetBlock(start, stop, values.to(like.dtype), offset, floor)


def _check_finite(total: torch.Tensor, start: int, stop: int) -> None:
    faulty = np.flatnonzero(~torch.isfinite(total).cpu().numpy()) + start
    if len(faulty):
        named = ", ".join(map(str, faulty[:10])) + (", .." if len(faulty) > 10 else "")
        raise ValueError(
            f"{len(faulty)} of the targets {start} to {stop - 1} have NaN or infinity in mapping rows: {named}"
        )


class Moments(NamedTuple):
    """Of some rows of targets: their number, sums (b,), and squared deviations from their mean (b,), float64."""

    n: int
    sums: torch.Tensor
    spread: torch.Tensor

    @classmethod
    def of(cls, values: torch.Tensor) -> "Moments":
        """From rows (n, b): in two passes, so that the size of the mean costs no digits."""
        n, sums = len(values), values.sum(0).double()
        rest = values - (sums / n).to(values.dtype)
        # What rounding left of the mean in them; in place, since blocks are as large as memory allows.
        left = rest.sum(0).double()
        spread = rest.square_().sum(0).double() - left**2 / n
        return cls(n, sums, spread.clamp_min_(0))

    def with_more(self, other: "Moments") -> "Moments":
        """Of the rows of both (Chan, Golub and LeVeque, Am. Stat. 37 (1983) 242-247)."""
        n = self.n + other.n
        apart = self.sums / self.n - other.sums / other.n
        return Moments(n, self.sums + other.sums, self.spread + other.spread + apart**2 * (self.n * other.n / n))

    def columns(self, columns: slice) -> "Moments":
        """The same of some targets."""
        return Moments(self.n, self.sums[columns], self.spread[columns])

    def varies(self, floor: torch.Tensor, eps: float) -> torch.Tensor:
        """Whether targets vary by more than rounding: of what was read (floor), or of the numbers about the offset."""
        return self.spread / self.n > floor + (ROUNDING * eps * self.sums / self.n) ** 2


class FoldSums:
    """Sums and spreads of the targets of each fold in one block, grown by stretches of rows."""

    def __init__(self, block: TargetBlock, intercept: bool) -> None:
        self.folds: dict[int, Moments] = {}
        self.intercept = intercept
        self.offset, self.floor = block.offset.double(), block.floor
        self.eps = torch.finfo(block.values.dtype).eps

    def add(self, fold: int, values: torch.Tensor) -> None:
        """Add rows (some, b) of a fold."""
        own = Moments.of(values)
        self.folds[fold] = self.folds[fold].with_more(own) if fold in self.folds else own

    def total(self) -> torch.Tensor:
        """Sum over all rows, (b,)."""
        return added(own.sums for own in self.folds.values())

    def held_out(self, fold: int, columns: slice) -> HeldOutTargets:
        """What scores need of a fold, for some columns of the block."""
        own = self.folds[fold].columns(columns)
        others = _together([other.columns(columns) for name, other in self.folds.items() if name != fold])
        # Without an intercept targets are predicted as they are: what counts as no prediction is 0.
        mean = others.sums / others.n if self.intercept else -self.offset[columns]
        varies = own.varies(self.floor[columns], self.eps)
        return HeldOutTargets(own.n, own.sums, own.spread, varies, mean, self._constant(others, columns))

    def constant(self) -> torch.Tensor:
        """Whether a target doesn't vary over all mapping rows, (b,)."""
        return self._constant(_together(list(self.folds.values())), slice(None))

    def _constant(self, moments: Moments, columns: slice) -> torch.Tensor:
        if not self.intercept:
            return torch.zeros_like(moments.sums, dtype=torch.bool)
        return ~moments.varies(self.floor[columns], self.eps)


def added(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """The sum of one or more tensors of one shape, in their order."""
    return reduce(torch.add, tensors)


def _together(parts: list[Moments]) -> Moments:
    return reduce(Moments.with_more, parts)


BLOCK_NUMBERS = 2**22


@dataclass(frozen=True)
class FeatureRows:
    """Features of all rows, those for mapping and those for evaluation, (N, p) in float32 or float64."""

    values: np.ndarray

    @property
    def n_rows(self) -> int:
        return len(self.values)

    @property
    def n_features(self) -> int:
        return self.values.shape[1]

    def column_blocks(self) -> Iterator[np.ndarray]:
        """Columns in blocks (N, some), none larger than 34 MB in float64."""
        width = max(BLOCK_NUMBERS // max(self.n_rows, 1), 1)
        for start in range(0, self.n_features, width):
            yield self.values[:, start : start + width]


@dataclass(frozen=True)
class FeatureBlocks:
    """Features that are too many to hold. blocks: gives the columns anew at each call, as arrays (N, some columns)."""

    blocks: Callable[[], Iterable[np.ndarray]]
    n_rows: int

    def column_blocks(self) -> Iterator[np.ndarray]:
        """The blocks. Raises ValueError for one with another number of rows."""
        for block in self.blocks():
            if block.ndim != 2 or len(block) != self.n_rows:
                raise ValueError(f"a block of features has the shape {block.shape}, expected {self.n_rows} rows")
            yield block


@dataclass(frozen=True)
class GramRows:
    """Inner products (N, N) of the raw features of all rows, in float64."""

    products: np.ndarray

    @property
    def n_rows(self) -> int:
        return len(self.products)


Source = FeatureRows | FeatureBlocks | GramRows


def check_source(source: Source) -> None:
    """Raise ValueError for arrays of the wrong shape or kind."""
    if isinstance(source, FeatureRows):
        if source.values.ndim != 2 or source.values.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"features: shape {source.values.shape}, {source.values.dtype}; expected (rows, features), float32/64"
            )
        if not source.n_features:
            raise ValueError("features: there are none")
    if isinstance(source, GramRows) and (source.products.ndim != 2 or len(set(source.products.shape)) != 1):
        raise ValueError(f"inner products: shape {source.products.shape}, expected a square matrix")
