"""Tar shards hold images, each of which is found once and then read at its offset.

Each image has two members, `<key>.jpg` (or .png, ...) and `<key>.cls` (a number or a class name). Where each image
lies is found once, by a walk over the headers of all shards, and kept; then images are read by their offset.
"""

import glob
import math
import os
import re
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from neuroscaling.core.archives import tar_bytes, tar_members
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import require_file
from neuroscaling.core.images import rgb_pixels
from neuroscaling.datasets.labels import (
    CodedLabels,
    LabelCoder,
    empty_classes,
    listed_file_state,
    number_labels,
    read_class_names,
    repeated_names,
)
from neuroscaling.datasets.packed_names import Names, pack_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import IMAGE_EXTENSIONS, NAMES_SHOWN, DatasetIndex, Format, Split

LABEL = ".cls"
LONGEST_LABEL = 100_000  # bytes
MOST_SHARDS = 200_000  # LAION-5B, the largest public set, has 231,349 in three parts
LONGEST_NUMBER = 19
BRACES = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
SCANNED_AT_ONCE = 16
KEPT_OPEN = 400  # files of a process: a process may usually have 1,024


def shard_paths(pattern: str, key: str) -> list[Path]:
    """The shards that `pattern` names: `{0000..0099}` counts, `*` is what is there. Raises DataError for none."""
    _check_number(pattern, key)
    expanded = _expand(pattern)
    found = [Path(path) for part in expanded for path in (sorted(glob.glob(part)) if _is_glob(part) else [part])]
    if not found:
        raise DataError(Problem(what="no shards", where=pattern, fix=f"check `{key}:` in the study file"))
    return found


def shard_states(pattern: str, key: str) -> list[list[str | int]]:
    """Name, size and date of each shard that `pattern` names. Raises DataError that names all missing ones."""
    states, missing = [], []
    for path in shard_paths(pattern, key):
        try:
            states.append(listed_file_state(path, key))
        except DataError:
            missing.append(path)
    if missing:
        what = f"{len(missing)} of {len(missing) + len(states)} shards are missing"
        raise DataError(
            Problem(
                what=what, where=pattern, value=listing(missing, NAMES_SHOWN), fix=f"check `{key}:` in the study file"
            )
        )
    return states


def scan_shards(paths: list[Path]) -> tuple[Names, CodedLabels, dict[str, np.ndarray]]:
    """Return keys, labels and places of the images in `paths`; places: shard, offset and size (bytes), each int64 (n,).

    Raises DataError that lists damaged shards, images without a label, labels without an image, and keys that are
    there twice.
    """
    keys: list[str] = []
    labels, problems = LabelCoder(), []
    places: dict[str, array[int]] = {name: array("q") for name in ("shard", "offset", "size")}
    # Many at once: on a network disk the time goes into waiting for one header after another.
    with ThreadPoolExecutor(min(SCANNED_AT_ONCE, len(paths))) as pool:
        for shard, (images, faults) in enumerate(pool.map(_scan_shard, paths)):
            problems += faults
            for key, label, offset, size in images:
                keys.append(key)
                labels.add(label)
                for column, value in zip(places.values(), (shard, offset, size), strict=True):
                    column.append(value)
    names = pack_names(keys)
    problems += repeated_names(names, np.fromiter(map(hash, keys), np.int64, len(keys)), str(paths[0].parent))
    if problems:
        raise DataError(problems)
    return names, labels.coded(), {name: np.array(column, np.int64) for name, column in places.items()}


@dataclass(frozen=True)
class ShardSource:
    """Images at their offsets in tar files. columns: as from `scan_shards`."""

    index: DatasetIndex
    shards: list[Path]
    columns: dict[str, np.ndarray]
    is_encoded: ClassVar[bool] = True
    _open: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    def where(self, row: int) -> str:
        """Return shard and key, for messages."""
        return f"{self.shards[self.columns['shard'][row]]}: {self.index.image_ids[row]}"

    def encoded(self, row: int) -> bytes:
        """Return bytes of the image's member. Raises DataError when the shard is missing or cut short."""
        shard, offset, size = (int(self.columns[name][row]) for name in ("shard", "offset", "size"))
        try:
            # Reading at an offset moves no common position: threads and forked processes can share the open file.
            found = self._read(shard, size, offset)
        except OSError as error:
            raise DataError(
                Problem(what="image can't be read", where=self.where(row), fix="check the shard")
            ) from error
        if len(found) < size:
            raise DataError(Problem(what="shard is cut short", where=self.where(row), fix="fetch the shard again"))
        return found

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3) RGB. Raises DataError when the image can't be decoded to its end."""
        return rgb_pixels(self.encoded(row), self.where(row))

    def __getstate__(self) -> dict[str, Any]:
        """Open files stay behind when a source is pickled."""
        return {**self.__dict__, "_open": {}}

    def _read(self, shard: int, size: int, offset: int) -> bytes:
        if shard not in self._open and len(self._open) >= KEPT_OPEN:
            with open(self.shards[shard], "rb") as file:
                return os.pread(file.fileno(), size, offset)
        if shard not in self._open:
            # Two threads may open the same shard at once; the file of the one that loses stays open, unused.
            self._open.setdefault(shard, os.open(self.shards[shard], os.O_RDONLY))
        return os.pread(self._open[shard], size, offset)


