"""These functions decode image files to pixels and cut squares out of them."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import new_memmap
from neuroscaling.core.images import is_plain_jpeg
from neuroscaling.datasets.split import Source

# Of images that are more than this many times as long as wide, only the middle is made larger: all that a square cut
# out of the centre shows of them. A strip of 1 x 20,000 pixels would take 10 GB otherwise.
LONGEST = 32


def decode(source: Source, row: int) -> torch.Tensor:
    """Return the image `row`: uint8 (3, h, w), RGB. Raises DataError that names it when it can't be decoded."""
    if source.is_encoded:
        content = source.encoded(row)
        if is_plain_jpeg(content):
            try:
                return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.RGB)
            except RuntimeError:
                pass  # a broken file: the reader of all images decodes it or says what is wrong
    return torch.from_numpy(np.array(source.decoded(row))).permute(2, 0, 1)


def square(image: torch.Tensor, size: int) -> torch.Tensor:
    """An image uint8 (3, h, w) resized so that its short side is `size` (bilinear, antialiased), cut at the centre."""
    image = without_ends(image)
    height, width = image.shape[1:]
    scale = size / min(height, width)
    sides = (max(size, round(height * scale)), max(size, round(width * scale)))
    if sides != (height, width):
        image = functional.interpolate(image[None], sides, mode="bilinear", antialias=True)[0]
    top, left = (sides[0] - size) // 2, (sides[1] - size) // 2
    return image[:, top : top + size, left : left + size]


def without_ends(image: torch.Tensor) -> torch.Tensor:
    """Return the middle of an image (3, h, w) that is very long; any other as it is."""
    longest = LONGEST * min(image.shape[1:])
    top, left = (max(0, side - longest) // 2 for side in image.shape[1:])
    return image[:, top : top + longest, left : left + longest]


def squares_file(path: Path, n: int, size: int) -> np.memmap:
    """Return a new .npy file of `n` squares of `size`, uint8 (n, size, size, 3), mapped for writing.

    Its room is taken at once: a full disk is an OSError here, and would later end the process without a word.
    """
    return new_memmap(path, np.uint8, (n, size, size, 3))


def decode_into(
    out: np.ndarray, source: Source, rows: np.ndarray, prepare: Callable[[torch.Tensor], torch.Tensor]
) -> dict[int, Problem]:
    """Write the prepared images of `rows` to `out`, uint8 (n, h, w, 3), on all processors.

    Returns what is wrong with the images that can't be decoded, by row; their pixels are left as they are.
    """

    def attempt(i: int) -> Problem | None:
        try:
            out[i] = prepare(decode(source, int(rows[i]))).permute(1, 2, 0).numpy()
        except DataError as error:
            return error.problems[0]
        return None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = pool.map(attempt, range(len(rows)))
        return {int(row): problem for row, problem in zip(rows, found, strict=True) if problem is not None}
