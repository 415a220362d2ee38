"""A tree in the Algonauts 2023 layout is checked by file names and headers; its regions come from its masks."""

import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import npy_header, npy_shape, read_npy
from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import reading
from neuroscaling.study import recording_folders
from neuroscaling.study.recording_folders import (
    CHALLENGE_IMAGE,
    FMRI_REGIONS,
    FSAVERAGE_VERTICES,
    HEMISPHERES,
    SPLIT_PREFIXES,
)
from neuroscaling.study.sections.simulated_brains import ROI_CLASSES

Shapes = dict[Path, tuple[int, ...]]


def read_shapes(folder: Path) -> tuple[Shapes, list[Problem]]:
    """Shapes of a subject's arrays that are there and have as many axes as they should, and the problems of others.

    Mappings are left out: they hold no array.
    """
    shapes, problems = {}, []
    for file, axes, allowed in _array_files(folder):
        if not file.exists():
            continue
        try:
            array = read_npy(file, mapped=True)
        except DataError as error:
            problems += error.problems
            continue
        if array.dtype.name not in allowed:
            problems.append(
                Problem(
                    what="wrong type of numbers", where=str(file), value=array.dtype.name, allowed=", ".join(allowed)
                )
            )
        if len(axes) == array.ndim:
            shapes[file] = array.shape
        else:
            what, expected = "wrong number of axes", f"({', '.join(axes)})"
            problems.append(Problem(what=what, where=str(file), value=f"shape {array.shape}", allowed=expected))
    return shapes, problems


def read_shape(file: Path) -> tuple[int, ...]:
    """Shape of an array; () for a file that isn't there or can't be read."""
    try:
        return npy_shape(file)
    except DataError:
        return ()


INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")


def _array_files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...], tuple[str, ...]]]:
    """Every array that a subject may have, its axes, and the types that it may be of."""
    for split in recording_folders.SPLIT_PREFIXES:
        for file in recording_folders.response_files(folder, split):
            yield file, ("images", "vertices"), ("float32",)
        yield recording_folders.repeats_file(folder, split), ("images",), INTEGERS
    for file in (*recording_folders.ceiling_files(folder), *recording_folders.ncsnr_files(folder)):
        yield file, ("vertices",), ("float32", "float64")
    for mask_class in ROI_CLASSES:
        for space in ("challenge", "fsaverage"):
            for file in recording_folders.mask_files(folder, mask_class, space):
                yield file, ("vertices",), INTEGERS
    for file in recording_folders.all_vertices_files(folder):
        yield file, ("vertices",), INTEGERS


LAYOUT_FIX = "see docs/data.md for the layout"


def tree_subjects(root: str | Path, subjects: Sequence[str] | str = "all") -> list[str]:
    """Names of the subjects to read. Raises DataError for those that aren't there, or when there are none."""
    root = Path(root)
    problems = list(subject_problems(Path(root), subjects))
    if problems:
        raise DataError(problems)
    return recording_folders.subject_folders(Path(root)) if subjects == "all" else list(subjects)


def tree_problems(
    root: Path,
    subjects: Sequence[str] | str = "all",
    regions: Sequence[str] | str = "all",
    needs_test_responses: bool = True,
) -> list[Problem]:
    """Everything that is wrong with a tree, at once, by file names and headers; masks are read if `regions` are named.

    needs_test_responses: whether their absence is a problem (the public archive withholds them).
    """
    root = Path(root)
    found = recording_folders.subject_folders(root)
    problems = list(subject_problems(root, subjects))
    present = [name for name in (found if subjects == "all" else subjects) if name in found]
    for name in present:
        problems += folder_problems(root / name, needs_test_responses)
    if regions != "all" and present and not problems:
        problems += region_problems(root, present, regions)
    return problems


