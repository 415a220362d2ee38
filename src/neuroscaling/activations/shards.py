"""Zarr v3's sharded files are written chunk by chunk, and read and verified by their checksums.

A shard is its chunks one after the other, each with its CRC-32C, and an index of their places at the end (the Zarr v3
specification, "sharding_indexed" and "crc32c"). Since the index comes last, a shard grows with every batch and nothing
is ever written twice; a library that is handed several batches of a shard reads it back and writes it anew
(perf/store.py measures both).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import google_crc32c
import numpy as np
from numcodecs import Zstd
from zarr.codecs import Crc32cCodec, ZstdCodec

from neuroscaling.activations.layout import ZSTD_LEVEL, Layout, shard_path
from neuroscaling.activations.manifest import EXTRACT_AGAIN, ShardRecord, StoredArray, StoredLayer
from neuroscaling.core.errors import DataError, Problem

ABSENT = np.iinfo(np.uint64).max
CRC = 4  # bytes of a CRC-32C


class ShardWriter:
    """One shard of an array, written under a temporary name and renamed by `close`."""

    def __init__(self, path: Path, layout: Layout, shard: int):
        self._path, self._layout = path, layout
        first, stop = layout.rows(shard)
        self._rows, self._index = stop - first, np.full((*layout.grid, 2), ABSENT, "<u8")
        self._temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary.touch()
        self._pending: np.ndarray | None = None
        self._row = self._chunk = self._offset = self._crc = 0

    def append(self, values: np.ndarray) -> None:
        """Add rows (any number, all columns), in the array's type. Raises DataError for more than the shard holds."""
        self._row += len(values)
        if self._row > self._rows:
            raise DataError(
                Problem(
                    what="more rows than the shard holds",
                    where=str(self._path),
                    value=self._row,
                    allowed=str(self._rows),
                )
            )
        if self._pending is not None:
            values = np.concatenate([self._pending, values])
        step = self._layout.chunk[0]
        whole = len(values) if self._row == self._rows else len(values) // step * step
        # A copy: the caller may use its buffer again.
        self._pending = values[whole:].copy() if whole < len(values) else None
        # Opened for each batch: a network may have more layers than a process may have open files.
        with open(self._temporary, "ab", buffering=0) as file:
            for start in range(0, whole, step):
                self._write_rows(file, values[start : start + step])

    def close(self) -> ShardRecord:
        """Write the index and rename the file. Raises DataError, and drops the file, for fewer rows than it holds."""
        if self._row != self._rows:
            self.abandon()
            raise DataError(
                Problem(
                    what="fewer rows than the shard holds",
                    where=str(self._path),
                    value=self._row,
                    allowed=str(self._rows),
                )
            )
        index = self._index.tobytes()
        with open(self._temporary, "ab", buffering=0) as file:
            self._put(file, index, _crc(index))
        os.replace(self._temporary, self._path)
        return ShardRecord(self._offset, f"{self._crc:08x}")

    def abandon(self) -> None:
        """Drop what was written."""
        self._temporary.unlink(missing_ok=True)

    def _write_rows(self, file: FileIO, values: np.ndarray) -> None:
        values, columns = np.asarray(values, self._layout.dtype), range(self._layout.grid[1])
        # This thread writes while others compress and sum up the chunks to come.
        run = map if len(columns) == 1 else pool().map
        for column, (data, crc) in enumerate(run(lambda column: _encode(values, column, self._layout), columns)):
            self._index[self._chunk, column] = self._offset, len(data) + len(crc)
            self._put(file, data, crc)
        self._chunk += 1

    def _put(self, file: FileIO, data: bytes, crc: bytes) -> None:
        self._crc = google_crc32c.extend(self._crc, crc)
        self._offset += len(data) + len(crc)
        written = os.writev(file.fileno(), [data, crc])
        view = memoryview(data + crc)[written:] if written < len(data) + len(crc) else b""
        while view:  # one call may write less than it was given
            view = view[file.write(view) :]


class Chunk(NamedTuple):
    """Place of a chunk in the shard's grid and in its file, without its checksum's bytes, and that checksum."""

    row: int
    column: int
    offset: int
    size: int
    crc: bytes


