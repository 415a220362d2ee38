"""Activations lie on the disk as a Zarr v3 group beside its manifest."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ACTIVATIONS_FORMAT = "activations/3"
STIMULUS_ID = "stimulus_id"
GRAM, ROW_SUMS = "gram", "row_sums"
METADATA = "metadata_sha256"
AT = "@"  # between a layer and the size of its grid; no module's name has it
DTYPES = ("float32", "float16", "float64")
ZSTD_LEVEL = 1
CHUNK_FEATURES = 4096
CHUNK_ROWS = 64
# Few files, and little work lost when a job is preempted: a layer is at most so many shards.
SHARDS = 16


@dataclass(frozen=True)
class Layout:
    """An array (n, p) on the disk: shards of `shard_rows` rows and all columns, made of chunks of `chunk` elements."""

    shape: tuple[int, int]
    dtype: str
    chunk: tuple[int, int]
    shard_rows: int
    codec: str

    @classmethod
    def of(
        cls, n: int, features: int, dtype: str = "float32", batch: int = CHUNK_ROWS, codec: str = "zstd"
    ) -> "Layout":
        """Return the layout for `n` rows that come in batches of `batch`; shards begin where batches do."""
        rows = shard_rows(n, batch)
        pieces = max(math.ceil(features / CHUNK_FEATURES), 1)
        return cls((n, features), dtype, (chunk_rows(batch, n), max(math.ceil(features / pieces), 1)), rows, codec)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(self.shape[0] / self.shard_rows)

    @property
    def grid(self) -> tuple[int, int]:
        """Chunks of a shard along rows and columns."""
        return self.shard_rows // self.chunk[0], math.ceil(max(self.shape[1], 1) / self.chunk[1])

    @property
    def shard(self) -> tuple[int, int]:
        """Elements of a shard, as Zarr's metadata gives them: whole chunks, beyond the array's edge where need be."""
        return self.shard_rows, self.grid[1] * self.chunk[1]

    def rows(self, shard: int) -> tuple[int, int]:
        """Return the first and one past the last row of a shard."""
        return shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.shape[0])

    def count_rows(self, shards: Iterable[int]) -> int:
        """Return how many rows some shards have."""
        return sum(stop - start for start, stop in map(self.rows, shards))

    def entry(self) -> dict[str, Any]:
        """Return the layout as a manifest holds it."""
        return {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "chunks": list(self.chunk),
            "shards": list(self.shard),
            "codec": self.codec,
        }

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "Layout":
        """Return the layout that a manifest's entry describes. Raises KeyError for one that lacks a key."""
        (n, features), (rows, columns) = entry["shape"], entry["chunks"]
        return cls((n, features), entry["dtype"], (rows, columns), entry["shards"][0], entry["codec"])


def shard_rows(n: int, batch: int) -> int:
    """Return rows of a shard: whole batches, so that a batch never falls into two shards; at most SHARDS shards."""
    step = chunk_rows(batch, n) if batch >= n else batch
    return step * max(math.ceil(n / (step * SHARDS)), 1) if batch < n else step * math.ceil(n / step)


def chunk_rows(batch: int, n: int) -> int:
    """Return rows of a chunk: a divisor of the batch, so that a batch is whole chunks; few rows are one chunk."""
    if batch >= n:
        return max(min(CHUNK_ROWS, n), 1)
    divisor = max(rows for rows in range(1, CHUNK_ROWS + 1) if batch % rows == 0)
    return divisor if divisor >= 8 or batch < CHUNK_ROWS else batch


def group_path(json_path: str | Path) -> Path:
    """Return the Zarr group that belongs to a manifest."""
    return Path(json_path).with_suffix(".zarr")


def partial_path(json_path: str | Path) -> Path:
    """The folder beside it where an unfinished extraction keeps what it has; a preempted job goes on from there."""
    group = group_path(json_path)
    return group.with_name(f".{group.name}.partial")


def shard_path(folder: Path, array: str, shard: int) -> Path:
    """Return the file of a shard of the array `array` (its path in the group)."""
    return folder / array / "c" / str(shard) / "0"


def entry_name(layer: str, size: int) -> str:
    """Return what a layer is called in a store of several grids, e.g. `blocks.3@4`; size: cells along each side."""
    return f"{layer}{AT}{size}"


def split_entry(entry: str) -> tuple[str, int]:
    """Return layer and grid size of an entry; 0 for a layer that is stored once, under its own name."""
    layer, at, size = entry.rpartition(AT)
    return (layer, int(size)) if at and size.isdigit() else (entry, 0)


def feature_dimension(layer: str) -> str:
    """Name of a layer's feature axis; each layer has its own, since their lengths differ (xarray asks for that)."""
    return f"feature:{layer}"


def ids_sha256(stimulus_ids: Sequence[str]) -> str:
    """Return the sha256 of the stimulus ids in their order."""
    return hashlib.sha256("\n".join(stimulus_ids).encode()).hexdigest()


def not_finite(values: np.ndarray) -> int:
    """Return how many of `values` are NaN or infinite; one fast pass where there are none."""
    if np.isfinite(values.sum(dtype=np.float64)):
        return 0
    return int(values.size - np.count_nonzero(np.isfinite(values)))
