"""Where recordings lie: files, images and regions of Algonauts 2023 trees and of the V4 sessions.

    subj0X/training_split/training_images/train-0001_nsd-00013.png    row of the fMRI from 1, number in NSD from 0
    subj0X/training_split/training_fmri/{lh,rh}_training_fmri.npy     float32 (images, vertices)
    subj0X/test_split/{test_images, test_fmri/{lh,rh}_test_fmri.npy, noise_ceiling/{lh,rh}_noise_ceiling.npy}
    subj0X/roi_masks/{lh,rh}.<class>_{challenge,fsaverage}_space.npy, mapping_<class>.npy
    subj0X/roi_masks/{lh,rh}.all-vertices_fsaverage_space.npy         1 where the challenge has a vertex
The public archive withholds test_fmri and noise_ceiling; they can be rebuilt from NSD, and then come with more:
    subj0X/test_split/noise_ceiling/{lh,rh}_ncsnr.npy                 float32 (vertices,), of single trials
    subj0X/{training_split,test_split}/repeats.npy                    int (images,): repetitions averaged into a row

The integers of a mask are read from `mapping_<class>.npy`, never from here: they count the names of a class from 1 in
the challenge's own files, and need not in others. Not every subject has every ROI.
"""

import json
import re
from functools import cache
from pathlib import Path

from neuroscaling.core.archives import Zip
from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.study.sections.simulated_brains import ROI_CLASSES

HEMISPHERES = ("lh", "rh")
SPLIT_PREFIXES = {"training": "train", "test": "test"}
CHALLENGE_IMAGE = re.compile(r"(train|test)-(\d+)_nsd-(\d+)\.png")
NSD_IMAGES = 73000
FSAVERAGE_VERTICES = 163842
NSD_IMAGE_SIZE = 425
"""Width and height of NSD's images as the challenge has them, in pixels."""


def subject_folders(root: Path) -> list[str]:
    """Names of the subject folders below `root`."""
    return sorted(folder.name for folder in root.glob("subj*") if folder.is_dir())


def image_folder(folder: Path, split: str) -> Path:
    """Folder with the images of a split."""
    return folder / f"{split}_split" / f"{split}_images"


def split_images(folder: Path, split: str) -> list[tuple[int, int, Path]]:
    """(row from 1, NSD number from 0, file) of each image, by row; files with other names are left out."""
    place = image_folder(folder, split)
    return list(_listed_images(place, SPLIT_PREFIXES[split], place.stat().st_mtime_ns if place.is_dir() else 0))


@cache
def _listed_images(place: Path, prefix: str, changed: int) -> list[tuple[int, int, Path]]:
    """Listed once while the folder's date (`changed`) stays: a study asks for tens of thousands of names many times."""
    found = [(CHALLENGE_IMAGE.fullmatch(file.name), file) for file in place.glob("*.png")]
    return sorted((int(m[2]), int(m[3]), file) for m, file in found if m and m[1] == prefix)


def image_ids(folder: Path, split: str) -> list[str]:
    """Stimulus ids of a split in the order of its rows."""
    return [nsd_stimulus_id(number) for _, number, _ in split_images(folder, split)]


def nsd_stimulus_id(number: int) -> str:
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


def roi_classes(folder: Path) -> list[str]:
    """Classes of ROIs of which the subject has any file."""
    files = {c: [*mask_files(folder, c), mapping_file(folder, c)] for c in ROI_CLASSES}
    return [c for c in ROI_CLASSES if any(file.is_file() for file in files[c])]


ROI_GROUPS: dict[str, tuple[str, ...]] = {
    "V1": ("V1v", "V1d"),
    "V2": ("V2v", "V2d"),
    "V3": ("V3v", "V3d"),
    "FBA": ("FBA-1", "FBA-2"),
    "FFA": ("FFA-1", "FFA-2"),
    "VWFA": ("VWFA-1", "VWFA-2"),
}
"""Parts of one area, as one region."""


def _coarse_regions() -> dict[str, tuple[str, tuple[str, ...]]]:
    group_of = {part: group for group, parts in ROI_GROUPS.items() for part in parts}
    names = {group_of.get(roi, roi): mask_class for mask_class, rois in ROI_CLASSES.items() for roi in rois}
    return {name: (mask_class, ROI_GROUPS.get(name, (name,))) for name, mask_class in names.items()}


def _parts_of_areas() -> dict[str, tuple[str, tuple[str, ...]]]:
    parts = {part for group in ROI_GROUPS.values() for part in group}
    return {roi: (mask_class, (roi,)) for mask_class, rois in ROI_CLASSES.items() for roi in rois if roi in parts}


COARSE_REGIONS: dict[str, tuple[str, tuple[str, ...]]] = _coarse_regions() | {ALL_VERTICES: ("", ())}
"""Region -> (class, names in its mapping), parts of an area taken together: regions that overlap by class alone."""

FMRI_REGIONS: dict[str, tuple[str, tuple[str, ...]]] = COARSE_REGIONS | _parts_of_areas()
"""Every region that can be asked for: those of COARSE, and the parts under their own names (V1v, FFA-1)."""

V4_CHECKSUMS = Path(__file__).with_name("v4_checksums.json")
V4_IMAGE_NUMBER = re.compile(r"(\d+)\.jpe?g$", re.IGNORECASE)


def v4_session_names(root: str | Path) -> list[str]:
    """Ids of the sessions that a folder holds images and responses of."""
    root = Path(root)
    images = {file.stem.removeprefix("images_") for file in (Path(root) / "images").glob("images_*.zip")}
    averaged = (Path(root) / "responses_repeat_averaged").glob("responses_*.npy")
    return sorted(images & {file.stem.removeprefix("responses_") for file in averaged})


def v4_sha256() -> dict[str, str]:
    """Known sha256 by file name inside the data set's folder."""
    return json.loads(V4_CHECKSUMS.read_text(encoding="utf-8"))["sha256"]


def v4_session_files(session: str) -> dict[str, str]:
    """File names of a session inside the data set's folder: images, responses, raw (raw is optional)."""
    return {
        "images": f"images/images_{session}.zip",
        "responses": f"responses_repeat_averaged/responses_{session}.npy",
        "raw": f"responses_raw/responses_{session}.npy",
    }


def v4_stimulus_id(session: str, number: int) -> str:
    """Id of an image by its number (from 1)."""
    return f"{session}-{number:04d}"


def v4_image_numbers(archive: Path) -> list[int]:
    """Numbers of the images in a session's archive, ascending: the order of the columns of the responses.

    The archives list their files in various orders, one of them below a folder, so only the number in a name counts.
    """
    with Zip(archive) as file:
        names = [name for name in file.names if "__MACOSX" not in name]
    return sorted(int(match[1]) for match in map(V4_IMAGE_NUMBER.search, names) if match)


V4_WINDOW = (50, 150)
