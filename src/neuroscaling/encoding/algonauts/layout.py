"""Names and places of the files in the Algonauts 2023 layout. Light at import.

    subj0X/training_split/training_images/train-0001_nsd-00013.png    row of the fMRI from 1, number in NSD from 0
    subj0X/training_split/training_fmri/{lh,rh}_training_fmri.npy     float32 (images, vertices)
    subj0X/test_split/{test_images, test_fmri/{lh,rh}_test_fmri.npy, noise_ceiling/{lh,rh}_noise_ceiling.npy}
    subj0X/roi_masks/{lh,rh}.<class>_{challenge,fsaverage}_space.npy, mapping_<class>.npy
    subj0X/roi_masks/{lh,rh}.all-vertices_fsaverage_space.npy         1 where the challenge has a vertex
The public archive withholds test_fmri and noise_ceiling; they can be rebuilt from NSD, and then come with more:
    subj0X/test_split/noise_ceiling/{lh,rh}_ncsnr.npy                 float32 (vertices,), of single trials
    subj0X/{training_split,test_split}/repeats.npy                    int (images,): repetitions averaged into a row
"""

import re
from functools import cache
from pathlib import Path

from neuroscaling.encoding.rois import CLASSES

HEMISPHERES = ("lh", "rh")
SPLITS = {"training": "train", "test": "test"}
IMAGE = re.compile(r"(train|test)-(\d+)_nsd-(\d+)\.png")
NSD_IMAGES = 73000
FSAVERAGE_VERTICES = 163842
IMAGE_SIZE = 425
"""Width and height of NSD's images as the challenge has them, in pixels."""


def subject_folders(root: Path) -> list[str]:
    """Names of the subject folders below `root`."""
    return sorted(folder.name for folder in root.glob("subj*") if folder.is_dir())


def image_folder(folder: Path, split: str) -> Path:
    """Folder with the images of a split."""
    return folder / f"{split}_split" / f"{split}_images"


def images(folder: Path, split: str) -> list[tuple[int, int, Path]]:
    """(row from 1, NSD number from 0, file) of each image, by row; files with other names are left out."""
    place = image_folder(folder, split)
    return list(_listed(place, SPLITS[split], place.stat().st_mtime_ns if place.is_dir() else 0))


@cache
def _listed(place: Path, prefix: str, changed: int) -> list[tuple[int, int, Path]]:
    """Listed once while the folder's date (`changed`) stays: a study asks for tens of thousands of names many times."""
    found = [(IMAGE.fullmatch(file.name), file) for file in place.glob("*.png")]
    return sorted((int(m[2]), int(m[3]), file) for m, file in found if m and m[1] == prefix)


def image_ids(folder: Path, split: str) -> list[str]:
    """Stimulus ids of a split in the order of its rows."""
    return [stimulus_id(number) for _, number, _ in images(folder, split)]


def stimulus_id(number: int) -> str:
    """Stimulus id of an NSD image by its number from 0."""
    return f"nsd-{number:05d}"


def response_files(folder: Path, split: str) -> list[Path]:
    """Responses of the left and the right hemisphere."""
    return [folder / f"{split}_split" / f"{split}_fmri" / f"{side}_{split}_fmri.npy" for side in HEMISPHERES]


def ceiling_files(folder: Path) -> list[Path]:
    """Noise ceilings (0..1) of the test rows, left and right."""
    return [folder / "test_split" / "noise_ceiling" / f"{side}_noise_ceiling.npy" for side in HEMISPHERES]


def ncsnr_files(folder: Path) -> list[Path]:
    """Signal-to-noise ratios of single trials, left and right."""
    return [folder / "test_split" / "noise_ceiling" / f"{side}_ncsnr.npy" for side in HEMISPHERES]


def repeats_file(folder: Path, split: str) -> Path:
    """Numbers of repetitions averaged into the rows of a split."""
    return folder / f"{split}_split" / "repeats.npy"


def mask_files(folder: Path, mask_class: str, space: str = "challenge") -> list[Path]:
    """Masks of a class of ROIs, left and right; space: `challenge` or `fsaverage`."""
    return [folder / "roi_masks" / f"{side}.{mask_class}_{space}_space.npy" for side in HEMISPHERES]


def all_vertices_files(folder: Path) -> list[Path]:
    """Masks over fsaverage of the vertices that the challenge has, left and right."""
    return mask_files(folder, "all-vertices", "fsaverage")


def mapping_file(folder: Path, mask_class: str) -> Path:
    """Names of the integers in the masks of a class."""
    return folder / "roi_masks" / f"mapping_{mask_class}.npy"


def classes(folder: Path) -> list[str]:
    """Classes of ROIs of which the subject has any file."""
    files = {c: [*mask_files(folder, c), mapping_file(folder, c)] for c in CLASSES}
    return [c for c in CLASSES if any(file.is_file() for file in files[c])]
