"""TVSD and THINGS-fMRI keep their files where their authors put them; both showed images of THINGS (docs/things.md).

monkeyF/THINGS_normMUA.mat, monkeyF/_logs/things_imgs.mat                      TVSD, and the same of monkeyN
betas_csv/sub-01_{ResponseData.h5,StimulusMetadata.csv,VoxelMetadata.csv}      THINGS-fMRI, sub-01 to sub-03
object_images/aardvark/aardvark_01b.jpg                                        THINGS
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neuroscaling.core.errors import Problem, listing, nearest

THINGS_FIX = "docs/things.md says which files are needed"
TVSD_SITES = 1024
TVSD_AREAS = {
    "monkeyF": {"V1": range(512), "IT": range(512, 832), "V4": range(832, 1024)},
    "monkeyN": {"V1": range(512), "V4": range(512, 768), "IT": range(768, 1024)},
}
"""Sites (from 0) of each area in the normalised files; `_code/norm_MUA.m` of the data set counts them from 1."""
TVSD_REGIONS = ("V1", "V4", "IT")
PRF_AREAS = ("V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1 (prf)", "LO2 (prf)", "TO1", "TO2", "V3b", "V3a")
SIDED_AREAS = ("EBA", "FFA", "OFA", "STS", "PPA", "RSC", "TOS", "LOC")
"""Areas of which the table of voxels has a column for each side, such as `lFFA` and `rFFA`."""
SIDES = ("l", "r")
FMRI_AREAS = (*PRF_AREAS, *SIDED_AREAS, "IT")
"""Regions that THINGS-fMRI's authors drew, both sides together."""
FMRI_COLUMNS = (*PRF_AREAS, *(f"{side}{area}" for area in SIDED_AREAS for side in SIDES), "IT")
"""What they are called in the table of voxels."""
OBJECT_IMAGES = "object_images"
EXEMPLAR = re.compile(r"_[^_]*$")
"""What follows the concept in a file name: `_01b` of `aardvark_01b`."""


@dataclass(frozen=True)
class Monkey:
    """The files of one monkey of TVSD."""

    root: Path
    name: str

    @property
    def responses(self) -> Path:
        """Responses averaged over time and normalised by day."""
        return self.root / self.name / "THINGS_normMUA.mat"

    @property
    def images(self) -> Path:
        """Which image each row of the responses shows."""
        return self.root / self.name / "_logs" / "things_imgs.mat"


@dataclass(frozen=True)
class Person:
    """The files of one subject of THINGS-fMRI (`sub-01`)."""

    root: Path
    name: str

    @property
    def responses(self) -> Path:
        """Response of every voxel (row) in every trial."""
        return self._file("ResponseData.h5")

    @property
    def images(self) -> Path:
        """Which image each trial showed."""
        return self._file("StimulusMetadata.csv")

    @property
    def voxels(self) -> Path:
        """Place, noise ceilings and regions of every voxel."""
        return self._file("VoxelMetadata.csv")

    def _file(self, ending: str) -> Path:
        return fmri_folder(self.root) / f"{self.name}_{ending}"


def tvsd_monkeys(root: Path) -> list[str]:
    """Monkeys of which the tree has a folder."""
    return [name for name in TVSD_AREAS if (Path(root) / name).is_dir()]


def fmri_folder(root: Path) -> Path:
    """The folder with the tables: `betas_csv` in the root, or the root itself."""
    inner = Path(root) / "betas_csv"
    return inner if inner.is_dir() else Path(root)


def fmri_subjects(root: Path) -> list[str]:
    """Subjects of THINGS-fMRI of which any table is there."""
    found = (re.fullmatch(r"(sub-\d+)_\w+\.(?:h5|csv)", path.name) for path in fmri_folder(root).glob("sub-*"))
    return sorted({match[1] for match in found if match})


def subject_problems(root: Path, subjects: Sequence[str] | str, there: Sequence[str], example: str) -> list[Problem]:
    """Subjects that are asked for and not there; example: what a tree has."""
    if not there:
        return [Problem(what="no subject here", where=str(root), allowed=example, fix=THINGS_FIX)]
    return [
        Problem(
            what="no such subject",
            where=str(root),
            value=subject,
            allowed=listing(there),
            nearest=nearest(subject, there),
            fix=THINGS_FIX,
        )
        for subject in ([] if isinstance(subjects, str) else subjects)
        if subject not in there
    ]


def things_id(path: str) -> str:
    r"""Stimulus id of an image, `aardvark/aardvark_01b`; path: `aardvark\aardvark_01b.jpg`, or the file's name alone.

    The concept is what the file name begins with, wherever the file lies.
    """
    stem = PurePosixPath(path.replace("\\", "/")).stem
    return f"{EXEMPLAR.sub('', stem)}/{stem}"


def things_folder(root: Path) -> Path:
    """The folder of the images: `object_images` in the root, or the root itself."""
    inner = Path(root) / OBJECT_IMAGES
    return inner if inner.is_dir() else Path(root)


def things_file(root: Path, stimulus_id: str) -> Path | None:
    """The image of an id: in the folder of its concept, or in one flat folder; None where there is none."""
    concept, stem = stimulus_id.split("/")
    folder = things_folder(root)
    places = (folder / concept / f"{stem}.jpg", folder / f"{stem}.jpg")
    return next((place for place in places if place.is_file()), None)


def images_mark(root: Path) -> list[object]:
    """What tells one folder of these images from another without a look at each: layout, first and last file.

    Images of THINGS that were scaled have other sizes under the same names.
    """
    folder = things_folder(root)
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    marks: list[object] = []
    for name in {*names[:1], *names[-1:]}:
        files = sorted((folder / name).glob("*.jpg")) if (folder / name).is_dir() else [folder / name]
        marks += [[file.name, file.stat().st_size] for file in files[:1]]
    return sorted(marks, key=str)
