"""A split lists the images of a data set by id, label and class, and a source reads their pixels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import UnsupportedOperation
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.images import file_bytes, rgb_pixels
from neuroscaling.datasets.settings import DatasetSettings


@dataclass(frozen=True)
class Split:
    """What a format finds.

    names: unique ids of the images; labels: int64 (n,), positions in class_names; columns: what else is needed to
    read the images (of tar shards: which shard, where in it), each (n,).
    """

    names: Sequence[str]
    labels: np.ndarray
    class_names: list[str]
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return images of each class."""
        found = np.bincount(self.labels, minlength=len(self.class_names)).tolist()
        return dict(zip(self.class_names, found, strict=True))


@dataclass(frozen=True)
class DatasetIndex:
    """The images of one split, without their pixels.

    image_ids: unique names (docs/datasets.md says which in each format; a lazy sequence, of millions); labels: int64
    (n,), positions in class_names; fingerprint: of the training images, whichever split this is.
    """

    name: str
    split: str
    image_ids: Sequence[str]
    labels: np.ndarray
    class_names: list[str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.image_ids)


class Source(Protocol):
    """Images of one split. Can be pickled, and used by many threads and forked processes: files are opened lazily."""

    @property
    def index(self) -> DatasetIndex:
        """Ids, labels and class names of the images."""

    @property
    def is_encoded(self) -> bool:
        """Whether there are image files; else there are only pixels."""

    def where(self, row: int) -> str:
        """Return the image's place, for messages."""

    def encoded(self, row: int) -> bytes:
        """Bytes of the file (JPEG, PNG ...). Raises DataError; UnsupportedOperation where there are only pixels."""

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3), RGB. Raises DataError that names the image when it can't be decoded."""


@dataclass(frozen=True)
class FileSource:
    """Images that are files below `root`; an image's id is its path there."""

    index: DatasetIndex
    root: Path
    is_encoded: ClassVar[bool] = True

    def path(self, row: int) -> Path:
        """Return the file of an image."""
        return self.root / self.index.image_ids[row]

    def where(self, row: int) -> str:
        """Return the image's place, for messages."""
        return str(self.path(row))

    def encoded(self, row: int) -> bytes:
        """Return the file's bytes. Raises DataError when it can't be read."""
        return file_bytes(self.path(row))

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3) RGB. Raises DataError when the image can't be decoded to its end."""
        return rgb_pixels(self.encoded(row), self.where(row))


@dataclass(frozen=True)
class PixelSource:
    """Small grey images that are held in memory. pixels: uint8 (n, h, w), in the order of the index."""

    index: DatasetIndex
    pixels: np.ndarray
    is_encoded: ClassVar[bool] = False

    def where(self, row: int) -> str:
        """Return the image's id, for messages."""
        return self.index.image_ids[row]

    def encoded(self, row: int) -> bytes:
        """There is no file: raises UnsupportedOperation."""
        raise UnsupportedOperation(f"{self.index.name} has pixels and no files")

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3): the three channels are equal."""
        return grey_to_rgb(self.pixels[row])


@dataclass(frozen=True)
class ArraySource:
    """Images that a few files hold as arrays, which are opened when the first image is looked at.

    load: gives the arrays, one after another in the order of the index, each uint8 (n, h, w), grey, or (n, h, w, 3),
    RGB; it raises DataError. It must be possible to pickle it.
    """

    index: DatasetIndex
    load: Callable[[], list[np.ndarray]]
    is_encoded: ClassVar[bool] = False
    _held: list[list[np.ndarray]] = field(default_factory=list, repr=False, compare=False)

    def where(self, row: int) -> str:
        """Return the data set and the image's id, for messages."""
        return f"{self.index.name}: {self.index.image_ids[row]}"

    def encoded(self, row: int) -> bytes:
        """There is no file: raises UnsupportedOperation."""
        raise UnsupportedOperation(f"{self.index.name} has pixels and no files")

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3) RGB; the three channels of a grey image are equal. Raises DataError."""
        for part in self.arrays():
            if row < len(part):
                return grey_to_rgb(part[row]) if part.ndim == GREY_AXES else np.ascontiguousarray(part[row])
            row -= len(part)
        raise IndexError(row)

    def arrays(self) -> list[np.ndarray]:
        """Return all images, as `load` gives them. Raises DataError."""
        if not self._held:
            found = self.load()
            if sum(map(len, found)) != len(self.index):
                what, value = "other files than were listed", f"{sum(map(len, found)):,} images"
                allowed = f"{len(self.index):,} images"
                raise DataError(Problem(what=what, where=self.index.name, value=value, allowed=allowed))
            self._held.append(found)  # two threads may both load them: the first one's stay
        return self._held[0]

    def __getstate__(self) -> dict[str, Any]:
        """The arrays stay behind when a source is pickled."""
        return {**self.__dict__, "_held": []}


GREY_AXES = 3


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    """uint8 (h, w) to (h, w, 3)."""
    return np.repeat(grey[:, :, None], 3, axis=2)


IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")

SPLITS = ("train", "validation")
# Above this number of images the state of a set is told from its class folders, lists or shards alone, and its images
# are checked as they are read: a look at each file of ImageNet on a network disk takes minutes, and a study is parsed
# again in every cluster job.
FILES_LOOKED_AT = 20_000
NAMES_SHOWN = 5
"""Names of images that a message lists."""
FAULTS_SHOWN = 50
"""Damaged images that an error names one by one."""


@dataclass(frozen=True)
class Package:
    """A data set that a system's package manager installs. folder: where it lies then; how: the command."""

    folder: str
    how: str


@dataclass(frozen=True)
class Format:
    """What a format can do with the settings of a data set: a lab's own one is such an object too (docs/extending.md).

    state: JSON that changes when images are added, removed or renamed: a stat of each class folder, list or shard;
    raises DataError when something is missing.
    read: all images of a split, given what tells the class names of the training images, where these are needed;
    raises DataError with all that is wrong.
    source: what reads the images of an index, which was made from a split.
    problems: what names of files and folders show to be wrong, given both splits; by default nothing.
    identity: the fingerprint of images that are generated or bundled; None, as by default, where it is taken from the
    files.
    root: the key of the settings that names where the images are; empty where they need no place.
    package: whose images are taken where that key is empty, if it is installed.
    """

    state: Callable[[DatasetSettings, str], Any]
    read: Callable[[DatasetSettings, str, Callable[[], list[str]]], Split]
    source: Callable[[DatasetSettings, DatasetIndex, Split], Source]
    problems: Callable[[DatasetSettings, dict[str, Split]], Iterator[Problem]] = lambda settings, splits: iter(())
    identity: Callable[[DatasetSettings], str | None] = lambda settings: None
    root: str = ""
    package: Package | None = None
