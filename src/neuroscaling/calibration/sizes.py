"""How many images a study's data sets have: as the study declares them, else counted. Light at import."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.datasets.declared import declared, located
from neuroscaling.hashing import canonical_json
from neuroscaling.runs import Run

# Validation images of public data sets, as their authors give them; the training images are declared in the study.
KNOWN_VALIDATION = {
    "ecoset": 28_250,
    "imagenet": 50_000,
    "imagenet21kP": 522_500,
    "inaturalist": 100_000,
    "places365": 36_500,
    "webvision": 50_000,
    "webvisionP": 50_000,
}
VALIDATION = 50_000
"""Assumed for a data set that is neither there to be counted nor among those known."""


@dataclass(frozen=True)
class DatasetSize:
    """Classes, training images and validation images of a data set."""

    classes: int
    images: int
    validation: int


def dataset_size(name: str, settings: dict[str, Any], cache_dir: Path | None = None) -> DatasetSize:
    """Size of the data set `name`, whose images need not be there if `classes` and `images` are declared.

    Raises DataError for one that is neither there nor declared.
    """
    if declared(settings):
        classes, images = settings["classes"], settings["images"]
    else:
        classes, images = _counted(name, settings, "train", cache_dir)
    if located(settings):
        validation = _counted(name, settings, "validation", cache_dir)[1]
    else:
        validation = KNOWN_VALIDATION.get(name, VALIDATION)
    return DatasetSize(classes, images, validation)


def size_of(run: Run, cache_dir: Path | None = None) -> DatasetSize:
    """Size of the data set of `run`, looked up once for all runs of a process. Raises DataError as `dataset_size`."""
    return _size(str(run.dataset), canonical_json(run.dataset_settings), cache_dir)


def samples(token: str, size: DatasetSize) -> int:
    """Images of the subset `token`: `10`, `p10` (of each class), `all`, `n5000` (of all), `c100` (all of 100 classes).

    Of the last the mean over choices of classes.
    """
    number = int(token.lstrip("pnc")) if token != "all" else 0
    match token[0]:
        case "a":
            return size.images
        case "n":
            return min(number, size.images)
        case "c":
            return round(size.images * min(number, size.classes) / size.classes)
        case _:
            return min(number * size.classes, size.images)


@cache
def _size(name: str, settings: str, cache_dir: Path | None) -> DatasetSize:
    return dataset_size(name, json.loads(settings), cache_dir)


def _counted(name: str, settings: dict[str, Any], split: str, cache_dir: Path | None) -> tuple[int, int]:
    """Classes and images of one split."""
    from neuroscaling.datasets.catalogue import listing

    found = listing(name, settings, split, cache_dir)
    return len(found.class_names), len(found.labels)
