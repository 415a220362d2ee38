"""How activations lie on the disk: a Zarr v3 group `<set>.zarr` beside its manifest `<set>.json`."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FORMAT = "activations/1"
STIMULUS_ID = "stimulus_id"
DTYPE = np.dtype("<f4")
CHUNK_FEATURES = 4096
CHUNK_ROWS = 64


def group_path(json_path: str | Path) -> Path:
    """The Zarr group that belongs to a manifest."""
    return Path(json_path).with_suffix(".zarr")


def feature_dimension(layer: str) -> str:
    """Name of a layer's feature axis; each layer has its own, since their lengths differ (xarray asks for that)."""
    return f"feature:{layer}"


def chunk_and_shard(batch: int, features: int, n: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Shapes of a chunk and of a shard (a file) for batches of `batch` stimuli out of `n`.

    A shard holds one batch with all its features, so writing a batch never reads a shard back.
    """
    if batch >= n:  # the only batch: its shard may reach beyond the last stimulus
        rows, batch = CHUNK_ROWS, CHUNK_ROWS * math.ceil(n / CHUNK_ROWS)
    else:
        rows = max(rows for rows in range(1, CHUNK_ROWS + 1) if batch % rows == 0)
    chunk = (rows, min(max(features, 1), CHUNK_FEATURES))
    return chunk, (batch, chunk[1] * math.ceil(max(features, 1) / chunk[1]))


def ids_sha256(stimulus_ids: Sequence[str]) -> str:
    """sha256 of the stimulus ids in their order."""
    return hashlib.sha256("\n".join(stimulus_ids).encode()).hexdigest()


def row_bytes(values: np.ndarray) -> bytes:
    """Values as they enter a layer's sha256: little-endian float32, row by row."""
    return np.ascontiguousarray(values, dtype=DTYPE).tobytes()
