"""Each data set has one of these formats, and a study may give its size where its images are absent.

Light: imported while a study is parsed, so numpy is the heaviest import at the top of a format's module.
"""

from typing import Any

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.format_digits import DIGITS
from neuroscaling.datasets.format_folders import IMAGEFOLDER, INATURALIST
from neuroscaling.datasets.format_infimnist import INFIMNIST
from neuroscaling.datasets.format_lists import FILELIST, PLACES365
from neuroscaling.datasets.format_shards import WEBDATASET
from neuroscaling.datasets.split import Format, Settings

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
        raise DataError(
            Problem(
                what="unknown format",
                where=name,
                value=given,
                allowed=", ".join(FORMATS),
                nearest=nearest(given, FORMATS),
            )
        )
    return found


NO_ROOT = "no root: it is not said where the images are"
# Classes and training images of public data sets, as their authors give them or as the published study counted them.
KNOWN_SIZES = {
    "imagenet": (1000, 1_281_167),
    "ecoset": (565, 1_444_911),
    "imagenet21kP": (10450, 11_060_223),
    "webvisionP": (4186, 13_576_420),
    "webvision": (5000, 16_076_665),
    "places365": (365, 1_803_460),
    "inaturalist": (10000, 2_686_843),
    "infimnist": (10, 1_200_000),
}
ROOT_KEYS = {
    "imagefolder": "root",
    "filelist": "root",
    "places365": "root",
    "inaturalist": "root",
    "webdataset": "train",
}


def has_root(settings: dict[str, Any]) -> bool:
    """Whether it is said where the images are; `root: ${IMAGENET_ROOT:-}` says nothing where the variable is unset."""
    key = ROOT_KEYS.get(settings.get("format", ""))
    return key is None or bool(settings.get(key))


def has_declared_size(settings: dict[str, Any]) -> bool:
    """Whether the study gives the numbers of classes and of training images: enough for a plan."""
    return bool(settings.get("classes")) and bool(settings.get("images"))


def declared_fingerprint(name: str, settings: dict[str, Any]) -> str:
    """Stands in for the fingerprint of images that are not at hand: eight hexadecimal digits of their numbers."""
    return content_hash({"declared": name, "classes": settings.get("classes"), "images": settings.get("images")})


def no_root(name: str, settings: dict[str, Any]) -> Problem:
    """The problem of a data set that is nowhere."""
    key = ROOT_KEYS[settings["format"]]
    variable = f"{name.upper().replace('-', '_').replace('.', '_')}_ROOT"
    fix = f"export {variable}=... where the study says `{key}: ${{{variable}:-}}`, or set `{key}:`"
    return Problem(what=NO_ROOT, where=f"dataset {name}: {key}", fix=fix)


def declared_problems(name: str, settings: dict[str, Any], n_classes: int, n_images: int) -> list[Problem]:
    """Where the numbers that were found are not those that the study declares (`classes`, `images`)."""
    found = {"classes": n_classes, "images": n_images}
    return [
        Problem(
            what=f"the number of {'classes' if key == 'classes' else 'training images'} is not the declared one",
            where=f"dataset {name}",
            value=number,
            allowed=f"{settings[key]} (`{key}:`)",
            fix=_known_size_hint(name, settings, key) or f"is the data set complete? if so, correct `{key}:`",
        )
        for key, number in found.items()
        if settings.get(key) and settings[key] != number
    ]


def _known_size_hint(name: str, settings: dict[str, Any], key: str) -> str:
    known = KNOWN_SIZES.get(name) or KNOWN_SIZES.get(settings.get("format", ""))
    if not known:
        return ""
    return f"{name} is known with {known[0]} classes and {known[1]:,} training images: is the folder complete?"
