"""Which images a data set has: the index that subsets, training and evaluation share."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroscaling.datasets.digits import load_digits
from neuroscaling.datasets.fingerprint import fingerprint
from neuroscaling.datasets.folders import list_images, split_folder
from neuroscaling.errors import DataError, Problem, nearest

FORMATS = ("digits", "imagefolder")


@dataclass(frozen=True)
class DatasetIndex:
    """The images of one split, without their pixels.

    image_ids: unique names, `digit-0123` or `<class>/<file>`; labels: int64 (n,), positions in class_names;
    fingerprint: of the training images, whichever split this is.
    """

    name: str
    split: str
    image_ids: list[str]
    labels: np.ndarray
    class_names: list[str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.image_ids)


def load_index(name: str, settings: dict[str, Any], split: str, known_fingerprint: str | None = None) -> DatasetIndex:
    """The index of one split ("train" or "validation") of the data set `name`.

    settings: `{"format": "digits"}` or `{"format": "imagefolder", "root": folder}`; known_fingerprint: where the
    caller has it, so that the training images need not be read for it. Raises DataError when the folder is missing
    or the format is unknown.
    """
    match settings.get("format"):
        case "digits":
            _, labels, image_ids = load_digits(split)
            class_names = [str(digit) for digit in range(10)]
        case "imagefolder":
            class_names, image_ids, labels = list_images(split_folder(settings, split))
        case other:
            raise DataError(Problem("unknown format", name, other, ", ".join(FORMATS), nearest(other, FORMATS)))
    found = known_fingerprint or fingerprint(name, settings, None)
    return DatasetIndex(name, split, image_ids, labels, class_names, found)
