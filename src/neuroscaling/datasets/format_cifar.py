"""CIFAR-10 and CIFAR-100 (A. Krizhevsky 2009) come as a binary version and as pickled batches for Python.

The test images are the validation split. In both versions an image is 3 planes of 32 x 32 pixels; in the binary one a
row has its label first (of CIFAR-100 the coarse one, then the fine one). `root` is the folder of a version, or the
folder above it, as torchvision stores them. Both versions are one data set: they have one fingerprint.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.datasets.labels import empty_classes, listed_file_state, place_labels, read_class_names
from neuroscaling.datasets.packed_names import numbered_names
from neuroscaling.datasets.pickled_batches import read_pickled
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import ArraySource, DatasetIndex, Format, Split

SIDE = 32
PIXELS = 3 * SIDE * SIDE
DIGITS_OF_ID = 6
FETCH_AGAIN = "fetch the archive again and unpack it"
TEN_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


@dataclass(frozen=True)
class Version:
    """One version of one of the data sets.

    folder: its name; files: of each split; names: file of the class names; labels: of a row, by their kind: keys of the
    pickled dictionary, in the order of the bytes of a binary row; name_keys: keys of the pickled class names.
    """

    folder: str
    binary: bool
    files: dict[str, list[str]]
    names: dict[str, str]
    labels: tuple[str, ...]

    @property
    def is_100(self) -> bool:
        """Is it CIFAR-100, which has fine and coarse labels?"""
        return len(self.labels) > 1


VERSIONS = (
    Version(
        "cifar-10-batches-bin",
        True,
        {"train": [f"{name}.bin" for name in TEN_BATCHES], "validation": ["test_batch.bin"]},
        {"labels": "batches.meta.txt"},
        ("labels",),
    ),
    Version(
        "cifar-10-batches-py",
        False,
        {"train": TEN_BATCHES, "validation": ["test_batch"]},
        {"labels": "batches.meta"},
        ("labels",),
    ),
    Version(
        "cifar-100-binary",
        True,
        {"train": ["train.bin"], "validation": ["test.bin"]},
        {"coarse_labels": "coarse_label_names.txt", "fine_labels": "fine_label_names.txt"},
        ("coarse_labels", "fine_labels"),
    ),
    Version(
        "cifar-100-python",
        False,
        {"train": ["train"], "validation": ["test"]},
        {"coarse_labels": "meta", "fine_labels": "meta"},
        ("coarse_labels", "fine_labels"),
    ),
)


def cifar_version(settings: DatasetSettings) -> tuple[Path, Version]:
    """Return the folder of the files, and which version they are.

    Raises DataError when there are none, or both CIFAR-10 and CIFAR-100, or files are missing: all of them are named.
    """
    root = Path(settings.needed("root"))
    found = [(root / version.folder, version) for version in VERSIONS if (root / version.folder).is_dir()]
    found = found or [(root, version) for version in VERSIONS if _is_version(root, version)]
    if len({version.is_100 for _, version in found}) > 1:
        value = listing([version.folder for _, version in found])
        fix = f"name the folder of one of them: `root: {found[0][0]}`"
        raise DataError(Problem(what="both CIFAR-10 and CIFAR-100", where=str(root), value=value, fix=fix))
    if not found:
        raise DataError(_no_version(root))
    folder, version = found[0]  # where both versions are there, the binary one is mapped and not unpickled
    _require_files(folder, version)
    return folder, version


def cifar_state(settings: DatasetSettings, split: str) -> Any:
    """Return size and date of each file of the split, and of the class names. Raises DataError."""
    folder, version = cifar_version(settings)
    names = [*version.files[split], version.names[_kind(settings, version)]]
    return [version.folder, *(listed_file_state(folder / name, "root") for name in names)]


def read_cifar(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images by their position. Raises DataError with what is wrong in any file."""
    folder, version = cifar_version(settings)
    kind, labels, problems = _kind(settings, version), [], []
    classes = _class_names(folder, version, kind)
    for name in version.files[split]:
        try:
            found = _binary(folder / name, version)[:, version.labels.index(kind)] if version.binary else None
            found = found if found is not None else _pickled(folder / name, kind)[1]
            labels.append(place_labels(found.astype(np.int64), str(folder / name), split, classes, train_classes)[0])
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    positions = np.concatenate(labels)
    return Split(numbered_names(f"{split}-", len(positions), DIGITS_OF_ID), positions, classes)


