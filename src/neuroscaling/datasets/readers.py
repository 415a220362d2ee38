"""How images are read: files below a folder, or pixels that are there already."""

from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import ClassVar

import numpy as np

from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.images import file_bytes, rgb_pixels


@dataclass(frozen=True)
class FileSource:
    """Images that are files below `root`; an image's id is its path there."""

    index: DatasetIndex
    root: Path
    is_encoded: ClassVar[bool] = True

    def path(self, row: int) -> Path:
        """The file of an image."""
        return self.root / self.index.image_ids[row]

    def where(self, row: int) -> str:
        """The image's place, for messages."""
        return str(self.path(row))

    def encoded(self, row: int) -> bytes:
        """The file's bytes. Raises DataError when it can't be read."""
        return file_bytes(self.path(row))

    def decoded(self, row: int) -> np.ndarray:
        """Pixels, uint8 (h, w, 3) RGB. Raises DataError when the image can't be decoded to its end."""
        return rgb_pixels(self.encoded(row), self.where(row))


@dataclass(frozen=True)
class PixelSource:
    """Small grey images that are held in memory. pixels: uint8 (n, h, w), in the order of the index."""

    index: DatasetIndex
    pixels: np.ndarray
    is_encoded: ClassVar[bool] = False

    def where(self, row: int) -> str:
        """The image's id, for messages."""
        return self.index.image_ids[row]

    def encoded(self, row: int) -> bytes:
        """There is no file: raises UnsupportedOperation."""
        raise UnsupportedOperation(f"{self.index.name} has pixels and no files")

    def decoded(self, row: int) -> np.ndarray:
        """Pixels, uint8 (h, w, 3): the three channels are equal."""
        return grey_to_rgb(self.pixels[row])


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    """uint8 (h, w) to (h, w, 3)."""
    return np.repeat(grey[:, :, None], 3, axis=2)
