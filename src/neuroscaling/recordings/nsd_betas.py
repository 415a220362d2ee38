"""Single-trial responses (betas) are read in each of NSD's formats, and averaged over trials.

volumes   hdf5: `betas` (trials, Z, Y, X) int16, in chunks of one voxel; or nii.gz (X, Y, Z, trials) int16
native    hdf5: `betas` (trials, vertices) int16
fsaverage mgh: (vertices, 1, 1, trials) float32
int16 is per cent signal change times 300 (data manual, "Functional data (NSD)"); float32 is per cent signal change.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import hdf5_dataset
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading
from neuroscaling.recordings.nsd_splits import Rows

INTEGERS_PER_CENT = 300.0
DATASET = "betas"
BETAS_KIND = "a file of betas"
_STRETCH = 4096
"""Vertices of a surface that are read at once from an HDF5 file."""
_NUMBERS = 16_000_000
"""Numbers that are read at once from files which hold trial after trial."""


def betas_shape(file: Path) -> tuple[int, tuple[int, ...]]:
    """Number of trials and shape of the space, (X, Y, Z) or (vertices,). Raises DataError for what isn't NSD's."""
    trials, grid, _ = _facts(file)
    return trials, grid


def read_betas(file: Path, targets: np.ndarray) -> np.ndarray:
    """Responses (trials, targets) in per cent signal change, float32.

    targets: ascending flat numbers in the space (of a volume: in C order of (X, Y, Z)). Only what they need is held:
    a plane of a volume, a stretch of vertices or some trials at once. Raises DataError for a file that can't be read.
    """
    trials, grid, dtype = _facts(file)
    out = np.empty((trials, len(targets)), np.float32)
    with reading(file, BETAS_KIND):
        if file.suffix == ".hdf5":
            with hdf5_dataset(file, DATASET) as betas:
                (_read_volume if len(grid) == 3 else _read_surface)(betas, grid, targets, out)
        else:
            _read_trials(file, grid, targets, out)
    return out / np.float32(INTEGERS_PER_CENT) if dtype == np.int16 else out


def zscored(betas: np.ndarray) -> np.ndarray:
    """Each column of one scan session's responses (trials, targets) to mean 0 and standard deviation 1 (ddof 0).

    NaN throughout where a target has a NaN or doesn't vary (NSD sets what a session didn't cover to 0, or NaN).
    """
    mean, spread = betas.mean(0, dtype=np.float64), betas.std(0, dtype=np.float64)
    spread[~(spread > 0)] = np.nan
    return ((betas - mean.astype(np.float32)) / spread.astype(np.float32)).astype(np.float32, copy=False)


def _facts(file: Path) -> tuple[int, tuple[int, ...], np.dtype]:
    """Trials, shape of the space, dtype; from the header alone."""
    if not file.is_file():
        raise DataError(
            Problem(what="file is missing", where=str(file), fix="see docs/nsd.md for the files of each space")
        )
    if file.suffix == ".hdf5":
        with hdf5_dataset(file, DATASET) as betas:
            shape, dtype = betas.shape, betas.dtype
        trials, grid = next(iter(shape), 0), tuple(reversed(shape[1:]))
        allowed, fits = "(trials, vertices) or (trials, Z, Y, X)", len(shape) in (2, 4) and dtype == np.int16
    else:
        image = open_image(file)
        shape, dtype = image.shape, image.get_data_dtype()
        trials, grid = next(iter(shape[-1:]), 0), shape[:-1]
        if file.suffix == ".mgh":
            allowed, fits = "(vertices, 1, 1, trials)", grid[1:] == (1, 1) and dtype == np.dtype(">f4")
            grid = grid[:1]
        else:
            plain = (image.dataobj.slope, image.dataobj.inter) == (1, 0)
            allowed, fits = "(X, Y, Z, trials), no scale in the header,", len(grid) == 3 and dtype == np.int16 and plain
    if not fits:
        kind = "float32" if file.suffix == ".mgh" else "int16"
        raise DataError(
            Problem(
                what="not the betas of a scan session",
                where=str(file),
                value=f"{shape} {dtype}",
                allowed=f"{allowed} {kind}",
            )
        )
    return int(trials), tuple(int(n) for n in grid), dtype


def _read_volume(betas: Any, grid: tuple[int, ...], targets: np.ndarray, out: np.ndarray) -> None:
    """Plane by plane: the rectangle around what is wanted of each, then the voxels out of it."""
    x, y, z = np.unravel_index(targets, grid)
    for plane in np.unique(z):
        here = np.flatnonzero(z == plane)
        xs, ys = x[here], y[here]
        block = betas[:, plane, ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        out[:, here] = block[:, ys - ys.min(), xs - xs.min()]


def _read_surface(betas: Any, grid: tuple[int, ...], targets: np.ndarray, out: np.ndarray) -> None:
    for start in range(0, grid[0], _STRETCH):
        first, last = np.searchsorted(targets, [start, start + _STRETCH])
        if first < last:
            chosen = targets[first:last]
            out[:, first:last] = betas[:, chosen[0] : chosen[-1] + 1][:, chosen - chosen[0]]


def _read_trials(file: Path, grid: tuple[int, ...], targets: np.ndarray, out: np.ndarray) -> None:
    proxy = open_image(file).dataobj
    raw = np.unravel_index(targets, grid)
    step = max(1, _NUMBERS // int(np.prod(grid)))
    for start in range(0, len(out), step):
        part = np.asanyarray(proxy[..., start : start + step])
        part = part[:, 0, 0] if len(grid) == 1 else part
        out[start : start + step] = part[raw].T


NIBABEL_KIND = "an image that nibabel reads"


def open_image(file: Path) -> Any:
    """nibabel's image of a file; its `dataobj` reads on demand. Raises DataError for a missing or damaged file."""
    import nibabel  # for NIfTI and mgh files alone

    with reading(file, NIBABEL_KIND), warnings.catch_warnings():
        # nibabel leaves the header of an mgh file to the garbage collector, which says so for each of them.
        warnings.simplefilter("ignore", ResourceWarning)
        # A compressed file that stays open is unpacked once, not again for each stretch of trials.
        return nibabel.load(file, keep_file_open=True)


_BYTES_PER_TRIAL = 16
"""Of a session that is z-scored: what was read, its differences from the mean, and the result."""


@dataclass(frozen=True)
class AveragedBlock:
    """Targets `start` to `stop`: responses (rows, stop - start) float32 by split; usable (stop - start,): finite and
    varying in every scan session."""

    start: int
    stop: int
    responses: dict[str, np.ndarray]
    usable: np.ndarray


def averaged_blocks(
    files: Sequence[Path], targets: np.ndarray, splits: dict[str, Rows], memory_mb: float
) -> Iterator[AveragedBlock]:
    """Z-scored within each scan session, then averaged over the trials of each row.

    files: one a scan session, in the order of the rows' sessions; targets: flat numbers in the space, ascending.
    memory_mb bounds what is held at once; every block reads all files once. Raises DataError for unreadable files.
    """
    trials = next(iter(splits.values())).row.shape[1]
    per_target = 4 * sum(len(rows.ids) for rows in splits.values()) + _BYTES_PER_TRIAL * trials
    size = max(1, int(memory_mb * 1e6) // per_target)
    for start in range(0, len(targets), size):
        yield _averaged_block(files, targets[start : start + size], splits, start)


def _averaged_block(files: Sequence[Path], targets: np.ndarray, splits: dict[str, Rows], start: int) -> AveragedBlock:
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
    return AveragedBlock(start, start + len(targets), responses, usable)
