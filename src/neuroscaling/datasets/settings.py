"""The settings of a data set are what the study file says of it: its format, where its images are, and its size."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neuroscaling.core.errors import DataError, Problem

OF_EVERY_FORMAT = ("classes", "images", "corrupt_limit", "format")
KEYS_OF_FORMAT: dict[str, tuple[str, ...]] = {
    "digits": (),
    "imagefolder": ("root", "train", "validation"),
    "filelist": ("root", "train", "validation", "class_names"),
    "places365": ("root", "size"),
    "inaturalist": ("root", "version"),
    "infimnist": ("mnist",),
    "webdataset": ("train", "validation", "class_names"),
    "idx": ("root", "emnist", "class_names"),
    "cifar": ("root", "labels"),
    "stl10": ("root",),
    "tiny-imagenet": ("root",),
    "parquet": ("root", "train", "validation", "image_column", "label_column", "class_names"),
}
"""Keys of the study file that a format has beside those that every format has."""


@dataclass(frozen=True)
class DatasetSettings:
    """Settings of one data set. None stands for a key that is empty, or that its format does not have."""

    format: str
    classes: int | None = None
    """Declared number of classes."""
    images: int | None = None
    """Declared number of training images."""
    corrupt_limit: int = 0
    """Images that can't be decoded which a run replaces by others."""
    root: str | None = None
    """The folder that holds the images."""
    train: str | None = None
    """List or folder of the training images, below `root`; or training shards."""
    validation: str | None = None
    class_names: str | None = None
    """File with a class name a line."""
    size: Literal["small", "large"] = "small"
    """Of the images of Places365."""
    version: Literal["2021_train", "2021_train_mini"] = "2021_train"
    """Folder of the training images of iNaturalist."""
    mnist: str | None = None
    """Folder with MNIST's four files."""
    emnist: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"] | None = None
    """Which of EMNIST's six sets, whose images are stored with rows and columns exchanged."""
    labels: Literal["fine", "coarse"] = "fine"
    """Of CIFAR-100."""
    image_column: str = "image"
    """Of parquet files."""
    label_column: str = "label"
    own: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further keys of a lab's own format, as they stand in the study file."""

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> "DatasetSettings":
        """The settings of the section of a study file, as JSON. Raises TypeError for a key that no format has."""
        if not is_own_format(section.get("format")):
            return cls(**section)
        own = {key: value for key, value in section.items() if key not in OF_EVERY_FORMAT}
        return cls(**{key: section[key] for key in OF_EVERY_FORMAT if key in section}, own=own)

    def content(self) -> dict[str, Any]:
        """The section of the study file, as JSON: the keys that the format has."""
        keys = (*OF_EVERY_FORMAT, *KEYS_OF_FORMAT.get(self.format, ()))
        return {key: getattr(self, key) for key in keys} | dict(self.own)

    def needed(self, key: str) -> str:
        """What a key states that the format needs: root, train, validation, class_names.

        Raises DataError where it states nothing.
        """
        places = {"root": self.root, "train": self.train, "validation": self.validation}
        found = (places | {"class_names": self.class_names})[key]
        if not found:
            raise DataError(Problem(what="the key is empty", where=key, allowed="a path", fix=f"set `{key}:`"))
        return found

    def is_given(self, key: str) -> bool:
        """Whether a key, of the format or of a lab's own one, states something."""
        return bool(self.own.get(key) if key in self.own else getattr(self, key, None))


def is_own_format(name: object) -> bool:
    """Is this the dotted path of a lab's own format, and not the name of one that is listed here?"""
    return isinstance(name, str) and ":" in name
