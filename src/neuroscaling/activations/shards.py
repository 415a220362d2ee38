"""Files of Zarr v3's sharding codec, written chunk by chunk as the rows come, and read with their checksum.

A shard is its chunks one after the other and an index of their places at the end (the Zarr v3 specification,
"sharding_indexed"). Since the index comes last, a shard grows with every batch and nothing is ever written twice; a
library that is handed several batches of a shard reads it back and writes it anew (perf/store.py measures both).
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import google_crc32c
import numpy as np
from numcodecs import Zstd

from neuroscaling.activations.layout import ZSTD_LEVEL, Layout
from neuroscaling.errors import DataError, Problem

ABSENT = np.iinfo(np.uint64).max
AGAIN = "delete the manifest and run again: the activations are extracted anew"


class ShardWriter:
    """One shard of an array, written under a temporary name and renamed by `close`."""

    def __init__(self, path: Path, layout: Layout, shard: int):
        self._path, self._layout = path, layout
        first, stop = layout.rows(shard)
        self._rows, self._index = stop - first, np.full((*layout.grid, 2), ABSENT, "<u8")
        self._temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._temporary, "wb", buffering=0)  # noqa: SIM115 (closed by `close` or `abandon`)
        self._pending: np.ndarray | None = None
        self._row = self._chunk = self._offset = self._file_crc = self._values_crc = 0

    def append(self, values: np.ndarray) -> None:
        """Add rows (any number, all columns), in the array's type. Raises DataError for more than the shard holds."""
        self._row += len(values)
        if self._row > self._rows:
            raise DataError(Problem("more rows than the shard holds", str(self._path), self._row, str(self._rows)))
        if self._pending is not None:
            values = np.concatenate([self._pending, values])
        step = self._layout.chunk[0]
        whole = len(values) if self._row == self._rows else len(values) // step * step
        # A copy: the caller may use its buffer again.
        self._pending = values[whole:].copy() if whole < len(values) else None
        for start in range(0, whole, step):
            self._write_rows(values[start : start + step])

    def close(self) -> dict[str, Any]:
        """Write the index, rename, and return {"crc32c", "bytes", "values"}: of the file, and of the values."""
        if self._row != self._rows:
            self.abandon()
            raise DataError(Problem("fewer rows than the shard holds", str(self._path), self._row, str(self._rows)))
        index = self._index.tobytes()
        self._put(index + google_crc32c.value(index).to_bytes(4, "little"))
        self._file.close()
        os.replace(self._temporary, self._path)
        return {"crc32c": f"{self._file_crc:08x}", "bytes": self._offset, "values": f"{self._values_crc:08x}"}

    def abandon(self) -> None:
        """Drop what was written."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write_rows(self, values: np.ndarray) -> None:
        tiles = list(_tiles(values, self._layout))
        for tile in tiles:
            self._values_crc = google_crc32c.extend(self._values_crc, tile)
        for column, encoded in enumerate(_encode(tiles, self._layout.codec)):
            self._index[self._chunk, column] = self._offset, len(encoded)
            self._put(encoded, self._values_crc if self._layout.codec == "none" else None)
        self._chunk += 1

    def _put(self, data: bytes, crc: int | None = None) -> None:
        view = memoryview(data)
        while view:  # one call may write less than it was given
            view = view[self._file.write(view) :]
        self._offset += len(data)
        self._file_crc = google_crc32c.extend(self._file_crc, data) if crc is None else crc


@dataclass(frozen=True)
class ShardReader:
    """One shard of an array; `record` is what its writer returned."""

    path: Path
    layout: Layout
    shard: int
    record: dict[str, Any]

    def problem(self) -> str:
        """What is wrong with the file without reading it, or nothing."""
        if not self.path.is_file():
            return "a file of the activations is missing"
        return "" if self.path.stat().st_size == self.record["bytes"] else "a file was cut short or altered"

    def verify(self) -> bool:
        """Whether the file's bytes are those that were written; memory is that of a block."""
        crc = 0
        with open(self.path, "rb", buffering=0) as file:
            while block := file.read(1 << 20):
                crc = google_crc32c.extend(crc, block)
        return f"{crc:08x}" == self.record["crc32c"]

    def read(self, out: np.ndarray) -> bool:
        """Fill `out` (the shard's rows, all columns) in one pass; False when the file was altered."""
        crc = 0
        with open(self.path, "rb", buffering=0) as file:
            tail, index = self._index(file.fileno())
            for row, column, offset, size in _in_file_order(index):
                data = os.pread(file.fileno(), size, offset)
                crc = google_crc32c.extend(crc, data)
                if not self._place(data, row, column, out):
                    return False
        return f"{google_crc32c.extend(crc, tail):08x}" == self.record["crc32c"]

    def read_chunks(self, column: int, out: np.ndarray) -> bool:
        """Fill `out` (the shard's rows) with the columns of chunk `column`; the file is taken as verified."""
        with open(self.path, "rb", buffering=0) as file:
            _, index = self._index(file.fileno())
            return all(
                self._place(os.pread(file.fileno(), size, offset), row, 0, out)
                for row, at, offset, size in _in_file_order(index)
                if at == column
            )

    def _index(self, descriptor: int) -> tuple[bytes, np.ndarray]:
        shape = (*self.layout.grid, 2)
        size = int(np.prod(shape)) * 8 + 4
        tail = os.pread(descriptor, size, max(self.record["bytes"] - size, 0))
        index = np.frombuffer(tail[:-4], "<u8") if len(tail) == size else np.full(np.prod(shape), ABSENT, "<u8")
        return tail, index.reshape(shape)

    def _place(self, data: bytes, row: int, column: int, out: np.ndarray) -> bool:
        (height, width), dtype = self.layout.chunk, np.dtype(self.layout.dtype)
        try:
            data = data if self.layout.codec == "none" else _zstd().decode(data)
        except RuntimeError:  # what the codec raises for bytes that are none of its own
            return False
        if len(data) != height * width * dtype.itemsize:
            return False
        target = out[row * height : (row + 1) * height, column * width : (column + 1) * width]
        target[...] = np.frombuffer(data, dtype).reshape(height, width)[: target.shape[0], : target.shape[1]]
        return True


def codecs(codec: str) -> list[Any]:
    """The compressors of an array for zarr's `create_array`."""
    from zarr.codecs import ZstdCodec

    return [ZstdCodec(level=ZSTD_LEVEL)] if codec == "zstd" else []


@cache
def pool() -> ThreadPoolExecutor:
    """Threads for compression and for reading, one a core of this process."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), "shards")


@cache
def _zstd() -> Zstd:
    return Zstd(level=ZSTD_LEVEL)


def _tiles(values: np.ndarray, layout: Layout) -> Iterator[bytes]:
    """The chunks of some rows, left to right, filled with NaN where they reach beyond the array."""
    height, width = layout.chunk
    values = np.asarray(values, layout.dtype)
    for start in range(0, layout.grid[1] * width, width):
        tile = values[:, start : start + width]
        if tile.shape != (height, width):
            padding = [(0, height - tile.shape[0]), (0, width - tile.shape[1])]
            tile = np.pad(tile, padding, constant_values=np.nan)
        yield tile.tobytes()


def _encode(tiles: list[bytes], codec: str) -> list[bytes]:
    if codec == "none":
        return tiles
    return [_zstd().encode(tiles[0])] if len(tiles) == 1 else list(pool().map(_zstd().encode, tiles))


def _in_file_order(index: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    for row, column in np.ndindex(index.shape[:2]):
        offset, size = (int(value) for value in index[row, column])
        if offset != ABSENT:
            yield row, column, offset, size
