"""Handwritten digits of MNIST or scikit-learn are deformed on the fly, as many as are wanted.

Image i shows digit i mod n of the n originals: the first n are the originals themselves, each later one is deformed
in a way of its own. Validation images are undeformed digits that were held out. Not the images of the InfiMNIST
program (G. Loosli, S. Canu, L. Bottou, 2007), whose deformations are others.

Each is an affine map (rotation, scale, shear, shift) and an elastic one: a field of random shifts, smoothed
(P. Simard, D. Steinkraus, J. Platt, Best practices for convolutional neural networks applied to visual document
analysis, ICDAR 2003). The numbers below are this project's own.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets import format_digits
from neuroscaling.datasets.format_digits import load_digits
from neuroscaling.datasets.idx_files import FETCH_AGAIN, open_idx, unpacked
from neuroscaling.datasets.packed_names import numbered_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import DatasetIndex, Format, PixelSource, Source, Split, grey_to_rgb

INFIMNIST_PREFIXES = {"train": "infimnist-", "validation": "infimnist-held-out-"}
DIGITS_OF_ID = 7
IMAGES = 1_200_000


class DeformedSource(PixelSource):
    """Training images, each made from one of the originals: pixels uint8 (n, 28, 28)."""

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (28, 28, 3); the same ones each time."""
        original = self.pixels[row % len(self.pixels)]
        return grey_to_rgb(original if row < len(self.pixels) else deformed(original, row))


def infimnist_identity(settings: DatasetSettings) -> str:
    """Return the hash of the originals, the number of images and the version of the deformation. Raises DataError."""
    source = originals_hash(settings.mnist) or [format_digits.DIGITS_SHA256, format_digits.DIGITS_SPLIT_VERSION]
    return content_hash({"originals": source, "images": _n_images(settings), "deformation": DEFORMATION_VERSION})


def infimnist_state(settings: DatasetSettings, split: str) -> Any:
    """Return the identity and the split: the images are made anew each time."""
    return [infimnist_identity(settings), split]


def read_infimnist(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images by their numbers. Raises DataError when MNIST's files are missing or damaged."""
    labels = load_labels(settings.mnist, split)
    n = _n_images(settings) if split == "train" else len(labels)
    names = numbered_names(INFIMNIST_PREFIXES[split], n, DIGITS_OF_ID)
    return Split(names, np.resize(labels, n), [str(digit) for digit in range(10)])


def infimnist_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> Source:
    """28 x 28 pixels each."""
    images, _ = load_originals(settings.mnist, index.split)
    return DeformedSource(index, images) if index.split == "train" else PixelSource(index, images)


def _n_images(settings: DatasetSettings) -> int:
    return settings.images or IMAGES


INFIMNIST = Format(infimnist_state, read_infimnist, infimnist_source, identity=infimnist_identity)

DEFORMATION_VERSION = 1
SIZE = 28
ROTATION = np.pi / 12  # radians to either side
SCALE = 0.15  # of the size, to either side
SHEAR = 0.2
SHIFT = 2.0  # pixels to either side
SMOOTHING = 4.0  # standard deviation of the smoothing of the elastic shifts, pixels
ELASTIC = 1.0  # standard deviation of the elastic shifts, pixels


def deformed(image: np.ndarray, seed: int) -> np.ndarray:
    """Return `image` uint8 (28, 28), deformed in the way of `seed`; black comes in from outside."""
    from scipy.ndimage import map_coordinates  # not while a study is parsed

    random = np.random.default_rng([DEFORMATION_VERSION, seed])
    places = _affine(random) + _elastic(random)
    return map_coordinates(image.astype(np.float32), places, order=1, mode="constant").round().astype(np.uint8)


def _affine(random: np.random.Generator) -> np.ndarray:
    """Where each pixel comes from, (2, 28, 28): rows and columns."""
    angle, shear = random.uniform(-ROTATION, ROTATION), random.uniform(-SHEAR, SHEAR)
    scale, shift = random.uniform(1 - SCALE, 1 + SCALE, 2), random.uniform(-SHIFT, SHIFT, 2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.array([[1.0, 0.0], [shear, 1.0]]) @ np.diag(1 / scale)
    centre = (SIZE - 1) / 2
    return np.tensordot(matrix, _grid() - centre, 1) + (centre + shift)[:, None, None]


def _elastic(random: np.random.Generator) -> np.ndarray:
    """Return shifts of each pixel, (2, 28, 28)."""
    smooth = _smoothing()
    return ELASTIC * (smooth @ random.standard_normal((2, SIZE, SIZE)) @ smooth.T)


@cache
def _grid() -> np.ndarray:
    return np.mgrid[:SIZE, :SIZE].astype(np.float64)


@cache
def _smoothing() -> np.ndarray:
    """Return Gaussian smoothing along one axis, (28, 28); white noise keeps a variance of 1."""
    distance = np.arange(SIZE)[:, None] - np.arange(SIZE)[None]
    weights = np.exp(-0.5 * (distance / SMOOTHING) ** 2)
    return weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))


