"""scikit-learn's bundled digits: `{format: digits}`. Ids are `digit-0123`, the row in scikit-learn's file."""

from collections.abc import Callable, Iterator
from typing import Any

from neuroscaling.datasets import digits
from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.readers import PixelSource
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import Problem
from neuroscaling.hashing import content_hash


def identity(settings: dict[str, Any]) -> str:
    """Hash of the known file and the version of the split."""
    return content_hash({"digits": digits.SHA256, "split": digits.SPLIT_VERSION})


def state(settings: dict[str, Any], split: str) -> Any:
    """The digits never change."""
    return [identity(settings), split]


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """The digits of a split. Raises DataError for another split, or when the file isn't the known one."""
    _, labels, image_ids = digits.load_digits(split)
    return Split(image_ids, labels, [str(digit) for digit in range(10)])


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """None: the file was checked when it was read."""
    return iter(())


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> PixelSource:
    """8 x 8 pixels each."""
    return PixelSource(index, digits.load_digits(index.split)[0])


FORMAT = Format(identity, state, read, problems, source)
