"""Inner products of all pairs of stimuli: all that ridge, PLS, linear CKA and Pearson RDMs need of features."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk

MIRROR_ROWS = 1024


@dataclass(frozen=True)
class Gram:
    """Inner products of the raw features of n stimuli.

    products: (n, n) float64; sums: (n,) float64, the sum of each row's features, which Pearson RDMs need;
    n_features: the number of features that were summed over.
    """

    products: np.ndarray
    sums: np.ndarray
    n_features: int

    def take(self, rows: np.ndarray) -> "Gram":
        """The Gram of some stimuli, in the order of `rows`; a row may be there more than once."""
        return Gram(self.products[np.ix_(rows, rows)], self.sums[rows], self.n_features)

    @classmethod
    def of(cls, features: np.ndarray, block: int = 4096) -> "Gram":
        """From features (n, p) of any float type; memory: the result and `block` columns in float64."""
        return cls.of_blocks(features[:, start : start + block] for start in range(0, features.shape[1], block))

    @classmethod
    def of_blocks(cls, blocks: Iterable[np.ndarray]) -> "Gram":
        """From features in blocks (n, some columns) of any float type; sums are kept in float64.

        Raises ValueError where there is no block or where blocks have different numbers of rows.
        """
        products: np.ndarray | None = None
        sums = np.zeros(0)
        n_features = 0
        for block in blocks:
            columns = np.ascontiguousarray(block, dtype=np.float64)
            if products is None:
                products, sums = np.zeros((len(columns), len(columns)), order="F"), np.zeros(len(columns))
            if len(columns) != len(sums):
                raise ValueError(f"a block of features has {len(columns)} rows, those before it {len(sums)}")
            if columns.size:
                # One triangle is half of the work; BLAS adds to it in place, so that no second n x n matrix is made.
                products = dsyrk(1.0, columns.T, beta=1.0, c=products, trans=1, overwrite_c=1)
                sums += columns.sum(1)
            n_features += columns.shape[1]
        if products is None:
            raise ValueError("no features: a Gram matrix needs at least one block")
        mirror(products.T)
        return cls(products.T, sums, n_features)


def centre(products: np.ndarray) -> np.ndarray:
    """Remove the mean of the features, in place, from inner products (n, n); gives the means of its rows before."""
    means = products.mean(0)
    products -= means
    products -= (means - means.mean())[:, None]
    return means


def mirror(lower: np.ndarray) -> None:
    """Fill the upper triangle of a matrix from the lower one, in place."""
    # In parts: numpy's own way to fill a triangle makes index arrays of the size of the matrix.
    for start in range(0, len(lower), MIRROR_ROWS):
        stop = start + MIRROR_ROWS
        lower[start:stop, stop:] = lower[stop:, start:stop].T
        corner = lower[start:stop, start:stop]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
