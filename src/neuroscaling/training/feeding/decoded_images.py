"""A process keeps decoded squares of a data set for all runs that it trains."""

import os
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import torch

from neuroscaling.core.errors import Problem
from neuroscaling.core.hashing import content_hash
from neuroscaling.core.machine import job_memory
from neuroscaling.datasets.decode import decode_into, square
from neuroscaling.datasets.split import Source
from neuroscaling.training.launch import processes_of_host
from neuroscaling.training.torch_runtime import to_device

HOST_SHARE = 0.6  # of the memory that is free, for all processes of this host
DEVICE_SHARE = 0.4  # of a GPU's free memory, for each of training and validation images

_kept: dict[str, "Squares"] = {}


class Squares:
    """Squares uint8 of some images of a split, by row of its index; more are decoded when they are asked for.

    blocks: the squares (n, size, size, 3) that were decoded together, each on the GPU where it fits beside those that
    are there, or in the host's memory; blocks are not put together, which would take their memory twice. place: block
    of each row, and position in it, -1: none; faults: what is wrong with images that can't be decoded, by row.
    """

    def __init__(self, source: Source, size: int, device: torch.device, prepare: Callable | None = None):
        self.source, self.size, self.device = source, size, device
        self.prepare = prepare or (lambda image: square(image, size))
        self.blocks: list[torch.Tensor] = []
        self.place = np.full((len(source.index), 2), -1, np.int64)
        self.faults: dict[int, Problem] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of all squares, wherever they are."""
        return sum(block.nbytes for block in self.blocks)

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that are not decoded yet, each once."""
        return np.unique(rows[self.place[rows, 0] < 0])

    def require(self, rows: np.ndarray) -> None:
        """Decode those images of `rows` that are not there yet."""
        missing = self.missing(rows)
        if not len(missing):
            return
        fresh = np.zeros((len(missing), self.size, self.size, 3), np.uint8)
        self.faults |= decode_into(fresh, self.source, missing, self.prepare)
        self.place[missing, 0], self.place[missing, 1] = len(self.blocks), np.arange(len(missing))
        there = sum(block.nbytes for block in self.blocks if block.is_cuda)
        block = torch.from_numpy(fresh)
        self.blocks.append(block.to(self.device) if fits_device(block.nbytes, self.device, there) else block)

    def batch(self, rows: np.ndarray) -> torch.Tensor:
        """Squares (b, 3, size, size), channels last, on the device that trains."""
        numbers, places = self.place[rows].T
        found = {int(number): np.flatnonzero(numbers == number) for number in np.unique(numbers)}
        parts = [self._taken(self.blocks[number], places[mine]) for number, mine in found.items()]
        if len(parts) == 1:
            return parts[0].permute(0, 3, 1, 2)
        order = np.argsort(np.concatenate(list(found.values())))
        return torch.cat(parts)[to_device(order, self.device)].permute(0, 3, 1, 2)

    def each(self, rows: np.ndarray) -> list[torch.Tensor]:
        """The same squares, (3, size, size) each, where they are: nothing is copied."""
        return [self.blocks[number][place].permute(2, 0, 1) for number, place in self.place[rows].tolist()]

    def _taken(self, block: torch.Tensor, places: np.ndarray) -> torch.Tensor:
        """The squares at `places` of a block, on the device that trains."""
        if block.device.type == self.device.type:
            return block[to_device(places, block.device)]
        # Pinned memory is sent while the GPU is at work.
        chosen = torch.empty((len(places), *block.shape[1:]), dtype=block.dtype, pin_memory=True)
        return to_device(torch.index_select(block, 0, torch.from_numpy(places), out=chosen), self.device)


def kept_squares(
    source: Source, what: Any, size: int, rows: np.ndarray, device: torch.device, resident_gb: float | None
) -> Squares | None:
    """The squares of `rows`, decoded now or for a run before; None where they would not fit into memory.

    what: JSON that tells the images from others of this process. Other images make room where there is none.
    """
    key = content_hash([what, size, str(device)], 16)
    squares = _kept.get(key)
    if squares is None or squares.source is not source:
        squares = Squares(source, size, device)
    if not _room(squares, rows, resident_gb):
        forget_squares()
        squares = Squares(source, size, device)
        if not _room(squares, rows, resident_gb):
            return None
    squares.require(rows)
    _kept[key] = squares
    return squares


def forget_squares() -> None:
    """Give back the memory of all decoded images of this process."""
    _kept.clear()


def fits_device(n_bytes: int, device: torch.device, there: int = 0) -> bool:
    """Whether a GPU has room for so many bytes of images beside its work; a CPU's memory is another matter.

    there: bytes of the same kind of images that it holds already.
    """
    return device.type == "cuda" and n_bytes + there < DEVICE_SHARE * (torch.cuda.mem_get_info(device)[0] + there)


def _room(squares: Squares, rows: np.ndarray, resident_gb: float | None) -> bool:
    held = sum(others.nbytes for others in _kept.values())
    return held + len(squares.missing(rows)) * squares.size**2 * 3 <= _limit(resident_gb, held)


def _limit(resident_gb: float | None, held: int) -> float:
    """Bytes that this process may hold; processes that share a host share its memory."""
    beside = processes_of_host()
    if resident_gb is not None:
        return resident_gb * 1e9 / beside
    return HOST_SHARE * min(_available() + held, job_memory() or inf) / beside


def _available() -> int:
    """Bytes of memory that could be had, as Linux says; elsewhere half of what there is."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
