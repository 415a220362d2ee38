"""torchvision's layout of Places365-Standard: `{format: places365, root: FOLDER}`. Ids are paths: `a/airfield/1.jpg`.

`categories_places365.txt` numbers the classes, `places365_train_standard.txt` and `places365_val.txt` list the images
of `data_256_standard/` and `val_256/` (`size: large`: of `data_large_standard/` and `val_large/`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.labels import empty_classes, number_labels
from neuroscaling.datasets.lists import file_state, missing_files, read_list
from neuroscaling.datasets.readers import FileSource
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import DataError, Problem

CATEGORIES = "categories_places365.txt"
LISTS = {"train": "places365_train_standard.txt", "validation": "places365_val.txt"}
FOLDERS = {"train": "data_{}_standard", "validation": "val_{}"}


def identity(settings: dict[str, Any]) -> None:
    """The fingerprint is that of the files."""


def state(settings: dict[str, Any], split: str) -> Any:
    """Size and date of the lists. Raises DataError when one is missing."""
    root = Path(settings["root"])
    return [_folder(settings, split).name, *(file_state(root / name, "root") for name in (CATEGORIES, LISTS[split]))]


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Images in the order of the list. Raises DataError when a list is missing or has other classes."""
    path = Path(settings["root"]) / LISTS[split]
    names, found = read_list(path, "root")
    labels, class_names = number_labels(found, str(path), split, _categories(settings), train_classes)
    return Split(names, labels, class_names)


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """Classes without training images, and images that are not in the folder."""
    root = Path(settings["root"])
    yield from empty_classes(splits["train"], str(root / LISTS["train"]))
    for split, found in splits.items():
        yield from missing_files(_folder(settings, split), found, str(root / LISTS[split]))


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> FileSource:
    """Files below the split's folder."""
    return FileSource(index, _folder(settings, index.split))


def _folder(settings: dict[str, Any], split: str) -> Path:
    size = {"small": "256", "large": "large"}[settings.get("size", "small")]
    return Path(settings["root"]) / FOLDERS[split].format(size)


def _categories(settings: dict[str, Any]) -> list[str]:
    """Class names (`a/airfield`) in the order of their numbers."""
    path = Path(settings["root"]) / CATEGORIES
    names, found = read_list(path, "root")
    if set(found.distinct) != {str(i) for i in range(len(names))}:
        raise DataError(Problem("the categories are not numbered from 0", str(path), fix="fetch the file again"))
    order = np.argsort(np.array(found.distinct, np.int64)[found.codes])
    return [names[row] for row in order.tolist()]


FORMAT = Format(identity, state, read, problems, source)
