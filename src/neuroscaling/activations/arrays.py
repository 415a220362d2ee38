"""Whole arrays of shards: read, read by columns, verified; `files` are the records of their shards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.layout import GRAM, ROW_SUMS, Layout, shard_path
from neuroscaling.activations.shards import AGAIN, Chunk, ShardReader, pool
from neuroscaling.errors import DataError, Problem

ALTERED = "a file was cut short or altered"


def read_array(folder: Path, array: str, entry: dict[str, Any]) -> np.ndarray:
    """All values of an array, its shards read side by side. Raises DataError, naming each damaged file."""
    layout, readers = _readers(folder, array, entry)
    values = np.empty(layout.shape, layout.dtype)
    parts = [values[slice(*layout.rows(reader.shard))] for reader in readers]
    sound = pool().map(ShardReader.read, readers, parts)
    _refuse(array, [(reader, "" if ok else ALTERED) for reader, ok in zip(readers, sound, strict=True)])
    return values


def column_blocks(folder: Path, array: str, entry: dict[str, Any]) -> Iterator[np.ndarray]:
    """The array some columns at a time, (n, a chunk's width). Raises DataError, naming each damaged file."""
    layout, readers = _readers(folder, array, entry)
    width = layout.chunk[1]
    columns = [_by_column(chunks, layout.grid[1]) for chunks in _sound_chunks(array, readers)]
    for column in range(layout.grid[1]):
        block = np.empty((layout.shape[0], min(width, layout.shape[1] - column * width)), layout.dtype)
        parts = [block[slice(*layout.rows(reader.shard))] for reader in readers]
        sound = pool().map(ShardReader.read_column, readers, [own[column] for own in columns], parts)
        _refuse(array, [(reader, "" if ok else ALTERED) for reader, ok in zip(readers, sound, strict=True)])
        yield block


def _sound_chunks(array: str, readers: list[ShardReader]) -> list[list[Chunk]]:
    """Chunks of each shard, looked up once: a look at all of them for each column would grow with its square."""
    found = list(pool().map(ShardReader.chunks, readers))
    _refuse(array, [(r, ALTERED if chunks is None else "") for r, chunks in zip(readers, found, strict=True)])
    return [chunks or [] for chunks in found]


def _by_column(chunks: list[Chunk], n: int) -> list[list[Chunk]]:
    columns: list[list[Chunk]] = [[] for _ in range(n)]
    for chunk in chunks:
        columns[chunk.column].append(chunk)
    return columns


def verify_files(folder: Path, array: str, entry: dict[str, Any]) -> None:
    """Compare the files of an array with their checksums. Raises DataError, naming each damaged file."""
    _, readers = _readers(folder, array, entry)
    sound = pool().map(ShardReader.verify, readers)
    _refuse(array, [(reader, "" if ok else ALTERED) for reader, ok in zip(readers, sound, strict=True)])


def verify_layer(folder: Path, entry: dict[str, Any]) -> None:
    """Compare everything that is kept of a layer with its checksums. Raises DataError as `verify_files`."""
    layer = entry["name"]
    if "features" in entry["kept"]:
        verify_files(folder, layer, entry)
    if GRAM in entry["kept"]:
        verify_files(folder, f"{GRAM}/{layer}", entry["gram"])
        verify_files(folder, f"{GRAM}/{ROW_SUMS}/{layer}", entry["gram"][ROW_SUMS])


def _readers(folder: Path, array: str, entry: dict[str, Any]) -> tuple[Layout, list[ShardReader]]:
    layout = Layout.from_entry(entry)
    readers = [
        ShardReader(shard_path(folder, array, shard), layout, shard, record)
        for shard, record in enumerate(entry["files"])
    ]
    _refuse(array, [(reader, reader.problem()) for reader in readers])
    return layout, readers


def _refuse(array: str, found: list[tuple[ShardReader, str]]) -> None:
    problems = [
        Problem(f"layer {array}: {what}", str(reader.path), _size(reader.path), fix=AGAIN)
        for reader, what in found
        if what
    ]
    if problems:
        raise DataError(problems)


def _size(path: Path) -> str | None:
    return f"{path.stat().st_size} bytes" if path.is_file() else None
