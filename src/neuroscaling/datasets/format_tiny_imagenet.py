"""Tiny ImageNet keeps its training images by class, and names the class of each validation image in a table.

`train/<class>/images/<image>`, `val/images/<image>` and `val/val_annotations.txt`, whose lines hold the name of an
image, its class and a box, parted by tabs; `wnids.txt` lists the 200 classes. `root` is the folder `tiny-imagenet-200`
or the one above it.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.datasets.format_folders import class_folders, image_names
from neuroscaling.datasets.labels import (
    LabelCoder,
    empty_classes,
    listed_file_state,
    missing_files,
    number_labels,
    open_text,
    read_class_names,
    repeated_names,
)
from neuroscaling.datasets.packed_names import join_names, pack_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import NAMES_SHOWN, DatasetIndex, FileSource, Format, Split

FOLDER = "tiny-imagenet-200"
CLASSES, ANNOTATIONS, IMAGES = "wnids.txt", "val/val_annotations.txt", "images"


def tiny_imagenet_root(settings: DatasetSettings) -> Path:
    """Return the folder that holds `train` and `val`."""
    root = Path(settings.needed("root"))
    return root / FOLDER if (root / FOLDER).is_dir() else root


def tiny_imagenet_state(settings: DatasetSettings, split: str) -> Any:
    """Return the date of each folder of training images, or size and date of the table. Raises DataError."""
    root = tiny_imagenet_root(settings)
    states = [listed_file_state(root / CLASSES, "root")]
    if split == "validation":
        return [*states, listed_file_state(root / ANNOTATIONS, "root")]
    folders = [root / "train" / name / IMAGES for name in class_folders(root / "train")]
    return [*states, *([path.parent.name, os.stat(path).st_mtime_ns] for path in folders if path.is_dir())]


def read_tiny_imagenet(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return the images of a split; classes are sorted by name. Raises DataError with the lines that are wrong."""
    root = tiny_imagenet_root(settings)
    classes = sorted(read_class_names(root / CLASSES, "root"))
    if split == "validation":
        return _read_annotations(root / ANNOTATIONS, classes)
    folders = {name: root / "train" / name / IMAGES for name in classes}
    missing = [name for name, folder in folders.items() if not folder.is_dir()]
    if missing:
        what = f"{len(missing)} of {len(classes)} classes have no folder `{IMAGES}`"
        fix = "unpack the archive again"
        raise DataError(Problem(what=what, where=str(root / "train"), value=listing(missing, NAMES_SHOWN), fix=fix))
    parts = [
        pack_names(f"{name}/{IMAGES}/{file}" for file in sorted(image_names(folder)))
        for name, folder in folders.items()
    ]
    return Split(join_names(parts), np.repeat(np.arange(len(classes)), [len(part) for part in parts]), classes)


def tiny_imagenet_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Yield classes without training images, folders that are no classes, and images of the table that aren't there."""
    root, train = tiny_imagenet_root(settings), splits["train"]
    yield from empty_classes(train, str(root / "train"))
    strange = sorted(set(class_folders(root / "train")) - set(train.class_names))
    if strange:
        what, allowed = "folders that are no classes", f"those of {root / CLASSES}"
        close = nearest(strange[0], train.class_names)
        yield Problem(
            what=what, where=str(root / "train"), value=listing(strange, NAMES_SHOWN), allowed=allowed, nearest=close
        )
    yield from missing_files(root / "val" / IMAGES, splits["validation"], str(root / ANNOTATIONS))


def tiny_imagenet_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> FileSource:
    """Return files below the split's folder."""
    root = tiny_imagenet_root(settings)
    return FileSource(index, root / "train" if index.split == "train" else root / "val" / IMAGES)


TINY_IMAGENET = Format(
    tiny_imagenet_state, read_tiny_imagenet, tiny_imagenet_source, tiny_imagenet_problems, root="root"
)


def _read_annotations(path: Path, classes: list[str]) -> Split:
    names, labels, bad = [], LabelCoder(), []
    with open_text(path, "root") as file:
        for number, line in enumerate(file, 1):
            parts = line.split()
            if len(parts) < 2:  # the image and its class; the box is not needed
                bad += [number] if parts else []
                continue
            names.append(parts[0])
            labels.add(parts[1])
    packed = pack_names(names)
    problems = repeated_names(packed, np.fromiter(map(hash, names), np.int64, len(names)), str(path))
    if bad:
        value, allowed = f"lines {listing(bad, NAMES_SHOWN)}", "`image class box`, parted by tabs"
        problems.append(Problem(what="lines without a class", where=str(path), value=value, allowed=allowed))
    try:
        positions, _ = number_labels(labels.coded(), str(path), "validation", classes, lambda: classes)
    except DataError as error:
        problems += error.problems
    if problems:
        raise DataError(problems)
    return Split(packed, positions, classes)
