"""Relative positions of ONE-PEACE: one table of biases for all layers, a row for each offset between two patches."""

import torch

CLASS_ROWS = 3  # after the offsets: class token to patch, patch to class token, class token to itself


def table_rows(side: int) -> int:
    """Rows of the table for a grid of `side` x `side` patches: (2 side - 1)^2 offsets, and three of the class token."""
    return (2 * side - 1) ** 2 + CLASS_ROWS


def relative_index(side: int) -> torch.Tensor:
    """Row of the table for each query and key, int64 (side^2 + 1, side^2 + 1), the class token first.

    Patches: (dy + side - 1) (2 side - 1) + (dx + side - 1) for dy, dx of the query minus those of the key.
    """
    place = torch.arange(side * side)
    y, x = place // side, place % side
    down, across = (axis[:, None] - axis[None, :] + side - 1 for axis in (y, x))
    index = torch.empty(side * side + 1, side * side + 1, dtype=torch.int64)
    index[1:, 1:] = down * (2 * side - 1) + across
    to_patch, from_patch, itself = range(table_rows(side) - CLASS_ROWS, table_rows(side))
    index[0, 1:], index[1:, 0], index[0, 0] = to_patch, from_patch, itself
    return index
