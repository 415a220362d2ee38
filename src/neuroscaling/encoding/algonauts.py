"""Reader of the Algonauts 2023 directory layout (gifale95/algonauts_2023), and what can be wrong with such a tree.

    subj0X/training_split/training_images/train-0001_nsd-00013.png    row of the fMRI from 1, number in NSD from 0
    subj0X/training_split/training_fmri/{lh,rh}_training_fmri.npy     float32 (images, vertices)
    subj0X/test_split/{test_images, test_fmri/{lh,rh}_test_fmri.npy, noise_ceiling/{lh,rh}_noise_ceiling.npy}
    subj0X/roi_masks/{lh,rh}.<class>_challenge_space.npy, mapping_<class>.npy
The public archive withholds test_fmri and noise_ceiling; they can be rebuilt from NSD.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.encoding.mapping import read_mapping
from neuroscaling.encoding.rois import ALL_VERTICES, REGIONS
from neuroscaling.errors import DataError, Problem, listing, nearest

HEMISPHERES = ("lh", "rh")
SPLITS = {"training": "train", "test": "test"}
IMAGE = re.compile(r"(train|test)-(\d+)_nsd-(\d+)\.png")


@dataclass(frozen=True)
class Subject:
    """One subject, both hemispheres side by side; vertices that can't be used are left out and listed in `masked`.

    training (images, vertices) and test, float32; ceiling (vertices,) in 0..1 or None; regions: rows of a boolean
    (vertices,) by name; vertex: the column in the hemisphere's file; masked: those left out, by hemisphere.
    """

    name: str
    training_ids: list[str]
    test_ids: list[str]
    training: np.ndarray
    test: np.ndarray
    ceiling: np.ndarray | None
    regions: dict[str, np.ndarray]
    hemisphere: np.ndarray
    vertex: np.ndarray
    masked: dict[str, list[int]]


def subjects_of(root: Path, subjects: Sequence[str] | str = "all") -> list[str]:
    """Names of the subjects to read. Raises DataError for those that aren't there, or when there are none."""
    found = _found(root)
    problems = list(_subject_problems(root, found, subjects))
    if problems:
        raise DataError(problems)
    return found if subjects == "all" else list(subjects)


def tree_problems(
    root: Path, subjects: Sequence[str] | str = "all", regions: Sequence[str] | str = "all"
) -> list[Problem]:
    """Everything that is wrong with a tree, at once, from file names and headers (no response is read)."""
    found = _found(Path(root))
    problems = list(_subject_problems(Path(root), found, subjects))
    present = [name for name in (found if subjects == "all" else subjects) if name in found]
    for name in present:
        problems += _subject_tree_problems(Path(root) / name)
    if regions != "all" and present and not problems:
        problems += _region_problems(Path(root), present, regions)
    return problems


def read_subject(root: Path, name: str) -> Subject:
    """Read one subject. Raises DataError with all problems of its folder.

    Vertices with NaN in a response or in the ceiling, or with responses that don't vary, are left out and listed.
    """
    folder = Path(root) / name
    problems = _subject_tree_problems(folder)
    if problems:
        raise DataError(problems)
    training, test = (np.hstack([np.load(file) for file in _responses(folder, split)]) for split in SPLITS)
    widths = [np.load(file, mmap_mode="r").shape[1] for file in _responses(folder, "test")]
    hemisphere = np.repeat(HEMISPHERES, widths)
    vertex = np.concatenate([np.arange(width) for width in widths])
    ceiling = _ceiling(folder)
    usable = _usable(training) & _usable(test) & (np.isfinite(ceiling) if ceiling is not None else True)
    masked = {side: vertex[~usable & (hemisphere == side)].tolist() for side in HEMISPHERES}
    return Subject(
        name,
        _image_ids(folder, "training"),
        _image_ids(folder, "test"),
        training[:, usable],
        test[:, usable],
        None if ceiling is None else ceiling[usable],
        {region: mask[usable] for region, mask in _regions(folder, len(vertex)).items()},
        hemisphere[usable],
        vertex[usable],
        masked,
    )


def _usable(responses: np.ndarray) -> np.ndarray:
    finite = np.isfinite(responses).all(0)
    return finite & (np.where(finite, responses, 0).std(0) > 0)


def _ceiling(folder: Path) -> np.ndarray | None:
    files = _ceiling_files(folder)
    return np.concatenate([np.load(file) for file in files]) if files[0].is_file() else None


def _regions(folder: Path, n_vertices: int) -> dict[str, np.ndarray]:
    """Boolean (vertices,) for each region of the tree, both hemispheres; all False for those that a subject lacks."""
    masks = {ALL_VERTICES: np.ones(n_vertices, bool)}
    for region, (mask_class, names) in REGIONS.items():
        if region != ALL_VERTICES and _mapping_file(folder, mask_class).is_file():
            mapping = read_mapping(_mapping_file(folder, mask_class))
            values = [value for value, name in mapping.items() if name in names]
            masks[region] = np.isin(np.concatenate([np.load(file) for file in _masks(folder, mask_class)]), values)
    return masks


def _found(root: Path) -> list[str]:
    return sorted(folder.name for folder in root.glob("subj*") if folder.is_dir())


def _subject_problems(root: Path, found: list[str], subjects: Sequence[str] | str) -> Iterator[Problem]:
    if not found:
        yield Problem("no subject folder (subj01, subj02, ...)", str(root), fix="name the folder that holds them")
        return
    for name in [] if subjects == "all" else subjects:
        if name not in found:
            yield Problem("subject folder is missing", str(root), name, listing(found), nearest(name, found))