IDX_FILES = {"train": "train", "validation": "t10k"}
INSIDE = 20  # pixels: MNIST's digits are 20 x 20, with a margin of 4


def load_originals(folder: str | None, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return undeformed digits of a split: uint8 (n, 28, 28), white on black, and int64 (n,) in 0..9.

    folder: with MNIST's idx files, packed by gzip or not; None: scikit-learn's digits. Raises DataError when a file
    is missing, cut short or of another kind.
    """
    if folder is None:
        images, labels, _ = load_digits(split)
        return np.stack([_enlarged(image) for image in images]), labels
    images, labels = _read_idx(idx_file(folder, split, 3), 3), load_labels(folder, split)
    if len(images) != len(labels):
        what = f"{len(images)} images have {len(labels)} labels"
        raise DataError(Problem(what=what, where=str(idx_file(folder, split, 1)), fix="fetch both files again"))
    return images, labels


def load_labels(folder: str | None, split: str) -> np.ndarray:
    """Return labels of the undeformed digits, int64 (n,), without their images."""
    if folder is None:
        return load_digits(split)[1]
    return _read_idx(idx_file(folder, split, 1), 1).astype(np.int64)


def originals_hash(folder: str | None) -> str:
    """Return what tells the training digits from others: sha256 of their file, unpacked; empty for scikit-learn's."""
    if folder is None:
        return ""
    path = idx_file(folder, "train", 3)
    stat = path.stat()
    return _idx_hash(path, stat.st_size, stat.st_mtime_ns)


@cache
def _idx_hash(path: Path, size: int, changed: int) -> str:
    """size, changed: of the file, so that another file in its place is read again."""
    return hashlib.sha256(unpacked(path)).hexdigest()


def idx_file(folder: str, split: str, axes: int) -> Path:
    """Return MNIST's file of images (3 axes) or labels (1 axis). Raises DataError when it is missing."""
    name = f"{IDX_FILES[split]}-{'images-idx3' if axes == 3 else 'labels-idx1'}-ubyte"
    found = next((path for path in (Path(folder) / name, Path(folder) / f"{name}.gz") if path.is_file()), None)
    if found is None:
        fix = "check `mnist:`; leave it out for scikit-learn's digits"
        raise DataError(
            Problem(what="file is missing", where=str(Path(folder) / name), allowed=f"{name} or {name}.gz", fix=fix)
        )
    return found


def _read_idx(path: Path, axes: int) -> np.ndarray:
    found = open_idx(path, axes)
    if found.shape[1:] != (SIZE,) * (axes - 1):
        what, allowed = "images of another size than MNIST's", f"{SIZE} x {SIZE}"
        raise DataError(Problem(what=what, where=str(path), value=found.shape, allowed=allowed, fix=FETCH_AGAIN))
    return found.values()


def _enlarged(image: np.ndarray) -> np.ndarray:
    from PIL import Image  # not while a study is parsed

    inside = Image.fromarray(image).resize((INSIDE, INSIDE), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(inside), (SIZE - INSIDE) // 2)
