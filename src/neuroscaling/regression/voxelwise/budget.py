"""Operations and memory of a fit decide its way and how its parts are grouped (no torch)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuroscaling.regression.voxelwise.settings import MappingSize

Route = Literal["hats", "basis", "quadratic"]

# Basis vectors that are taken together in quadratic forms.
STRIP = 128
# Operations of an eigendecomposition with vectors and of a Cholesky factor for a matrix of order d, over d^3.
SPECTRUM, FACTOR = 9.0, 1 / 3


def route_of(order: float, held_out: float, primal: bool, n_alphas: int, n_targets: int, cuda: bool) -> Route:
    """The way with least work for a fold with a matrix of this order: see solver.py."""
    if primal and _quadratic(order, n_alphas) < 2 * n_alphas * held_out * order:
        return "quadratic"
    # Into the eigenbasis each target goes for itself, into the hats every held-out row at every penalty.
    return "hats" if cuda or n_alphas * held_out < n_targets else "basis"


def _quadratic(order: float, n_alphas: int) -> float:
    return 4 * order**2 + n_alphas * order * (order + STRIP)


def flops(n: int, p: int, t: int, n_alphas: int, n_folds: int, n_evaluate: int, cuda: bool = False) -> float:
    """Operations of one mapping size: n mapping rows, p features, t targets, predictions of `n_evaluate` rows.

    Multiplications and additions both count. Features and Gram matrices, decompositions, the sweep over penalties in
    each fold, the refit and the predictions are in it; the share in float64 (decompositions, Gram matrices) runs at
    about half of the rate of float32 on a processor, decompositions at a quarter of that.
    """
    primal = p <= n
    gram = n * p * p if primal else n * n * p + 2 * n_evaluate * n * p
    products = 2 * n * p * t if primal else 0
    held_out = n / n_folds
    fold = _fold_flops(p if primal else n - held_out, held_out, primal, t, n_alphas, cuda)
    whole = p if primal else n
    refit = n_alphas * (FACTOR * whole**3 + 2 * n_evaluate * whole**2)
    return float(gram + products + n_folds * fold + refit + 2 * n_evaluate * whole * t)


def _fold_flops(order: float, held_out: float, primal: bool, t: int, n_alphas: int, cuda: bool) -> float:
    route = route_of(order, held_out, primal, n_alphas, t, cuda)
    into_basis = 2 * held_out * order**2
    if route == "quadratic":
        return SPECTRUM * order**3 + 2 * into_basis + _quadratic(order, n_alphas) * t
    sweep = 2 * n_alphas * held_out * order * t
    if cuda:
        return n_alphas * (FACTOR * order**3 + into_basis) + sweep
    return SPECTRUM * order**3 + into_basis + sweep + (n_alphas * into_basis if route == "hats" else 2 * order**2 * t)


MOST_TARGETS = 8192
# Bytes of a megabyte that are planned with: a tenth is left to what libraries and the allocator take for themselves.
USED_BYTES_OF_MB = 900_000
ROWS_TOGETHER = 2048


@dataclass(frozen=True)
class FitShape:
    """Numbers that memory and work depend on. number: bytes of one number of the products with targets."""

    n_rows: int
    n_features: int | None
    n_evaluate: int
    n_alphas: int
    n_targets: int
    number: int
    cuda: bool


@dataclass(frozen=True)
class FitPart:
    """A fold of a mapping size, or (fold None) its refit. order: rows of the right side; held: bytes while targets
    pass; building: bytes that are needed on the way, let go of afterwards."""

    size: MappingSize
    primal: bool
    fold: int | None
    route: Route
    order: int
    held: int
    building: int


def parts_of(size: MappingSize, primal: bool, shape: FitShape) -> list[FitPart]:
    """The parts of a size: its folds, then its refit."""
    return [_fold_part(size, primal, int(fold), shape) for fold in size.folds] + [_refit_part(size, primal, shape)]


def _fold_part(size: MappingSize, primal: bool, fold: int, shape: FitShape) -> FitPart:
    held_out = len(size.held_out(fold))
    order = _order(primal, shape, size.n - held_out)
    route = route_of(order, held_out, primal, shape.n_alphas, shape.n_targets, shape.cuda)
    numbers = {
        "hats": shape.n_alphas * held_out * order,
        "basis": order * (order + held_out),
        "quadratic": order**2 + shape.n_alphas * order * (order + STRIP) // 2,
    }
    held = numbers[route] * shape.number
    building = 8 * (6 * order**2 + 3 * held_out * order) + _chunk(primal, order, size.n)
    return FitPart(size, primal, fold, route, order, held, building)


def _order(primal: bool, shape: FitShape, n_rows: int) -> int:
    """Order of the matrix: features or, in the dual form, training rows. Raises ValueError for unknown features."""
    if not primal:
        return n_rows
    if shape.n_features is None:
        raise ValueError("features that come in blocks are fitted through inner products alone")
    return shape.n_features


def _refit_part(size: MappingSize, primal: bool, shape: FitShape) -> FitPart:
    order = _order(primal, shape, size.n)
    rows = shape.n_evaluate * order
    held = 8 * rows + shape.n_alphas * rows * shape.number + (8 * order * order if primal else 0)
    # Matrices of penalties are made while targets pass.
    building = 8 * (3 * order * order + 3 * rows)
    return FitPart(size, primal, None, "hats", order, held + building, _chunk(primal, order, size.n))


def _chunk(primal: bool, order: int, n: int) -> int:
    # Features are read in chunks of rows, and the Gram matrix of all is there while parts are made.
    return 8 * (2 * min(ROWS_TOGETHER, n) * order + order * order) if primal else 0


def groups_of(parts: Sequence[FitPart], memory: int, shape: FitShape) -> list[list[FitPart]]:
    """Consecutive parts that are held together: in half of `memory` (bytes), or one part alone in what it needs.

    Raises ValueError where memory doesn't hold a part and 64 targets.
    """
    groups: list[list[FitPart]] = []
    for part in parts:
        if groups and _fits([*groups[-1], part], memory, shape):
            groups[-1].append(part)
        else:
            groups.append([part])
    least = max(_need(group) + _least_targets(group, shape) for group in groups)
    if least > memory:
        raise ValueError(
            f"memory_mb: too small by {-(-(least - memory) // USED_BYTES_OF_MB)} for matrices and a few targets"
        )
    return groups


def least_memory_mb(counts: Sequence[int], n_folds: int, shape: FitShape) -> int:
    """The least `memory_mb` for mapping sizes of these counts; for features in blocks give `shape` none (None)."""
    sizes = [MappingSize(i, np.arange(n), np.arange(n) % n_folds) for i, n in enumerate(counts)]
    primal = [shape.n_features is not None and shape.n_features <= size.n for size in sizes]
    products = sum(
        8 * size.n * (size.n + shape.n_evaluate) for size, is_primal in zip(sizes, primal, strict=True) if not is_primal
    )
    parts = [part for size, is_primal in zip(sizes, primal, strict=True) for part in parts_of(size, is_primal, shape)]
    return -(-(products + max(_need([part]) + _least_targets([part], shape) for part in parts)) // USED_BYTES_OF_MB)


def _fits(group: Sequence[FitPart], memory: int, shape: FitShape) -> bool:
    held = sum(part.held for part in group)
    return held <= memory // 2 and _need(group) + _least_targets(group, shape) <= memory


def _need(group: Sequence[FitPart]) -> int:
    return sum(part.held for part in group) + max(part.building for part in group)


def _least_targets(group: Sequence[FitPart], shape: FitShape) -> int:
    """Bytes of the fewest targets that are worth a pass."""
    return 64 * _bytes_of_target(group, shape)


def _bytes_of_target(group: Sequence[FitPart], shape: FitShape) -> int:
    """Bytes that one target takes while its block is worked on."""
    folds = max(len(part.size.folds) for part in group)
    order = max(part.order for part in group)
    crosses = (folds + 3) * order if any(part.primal for part in group) else 2 * order
    numbers = shape.n_rows + 2 * min(ROWS_TOGETHER, shape.n_rows) + crosses + 2 * shape.n_evaluate
    return shape.number * numbers + 8 * (shape.n_rows + 4 * shape.n_alphas)


def block_width(group: Sequence[FitPart], memory: int, n_targets: int, shape: FitShape) -> int:
    """Targets of a block: as many as memory holds beside the group's parts, at most 8,192."""
    left = memory - sum(part.held for part in group)
    return max(min(left // _bytes_of_target(group, shape), n_targets, MOST_TARGETS), 1)
