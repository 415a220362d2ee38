"""How images are read: files below a folder, or pixels that are there already."""

from dataclasses import dataclass
from io import BytesIO, UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.errors import DataError, Problem

if TYPE_CHECKING:
    from PIL import Image  # not while a study is parsed


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
        return decode(self.path(row), self.where(row))


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


def file_bytes(path: Path) -> bytes:
    """The bytes of an image's file. Raises DataError when it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        fix = "is the file there, and may you read it?"
        raise DataError(Problem(f"image can't be read: {error.strerror}", str(path), fix=fix)) from error


def decode(file: Path | bytes, where: str) -> np.ndarray:
    """An image file, or its bytes, as RGB: uint8 (h, w, 3). Raises DataError, naming `where`, when it is damaged."""
    from PIL import Image, UnidentifiedImageError  # not while a study is parsed

    try:
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file) as image:
            return np.asarray(_eight_bits(image).convert("RGB"))
    except UnidentifiedImageError as error:
        raise DataError(Problem("image can't be decoded: of no known format", where)) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(Problem(f"image can't be decoded: {error}", where)) from error


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """An image of 16 bits a pixel by its upper eight: PIL would cut its values off at 255, which leaves it white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"its values (PIL's mode {image.mode}) have no known range: store 8 or 16 bits a pixel")
    return image
