"""The pixels: images of a data set, decoded and brought to one size."""

from collections.abc import Iterable, Iterator
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
    faults = []
    for i, row in enumerate(rows):
        path = folder / image_ids[row]
        try:
            decoded[i] = _read_photograph(path, size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            faults.append(_fault(path, error))
    if faults:
        raise DataError(shortened(faults, len(rows)))
    return decoded


def undecodable(paths: Iterable[Path]) -> Iterator[Problem]:
    """A Problem for each of `paths` that PIL can't decode to its end."""
    for path in paths:
        try:
            with Image.open(path) as image:
                image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            yield _fault(path, error)


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


def _fault(path: Path, error: Exception) -> Problem:
    return Problem(f"image can't be decoded: {error}", str(path))