def cifar_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Return classes without training images."""
    return iter(empty_classes(splits["train"], str(cifar_version(settings)[0])))


def cifar_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> ArraySource:
    """32 x 32 pixels each, in colours."""
    folder, version = cifar_version(settings)
    files = [folder / name for name in version.files[index.split]]
    return ArraySource(index, partial(_images, files, version, _kind(settings, version)))


CIFAR = Format(cifar_state, read_cifar, cifar_source, cifar_problems, root="root")


def _kind(settings: DatasetSettings, version: Version) -> str:
    return f"{settings.labels}_labels" if version.is_100 else "labels"


def _is_version(root: Path, version: Version) -> bool:
    return all((root / name).is_file() for name in (version.files["train"][0], next(iter(version.names.values()))))


def _no_version(root: Path) -> Problem:
    if not root.is_dir():
        return Problem(what="folder is missing", where=str(root), fix="check `root:` in the study file")
    allowed = [version.folder for version in VERSIONS]
    there = sorted(path.name for path in root.iterdir())
    close = next((name for folder in allowed if (name := nearest(folder, there))), "")
    return Problem(
        what="neither CIFAR-10 nor CIFAR-100",
        where=str(root),
        value=listing(there, 5),
        allowed=f"{', '.join(allowed)}, or the files of one of them",
        nearest=close,
        fix="unpack the archive, or check `root:` in the study file",
    )


def _require_files(folder: Path, version: Version) -> None:
    wanted = [*version.files["train"], *version.files["validation"], *dict.fromkeys(version.names.values())]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        what, fix = f"{len(missing)} of {len(wanted)} files are missing", FETCH_AGAIN
        raise DataError(Problem(what=what, where=str(folder), value=listing(missing), fix=fix))


def _class_names(folder: Path, version: Version, kind: str) -> list[str]:
    path = folder / version.names[kind]
    if version.binary:
        return read_class_names(path, "root")
    key = "label_names" if kind == "labels" else f"{kind.removesuffix('_labels')}_label_names"
    found = read_pickled(path).get(key)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise DataError(Problem(what=f"no class names under `{key}`", where=str(path), fix=FETCH_AGAIN))
    return found


def _binary(path: Path, version: Version) -> np.ndarray:
    """Return the rows of a binary file, uint8 (n, labels and pixels), mapped. Raises DataError when it is cut short."""
    length = len(version.labels) + PIXELS
    size = path.stat().st_size
    if not size or size % length:
        allowed = f"a multiple of {length:,} bytes: {len(version.labels)} of labels and {PIXELS:,} pixels an image"
        what, value = "a batch that is cut short, or of another kind", f"{size:,} bytes"
        raise DataError(Problem(what=what, where=str(path), value=value, allowed=allowed, fix=FETCH_AGAIN))
    return np.memmap(path, np.uint8, "r", shape=(size // length, length))


def _pickled(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 (n, 3072), and labels, int64 (n,), of a pickled batch. Raises DataError."""
    found = read_pickled(path)
    missing = [key for key in ("data", kind) if key not in found]
    if missing:
        value, close = listing(list(map(str, found))), nearest(missing[0], map(str, found))
        what, allowed = f"no `{'`, `'.join(missing)}` in the batch", f"data and {kind}"
        raise DataError(
            Problem(what=what, where=str(path), value=value, allowed=allowed, nearest=close, fix=FETCH_AGAIN)
        )
    data, labels = found["data"], found[kind]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (PIXELS,):
        value = f"{getattr(data, 'dtype', type(data).__name__)} {getattr(data, 'shape', '')}"
        what, allowed = "`data` are no pixels of images", f"uint8 (n, {PIXELS})"
        raise DataError(Problem(what=what, where=str(path), value=value, allowed=allowed, fix=FETCH_AGAIN))
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(Problem(what=f"`{kind}` are no list of whole numbers", where=str(path), fix=FETCH_AGAIN))
    if len(labels) != len(data):
        raise DataError(Problem(what=f"{len(data)} images have {len(labels)} labels", where=str(path), fix=FETCH_AGAIN))
    return data, np.array(labels, np.int64)


def _images(files: list[Path], version: Version, kind: str) -> list[np.ndarray]:
    rows = [
        _binary(path, version)[:, len(version.labels) :] if version.binary else _pickled(path, kind)[0]
        for path in files
    ]
    return [part.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1) for part in rows]
