"""The files of an image folder: `train/<class>/<image>` and `val/<class>/<image>`. Opens no image."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.errors import DataError, Problem, nearest

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
FOLDERS = {"train": "train", "validation": "val"}


def split_folder(settings: dict[str, Any], split: str) -> Path:
    """Folder of a split of an `imagefolder` data set. Raises DataError for a split that doesn't exist."""
    if split not in FOLDERS:
        raise DataError(Problem("no such split", "dataset", split, ", ".join(FOLDERS), nearest(split, FOLDERS)))
    return Path(settings["root"]) / FOLDERS[split]


def scan(folder: Path) -> dict[str, list[str]]:
    """Names of the image files by class, both sorted by name; hidden files and other files are left alone.

    Raises DataError when the folder is missing.
    """
    try:
        classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
    except OSError as error:
        raise DataError(Problem("folder is missing", str(folder), fix="check `root:` in the study file")) from error
    return {name: sorted(_images(folder / name)) for name in classes}


def list_images(folder: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Class names, image ids `<class>/<file>`, and their labels (int64, positions in the class names)."""
    classes = scan(folder)
    image_ids = [f"{name}/{file}" for name, files in classes.items() for file in files]
    counts = [len(files) for files in classes.values()]
    return list(classes), image_ids, np.repeat(np.arange(len(classes), dtype=np.int64), counts)


def _images(folder: Path) -> list[str]:
    return [e.name for e in os.scandir(folder) if e.name[0] != "." and e.name.lower().endswith(EXTENSIONS)]