def _check_number(pattern: str, key: str) -> None:
    """Raise DataError where the braces of a pattern count more shards than any data set has."""
    spans = [(int(first[:LONGEST_NUMBER]), int(last[:LONGEST_NUMBER])) for first, last in BRACES.findall(pattern)]
    number = math.prod(max(last - first + 1, 0) for first, last in spans)
    if number > MOST_SHARDS or any(len(text) >= LONGEST_NUMBER for pair in BRACES.findall(pattern) for text in pair):
        what = "the braces count too many shards"
        raise DataError(
            Problem(
                what=what,
                where=f"`{key}:`",
                value=pattern,
                allowed=f"at most {MOST_SHARDS:,}",
                fix="correct the last number",
            )
        )


def _expand(pattern: str) -> list[str]:
    """Return `a-{08..10}.tar` as a-08.tar, a-09.tar, a-10.tar; several braces give all combinations."""
    match = BRACES.search(pattern)
    if match is None:
        return [pattern]
    first, last, width = int(match[1]), int(match[2]), len(match[1])
    head, tail = pattern[: match.start()], pattern[match.end() :]
    return [part for i in range(first, last + 1) for part in _expand(f"{head}{i:0{width}d}{tail}")]


def _is_glob(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def _scan_shard(path: Path) -> tuple[list[tuple[str, str, int, int]], list[Problem]]:
    """Key, label, offset and size of each image of a shard, in the order of the images; and what is wrong with it."""
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    repeated: set[str] = set()
    try:
        for key, extension, offset, size, content in _members(path):
            if key in (labels if extension == LABEL else images):
                repeated.add(key)
            if extension == LABEL:
                labels[key] = content
            else:
                images[key] = (offset, size)
    except DataError as error:
        return [], error.problems
    unpaired = images.keys() ^ {key for key, label in labels.items() if label}
    faults = {
        "keys without a label (.cls) or without an image": unpaired,
        "keys with several images or labels": repeated,
    }
    allowed, found = f"<key>{LABEL} beside <key>.jpg", [(what, sorted(keys)) for what, keys in faults.items() if keys]
    problems = [
        Problem(what=what, where=str(path), value=listing(keys, NAMES_SHOWN), allowed=allowed) for what, keys in found
    ]
    return [] if problems else [(key, labels[key], *place) for key, place in images.items()], problems


def _members(path: Path) -> Iterator[tuple[str, str, int, int, str]]:
    """Key, extension, offset, size and (of labels) content of each image and label in a shard."""
    require_file(path)
    with open(path, "rb") as file:
        for member in tar_members(path, "shards must be whole tar files that are not compressed"):
            folder, _, base = member.name.rpartition("/")
            stem, dot, extension = base.partition(".")
            key = f"{folder}/{stem}" if folder else stem
            extension = f"{dot}{extension}".lower()
            if extension == LABEL and member.size > LONGEST_LABEL:
                raise DataError(
                    Problem(what="too long for a label", where=f"{path}: {member.name}", value=f"{member.size} bytes")
                )
            if extension == LABEL or extension in IMAGE_EXTENSIONS:
                content = tar_bytes(path, member, file) if extension == LABEL else b""
                yield key, extension, member.offset, member.size, content.decode(errors="replace").strip()


def webdataset_state(settings: DatasetSettings, split: str) -> Any:
    """Return size and date of each shard; of the training shards too, whose classes count. Raises DataError."""
    keys = ["train", *([split] if split != "train" else [])]
    states = [state for key in keys for state in shard_states(settings.needed(key), key)]
    names = settings.class_names
    return [*states, *([listed_file_state(Path(names), "class_names")] if names else [])]


def read_webdataset(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images in the order of the shards. Raises DataError with what is wrong in any shard."""
    names, found, columns = scan_shards(shard_paths(settings.needed(split), split))
    classes = read_class_names(Path(settings.class_names)) if settings.class_names else None
    labels, class_names = number_labels(found, settings.needed(split), split, classes, train_classes)
    return Split(names, labels, class_names, columns)


def webdataset_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Return classes without training images."""
    return iter(empty_classes(splits["train"], settings.needed("train")))


def webdataset_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> ShardSource:
    """Return parts of the shards."""
    return ShardSource(index, shard_paths(settings.needed(index.split), index.split), split.columns)


WEBDATASET = Format(webdataset_state, read_webdataset, webdataset_source, webdataset_problems, root="train")
