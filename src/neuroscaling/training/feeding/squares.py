"""Decoded squares of a data set, kept by a process for all runs that it trains: on the GPU where they fit."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroscaling.datasets.decode import decode_into, square
from neuroscaling.datasets.source import Source
from neuroscaling.errors import Problem
from neuroscaling.hashing import content_hash

HOST_SHARE = 0.6  # of the memory that is free, for all processes of this host
DEVICE_SHARE = 0.4  # of a GPU's free memory, for each of training and validation images

_kept: dict[str, "Squares"] = {}


class Squares:
    """Squares uint8 of some images of a split, by row of its index; more are decoded when they are asked for.

    faults: what is wrong with images that can't be decoded, by row.
    """

    def __init__(self, source: Source, size: int, device: torch.device, prepare: Callable | None = None):
        self.source, self.size, self.device = source, size, device
        self.prepare = prepare or (lambda image: square(image, size))
        self.pixels = torch.empty((0, size, size, 3), dtype=torch.uint8)
        self.place = np.full(len(source.index), -1, np.int64)
        self.faults: dict[int, Problem] = {}

    def require(self, rows: np.ndarray) -> None:
        """Decode those images of `rows` that are not there yet."""
        missing = np.unique(rows[self.place[rows] < 0])
        if not len(missing):
            return
        fresh = np.zeros((len(missing), self.size, self.size, 3), np.uint8)
        self.faults |= decode_into(fresh, self.source, missing, self.prepare)
        self.place[missing] = len(self.pixels) + np.arange(len(missing))
        self.pixels = self._joined(torch.from_numpy(fresh))

    def batch(self, rows: np.ndarray) -> torch.Tensor:
        """Squares (b, 3, size, size), channels last, on the device that trains."""
        place = torch.from_numpy(self.place[rows]).to(self.pixels.device)
        return self.pixels[place].to(self.device).permute(0, 3, 1, 2)

    def each(self, rows: np.ndarray) -> list[torch.Tensor]:
        """The same squares, (3, size, size) each, where they are: nothing is copied."""
        return [self.pixels[place].permute(2, 0, 1) for place in self.place[rows].tolist()]

    def _joined(self, fresh: torch.Tensor) -> torch.Tensor:
        if fits_device(fresh.nbytes, self.device):
            fresh = fresh.to(self.device)
        if not len(self.pixels):
            return fresh
        together = self.device if fresh.is_cuda and self.pixels.is_cuda else torch.device("cpu")
        return torch.cat([self.pixels.to(together), fresh.to(together)])


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


def fits_device(n_bytes: int, device: torch.device) -> bool:
    """Whether a GPU has room for so many bytes of images beside its work; a CPU's memory is another matter."""
    return device.type == "cuda" and n_bytes < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]


def _room(squares: Squares, rows: np.ndarray, resident_gb: float | None) -> bool:
    missing = np.unique(rows[squares.place[rows] < 0])
    held = sum(others.pixels.nbytes for others in _kept.values())
    return held + len(missing) * squares.size**2 * 3 <= _limit(resident_gb, held)


def _limit(resident_gb: float | None, held: int) -> float:
    """Bytes that this process may hold; processes that share a host share its memory."""
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if resident_gb is not None:
        return resident_gb * 1e9 / beside
    return HOST_SHARE * min(_available() + held, *_granted()) / beside


def _available() -> int:
    """Bytes of memory that could be had, as Linux says; elsewhere half of what there is."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _granted() -> list[float]:
    """What a SLURM job, and a control group (a container), may use in all; a job that takes more is killed."""
    slurm = float(os.environ.get("SLURM_MEM_PER_NODE") or "inf") * 2**20
    try:
        group = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        group = "max"
    return [slurm, float("inf") if group == "max" else float(group)]
