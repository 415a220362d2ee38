"""Ridge through the inner products of rows, for more features than mapping rows: features may come in blocks."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy.linalg.blas import dsyrk

from neuroscaling.regression.features import finite_rows, not_finite_in_words
from neuroscaling.regression.gram import mirror
from neuroscaling.regression.voxelwise.blocks import FeatureBlocks, FeatureRows, FoldSums, GramRows, Source, TargetBlock
from neuroscaling.regression.voxelwise.settings import MappingSize
from neuroscaling.regression.voxelwise.solver import TrainingSystem

ROWS = 1024


class DualSystems:
    """The linear systems of one mapping size in its rows.

    products (n, n): of the mapping rows' centred (and scaled) features; evaluated (q, n): of the evaluation rows'
    with theirs; unit: trace over rows, the unit of relative penalties.
    """

    def __init__(self, size: MappingSize, products: torch.Tensor, evaluated: torch.Tensor, intercept: bool) -> None:
        self.size, self.products, self.evaluated, self.intercept = size, products, evaluated, intercept
        self.unit = float(products.diagonal().sum()) / size.n

    @property
    def nbytes(self) -> int:
        """Bytes of the inner products."""
        return 8 * (self.products.numel() + self.evaluated.numel())

    def training(self, fold: int) -> TrainingSystem:
        """The system of a fold's training rows, with the held-out rows to predict."""
        train, held_out = (
            torch.from_numpy(rows).to(self.products.device)
            for rows in (self.size.training(fold), self.size.held_out(fold))
        )
        matrix = self.products[train[:, None], train]
        rows = self.products[held_out[:, None], train]
        if self.intercept:
            means = matrix.mean(0)
            matrix.sub_(means).sub_((means - means.mean())[:, None])
            rows = rows - rows.mean(1, keepdim=True) - means + means.mean()
        return TrainingSystem(f"mapping size {self.size.n}, fold {fold}", matrix, rows, None)

    def whole(self) -> TrainingSystem:
        """The system of all mapping rows, with the evaluation rows to predict."""
        return TrainingSystem(f"mapping size {self.size.n}", self.products, self.evaluated, None)


