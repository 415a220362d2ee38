"""The idx files of MNIST and its successors hold an array of bytes behind a header, packed by gzip or not.

Two zero bytes, 8 (unsigned bytes), the number of axes, the length of each axis (big-endian, four bytes), then the
values (the format is described on the page of MNIST, Y. LeCun, C. Cortes, C. Burges).
"""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading

UNSIGNED_BYTES = 8
FETCH_AGAIN = "fetch the file again"
GZIP = ".gz"
GZIP_LENGTH_BYTES = 4  # at the end of a file of gzip: its length unpacked, modulo 2**32


@dataclass(frozen=True)
class IdxFile:
    """An idx file whose header was read. shape: of its array."""

    path: Path
    shape: tuple[int, ...]

    @property
    def offset(self) -> int:
        """Bytes of the header."""
        return 4 + 4 * len(self.shape)

    @property
    def length(self) -> int:
        """Bytes of the file, unpacked."""
        return self.offset + int(np.prod(self.shape, dtype=np.int64))

    def values(self) -> np.ndarray:
        """Return the array, uint8: mapped where the file isn't packed. Raises DataError where it is cut short."""
        if self.path.suffix != GZIP:
            with reading(self.path, "an idx file", FETCH_AGAIN):
                return np.memmap(self.path, np.uint8, "r", self.offset, self.shape)
        data = unpacked(self.path)
        if len(data) != self.length:
            raise DataError(_cut_short(self, len(data)))
        return np.frombuffer(data, np.uint8, offset=self.offset).reshape(self.shape)


def open_idx(path: Path, axes: int) -> IdxFile:
    """Return an idx file of unsigned bytes by its header; its length is compared with it without unpacking.

    Raises DataError when it is missing, of another kind, of another number of axes, or cut short.
    """
    opened = gzip.open if path.suffix == GZIP else open
    with reading(path, "an idx file that can be unpacked" if path.suffix == GZIP else "an idx file", FETCH_AGAIN):
        with opened(path, "rb") as file:
            header = file.read(4 + 4 * axes)
        size = _unpacked_size(path)
    magic = bytes([0, 0, UNSIGNED_BYTES, axes])
    if header[:4] != magic:
        what = "not an idx file of this kind, by its first four bytes"
        allowed = f"{magic.hex(' ')} (unsigned bytes, {axes} {'axis' if axes == 1 else 'axes'})"
        value = header[:4].hex(" ")
        raise DataError(Problem(what=what, where=str(path), value=value, allowed=allowed, fix=FETCH_AGAIN))
    found = IdxFile(path, tuple(np.frombuffer(header, ">u4", offset=4).tolist()))
    if len(header) < found.offset or size != (found.length % 2**32 if path.suffix == GZIP else found.length):
        raise DataError(_cut_short(found, size))
    return found


def unpacked(path: Path) -> bytes:
    """Return the bytes of a file, unpacked where gzip packed it. Raises DataError when it is cut short."""
    with reading(path, "an idx file that can be unpacked", FETCH_AGAIN):
        return gzip.decompress(path.read_bytes()) if path.suffix == GZIP else path.read_bytes()


def _unpacked_size(path: Path) -> int:
    size = os.stat(path).st_size
    if path.suffix != GZIP:
        return size
    with open(path, "rb") as file:
        file.seek(max(size - GZIP_LENGTH_BYTES, 0))
        return int.from_bytes(file.read(), "little")


def _cut_short(file: IdxFile, size: int) -> Problem:
    what, found = "an idx file that is cut short, or too long", f"{size:,} bytes"
    allowed = f"{file.length:,} bytes: {' x '.join(map(str, file.shape))} values and a header of {file.offset}"
    return Problem(what=what, where=str(file.path), value=found, allowed=allowed, fix=FETCH_AGAIN)
