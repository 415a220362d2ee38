"""scikit-learn bundles 1,797 handwritten digits of 8 x 8 pixels, which need no download.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (its test set, as scikit-learn ships it).
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import SPLITS, DatasetIndex, Format, PixelSource, Split

N_IMAGES = 1797
VALIDATION_FRACTION = 0.2
DIGITS_SPLIT_VERSION = 1
DIGITS_SHA256 = "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2"


def load_digits(split: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return images, labels and ids of one split; the split is fixed, stratified (80 % and 20 % of each class).

    split: "train" or "validation". Returns uint8 (n, 8, 8) in 0..255 (white strokes on black), int64 (n,) in 0..9,
    and ids like `digit-0123` (the row in scikit-learn's file). Raises DataError for another split, or when the
    installed file isn't the known one.
    """
    if split not in SPLITS:
        raise DataError(
            Problem(
                what="no such split",
                where="digits",
                value=split,
                allowed=", ".join(SPLITS),
                nearest=nearest(split, SPLITS),
            )
        )
    images, labels = _all_digits()
    rows = np.flatnonzero(_is_validation(labels) == (split == "validation"))
    return images[rows], labels[rows], [f"digit-{row:04d}" for row in rows]


@cache
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    # Read straight from the file: importing scikit-learn for it would cost each process about a second.
    path = _digits_file()
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    found = hashlib.sha256(table.tobytes()).hexdigest()
    if table.shape != (N_IMAGES, 65) or found != DIGITS_SHA256:
        raise DataError(
            Problem(
                what="the bundled digits are not the known ones",
                where=str(path),
                value=found,
                allowed=DIGITS_SHA256,
                fix="reinstall scikit-learn",
            )
        )
    grey = np.round(table[:, :64].astype(np.float64) * (255 / 16)).astype(np.uint8)
    return grey.reshape(-1, 8, 8), table[:, 64].astype(np.int64)


def _digits_file() -> Path:
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError(Problem(what="scikit-learn is not installed", where="digits", fix="install scikit-learn"))
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.exists():
        raise DataError(
            Problem(what="scikit-learn came without its digits", where=str(path), fix="reinstall scikit-learn")
        )
    return path


def _is_validation(labels: np.ndarray) -> np.ndarray:
    """True for the first fifth of each class in the order of a hash of the row: no seed of a study moves it."""
    keys = np.array([hashlib.sha256(f"digits-split-{row}".encode()).hexdigest() for row in range(len(labels))])
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        chosen[rows[np.argsort(keys[rows])[: round(VALIDATION_FRACTION * len(rows))]]] = True
    return chosen


def digits_identity(settings: DatasetSettings) -> str:
    """Return the hash of the known file and the version of the split."""
    return content_hash({"digits": DIGITS_SHA256, "split": DIGITS_SPLIT_VERSION})


def digits_state(settings: DatasetSettings, split: str) -> Any:
    """Return the identity and the split: the digits never change."""
    return [digits_identity(settings), split]


def read_digits(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return the digits of a split. Raises DataError for another split, or when the file isn't the known one."""
    _, labels, image_ids = load_digits(split)
    return Split(image_ids, labels, [str(digit) for digit in range(10)])


def digits_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> PixelSource:
    """8 x 8 pixels each."""
    return PixelSource(index, load_digits(index.split)[0])


DIGITS = Format(digits_state, read_digits, digits_source, identity=digits_identity)