def _subject_tree_problems(folder: Path) -> list[Problem]:
    problems = []
    for split in SPLITS:
        problems += _split_problems(folder, split)
    if not problems:
        problems += _width_problems(folder)
    return problems


def _split_problems(folder: Path, split: str) -> Iterator[Problem]:
    place = folder / f"{split}_split"
    if not place.is_dir():
        yield Problem(f"{split} split is missing", str(place), fix="see docs/data.md for the layout")
        return
    yield from _image_problems(folder, split)
    missing = [file for file in _responses(folder, split) if not file.is_file()]
    for file in missing:
        fix = "the public archive withholds test responses; rebuild them from NSD" if split == "test" else ""
        yield Problem(f"{split} responses are missing", str(file), fix=fix)
    n_images = len(_images(folder, split))
    for file in set(_responses(folder, split)) - set(missing):
        shape = _shape(file)
        if len(shape) != 2 or shape[0] != n_images:
            what = f"{n_images} images but {shape[0]} rows of responses"
            yield Problem(what, str(file), f"shape {shape}", f"({n_images}, vertices)", fix="check for lost images")


def _image_problems(folder: Path, split: str) -> Iterator[Problem]:
    images = _images(folder, split)
    rows = [row for row, _ in images]
    if not images:
        yield Problem(f"no {split} images", str(_image_folder(folder, split)), allowed="train-0001_nsd-00013.png ...")
    elif rows != list(range(1, len(rows) + 1)):
        lost = sorted(set(range(1, max(rows) + 1)) - set(rows))
        twice = sorted({row for row in rows if rows.count(row) > 1})
        what = f"{len(lost)} image numbers missing, {len(twice)} twice"
        yield Problem(what, str(_image_folder(folder, split)), listing(lost + twice), f"1 to {len(rows)}, each once")


def _width_problems(folder: Path) -> Iterator[Problem]:
    """Masks, ceilings and both splits must have the same vertices."""
    for side, hemisphere in enumerate(HEMISPHERES):
        n = _shape(_responses(folder, "training")[side])[1]
        others = [_responses(folder, "test")[side]]
        others += [file for file in [_ceiling_files(folder)[side]] if file.is_file()]
        classes = sorted({mask_class for mask_class, _ in REGIONS.values() if mask_class})
        others += [file for c in classes if _mapping_file(folder, c).is_file() for file in [_masks(folder, c)[side]]]
        for file in others:
            if not file.is_file():
                yield Problem("file is missing", str(file), fix="see docs/data.md for the layout")
            elif _shape(file)[-1] != n:
                what = f"{_shape(file)[-1]} vertices, but the {hemisphere} training responses have {n}"
                yield Problem(what, str(file), f"shape {_shape(file)}")
    ceilings = [file.is_file() for file in _ceiling_files(folder)]
    if any(ceilings) and not all(ceilings):
        yield Problem(
            "the noise ceiling of one hemisphere is missing", str(_ceiling_files(folder)[ceilings.index(False)])
        )


def _region_problems(root: Path, subjects: Sequence[str], regions: Sequence[str]) -> Iterator[Problem]:
    widths = {name: sum(_shape(file)[1] for file in _responses(root / name, "training")) for name in subjects}
    masks = {name: _regions(root / name, width) for name, width in widths.items()}
    for region in regions:
        if not any(masks[name].get(region, np.zeros(1)).any() for name in subjects):
            filled = sorted({r for mask in masks.values() for r, vertices in mask.items() if vertices.any()})
            where = f"{root} ({', '.join(subjects)})"
            yield Problem(
                "the region has no vertex in any subject", where, region, listing(filled), nearest(region, filled)
            )


def _images(folder: Path, split: str) -> list[tuple[int, str]]:
    """(row from 1, stimulus id) of each image, by row."""
    matches = [IMAGE.fullmatch(file.name) for file in _image_folder(folder, split).glob("*.png")]
    return sorted((int(m[2]), f"nsd-{int(m[3]):05d}") for m in matches if m and m[1] == SPLITS[split])


def _image_ids(folder: Path, split: str) -> list[str]:
    return [stimulus for _, stimulus in _images(folder, split)]


def _image_folder(folder: Path, split: str) -> Path:
    return folder / f"{split}_split" / f"{split}_images"


def _responses(folder: Path, split: str) -> list[Path]:
    return [folder / f"{split}_split" / f"{split}_fmri" / f"{side}_{split}_fmri.npy" for side in HEMISPHERES]


def _ceiling_files(folder: Path) -> list[Path]:
    return [folder / "test_split" / "noise_ceiling" / f"{side}_noise_ceiling.npy" for side in HEMISPHERES]


def _masks(folder: Path, mask_class: str) -> list[Path]:
    return [folder / "roi_masks" / f"{side}.{mask_class}_challenge_space.npy" for side in HEMISPHERES]


def _mapping_file(folder: Path, mask_class: str) -> Path:
    return folder / "roi_masks" / f"mapping_{mask_class}.npy"


def _shape(file: Path) -> tuple[int, ...]:
    try:
        return np.load(file, mmap_mode="r").shape
    except (ValueError, OSError, EOFError) as error:
        raise DataError(Problem(f"not a NumPy file, or cut short: {error}", str(file))) from error
