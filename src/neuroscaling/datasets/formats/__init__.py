"""The formats that image data sets come in; one module each.

Light: imported while a study is parsed, so numpy is the heaviest import at the top of a format's module.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from neuroscaling.datasets.formats import digits, filelist, imagefolder, inaturalist, infimnist, places365, webdataset
from neuroscaling.datasets.source import Source
from neuroscaling.datasets.split import DatasetIndex, Split
from neuroscaling.errors import DataError, Problem, nearest

Settings = dict[str, Any]


class Format(Protocol):
    """What the module of a format has."""

    def identity(self, settings: Settings) -> str | None:
        """Fingerprint of images that are generated or bundled; None where it is taken from the files."""

    def state(self, settings: Settings, split: str) -> Any:
        """JSON that changes when images are added, removed or renamed: a stat of each class folder, list or shard.

        Raises DataError when something is missing.
        """

    def read(self, settings: Settings, split: str, train_classes: Callable[[], list[str]]) -> Split:
        """All images of a split. train_classes: gives the class names of the training images, where these are needed.

        Raises DataError with all that is wrong.
        """

    def problems(self, settings: Settings, splits: dict[str, Split]) -> Iterator[Problem]:
        """What names of files and folders show to be wrong, given both splits."""

    def source(self, settings: Settings, index: DatasetIndex, split: Split) -> Source:
        """What reads the images of `index`, which was made from `split`."""


FORMATS: dict[str, Format] = {
    "digits": digits,
    "imagefolder": imagefolder,
    "filelist": filelist,
    "places365": places365,
    "inaturalist": inaturalist,
    "infimnist": infimnist,
    "webdataset": webdataset,
}


def format_of(name: str, settings: Settings) -> Format:
    """The format of the data set `name`. Raises DataError for one that doesn't exist."""
    found = FORMATS.get(settings.get("format", ""))
    if found is None:
        given = settings.get("format")
        raise DataError(Problem("unknown format", name, given, ", ".join(FORMATS), nearest(given, FORMATS)))
    return found