def subject_problems(root: Path, subjects: Sequence[str] | str) -> Iterator[Problem]:
    """Subject folders that aren't there."""
    found = recording_folders.subject_folders(root)
    if not found:
        yield Problem(
            what="no subject folder (subj01, subj02, ...)", where=str(root), fix="name the folder that holds them"
        )
        return
    for name in [] if subjects == "all" else subjects:
        if name not in found:
            yield Problem(
                what="subject folder is missing",
                where=str(root),
                value=name,
                allowed=listing(found),
                nearest=nearest(name, found),
            )


def folder_problems(folder: Path, needs_test_responses: bool) -> list[Problem]:
    """Everything that is wrong with one subject's folder, from file names and headers."""
    shapes, problems = read_shapes(folder)
    for split in SPLIT_PREFIXES:
        problems += _split_problems(folder, split, shapes, needs_test_responses or split == "training")
    problems += _overlap_problems(folder)
    problems += _hemisphere_problems(folder)
    if all(file in shapes for file in recording_folders.response_files(folder, "training")):
        problems += width_problems(folder, shapes)
    return problems


def _split_problems(folder: Path, split: str, shapes: Shapes, needs_responses: bool) -> Iterator[Problem]:
    place = folder / f"{split}_split"
    if not place.is_dir():
        yield Problem(what=f"{split} split is missing", where=str(place), fix=LAYOUT_FIX)
        return
    yield from image_problems(folder, split)
    files = recording_folders.response_files(folder, split)
    missing = [file for file in files if not file.is_file()]
    for file in missing if needs_responses or len(missing) == 1 else []:
        fix = "the public archive withholds test responses; rebuild them from NSD" if split == "test" else ""
        yield Problem(what=f"{split} responses are missing", where=str(file), fix=fix)
    n_images = len(recording_folders.split_images(folder, split))
    for file in files:
        if file in shapes and shapes[file][0] != n_images:
            what = f"{n_images} images but {shapes[file][0]} rows of responses"
            allowed = f"({n_images}, vertices)"
            yield Problem(
                what=what, where=str(file), value=f"shape {shapes[file]}", allowed=allowed, fix="check for lost images"
            )
    repeats = recording_folders.repeats_file(folder, split)
    if repeats in shapes and shapes[repeats] != (n_images,):
        what = f"{n_images} images need as many numbers of repetitions"
        yield Problem(what=what, where=str(repeats), value=f"shape {shapes[repeats]}", allowed=f"({n_images},)")


def _overlap_problems(folder: Path) -> Iterator[Problem]:
    """A test image that was trained on tells nothing."""
    training = {number for _, number, _ in recording_folders.split_images(folder, "training")}
    both = sorted(training & {number for _, number, _ in recording_folders.split_images(folder, "test")})
    if both:
        what = f"{len(both)} test images are training images too"
        yield Problem(
            what=what,
            where=str(recording_folders.image_folder(folder, "test")),
            value=listing(both),
            allowed="NSD numbers of one split alone",
        )


def _hemisphere_problems(folder: Path) -> Iterator[Problem]:
    """Files that come for both hemispheres or for none."""
    pairs = {
        "noise ceiling": recording_folders.ceiling_files(folder),
        "signal-to-noise ratio": recording_folders.ncsnr_files(folder),
        "all-vertices mask": recording_folders.all_vertices_files(folder),
    }
    for mask_class in recording_folders.roi_classes(folder):
        pairs[f"{mask_class} mask over fsaverage"] = recording_folders.mask_files(folder, mask_class, "fsaverage")
    for kind, pair in pairs.items():
        there = [file.is_file() for file in pair]
        if any(there) and not all(there):
            yield Problem(what=f"the {kind} of one hemisphere is missing", where=str(pair[there.index(False)]))
    for mask_class in recording_folders.roi_classes(folder):
        for file in [
            *recording_folders.mask_files(folder, mask_class),
            recording_folders.mapping_file(folder, mask_class),
        ]:
            if not file.is_file():
                yield Problem(what="file is missing", where=str(file), fix=LAYOUT_FIX)


