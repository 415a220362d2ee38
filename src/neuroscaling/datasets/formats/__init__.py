"""The formats that image data sets come in.

Light: imported while a study is parsed, so numpy is the heaviest import at the top of a format's module.
"""

from neuroscaling.datasets.formats.base import Format, Settings
from neuroscaling.datasets.formats.digits import FORMAT as DIGITS
from neuroscaling.datasets.formats.filelist import FORMAT as FILELIST
from neuroscaling.datasets.formats.imagefolder import FORMAT as IMAGEFOLDER
from neuroscaling.datasets.formats.inaturalist import FORMAT as INATURALIST
from neuroscaling.datasets.formats.infimnist import FORMAT as INFIMNIST
from neuroscaling.datasets.formats.places365 import FORMAT as PLACES365
from neuroscaling.datasets.formats.webdataset import FORMAT as WEBDATASET
from neuroscaling.errors import DataError, Problem, nearest

FORMATS: dict[str, Format] = {
    "digits": DIGITS,
    "imagefolder": IMAGEFOLDER,
    "filelist": FILELIST,
    "places365": PLACES365,
    "inaturalist": INATURALIST,
    "infimnist": INFIMNIST,
    "webdataset": WEBDATASET,
}


def format_of(name: str, settings: Settings) -> Format:
    """The format of the data set `name`. Raises DataError for one that doesn't exist."""
    found = FORMATS.get(settings.get("format", ""))
    if found is None:
        given = settings.get("format")
        raise DataError(Problem("unknown format", name, given, ", ".join(FORMATS), nearest(given, FORMATS)))
    return found
