"""Digits deformed on the fly: `{format: infimnist, images: 1200000, mnist: FOLDER}`. Ids are `infimnist-0000123`.

Image i shows digit i mod n of the n originals: the first n are the originals themselves, each later one is deformed
in a way of its own. Validation images are undeformed digits that were held out. Not the images of the InfiMNIST
program (G. Loosli, S. Canu, L. Bottou, 2007), whose deformations are others.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from neuroscaling.datasets import digits
from neuroscaling.datasets.deform import DEFORMATION_VERSION, deformed
from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.mnist import load_labels, load_originals, originals_hash
from neuroscaling.datasets.names import numbered_names
from neuroscaling.datasets.readers import PixelSource, grey_to_rgb
from neuroscaling.datasets.source import Source
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import Problem
from neuroscaling.hashing import content_hash

PREFIXES = {"train": "infimnist-", "validation": "infimnist-held-out-"}
DIGITS_OF_ID = 7
IMAGES = 1_200_000


class DeformedSource(PixelSource):
    """Training images, each made from one of the originals: pixels uint8 (n, 28, 28)."""

    def decoded(self, row: int) -> np.ndarray:
        """Pixels, uint8 (28, 28, 3); the same ones each time."""
        original = self.pixels[row % len(self.pixels)]
        return grey_to_rgb(original if row < len(self.pixels) else deformed(original, row))


def identity(settings: dict[str, Any]) -> str:
    """Hash of the originals, the number of images and the version of the deformation. Raises DataError."""
    source = originals_hash(settings.get("mnist")) or [digits.SHA256, digits.SPLIT_VERSION]
    return content_hash({"originals": source, "images": _n_images(settings), "deformation": DEFORMATION_VERSION})


def state(settings: dict[str, Any], split: str) -> Any:
    """The images are made anew each time."""
    return [identity(settings), split]


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Images by their numbers. Raises DataError when MNIST's files are missing or damaged."""
    labels = load_labels(settings.get("mnist"), split)
    n = _n_images(settings) if split == "train" else len(labels)
    names = numbered_names(PREFIXES[split], n, DIGITS_OF_ID)
    return Split(names, np.resize(labels, n), [str(digit) for digit in range(10)])


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """None: files are checked when they are read."""
    return iter(())


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> Source:
    """28 x 28 pixels each."""
    images, _ = load_originals(settings.get("mnist"), index.split)
    return DeformedSource(index, images) if index.split == "train" else PixelSource(index, images)


def _n_images(settings: dict[str, Any]) -> int:
    return int(settings.get("images") or IMAGES)


FORMAT = Format(identity, state, read, problems, source)
