"""A block of targets in memory, and what scores need to know of the targets in each fold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from neuroscaling.regression.voxelwise.problem import Size

ROWS = 1024


@dataclass(frozen=True)
class Block:
    """Targets `start` to `stop`: values (N, b) minus offset (b,), which is 0 where no intercept is fitted."""

    start: int
    stop: int
    values: torch.Tensor
    offset: torch.Tensor


class HeldOut(NamedTuple):
    """One fold's targets. n: held-out rows; sums, squares (b,) over them; mean (b,) of the training targets (0 without
    an intercept); constant (b,): whether a training target doesn't vary, so that nothing can be learnt; float64."""

    n: int
    sums: torch.Tensor
    squares: torch.Tensor
    mean: torch.Tensor
    constant: torch.Tensor


def read_block(
    targets: Callable[[int, int], np.ndarray],
    start: int,
    stop: int,
    rows: torch.Tensor,
    like: torch.Tensor,
    centre: bool,
) -> Block:
    """Read targets of all rows; `rows` are those of the mapping, `like` has the type and device.

    Their mean over `rows` is removed (an intercept makes that harmless, and it saves digits) if `centre` is set.
    Raises ValueError for another shape, and for targets that aren't finite, by their numbers.
    """
    raw = np.asarray(targets(start, stop))
    if raw.ndim != 2 or raw.shape[1] != stop - start or len(raw) <= int(rows.max()):
        raise ValueError(f"targets {start} to {stop}: shape {raw.shape}, expected all rows and {stop - start} columns")
    values = torch.tensor(raw, dtype=like.dtype, device=like.device)
    total = torch.zeros(stop - start, dtype=torch.float64, device=like.device)
    for part in rows.split(ROWS):
        total += values[part].sum(0)
    _check_finite(total, start, stop)
    offset = (total / len(rows) if centre else torch.zeros_like(total)).to(like.dtype)
    if centre:
        values -= offset
    return Block(start, stop, values, offset)


def _check_finite(total: torch.Tensor, start: int, stop: int) -> None:
    faulty = np.flatnonzero(~torch.isfinite(total).cpu().numpy()) + start
    if len(faulty):
        named = ", ".join(map(str, faulty[:10])) + (", .." if len(faulty) > 10 else "")
        raise ValueError(
            f"{len(faulty)} of the targets {start} to {stop - 1} have NaN or infinity in mapping rows: {named}"
        )


class FoldSums:
    """Sums and sums of squares of the targets of each fold, grown by stretches of rows."""

    def __init__(self) -> None:
        self.sums: dict[int, torch.Tensor] = {}
        self.squares: dict[int, torch.Tensor] = {}

    def add(self, fold: int, values: torch.Tensor) -> None:
        """Add rows (some, b) of a fold."""
        for table, values_sum in ((self.sums, values.sum(0)), (self.squares, (values * values).sum(0))):
            table[fold] = table[fold] + values_sum.double() if fold in table else values_sum.double()

    def total(self) -> torch.Tensor:
        """Sum over all rows, (b,)."""
        return sum(self.sums.values())

    def held_out(self, size: Size, fold: int, intercept: bool, columns: slice) -> HeldOut:
        """What scores need of a fold, for some columns of the block."""
        n = int((size.labels == fold).sum())
        training = size.n - n
        train_sum = self._others(self.sums, fold, columns)
        mean = train_sum / training
        constant = _constant(train_sum, self._others(self.squares, fold, columns), training, intercept)
        mean = mean if intercept else torch.zeros_like(mean)
        return HeldOut(n, self.sums[fold][columns], self.squares[fold][columns], mean, constant)

    def constant(self, size: Size, intercept: bool) -> torch.Tensor:
        """Whether a target doesn't vary over all mapping rows of the size, (b,)."""
        return _constant(self.total(), sum(self.squares.values()), size.n, intercept)

    def _others(self, table: dict[int, torch.Tensor], fold: int, columns: slice) -> torch.Tensor:
        # Summed rather than subtracted: a fold with large values would take the digits of the others.
        return sum(values[columns] for other, values in table.items() if other != fold)


def _constant(sums: torch.Tensor, squares: torch.Tensor, n: int, intercept: bool) -> torch.Tensor:
    if not intercept:
        return torch.zeros_like(sums, dtype=torch.bool)
    return ~varies(sums, squares, n)


def varies(sums: torch.Tensor, squares: torch.Tensor, n: int) -> torch.Tensor:
    """Whether values vary by more than the rounding of float32 sums: their squared deviations against their squares."""
    return squares - sums**2 / n > 1e-6 * squares
