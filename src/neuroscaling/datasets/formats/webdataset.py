"""Tar shards: `{format: webdataset, train: "shards/train-{0000..0099}.tar", validation: ...}`. Ids are the keys.

Each image has two members, `<key>.jpg` (or .png, ...) and `<key>.cls` (a number or a class name). Where each image
lies is found once, by a walk over the headers of all shards, and kept; then images are read by their offset.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.datasets.formats.base import Format
from neuroscaling.datasets.labels import empty_classes, number_labels, read_class_names
from neuroscaling.datasets.lists import file_state
from neuroscaling.datasets.shards import ShardSource, scan_shards, shard_paths, shard_states
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import Problem


def identity(settings: dict[str, Any]) -> None:
    """The fingerprint is that of the shards' members."""


def state(settings: dict[str, Any], split: str) -> Any:
    """Size and date of each shard; of the training shards too, whose classes count. Raises DataError."""
    keys = ["train", *([split] if split != "train" else [])]
    states = [state for key in keys for state in shard_states(settings[key], key)]
    names = settings.get("class_names")
    return [*states, *([file_state(Path(names), "class_names")] if names else [])]


def read(settings: dict[str, Any], split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Images in the order of the shards. Raises DataError with what is wrong in any shard."""
    names, found, columns = scan_shards(shard_paths(settings[split], split))
    classes = read_class_names(Path(settings["class_names"])) if settings.get("class_names") else None
    labels, class_names = number_labels(found, settings[split], split, classes, train_classes)
    return Split(names, labels, class_names, columns)


def problems(settings: dict[str, Any], splits: dict[str, Split]) -> Iterator[Problem]:
    """Classes without training images."""
    return iter(empty_classes(splits["train"], settings["train"]))


def source(settings: dict[str, Any], index: DatasetIndex, split: Split) -> ShardSource:
    """Parts of the shards."""
    return ShardSource(index, shard_paths(settings[index.split], index.split), split.columns)


FORMAT = Format(identity, state, read, problems, source)
