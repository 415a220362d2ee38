"""MNIST, Fashion-MNIST, KMNIST and EMNIST are four idx files each: images and labels, to train and to test with.

The test images are the validation split. The files lie in `root` itself, in `root/raw`, or as torchvision stores them
in `root/<data set>/raw`, packed by gzip or not. EMNIST (G. Cohen and others, 2017) comes in six sets, whose images are
stored with rows and columns exchanged; they are turned upright here. Its letters count from 1.
"""

import string
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.datasets.idx_files import GZIP, IdxFile, open_idx
from neuroscaling.datasets.labels import empty_classes, listed_file_state, place_labels, read_class_names
from neuroscaling.datasets.packed_names import numbered_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import ArraySource, DatasetIndex, Format, Package, Split

FASHION_MNIST = Package("/usr/share/datasets/fashion-mnist", "apt-get install dataset-fashion-mnist")
PREFIXES = {"train": "train", "validation": "t10k"}
EMNIST_PREFIXES = {"train": "emnist-{}-train", "validation": "emnist-{}-test"}
SEPARATORS = "-."  # `train-images-idx3-ubyte`, and `train-images.idx3-ubyte` as some mirrors call it
TORCHVISION_FOLDERS = ("MNIST", "FashionMNIST", "KMNIST", "EMNIST")
DIGITS_OF_ID = 6
MERGED_LETTERS = "cijklmopsuvwxyz"  # lower-case letters that EMNIST doesn't tell from capital ones
_ALL = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MERGED = [sign for sign in _ALL if sign not in MERGED_LETTERS]
EMNIST_CLASSES = {
    "byclass": list(_ALL),
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": list(string.ascii_lowercase),
    "digits": list(string.digits),
    "mnist": list(string.digits),
}
EMNIST_LETTERS_FROM = 1


def idx_folder(settings: DatasetSettings) -> Path:
    """Return the folder of the files. Raises DataError when they are nowhere, or those of several data sets are."""
    root = Path(settings.root or FASHION_MNIST.folder)
    places = [root, root / "raw", *(root / name / "raw" for name in TORCHVISION_FOLDERS)]
    found = [place for place in places if any(_named(place, stem) for stem in _stems(settings, "train", 3))]
    if len(found) == 1:
        return found[0]
    if found:
        what, value = "files of several data sets", listing([place.parent.name for place in found])
        fix = f"name the folder of one of them: `root: {found[0]}`"
        raise DataError(Problem(what=what, where=str(root), value=value, fix=fix))
    if not root.is_dir():
        fix = "check `root:` in the study file"
        raise DataError(Problem(what="folder is missing", where=str(root), fix=fix))
    raise DataError(_no_files(settings, root, places))


def idx_file(settings: DatasetSettings, split: str, axes: int) -> IdxFile:
    """Return the file of images (3 axes) or labels (1 axis) of a split. Raises DataError when it can't be used."""
    folder, stems = idx_folder(settings), _stems(settings, split, axes)
    found = next((path for stem in stems if (path := _named(folder, stem))), None)
    if found is None:
        there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        allowed, close = f"{stems[0]} or {stems[0]}{GZIP}", nearest(stems[0], there)
        what, fix = "file is missing", "fetch it, or check `root:` in the study file"
        raise DataError(Problem(what=what, where=str(folder / stems[0]), allowed=allowed, nearest=close, fix=fix))
    return open_idx(found, axes)


def idx_state(settings: DatasetSettings, split: str) -> Any:
    """Return size and date of each file of the split; of the training labels too, whose classes count."""
    wanted = {(split, 3), (split, 1), ("train", 1)}
    files = [idx_file(settings, *which).path for which in sorted(wanted)]
    names = settings.class_names
    states = [listed_file_state(path, "root") for path in files]
    return [*states, *([listed_file_state(Path(names), "class_names")] if names else [])]


def read_idx(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images by their position in the file. Raises DataError for files or labels that don't fit together."""
    images, labels = idx_file(settings, split, 3), idx_file(settings, split, 1)
    if images.shape[0] != labels.shape[0]:
        what = f"{images.shape[0]} images have {labels.shape[0]} labels"
        raise DataError(Problem(what=what, where=str(labels.path), fix=f"fetch it and {images.path.name} again"))
    values = labels.values().astype(np.int64)
    names = read_class_names(Path(settings.class_names)) if settings.class_names else _known_classes(settings)
    first = EMNIST_LETTERS_FROM if settings.emnist == "letters" else 0
    positions, classes = place_labels(values, str(labels.path), split, names, train_classes, first)
    return Split(numbered_names(f"{split}-", len(values), DIGITS_OF_ID), positions, classes)


def idx_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Yield classes without training images, and images of other sizes in the two files."""
    yield from empty_classes(splits["train"], str(idx_file(settings, "train", 1).path))
    sizes = {split: idx_file(settings, split, 3).shape[1:] for split in splits}
    if len(set(sizes.values())) > 1:
        value = ", ".join(f"{split}: {height} x {width}" for split, (height, width) in sizes.items())
        what, where = "images of two sizes", str(idx_folder(settings))
        yield Problem(what=what, where=where, value=value, fix="are these files of one data set?")


def idx_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> ArraySource:
    """Grey images; those of EMNIST are turned upright."""
    return ArraySource(index, partial(_pixels, idx_file(settings, index.split, 3), bool(settings.emnist)))


IDX = Format(idx_state, read_idx, idx_source, idx_problems, root="root", package=FASHION_MNIST)


def _pixels(file: IdxFile, turned: bool) -> list[np.ndarray]:
    values = file.values()
    return [values.transpose(0, 2, 1) if turned else values]


def _stems(settings: DatasetSettings, split: str, axes: int) -> list[str]:
    """Return the names that a file may have, without `.gz`."""
    prefix = (EMNIST_PREFIXES if settings.emnist else PREFIXES)[split].format(settings.emnist)
    kind = "images" if axes == 3 else "labels"
    return [f"{prefix}-{kind}{separator}idx{axes}-ubyte" for separator in SEPARATORS]


def _named(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / stem, folder / f"{stem}{GZIP}") if path.is_file()), None)


def _no_files(settings: DatasetSettings, root: Path, places: list[Path]) -> Problem:
    """Return the problem of a folder without the training images; where EMNIST's sets are there, which ones."""
    found = sorted(
        {name for place in places for name in EMNIST_CLASSES for _ in place.glob(f"emnist-{name}-train-images*")}
    )
    stem = _stems(settings, "train", 3)[0]
    if found:
        allowed, fix = listing(found), f"write `emnist: {found[0]}`"
        return Problem(what="these are EMNIST's files", where=str(root), allowed=allowed, fix=fix)
    allowed = f"{stem} or {stem}{GZIP}, here, in raw/, or in {TORCHVISION_FOLDERS[0]}/raw/ and the like"
    there = sorted(path.name for path in root.iterdir())
    what, fix = "no idx files of training images", "check `root:` in the study file"
    return Problem(
        what=what, where=str(root), value=listing(there, 5), allowed=allowed, nearest=nearest(stem, there), fix=fix
    )


def _known_classes(settings: DatasetSettings) -> list[str] | None:
    return EMNIST_CLASSES[settings.emnist] if settings.emnist else None