@dataclass(frozen=True)
class ShardReader:
    """One shard of an array; record: what its writer returned."""

    path: Path
    layout: Layout
    shard: int
    record: ShardRecord

    def problem(self) -> str:
        """Return what is wrong with the file without reading it, or nothing."""
        if not self.path.is_file():
            return "a file of the activations is missing"
        return "" if self.path.stat().st_size == self.record.bytes else "a file was cut short or altered"

    def chunks(self) -> list[Chunk] | None:
        """The shard's chunks in the order of the file; None when they are not those of this very shard, or some lack.

        Zarr would show NaN for a chunk that is missing; here it is refused.
        """
        total, found = 0, []
        with open(self.path, "rb", buffering=0) as file:
            descriptor = file.fileno()
            index, index_crc = self._index(descriptor)
            for row, column, offset, size in _in_file_order(index):
                crc = os.pread(descriptor, CRC, offset + size - CRC)
                total = google_crc32c.extend(total, crc)
                found.append(Chunk(row, column, offset, size - CRC, crc))
        first, stop = self.layout.rows(self.shard)
        whole = len(found) == -(-(stop - first) // self.layout.chunk[0]) * self.layout.grid[1]
        return found if whole and f"{google_crc32c.extend(total, index_crc):08x}" == self.record.crc32c else None

    def verify(self) -> bool:
        """Return whether the file's bytes are those that were written; memory is that of a chunk."""
        return self._each(self.chunks(), lambda data, chunk: True)

    def read(self, out: np.ndarray) -> bool:
        """Fill `out` (the shard's rows, all columns) in one pass; False when the file was altered."""
        return self._each(self.chunks(), lambda data, chunk: self._place(data, chunk.row, chunk.column, out))

    def read_column(self, chunks: Sequence[Chunk], out: np.ndarray) -> bool:
        """Fill `out` (the shard's rows) from `chunks` of one column; False when they were altered."""
        return self._each(chunks, lambda data, chunk: self._place(data, chunk.row, 0, out))

    def _each(self, chunks: Sequence[Chunk] | None, use: Callable[[bytes, Chunk], bool]) -> bool:
        """Call `use` with each sound chunk; whether all were sound."""
        if chunks is None:
            return False
        with open(self.path, "rb", buffering=0) as file:
            for chunk in chunks:
                data = os.pread(file.fileno(), chunk.size, chunk.offset)
                if _crc(data) != chunk.crc or not use(data, chunk):
                    return False
        return True

    def _index(self, descriptor: int) -> tuple[np.ndarray, bytes]:
        shape = (*self.layout.grid, 2)
        size = int(np.prod(shape)) * 8
        tail = os.pread(descriptor, size + CRC, max(self.record.bytes - size - CRC, 0))
        if _crc(tail[:size]) != tail[size:]:
            return np.full(shape, ABSENT, "<u8"), b""
        return np.frombuffer(tail[:size], "<u8").reshape(shape), tail[size:]

    def _place(self, data: bytes, row: int, column: int, out: np.ndarray) -> bool:
        (height, width), dtype = self.layout.chunk, np.dtype(self.layout.dtype)
        data = data if self.layout.codec == "none" else _zstd().decode(data)
        target = out[row * height : (row + 1) * height, column * width : (column + 1) * width]
        target[...] = np.frombuffer(data, dtype).reshape(height, width)[: target.shape[0], : target.shape[1]]
        return True


def compressors(codec: str) -> list[Any]:
    """Return the compressors and checksum of an array's chunks, for zarr's `create_array`."""
    return [*([ZstdCodec(level=ZSTD_LEVEL)] if codec == "zstd" else []), Crc32cCodec()]


@cache
def pool() -> ThreadPoolExecutor:
    """Return threads for compression and for reading, one a core of this process."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), "shards")


@cache
def _zstd() -> Zstd:
    return Zstd(level=ZSTD_LEVEL)


def _crc(data: bytes) -> bytes:
    return google_crc32c.value(data).to_bytes(CRC, "little")


def _encode(values: np.ndarray, column: int, layout: Layout) -> tuple[bytes, bytes]:
    """Return a chunk of some rows, filled with NaN where it reaches beyond the array, and its checksum."""
    height, width = layout.chunk
    tile = values[:, column * width : (column + 1) * width]
    if tile.shape != (height, width):
        padding = [(0, height - tile.shape[0]), (0, width - tile.shape[1])]
        tile = np.pad(tile, padding, constant_values=np.nan)
    data = tile.tobytes() if layout.codec == "none" else _zstd().encode(np.ascontiguousarray(tile))
    return data, _crc(data)


def _in_file_order(index: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    for row, column in np.ndindex(index.shape[:2]):
        offset, size = (int(value) for value in index[row, column])
        if offset != ABSENT:
            yield row, column, offset, size


ALTERED = "a file was cut short or altered"


def read_array(folder: Path, array: str, stored: StoredArray) -> np.ndarray:
    """Return all values of an array, its shards read side by side. Raises DataError, naming each damaged file."""
    layout, readers = stored.layout, _readers(folder, array, stored)
    values = np.empty(layout.shape, layout.dtype)
    parts = [values[slice(*layout.rows(reader.shard))] for reader in readers]
    sound = pool().map(ShardReader.read, readers, parts)
    _refuse(array, [(reader, "" if ok else ALTERED) for reader, ok in zip(readers, sound, strict=True)])
    return values


def column_blocks(folder: Path, array: str, stored: StoredArray) -> Iterator[np.ndarray]:
    """Yield the array some columns at a time, (n, a chunk's width). Raises DataError, naming each damaged file."""
    layout, readers = stored.layout, _readers(folder, array, stored)
    width = layout.chunk[1]
    columns = [_by_column(chunks, layout.grid[1]) for chunks in _sound_chunks(array, readers)]
    for column in range(layout.grid[1]):
        block = np.empty((layout.shape[0], min(width, layout.shape[1] - column * width)), layout.dtype)
        parts = [block[slice(*layout.rows(reader.shard))] for reader in readers]
        sound = pool().map(ShardReader.read_column, readers, [own[column] for own in columns], parts)
        _refuse(array, [(reader, "" if ok else ALTERED) for reader, ok in zip(readers, sound, strict=True)])
        yield block


def _sound_chunks(array: str, readers: list[ShardReader]) -> list[list[Chunk]]:
    """Return chunks of each shard, looked up once: a look at all of them for each column would grow with its square."""
    found = list(pool().map(ShardReader.chunks, readers))
    _refuse(array, [(r, ALTERED if chunks is None else "") for r, chunks in zip(readers, found, strict=True)])
    return [chunks or [] for chunks in found]


def _by_column(chunks: list[Chunk], n: int) -> list[list[Chunk]]:
    columns: list[list[Chunk]] = [[] for _ in range(n)]
    for chunk in chunks:
        columns[chunk.column].append(chunk)
    return columns


def verify_files(folder: Path, array: str, stored: StoredArray) -> None:
    """Compare the files of an array with their checksums. Raises DataError, naming each damaged file."""
    readers = _readers(folder, array, stored)
    sound = pool().map(ShardReader.verify, readers)
    _refuse(array, [(reader, "" if ok else ALTERED) for reader, ok in zip(readers, sound, strict=True)])


def verify_layer(folder: Path, layer: StoredLayer) -> None:
    """Compare everything that is kept of a layer with its checksums. Raises DataError as `verify_files`."""
    for array, stored in layer.arrays().items():
        verify_files(folder, array, stored)


def _readers(folder: Path, array: str, stored: StoredArray) -> list[ShardReader]:
    readers = [
        ShardReader(shard_path(folder, array, shard), stored.layout, shard, record)
        for shard, record in enumerate(stored.files)
    ]
    _refuse(array, [(reader, reader.problem()) for reader in readers])
    return readers


def _refuse(array: str, found: list[tuple[ShardReader, str]]) -> None:
    problems = [
        Problem(what=f"layer {array}: {what}", where=str(reader.path), value=_size(reader.path), fix=EXTRACT_AGAIN)
        for reader, what in found
        if what
    ]
    if problems:
        raise DataError(problems)


def _size(path: Path) -> str | None:
    return f"{path.stat().st_size} bytes" if path.is_file() else None