def image_problems(folder: Path, split: str) -> Iterator[Problem]:
    """What is wrong with the names of a split's images: numbering, NSD numbers, files that aren't images of it."""
    place = recording_folders.image_folder(folder, split)
    images = recording_folders.split_images(folder, split)
    yield from _name_problems(place, split)
    if not images:
        yield Problem(
            what=f"no {split} images", where=str(place), allowed=f"{SPLIT_PREFIXES[split]}-0001_nsd-00013.png ..."
        )
        return
    yield from _row_number_problems(place, [row for row, _, _ in images])
    yield from _nsd_number_problems(place, [number for _, number, _ in images])


def _name_problems(place: Path, split: str) -> Iterator[Problem]:
    files = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    matches = {name: CHALLENGE_IMAGE.fullmatch(name) for name in files if not name.startswith(".")}
    strange = [name for name, match in matches.items() if not match or match[1] != SPLIT_PREFIXES[split]]
    if strange:
        what = f"{len(strange)} files that aren't {split} images"
        yield Problem(
            what=what,
            where=str(place),
            value=listing(strange, 4),
            allowed=f"{SPLIT_PREFIXES[split]}-<row>_nsd-<number>.png",
        )


def _row_number_problems(place: Path, rows: Sequence[int]) -> Iterator[Problem]:
    n, first = len(rows), min(rows)
    if first == 0:
        what = "image numbers start at 0, but rows of responses are counted from 1"
        yield Problem(
            what=what,
            where=str(place),
            value=f"{first} to {max(rows)}",
            allowed=f"1 to {n}",
            fix="every image is off by one",
        )
        return
    lost = sorted(set(range(1, max(rows) + 1)) - set(rows))
    twice = sorted(row for row, count in Counter(rows).items() if count > 1)
    if lost or twice:
        what = f"{len(lost)} image numbers missing, {len(twice)} twice"
        yield Problem(what=what, where=str(place), value=listing(lost + twice), allowed=f"1 to {n}, each once")


def _nsd_number_problems(place: Path, numbers: Sequence[int]) -> Iterator[Problem]:
    twice = sorted(number for number, count in Counter(numbers).items() if count > 1)
    if twice:
        what = f"{len(twice)} NSD images twice; repetitions of an image are averaged into one row"
        yield Problem(
            what=what, where=str(place), value=listing([recording_folders.nsd_stimulus_id(number) for number in twice])
        )
    beyond = [number for number in numbers if number >= recording_folders.NSD_IMAGES]
    if beyond:
        allowed = f"0 to {recording_folders.NSD_IMAGES - 1}"
        fix = "NSD's own tables count from 1 in places: subtract 1"
        yield Problem(what="no such NSD image", where=str(place), value=listing(beyond), allowed=allowed, fix=fix)


def surface_size(folder: Path, shapes: Shapes) -> int:
    """Vertices of the surface that the masks in fsaverage's space are over: 163842, but in simulated trees."""
    sizes = [shapes[file][0] for file in _surface_files(folder) if file in shapes]
    return FSAVERAGE_VERTICES if FSAVERAGE_VERTICES in sizes or not sizes else max(sizes)


def width_problems(folder: Path, shapes: Shapes) -> Iterator[Problem]:
    """Files whose number of vertices isn't that of the training responses; shapes: of the files that can be read."""
    widths = [shapes[file][1] for file in recording_folders.response_files(folder, "training")]
    size = surface_size(folder, shapes)
    pairs = [
        recording_folders.response_files(folder, "test"),
        recording_folders.ceiling_files(folder),
        recording_folders.ncsnr_files(folder),
    ]
    pairs += [recording_folders.mask_files(folder, mask_class) for mask_class in recording_folders.roi_classes(folder)]
    for pair in pairs:
        yield from _pair_width_problems(pair, shapes, widths, size)
    for file in _surface_files(folder):
        if file in shapes and shapes[file] != (size,):
            what = "ROI mask of another space: not over fsaverage"
            yield Problem(what=what, where=str(file), value=f"shape {shapes[file]}", allowed=f"({size},)")


