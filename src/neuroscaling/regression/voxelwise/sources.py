"""What stands for the features of N rows of stimuli: the rows themselves, blocks of their columns, inner products."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

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
