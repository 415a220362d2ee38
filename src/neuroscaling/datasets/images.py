"""The pixels: images of a data set, decoded and brought to one size."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from neuroscaling.datasets.source import Source, open_source
from neuroscaling.errors import DataError, Problem

FAULTS_SHOWN = 50


def load_images(name: str, settings: dict[str, Any], split: str, rows: np.ndarray, size: int) -> np.ndarray:
    """Images of `rows` of the index of `split`, in their order: uint8 (n, size, size, 3), RGB.

    They are resized so that the short side fits (bilinear, antialiased) and cut at the centre. Raises DataError that
    lists every image that can't be decoded, and how many they are.
    """
    source = open_source(name, settings, split, fingerprint="unknown")
    decoded = np.empty((len(rows), size, size, 3), np.uint8)

    def read(i: int) -> None:
        decoded[i] = resized(source.decoded(int(rows[i])), size)

    faults = _faults(read, range(len(rows)))
    if faults:
        raise DataError(shortened(faults, len(rows), f"dataset {name}, {split}"))
    return decoded


def undecodable(source: Source) -> list[Problem]:
    """A Problem for each image that can't be decoded to its end."""
    return _faults(source.decoded, range(len(source.index)))


def shortened(faults: list[Problem], n_images: int, where: str) -> list[Problem]:
    """The first faults and, ahead of them, how many there are."""
    what = f"{len(faults)} of {n_images} images can't be decoded"
    return [Problem(what, where, fix="replace these files or move them away"), *faults[:FAULTS_SHOWN]]


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """An image uint8 (h, w, 3) with its short side brought to `size`, cut at the centre: (size, size, 3)."""
    rgb = Image.fromarray(image)
    scale = size / min(rgb.size)
    width, height = (max(size, round(side * scale)) for side in rgb.size)
    rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(rgb.crop((left, top, left + size, top + size)))


def _faults(read: Callable[[int], object], rows: Iterable[int]) -> list[Problem]:
    """Call `read` for each row, on all processors (PIL decodes outside Python's lock)."""

    def attempt(row: int) -> list[Problem]:
        try:
            read(row)
        except DataError as error:
            return error.problems
        return []

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [problem for problems in pool.map(attempt, rows) for problem in problems]
