"""Responses of the rows of each split, from one scan session at a time and in blocks of targets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.encoding.nsd.betas import read_betas, zscored
from neuroscaling.encoding.nsd.rows import Rows

_BYTES_PER_TRIAL = 16
"""Of a session that is z-scored: what was read, its differences from the mean, and the result."""


@dataclass(frozen=True)
class Block:
    """Targets `start` to `stop`: responses (rows, stop - start) float32 by split; usable (stop - start,): finite and
    varying in every scan session."""

    start: int
    stop: int
    responses: dict[str, np.ndarray]
    usable: np.ndarray


def blocks(files: Sequence[Path], targets: np.ndarray, splits: dict[str, Rows], memory_mb: float) -> Iterator[Block]:
    """Z-scored within each scan session, then averaged over the trials of each row.

    files: one a scan session, in the order of the rows' sessions; targets: flat numbers in the space, ascending.
    memory_mb bounds what is held at once; every block reads all files once. Raises DataError for unreadable files.
    """
    trials = next(iter(splits.values())).row.shape[1]
    per_target = 4 * sum(len(rows.ids) for rows in splits.values()) + _BYTES_PER_TRIAL * trials
    size = max(1, int(memory_mb * 1e6) // per_target)
    for start in range(0, len(targets), size):
        yield _block(files, targets[start : start + size], splits, start)


def _block(files: Sequence[Path], targets: np.ndarray, splits: dict[str, Rows], start: int) -> Block:
    responses = {name: np.zeros((len(rows.ids), len(targets)), np.float32) for name, rows in splits.items()}
    usable = np.ones(len(targets), bool)
    for session, file in enumerate(files):
        betas = zscored(read_betas(file, targets))
        usable &= np.isfinite(betas).all(0)
        for name, rows in splits.items():
            of_trial = rows.row[session]
            # An image may come twice within a session: trials are added one by one.
            for trial in np.flatnonzero(of_trial >= 0):
                responses[name][of_trial[trial]] += betas[trial]
    for name, rows in splits.items():
        responses[name] /= rows.repeats[:, None].astype(np.float32)
    return Block(start, start + len(targets), responses, usable)
