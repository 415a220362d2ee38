"""Lists of files and torchvision's Places365 name their images in text files.

`categories_places365.txt` numbers the classes, `places365_train_standard.txt` and `places365_val.txt` list the images
of `data_256_standard/` and `val_256/` (`size: large`: of `data_large_standard/` and `val_large/`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.datasets.labels import (
    empty_classes,
    listed_file_state,
    missing_files,
    number_labels,
    read_class_names,
    read_image_list,
)
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import DatasetIndex, FileSource, Format, Split


def filelist_state(settings: DatasetSettings, split: str) -> Any:
    """Size and date of the lists: those of the split, of the training images (whose classes count), of the names."""
    keys = ["train", *([split] if split != "train" else []), *(["class_names"] if settings.class_names else [])]
    return [listed_file_state(_filelist_path(settings, key), key) for key in keys]


def read_filelist(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images in the order of the list. Raises DataError with the lines and labels that are wrong."""
    path = _filelist_path(settings, split)
    names, found = read_image_list(path, split)
    classes = read_class_names(_filelist_path(settings, "class_names")) if settings.class_names else None
    labels, class_names = number_labels(found, str(path), split, classes, train_classes)
    return Split(names, labels, class_names)


def filelist_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Yield classes without training images, and images that are not below the root."""
    yield from empty_classes(splits["train"], str(_filelist_path(settings, "train")))
    for split, found in splits.items():
        yield from missing_files(Path(settings.needed("root")), found, str(_filelist_path(settings, split)))


def filelist_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> FileSource:
    """Return files below the root."""
    return FileSource(index, Path(settings.needed("root")))


def _filelist_path(settings: DatasetSettings, key: str) -> Path:
    return Path(settings.needed("root")) / settings.needed(key)


FILELIST = Format(filelist_state, read_filelist, filelist_source, filelist_problems, root="root")

PLACES365_CATEGORIES = "categories_places365.txt"
PLACES365_LISTS = {"train": "places365_train_standard.txt", "validation": "places365_val.txt"}
PLACES365_FOLDERS = {"train": "data_{}_standard", "validation": "val_{}"}


def places365_state(settings: DatasetSettings, split: str) -> Any:
    """Return size and date of the lists. Raises DataError when one is missing."""
    root = Path(settings.needed("root"))
    return [
        _places365_folder(settings, split).name,
        *(listed_file_state(root / name, "root") for name in (PLACES365_CATEGORIES, PLACES365_LISTS[split])),
    ]


def read_places365(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images in the order of the list. Raises DataError when a list is missing or has other classes."""
    path = Path(settings.needed("root")) / PLACES365_LISTS[split]
    names, found = read_image_list(path, "root")
    labels, class_names = number_labels(found, str(path), split, _places365_categories(settings), train_classes)
    return Split(names, labels, class_names)


def places365_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Yield classes without training images, and images that are not in the folder."""
    root = Path(settings.needed("root"))
    yield from empty_classes(splits["train"], str(root / PLACES365_LISTS["train"]))
    for split, found in splits.items():
        yield from missing_files(_places365_folder(settings, split), found, str(root / PLACES365_LISTS[split]))


def places365_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> FileSource:
    """Return files below the split's folder."""
    return FileSource(index, _places365_folder(settings, index.split))


def _places365_folder(settings: DatasetSettings, split: str) -> Path:
    size = {"small": "256", "large": "large"}[settings.size]
    return Path(settings.needed("root")) / PLACES365_FOLDERS[split].format(size)


def _places365_categories(settings: DatasetSettings) -> list[str]:
    """Return class names (`a/airfield`) in the order of their numbers."""
    path = Path(settings.needed("root")) / PLACES365_CATEGORIES
    names, found = read_image_list(path, "root")
    if set(found.distinct) != {str(i) for i in range(len(names))}:
        raise DataError(
            Problem(what="the categories are not numbered from 0", where=str(path), fix="fetch the file again")
        )
    order = np.argsort(np.array(found.distinct, np.int64)[found.codes])
    return [names[row] for row in order.tolist()]


PLACES365 = Format(places365_state, read_places365, places365_source, places365_problems, root="root")
