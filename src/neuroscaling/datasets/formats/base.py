"""What a format of image data sets can do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from neuroscaling.datasets.source import Source
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import Problem

Settings = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """What a format can do with the settings of a data set.

    identity: the fingerprint of images that are generated or bundled; None where it is taken from the files.
    state: JSON that changes when images are added, removed or renamed: a stat of each class folder, list or shard;
    raises DataError when something is missing.
    read: all images of a split, given what tells the class names of the training images, where these are needed;
    raises DataError with all that is wrong.
    problems: what names of files and folders show to be wrong, given both splits.
    source: what reads the images of an index, which was made from a split.
    """

    identity: Callable[[Settings], str | None]
    state: Callable[[Settings, str], Any]
    read: Callable[[Settings, str, Callable[[], list[str]]], Split]
    problems: Callable[[Settings, dict[str, Split]], Iterator[Problem]]
    source: Callable[[Settings, DatasetIndex, Split], Source]
