"""Image folders and torchvision's iNaturalist 2021 keep their images in one folder a class.

`<root>/2021_train/<category>/<image>` (or `2021_train_mini`) and `<root>/2021_valid/<category>/<image>`. Categories
begin with a number of five digits, so the order of their names is that of the numbers.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.datasets.packed_names import join_names, pack_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import (
    FILES_LOOKED_AT,
    IMAGE_EXTENSIONS,
    DatasetIndex,
    FileSource,
    Format,
    Split,
)

NAMES_LOOKED_AT = 20  # of each class in sets of many images


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted; hidden ones are left alone. Raises DataError when `folder` is missing."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
    except OSError as error:
        raise DataError(
            Problem(what="folder is missing", where=str(folder), fix="check `root:` in the study file")
        ) from error


def folder_state(folder: Path) -> list[list[str | int]]:
    """Return the name and date of each class folder: they change when images are added, removed or renamed."""
    return [[name, os.stat(folder / name).st_mtime_ns] for name in class_folders(folder)]


def read_folders(folder: Path) -> Split:
    """Return class folders and the image files in them, both sorted by name; other files are left alone.

    Raises DataError when the folder is missing or a class folder can't be read.
    """
    classes = class_folders(folder)
    # Class by class: a list of all names of a large set would be several times as large as the packed names.
    parts = [pack_names(f"{name}/{file}" for file in sorted(image_names(folder / name))) for name in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(part) for part in parts])
    return Split(join_names(parts), labels, classes)


def folder_problems(splits: dict[Path, Split]) -> Iterator[Problem]:
    """Yield what is wrong with the class folders of training and validation images, given by their folders."""
    for folder, split in splits.items():
        yield from _split_problems(folder, split)
    yield from _class_problems(splits)
    for folder, split in splits.items():
        yield from _name_problems(folder, split)


def image_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if e.name[0] != "." and e.name.lower().endswith(IMAGE_EXTENSIONS)]
    except OSError as error:
        raise DataError(Problem(what="folder can't be read", where=str(folder), fix="check its permissions")) from error


def _split_problems(folder: Path, split: Split) -> Iterator[Problem]:
    classes = split.class_names
    if not classes:
        yield Problem(what="no class folders", where=str(folder), fix="put the images in one folder a class")
        return
    if len(classes) == 1:
        yield Problem(what="only one class", where=str(folder), value=classes[0], allowed="two classes or more")
    empty = [label for label, count in split.counts().items() if not count]
    if len(empty) == len(classes):
        yield Problem(what="no images in any class folder", where=str(folder))
    elif empty:
        yield Problem(
            what="classes without images",
            where=str(folder),
            value=listing(empty),
            fix="add images or remove the folders",
        )


def _class_problems(splits: dict[Path, Split]) -> Iterator[Problem]:
    (train, in_train), (validation, in_validation) = splits.items()
    for here, found, there, others in (
        (train, in_train, validation, in_validation),
        (validation, in_validation, train, in_train),
    ):
        missing = sorted(set(found.class_names) - set(others.class_names))
        if missing and others.class_names:
            spare = set(others.class_names) - set(found.class_names)
            yield Problem(
                what=f"classes of `{here.name}` are missing here",
                where=str(there),
                value=listing(missing),
                nearest=nearest(missing[0], spare),
                fix="both splits need the same class folders",
            )


def _name_problems(folder: Path, split: Split) -> Iterator[Problem]:
    """Yield images named after another class than that of their folder: folders that were swapped or mixed up."""
    others = {label.lower(): label for label in split.class_names}
    looked_at = NAMES_LOOKED_AT if len(split.names) > FILES_LOOKED_AT else FILES_LOOKED_AT
    start = 0
    for label, count in split.counts().items():
        files = [name.rpartition("/")[2] for name in split.names[start : start + min(count, looked_at)]]
        start += count
        owners = [(file, _named_class(file, others)) for file in files]
        strangers = [(file, owner) for file, owner in owners if owner is not None and owner != label]
        if strangers:
            owner = strangers[0][1]
            yield Problem(
                what=f"{len(strangers)} of {len(files)} images are named after class `{owner}`",
                where=str(folder / label),
                value=listing([file for file, _ in strangers], limit=5),
                allowed=f"images of class `{label}`",
                fix=f"were `{label}` and `{owner}` swapped? move or rename the images",
            )


def _named_class(file: str, others: dict[str, str]) -> str | None:
    """The class that a file name begins with: `cat_0001.png` and `cat_val_1.png` say `cat`; the longest one counts."""
    stem = file.rsplit(".", 1)[0].lower()
    ends = [len(stem.rstrip("0123456789").rstrip("-_. "))]
    ends += [match.start() for match in reversed(list(re.finditer(r"[-_. ]", stem)))]
    return next((others[stem[:end]] for end in ends if stem[:end] in others), None)


def folder_format(
    split_folder: Callable[[DatasetSettings, str], Path],
    problems: Callable[[DatasetSettings, dict[str, Split]], Iterator[Problem]],
) -> Format:
    """Return a format whose images lie in one folder a class, below the folder of their split.

    split_folder: that folder, for the settings of a data set and a split; problems: as of `Format`.
    """

    def state(settings: DatasetSettings, split: str) -> list[list[str | int]]:
        return folder_state(split_folder(settings, split))

    def read(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
        return read_folders(split_folder(settings, split))

    def source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> FileSource:
        return FileSource(index, split_folder(settings, index.split))

    return Format(state, read, source, problems, root="root")


IMAGEFOLDER_SPLITS = {"train": "train", "validation": "val"}
"""Folders of the splits where the study names no others."""


def imagefolder_split(settings: DatasetSettings, split: str) -> Path:
    """Return the folder of a split. Raises DataError for a split that doesn't exist, or a folder that is missing."""
    if split not in IMAGEFOLDER_SPLITS:
        raise DataError(
            Problem(
                what="no such split",
                where="dataset",
                value=split,
                allowed=", ".join(IMAGEFOLDER_SPLITS),
                nearest=nearest(split, IMAGEFOLDER_SPLITS),
            )
        )
    root = Path(settings.needed("root"))
    folder = root / (getattr(settings, split) or IMAGEFOLDER_SPLITS[split])
    if root.is_dir() and not folder.is_dir():
        there = class_folders(root)
        close = nearest(folder.name, there) or nearest(split, there)
        what, fix = "folder is missing", f"write `{split}: {close or 'FOLDER'}` in the study file, or check `root:`"
        raise DataError(Problem(what=what, where=str(folder), allowed=listing(there, 5), nearest=close, fix=fix))
    return folder


def imagefolder_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Return classes without images or in one split alone, folders that were swapped."""
    return folder_problems({imagefolder_split(settings, split): found for split, found in splits.items()})


IMAGEFOLDER = folder_format(imagefolder_split, imagefolder_problems)

INATURALIST_VALIDATION = "2021_valid"


def inaturalist_split(settings: DatasetSettings, split: str) -> Path:
    """Return the folder of a split."""
    return Path(settings.needed("root")) / (settings.version if split == "train" else INATURALIST_VALIDATION)


def inaturalist_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Yield categories without images or in one split alone, and folders that are no categories."""
    places = {inaturalist_split(settings, split): found for split, found in splits.items()}
    yield from folder_problems(places)
    for folder, split in places.items():
        strange = [name for name in split.class_names if not name[:5].isdigit()]
        if strange:
            allowed = "<five digits>_<kingdom>_..._<species>"
            yield Problem(
                what="folders that are no categories",
                where=str(folder),
                value=strange[0],
                allowed=allowed,
                fix="move them away",
            )


INATURALIST = folder_format(inaturalist_split, inaturalist_problems)
