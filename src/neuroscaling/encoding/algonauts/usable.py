"""Which columns of an array of responses can be used, in blocks of rows: a whole hemisphere need not fit in memory."""

import numpy as np

BLOCK_BYTES = 32 * 2**20


def usable_columns(responses: np.ndarray) -> np.ndarray:
    """Boolean (vertices,): finite in every row, and not the same in all. responses (rows, vertices), mapped or not."""
    finite, low, high = column_summary(responses)
    return finite & (low < high)


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