def _surface_files(folder: Path) -> list[Path]:
    masks = [
        file
        for c in recording_folders.roi_classes(folder)
        for file in recording_folders.mask_files(folder, c, "fsaverage")
    ]
    return recording_folders.all_vertices_files(folder) + masks


def _pair_width_problems(pair: list[Path], shapes: Shapes, widths: list[int], surface: int) -> Iterator[Problem]:
    found = [shapes[file][-1] if file in shapes else None for file in pair]
    if widths[0] != widths[1] and found == widths[::-1]:
        what = "the hemispheres are swapped, here or in the training responses"
        value = f"{found[0]} vertices in {pair[0].name}, {found[1]} in {pair[1].name}"
        allowed = f"{widths[0]} and {widths[1]}, as the training responses have"
        yield Problem(what=what, where=str(pair[0].parent), value=value, allowed=allowed)
        return
    for file, there, width, side in zip(pair, found, widths, HEMISPHERES, strict=True):
        if there is not None and there != width:
            what = f"{there} vertices, but the {side} training responses have {width}"
            space = "ROI mask of another space: " if there == surface else ""
            fix = "this is a mask over fsaverage; take the one in the challenge's space" if space else ""
            yield Problem(what=space + what, where=str(file), value=f"shape {shapes[file]}", fix=fix)


def region_masks(folder: Path, n_vertices: int) -> dict[str, np.ndarray]:
    """Boolean (vertices of both hemispheres,) for each region of the tree; all False for those that a subject lacks.

    A class without a mapping gives no regions.
    """
    masks = {ALL_VERTICES: np.ones(n_vertices, bool)}
    for mask_class in ROI_CLASSES:
        if recording_folders.mapping_file(folder, mask_class).is_file():
            masks |= _class_masks(folder, mask_class)
    return masks


def _class_masks(folder: Path, mask_class: str) -> dict[str, np.ndarray]:
    mapping = read_mapping(recording_folders.mapping_file(folder, mask_class))
    values = np.concatenate([read_npy(file) for file in recording_folders.mask_files(folder, mask_class)])
    wanted = {region: names for region, (c, names) in FMRI_REGIONS.items() if c == mask_class}
    return {
        region: np.isin(values, [value for value, name in mapping.items() if name in names])
        for region, names in wanted.items()
    }


def region_problems(root: Path, subjects: Sequence[str], regions: Sequence[str]) -> Iterator[Problem]:
    """Regions that no vertex of any of `subjects` belongs to."""
    filled = {name for subject in subjects for name in _regions_with_vertices(root / subject)}
    for region in regions:
        if region not in filled:
            where, known = f"{root} ({', '.join(subjects)})", sorted(filled)
            what = "the region has no vertex in any subject"
            yield Problem(what=what, where=where, value=region, allowed=listing(known), nearest=nearest(region, known))


def _regions_with_vertices(folder: Path) -> list[str]:
    widths = [npy_shape(file)[1] for file in recording_folders.response_files(folder, "training")]
    return [name for name, mask in region_masks(folder, sum(widths)).items() if mask.any()]


# What NumPy needs to rebuild an array that holds one dictionary of numbers and strings.
UNPICKLED = {
    (f"{package}.multiarray", name) for package in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")
} | {("numpy", "ndarray"), ("numpy", "dtype")}


def read_mapping(path: str | Path) -> dict[int, str]:
    """{integer in the mask: name of the ROI}. Raises DataError for a file that holds anything else."""
    path = Path(path)
    with reading(path, "a mapping of ROIs {integer: name}"):
        with open(path, "rb") as file:
            npy_header(file)
            content = _PlainUnpickler(file).load().item()
        return {int(value): _roi_name(name) for value, name in content.items()}


def _roi_name(name: object) -> str:
    """Names may be bytes, as Python 2 and MATLAB write them."""
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)


class _PlainUnpickler(pickle.Unpickler):
    """Rebuilds plain data in a NumPy array; any other class or function in the file is refused, not called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in UNPICKLED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)
