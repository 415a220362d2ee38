"""What an image file becomes: the one reader of training images, of stimuli and of extraction.

Everything ends as 8 bits, grey or RGB: palettes and CMYK by their colours, alpha left out, of 16 bits the upper eight.
The EXIF orientation is not applied, as in torchvision's ImageFolder. What 8 bits can't show faithfully is refused.

Pillow is imported where an image is opened: a study is parsed without it.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.core.errors import DataError, Problem

if TYPE_CHECKING:
    from PIL import Image


JPEG = b"\xff\xd8"
PLAIN_FRAMES = (0xC0, 0xC1, 0xC2)  # JPEG's markers of baseline, extended and progressive frames, Huffman-coded
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF's tags, and a value of the second


@dataclass(frozen=True)
class ImageFile:
    """An image file, and what its content has to be: sha1, None for any."""

    path: Path
    sha1: str | None = None

    def read(self) -> bytes:
        """The file's bytes. Raises DataError when it can't be read, and with both sha1s when it holds another image."""
        content = file_bytes(self.path)
        found = None if self.sha1 is None else hashlib.sha1(content).hexdigest()
        if found != self.sha1:
            what, fix = (
                "another image than was prepared, by its sha1",
                f"delete {self.path.parent.parent} and run again",
            )
            raise DataError(Problem(what=what, where=str(self.path), value=found, allowed=str(self.sha1), fix=fix))
        return content


def file_bytes(path: Path) -> bytes:
    """The bytes of an image's file. Raises DataError when it can't be read, or is no regular file."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(Problem(what="image can't be read: it is no regular file", where=str(path)))
            return file.read()
    except OSError as error:
        fix = "is the file there, and may you read it?"
        raise DataError(
            Problem(what=f"image can't be read: {error.strerror or error}", where=str(path), fix=fix)
        ) from error


def load_image(content: bytes, where: str) -> "Image.Image":
    """An image in its own mode, decoded to its end. Raises DataError, naming `where`, when it is damaged or too large.

    Too large is more than twice `PIL.Image.MAX_IMAGE_PIXELS` (179 million pixels).
    """
    from PIL import Image, UnidentifiedImageError  # not while a study is parsed

    try:
        image = Image.open(BytesIO(content))
        image.load()
        return image
    except UnidentifiedImageError as error:
        raise _undecodable("of no known format", where) from error
    except Image.DecompressionBombError as error:
        fix = "make the image smaller, or move it away if it is a decompression bomb"
        raise _undecodable(f"more than {max_pixels()} pixels", where, fix) from error
    except MemoryError:
        raise
    except Exception as error:  # damage shows in many ways: each decoder of PIL has its own
        raise _undecodable(str(error) or type(error).__name__, where) from error


def eight_bits(image: "Image.Image", where: str) -> "Image.Image":
    """An image as grey (mode L) or RGB of 8 bits. Raises DataError for one that 8 bits can't show faithfully.

    Images of 16 bits are shown by their upper eight: PIL would cut their values off at 255, which leaves them white.
    """
    from PIL import Image

    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray(_upper_bits(image))
    if image.mode in ("I", "F"):
        what = f"its values (PIL's mode {image.mode}) have no known range"
        raise _undecodable(what, where, "store 8 or 16 bits a pixel")
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise _undecodable(f"{error} (PIL's mode {image.mode})", where, "store the image as RGB") from error


def decode_picture(content: bytes, where: str) -> "Image.Image":
    """The content of an image file as grey (mode L) or RGB. Raises DataError, naming `where`, as the two above."""
    return eight_bits(load_image(content, where), where)


def rgb_pixels(content: bytes, where: str) -> np.ndarray:
    """The content of an image file as uint8 (h, w, 3), RGB. Raises DataError, naming `where`, as `picture`."""
    return np.asarray(decode_picture(content, where).convert("RGB"))


def is_plain_jpeg(content: bytes) -> bool:
    """Whether it is a JPEG that any decoder shows alike: 8 bits, grey or three colours, and not too large."""
    frame = _jpeg_frame(content)
    if frame is None:
        return False
    bits, height, width, colours = frame
    return bits == 8 and colours in (1, 3) and 0 < height * width <= max_pixels()


def max_pixels() -> int:
    """Pixels of the largest image that is decoded: PIL's limit against decompression bombs."""
    from PIL import Image

    return 2 * (Image.MAX_IMAGE_PIXELS or 2**62)


def _undecodable(why: str, where: str, fix: str = "") -> DataError:
    return DataError(Problem(what=f"image can't be decoded: {why}", where=where, fix=fix))


def _without_waiting(path: str, flags: int) -> int:
    """Opens a named pipe at once, where `open` would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _upper_bits(image: "Image.Image") -> np.ndarray:
    """uint8 (h, w) of an image of 16 bits, or of a TIFF of 12 that PIL widens."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_PER_SAMPLE, (16,))[0]
    values = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
    # PIL turns round grey TIFFs that count from white where they have 8 bits, and not where they have 16.
    return ~values if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values


def _jpeg_frame(content: bytes) -> tuple[int, int, int, int] | None:
    """Bits, height, width and number of colours of a JPEG by its header; None where another coding or damage stands."""
    at = len(JPEG)
    if not content.startswith(JPEG):
        return None
    while at + 9 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker in PLAIN_FRAMES:
            height, width = (int.from_bytes(content[at + i : at + i + 2], "big") for i in (5, 7))
            return content[at + 4], height, width, content[at + 9]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # frames of other codings
            return None
        # Bytes of filling have no length, and further ones may follow; all other markers ahead of a frame have one.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