class RowTargets:
    """Targets of mapping rows for one block, which are the right sides of the systems in rows."""

    def __init__(self, block: TargetBlock, intercept: bool) -> None:
        self.block, self.intercept = block, intercept

    def advance(self, form: DualSystems) -> None:
        """Go on to a mapping size: from here on sums and right sides are those of its rows."""
        self.size, self.sums = form.size, FoldSums(self.block, self.intercept)
        for fold in self.size.folds:
            self.sums.add(int(fold), self.held_out(int(fold)))

    def training(self, fold: int, columns: slice) -> torch.Tensor:
        """Targets of the training rows of a fold, (rows, columns): as they are where no intercept is fitted."""
        right = self.block.values[:, columns][self._rows(self.size.training(fold))]
        if not self.intercept:
            right += self.block.offset[columns]
        return right

    def held_out(self, fold: int) -> torch.Tensor:
        """Targets of the rows that a fold holds out, (rows, b), less the block's offset."""
        return self.block.values[self._rows(self.size.held_out(fold))]

    def whole(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """A function from numbers of targets in the block to the targets of all mapping rows of the present size."""
        values, rows = self.block.values, self._rows(np.arange(self.size.n))
        return lambda chosen: values[rows[:, None], chosen]

    def _rows(self, positions: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.size.rows[positions].astype(np.int64)).to(self.block.values.device)


def dual_systems(
    source: Source,
    sizes: Sequence[MappingSize],
    evaluate: np.ndarray,
    standardise: bool,
    intercept: bool,
    device: torch.device,
) -> list[DualSystems]:
    """Inner products for each size, from one pass over the features.

    Raises ValueError for inner products that are to be standardised, and for features that aren't finite.
    """
    if not sizes:
        return []
    if isinstance(source, GramRows):
        arrays = [_centred_products(source.products, size, evaluate, standardise) for size in sizes]
        pairs = [(torch.from_numpy(own).to(device), torch.from_numpy(other).to(device)) for own, other in arrays]
    else:
        pairs = _accumulate(source, sizes, evaluate, standardise, device)
    return [DualSystems(size, *pair, intercept) for size, pair in zip(sizes, pairs, strict=True)]


def _centred_products(
    products: np.ndarray, size: MappingSize, evaluate: np.ndarray, standardise: bool
) -> tuple[np.ndarray, np.ndarray]:
    if standardise:
        raise ValueError(
            "scale: inner products can't be standardised, their features are no longer there; choose 'centre', or give "
            "the features"
        )
    own = products[np.ix_(size.rows, size.rows)].astype(np.float64)
    other = products[np.ix_(evaluate, size.rows)].astype(np.float64)
    faulty = int((~np.isfinite(own.diagonal())).sum() + (~np.isfinite(other.sum(1))).sum())
    if faulty:
        raise ValueError(f"inner products of {faulty} rows are not finite (NaN or infinity)")
    means = own.mean(0)
    own -= means
    own -= (means - means.mean())[:, None]
    other -= other.mean(1, keepdims=True) + (means - means.mean())
    return own, other


def _accumulate(
    source: FeatureRows | FeatureBlocks,
    sizes: Sequence[MappingSize],
    evaluate: np.ndarray,
    standardise: bool,
    device: torch.device,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    def zeros(rows: int, columns: int) -> torch.Tensor:
        return torch.zeros(rows, columns, dtype=torch.float64, device=device)

    pairs = [(zeros(size.n, size.n), zeros(len(evaluate), size.n)) for size in sizes]
    rows = np.union1d(np.concatenate([size.rows for size in sizes]), evaluate).astype(np.int64)
    first_feature = 0
    for block in source.column_blocks():
        check_finite(block, rows, first_feature)
        first_feature += block.shape[1]
        for size, (own, other) in zip(sizes, pairs, strict=True):
            x, rest = (
                torch.from_numpy(values).to(device) for values in scaled(block, size.rows, evaluate, standardise)
            )
            _add_products(own, x)
            other.addmm_(rest, x.T)
    for own, _ in pairs:
        if own.device.type == "cpu":
            mirror(own.numpy())
    return pairs


def _add_products(own: torch.Tensor, x: torch.Tensor) -> None:
    """Add x x' in place; on a processor only its lower triangle, half of the work."""
    if own.device.type == "cpu":
        # The transpose of a matrix in rows is one in columns, which BLAS can add to where it is.
        dsyrk(1.0, x.numpy().T, beta=1.0, c=own.numpy().T, trans=1, overwrite_c=1)
    else:
        own.addmm_(x, x.T)


def scaled(
    block: np.ndarray, rows: np.ndarray, evaluate: np.ndarray, standardise: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Features of mapping and evaluation rows with the mapping rows' mean (and standard deviation) removed, float64."""
    x = np.asarray(block[rows], dtype=np.float64)
    rest = np.asarray(block[evaluate], dtype=np.float64)
    mean, level = x.mean(0), np.abs(x).max(0)
    x, rest = np.ascontiguousarray(x - mean), np.ascontiguousarray(rest - mean)
    if standardise:
        deviation = np.sqrt((x * x).mean(0))
        scale = np.where(deviation > 1e-12 * level, 1 / np.where(deviation > 0, deviation, 1), 0)
        x *= scale
        rest *= scale
    return x, rest


def check_finite(values: np.ndarray, rows: np.ndarray, first_feature: int = 0) -> None:
    """Raise ValueError for features that aren't finite in some rows, by the numbers of both."""
    faulty = [row for part in _parts(rows) for row in part[~finite_rows(values[part])]]
    if faulty:
        raise ValueError(
            f"features: {not_finite_in_words(values[faulty], [f'row {row}' for row in faulty], first_feature)}"
        )


def _parts(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))
