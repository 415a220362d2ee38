"""STL-10 (A. Coates, H. Lee, A. Ng 2011) has photographs of 96 x 96 pixels in binary files, 500 + 800 of ten classes.

Each file of images has three planes an image, each written column by column; labels count from 1. `root` is the folder
`stl10_binary` or the one above it, as torchvision stores it. The unlabelled images are left alone.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.datasets.labels import empty_classes, listed_file_state, place_labels, read_class_names
from neuroscaling.datasets.packed_names import numbered_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import ArraySource, DatasetIndex, Format, Split

FOLDER = "stl10_binary"
PREFIXES = {"train": "train", "validation": "test"}
CLASS_NAMES = "class_names.txt"
SIDE = 96
IMAGE_BYTES = 3 * SIDE * SIDE
DIGITS_OF_ID = 6
FETCH_AGAIN = "fetch the archive again and unpack it"


def stl10_folder(settings: DatasetSettings) -> Path:
    """Return the folder of the files. Raises DataError that names all that are missing."""
    root = Path(settings.needed("root"))
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    if not folder.is_dir():
        raise DataError(Problem(what="folder is missing", where=str(root), fix="check `root:` in the study file"))
    wanted = [f"{prefix}_{kind}.bin" for prefix in PREFIXES.values() for kind in "Xy"] + [CLASS_NAMES]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        there = sorted(path.name for path in folder.iterdir())
        what, fix = f"{len(missing)} of {len(wanted)} files are missing", "unpack the archive, or check `root:`"
        raise DataError(
            Problem(
                what=what,
                where=str(folder),
                value=listing(missing),
                allowed=f"STL-10's files, here or in {FOLDER}/",
                nearest=nearest(missing[0], set(there) - set(wanted)),
                fix=fix,
            )
        )
    return folder


def stl10_state(settings: DatasetSettings, split: str) -> Any:
    """Return size and date of the split's files, and of the class names. Raises DataError."""
    folder = stl10_folder(settings)
    names = [f"{PREFIXES[split]}_X.bin", f"{PREFIXES[split]}_y.bin", CLASS_NAMES]
    return [listed_file_state(folder / name, "root") for name in names]


def read_stl10(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images by their position. Raises DataError for files or labels that don't fit together."""
    folder = stl10_folder(settings)
    path, images = folder / f"{PREFIXES[split]}_y.bin", _images(folder / f"{PREFIXES[split]}_X.bin")[0]
    found = np.fromfile(path, np.uint8).astype(np.int64)
    if len(found) != len(images):
        raise DataError(
            Problem(what=f"{len(images)} images have {len(found)} labels", where=str(path), fix=FETCH_AGAIN)
        )
    classes = read_class_names(folder / CLASS_NAMES, "root")
    labels, _ = place_labels(found, str(path), split, classes, train_classes, first=1)
    return Split(numbered_names(f"{split}-", len(labels), DIGITS_OF_ID), labels, classes)


def stl10_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Return classes without training images."""
    return iter(empty_classes(splits["train"], str(stl10_folder(settings))))


def stl10_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> ArraySource:
    """96 x 96 pixels each, in colours; the file is mapped."""
    return ArraySource(index, partial(_images, stl10_folder(settings) / f"{PREFIXES[index.split]}_X.bin"))


STL10 = Format(stl10_state, read_stl10, stl10_source, stl10_problems, root="root")


def _images(path: Path) -> list[np.ndarray]:
    """Return the images of a file, uint8 (n, 96, 96, 3). Raises DataError when it is cut short."""
    size = path.stat().st_size
    if not size or size % IMAGE_BYTES:
        what, value = "a file of images that is cut short, or of another kind", f"{size:,} bytes"
        allowed = f"a multiple of {IMAGE_BYTES:,} bytes: 3 x {SIDE} x {SIDE} pixels an image"
        raise DataError(Problem(what=what, where=str(path), value=value, allowed=allowed, fix=FETCH_AGAIN))
    planes = np.memmap(path, np.uint8, "r", shape=(size // IMAGE_BYTES, 3, SIDE, SIDE))  # image, colour, column, row
    return [planes.transpose(0, 3, 2, 1)]
