"""The pixels: images of a data set, decoded and brought to one size."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neuroscaling.datasets.digits import load_digits
from neuroscaling.datasets.folders import list_images, split_folder
from neuroscaling.errors import DataError, Problem

FAULTS_SHOWN = 50


def load_images(name: str, settings: dict[str, Any], split: str, rows: np.ndarray, size: int) -> np.ndarray:
    """Images of `rows` of the index of `split`, in their order: uint8 (n, size, size, 3), RGB.

    Digits are resized (bilinear); photographs are resized so that the short side fits (bilinear, antialiased) and cut
    at the centre. Raises DataError that lists every image that can't be decoded, and how many they are.
    """
    if settings["format"] == "digits":
        images, _, _ = load_digits(split)
        return np.stack([_resized_digit(images[row], size) for row in rows])
    folder = split_folder(settings, split)
    _, image_ids, _ = list_images(folder)
    decoded = np.empty((len(rows), size, size, 3), np.uint8)

    def read(i: int) -> None:
        decoded[i] = _read_photograph(paths[i], size)

    paths = [folder / image_ids[row] for row in rows]
    faults = _faults(paths, read)
    if faults:
        raise DataError(shortened(faults, len(rows)))
    return decoded


def undecodable(paths: list[Path]) -> list[Problem]:
    """A Problem for each of `paths` that PIL can't decode to its end."""

    def read(i: int) -> None:
        with Image.open(paths[i]) as image:
            image.load()

    return _faults(paths, read)


def shortened(faults: list[Problem], n_images: int) -> list[Problem]:
    """The first faults and, ahead of them, how many there are."""
    total = Problem(
        f"{len(faults)} of {n_images} images can't be decoded",
        str(Path(faults[0].where).parent.parent),
        fix="replace these files or move them away",
    )
    return [total, *faults[:FAULTS_SHOWN]]


def _resized_digit(image: np.ndarray, size: int) -> np.ndarray:
    grey = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)


def _read_photograph(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = size / min(rgb.size)
    width, height = (max(size, round(side * scale)) for side in rgb.size)
    rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(rgb.crop((left, top, left + size, top + size)))


def _faults(paths: list[Path], read: Callable[[int], None]) -> list[Problem]:
    """Call `read` for the position of each path, on all processors (PIL decodes outside Python's lock)."""

    def attempt(i: int) -> Problem | None:
        try:
            read(i)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return Problem(f"image can't be decoded: {error}", str(paths[i]))
        return None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [fault for fault in pool.map(attempt, range(len(paths))) if fault is not None]
