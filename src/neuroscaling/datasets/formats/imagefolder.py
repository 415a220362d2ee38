"""One folder a class: `{format: imagefolder, root: FOLDER}`. Ids are `<class>/<file>`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.datasets import folders
from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.readers import FileSource
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import DataError, Problem, nearest

FOLDERS = {"train": "train", "validation": "val"}


def split_folder(settings: dict[str, Any], split: str) -> Path:
    """Folder of a split. Raises DataError for a split that doesn't exist."""
    if split not in FOLDERS:
        raise DataError(Problem("no such split", "dataset", split, ", ".join(FOLDERS), nearest(split, FOLDERS)))
    return Path(settings["root"]) / FOLDERS[split]


def identity(settings: dict[str, Any]) -> None:
    """The fingerprint is that of the files."""


def state(settings: dict[str, Any], split: str) -> Any:
    """Names and dates of the class folders. Raises DataError when the folder is missing."""
    return folders.folder_state(split_folder(settings, split))


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Classes and files in the order of their names. Raises DataError when the folder is missing."""
    return folders.read_folders(split_folder(settings, split))


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """Classes without images or in one split alone, folders that were swapped."""
    return folders.folder_problems({split_folder(settings, split): found for split, found in splits.items()})


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> FileSource:
    """Files below the split's folder."""
    return FileSource(index, split_folder(settings, index.split))


FORMAT = Format(identity, state, read, problems, source)
