"""Text files and shards give labels of images, which become positions among the classes."""

import os
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.datasets.packed_names import Names, names_of
from neuroscaling.datasets.split import NAMES_SHOWN, Split

NEAREST_AMONG = 2000


@dataclass(frozen=True)
class CodedLabels:
    """Labels as text. distinct: each label once; codes: int32 (n,), positions in distinct."""

    distinct: list[str]
    codes: np.ndarray


class LabelCoder:
    """Collects labels one by one, in four bytes each."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes = array("i")

    def add(self, label: str) -> None:
        """Note the next label."""
        self._codes.append(self._known.setdefault(label, len(self._known)))

    def coded(self) -> CodedLabels:
        """Return all labels so far."""
        return CodedLabels(list(self._known), np.array(self._codes, np.int32))


def open_text(path: Path, key: str) -> TextIO:
    """Return a text file that the study names under `key`. Raises DataError when it is missing."""
    try:
        return open(path, encoding="utf-8-sig", errors="surrogateescape")  # some editors put a mark at the start
    except OSError as error:
        fix = f"check `{key}:` in the study file"
        raise DataError(Problem(what="file is missing or can't be read", where=str(path), fix=fix)) from error


def read_class_names(path: Path, key: str = "class_names") -> list[str]:
    """Class names, one a line, in the order of the labels. Raises DataError when the file is missing or repeats one."""
    with open_text(path, key) as file:
        names = [line.strip() for line in file if line.strip()]
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise DataError(Problem(what="classes are named twice", where=str(path), value=listing(repeated)))
    return names


def number_labels(
    found: CodedLabels, where: str, split: str, class_names: list[str] | None, train_classes: Callable[[], list[str]]
) -> tuple[np.ndarray, list[str]]:
    """Return positions (int64, (n,)) of the labels `found` among the classes, and the classes' names.

    Labels are class names, or numbers that count classes from 0. The classes are `class_names` where they are given;
    else the names among the training labels, sorted, or every number up to the largest one.
    Raises DataError that lists the labels which are none of the classes.
    """
    distinct = found.distinct
    numbers = all(label.isdecimal() and label.isascii() for label in distinct)
    if class_names is None:
        own = [str(i) for i in range(max(map(int, distinct), default=-1) + 1)] if numbers else sorted(distinct)
        class_names = own if split == "train" else train_classes()
    position = {name: i for i, name in enumerate(class_names)}
    if numbers and not position.keys() >= set(distinct):
        position = {label: int(label) for label in distinct if int(label) < len(class_names)}
    unknown = [label for label in distinct if label not in position]
    if unknown:
        allowed = f"{len(class_names)} classes: {listing(class_names, 5)}"
        close = nearest(unknown[0], class_names) if len(class_names) <= NEAREST_AMONG else ""
        raise DataError(
            Problem(
                what=f"{split} labels of no class", where=where, value=listing(unknown), allowed=allowed, nearest=close
            )
        )
    return np.array([position[label] for label in distinct], np.int64)[found.codes], list(class_names)


def place_labels(
    found: np.ndarray,
    where: str,
    split: str,
    class_names: list[str] | None,
    train_classes: Callable[[], list[str]],
    first: int = 0,
) -> tuple[np.ndarray, list[str]]:
    """Return positions (int64, (n,)) of labels that count classes from `first`, and the classes' names.

    The classes are `class_names` where they are given, else every number up to the largest training label.
    Raises DataError that lists the labels which are none of the classes.
    """
    if class_names is None:
        numbers = range(first, int(found.max(initial=first - 1)) + 1)
        class_names = [str(number) for number in numbers] if split == "train" else train_classes()
    last = first + len(class_names) - 1
    unknown = np.unique(found[(found < first) | (found > last)]).tolist()
    if unknown:
        allowed = f"{first} to {last}, {len(class_names)} classes: {listing(class_names, 5)}"
        what = f"{split} labels of no class"
        raise DataError(Problem(what=what, where=where, value=listing(unknown), allowed=allowed))
    return found.astype(np.int64) - first, list(class_names)


def empty_classes(split: Split, where: str) -> list[Problem]:
    """Return the problem of classes that have no training images, or of no images at all."""
    if not len(split.names):
        return [Problem(what="no images", where=where)]
    empty = [name for name, count in split.counts().items() if not count]
    fix = "correct the labels, or the class names"
    return (
        [Problem(what="classes without training images", where=where, value=listing(empty), fix=fix)] if empty else []
    )


def listed_file_state(path: Path, key: str) -> list[str | int]:
    """Name, size and date of a file that the study names under `key`. Raises DataError when it is missing."""
    try:
        stat = os.stat(path)
    except OSError as error:
        fix = f"check `{key}:` in the study file"
        raise DataError(Problem(what="file is missing", where=str(path), fix=fix)) from error
    return [path.name, stat.st_size, stat.st_mtime_ns]


def read_image_list(path: Path, key: str) -> tuple[Names, CodedLabels]:
    """Return paths and labels of a list; the label is what stands after the last space or tab of a line.

    A `/` before a path is left out: paths are below a folder. Empty lines and lines that begin with `#` don't count.
    Raises DataError that names the lines without a label, and the paths that stand there twice.
    """
    # Line by line into flat arrays: WebVision's list has 13 million lines.
    text, lengths, hashes, labels, bad = bytearray(), array("q"), array("q"), LabelCoder(), []
    with open_text(path, key) as file:
        for number, line in enumerate(file, 1):
            parts = line.rsplit(None, 1)
            if not parts or line[0] == "#":
                continue
            if len(parts) == 1:
                bad.append(number)
                continue
            name = os.fsencode(parts[0].lstrip("/"))
            text += name
            lengths.append(len(name))
            hashes.append(hash(name))
            labels.add(parts[1])
    names = names_of(text, lengths)
    problems = (
        [
            Problem(
                what="lines without a label",
                where=str(path),
                value=f"lines {listing(bad, NAMES_SHOWN)}",
                allowed="`path label`",
            )
        ]
        if bad
        else []
    )
    problems += repeated_names(names, np.frombuffer(hashes, np.int64), str(path))
    if problems:
        raise DataError(problems)
    return names, labels.coded()


def repeated_names(names: Names, hashes: np.ndarray, where: str) -> list[Problem]:
    """Return the problem of names that stand there twice. hashes: int64 (n,), of the names."""
    if len(np.unique(hashes)) == len(hashes):
        return []
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    fix = "each image needs a name of its own"
    return (
        [Problem(what="images that are named twice", where=where, value=listing(repeated, NAMES_SHOWN), fix=fix)]
        if repeated
        else []
    )


def missing_files(folder: Path, split: Split, where: str) -> list[Problem]:
    """The first image of each class that is not there: enough to see that a root is wrong, without a look at all."""
    first = [split.names[row] for row in np.unique(split.labels, return_index=True)[1].tolist()]
    missing = [name for name in first if not (folder / name).is_file()]
    if not missing:
        return []
    what = f"{len(missing)} of {len(first)} images looked at (the first of each class) are not below {folder}"
    return [Problem(what=what, where=where, value=listing(missing, NAMES_SHOWN), fix="check `root:` in the study file")]
