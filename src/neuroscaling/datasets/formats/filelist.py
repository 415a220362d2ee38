"""Lists of files: `{format: filelist, root: FOLDER, train: LIST, validation: LIST}`. Ids are the paths in the lists."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.labels import empty_classes, number_labels, read_class_names
from neuroscaling.datasets.lists import file_state, missing_files, read_list
from neuroscaling.datasets.readers import FileSource
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import Problem


def identity(settings: dict[str, Any]) -> None:
    """The fingerprint is that of the files."""


def state(settings: dict[str, Any], split: str) -> Any:
    """Size and date of the lists: those of the split, of the training images (whose classes count), of the names."""
    keys = ["train", *([split] if split != "train" else []), *(["class_names"] if settings.get("class_names") else [])]
    return [file_state(_path(settings, key), key) for key in keys]


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Images in the order of the list. Raises DataError with the lines and labels that are wrong."""
    path = _path(settings, split)
    names, found = read_list(path, split)
    classes = read_class_names(_path(settings, "class_names")) if settings.get("class_names") else None
    labels, class_names = number_labels(found, str(path), split, classes, train_classes)
    return Split(names, labels, class_names)


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """Classes without training images, and images that are not below the root."""
    yield from empty_classes(splits["train"], str(_path(settings, "train")))
    for split, found in splits.items():
        yield from missing_files(Path(settings["root"]), found, str(_path(settings, split)))


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> FileSource:
    """Files below the root."""
    return FileSource(index, Path(settings["root"]))


def _path(settings: dict[str, Any], key: str) -> Path:
    return Path(settings["root"]) / settings[key]


FORMAT = Format(identity, state, read, problems, source)
