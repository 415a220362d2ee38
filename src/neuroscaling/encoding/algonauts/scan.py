"""One pass over a subject's responses, in blocks of rows: which vertices can't be used and why, which rows are NaN."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.npy import read_npy
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.layout import HEMISPHERES

BLOCK_BYTES = 32 * 2**20
"""Of responses held at once: a whole hemisphere need not fit in memory."""


@dataclass(frozen=True)
class Scan:
    """nan, constant: vertices (columns) that can't be used, by hemisphere; width: all of them; empty: file -> rows
    (from 1) without one finite number."""

    nan: dict[str, list[int]]
    constant: dict[str, list[int]]
    width: dict[str, int]
    empty: dict[Path, list[int]]

    def masked(self, side: str) -> list[int]:
        """Vertices of a hemisphere that are left out, ascending."""
        return sorted(self.nan[side] + self.constant[side])


def scan(folder: Path) -> Scan:
    """Read the responses of both splits, ceilings and signal-to-noise ratios, in blocks of rows."""
    nan, constant, width, empty = {}, {}, {}, {}
    for which, side in enumerate(HEMISPHERES):
        files = [layout.response_files(folder, split)[which] for split in layout.SPLITS]
        finite, varies = np.True_, np.True_
        for file in (file for file in files if file.is_file()):
            responses = read_npy(file, mapped=True)
            all_finite, low, high = column_summary(responses)
            width[side] = responses.shape[1]
            rows = [] if all_finite.any() else empty_rows(responses)
            if rows:
                empty[file] = rows
            finite, varies = finite & all_finite, varies & (low < high)
        for file in (layout.ceiling_files(folder)[which], layout.ncsnr_files(folder)[which]):
            finite = finite & (np.isfinite(read_npy(file)) if file.is_file() else True)
        nan[side] = np.flatnonzero(~finite).tolist()
        constant[side] = np.flatnonzero(finite & ~varies).tolist()
    return Scan(nan, constant, width, empty)


def column_summary(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each column: whether all rows are finite, the smallest and the largest value (of no meaning if they aren't).

    The extremes, not the spread: in float32 the spread of equal numbers is not always 0.
    """
    n_columns = responses.shape[1]
    finite = np.ones(n_columns, bool)
    low, high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    rows = max(1, BLOCK_BYTES // max(1, responses.itemsize * n_columns))
    for start in range(0, len(responses), rows):
        block = np.asarray(responses[start : start + rows])
        finite &= np.isfinite(block).all(0)
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
    return finite, low, high


def empty_rows(responses: np.ndarray) -> list[int]:
    """Rows, counted from 1, without one finite number."""
    return [row for row, values in enumerate(responses, start=1) if not np.isfinite(values).any()]
