"""torchvision's layout of iNaturalist 2021: `{format: inaturalist, root: FOLDER}`. Ids are `<category>/<file>`.

`<root>/2021_train/<category>/<image>` (or `2021_train_mini`) and `<root>/2021_valid/<category>/<image>`. Categories
begin with a number of five digits, so the order of their names is that of the numbers.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.datasets import folders
from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.readers import FileSource
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import Problem

VALIDATION = "2021_valid"


def split_folder(settings: dict[str, Any], split: str) -> Path:
    """Folder of a split."""
    return Path(settings["root"]) / (settings.get("version", "2021_train") if split == "train" else VALIDATION)


def identity(settings: dict[str, Any]) -> None:
    """The fingerprint is that of the files."""


def state(settings: dict[str, Any], split: str) -> Any:
    """Names and dates of the category folders. Raises DataError when the folder is missing."""
    return folders.folder_state(split_folder(settings, split))


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Categories and files in the order of their names. Raises DataError when the folder is missing."""
    return folders.read_folders(split_folder(settings, split))


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """Categories without images or in one split alone, and folders that are no categories."""
    places = {split_folder(settings, split): found for split, found in splits.items()}
    yield from folders.folder_problems(places)
    for folder, split in places.items():
        strange = [name for name in split.class_names if not name[:5].isdigit()]
        if strange:
            allowed = "<five digits>_<kingdom>_..._<species>"
            yield Problem("folders that are no categories", str(folder), strange[0], allowed, fix="move them away")


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> FileSource:
    """Files below the split's folder."""
    return FileSource(index, split_folder(settings, index.split))


FORMAT = Format(identity, state, read, problems, source)
