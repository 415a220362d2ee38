"""What is wrong with a tree in the Algonauts layout, from file names and headers alone: no response is read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.headers import Shapes, read_shapes
from neuroscaling.encoding.algonauts.layout import SPLITS
from neuroscaling.encoding.algonauts.numbering import image_problems
from neuroscaling.encoding.algonauts.widths import width_problems
from neuroscaling.errors import DataError, Problem, listing, nearest

LAYOUT = "see docs/data.md for the layout"


def subjects_of(root: str | Path, subjects: Sequence[str] | str = "all") -> list[str]:
    """Names of the subjects to read. Raises DataError for those that aren't there, or when there are none."""
    root = Path(root)
    problems = list(subject_problems(Path(root), subjects))
    if problems:
        raise DataError(problems)
    return layout.subject_folders(Path(root)) if subjects == "all" else list(subjects)


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
    found = layout.subject_folders(root)
    problems = list(subject_problems(root, subjects))
    present = [name for name in (found if subjects == "all" else subjects) if name in found]
    for name in present:
        problems += folder_problems(root / name, needs_test_responses)
    if regions != "all" and present and not problems:
        from neuroscaling.encoding.algonauts.regions import region_problems

        problems += region_problems(root, present, regions)
    return problems


def subject_problems(root: Path, subjects: Sequence[str] | str) -> Iterator[Problem]:
    """Subject folders that aren't there."""
    found = layout.subject_folders(root)
    if not found:
        yield Problem("no subject folder (subj01, subj02, ...)", str(root), fix="name the folder that holds them")
        return
    for name in [] if subjects == "all" else subjects:
        if name not in found:
            yield Problem("subject folder is missing", str(root), name, listing(found), nearest(name, found))


def folder_problems(folder: Path, needs_test_responses: bool) -> list[Problem]:
    """Everything that is wrong with one subject's folder, from file names and headers."""
    shapes, problems = read_shapes(folder)
    for split in SPLITS:
        problems += _split_problems(folder, split, shapes, needs_test_responses or split == "training")
    problems += _overlap_problems(folder)
    problems += _pair_problems(folder)
    if all(file in shapes for file in layout.response_files(folder, "training")):
        problems += width_problems(folder, shapes)
    return problems


def _split_problems(folder: Path, split: str, shapes: Shapes, needs_responses: bool) -> Iterator[Problem]:
    place = folder / f"{split}_split"
    if not place.is_dir():
        yield Problem(f"{split} split is missing", str(place), fix=LAYOUT)
        return
    yield from image_problems(folder, split)
    files = layout.response_files(folder, split)
    missing = [file for file in files if not file.is_file()]
    for file in missing if needs_responses or len(missing) == 1 else []:
        fix = "the public archive withholds test responses; rebuild them from NSD" if split == "test" else ""
        yield Problem(f"{split} responses are missing", str(file), fix=fix)
    n_images = len(layout.images(folder, split))
    for file in files:
        if file in shapes and shapes[file][0] != n_images:
            what = f"{n_images} images but {shapes[file][0]} rows of responses"
            allowed = f"({n_images}, vertices)"
            yield Problem(what, str(file), f"shape {shapes[file]}", allowed, fix="check for lost images")
    repeats = layout.repeats_file(folder, split)
    if repeats in shapes and shapes[repeats] != (n_images,):
        what = f"{n_images} images need as many numbers of repetitions"
        yield Problem(what, str(repeats), f"shape {shapes[repeats]}", f"({n_images},)")


def _overlap_problems(folder: Path) -> Iterator[Problem]:
    """A test image that was trained on tells nothing."""
    training = {number for _, number, _ in layout.images(folder, "training")}
    both = sorted(training & {number for _, number, _ in layout.images(folder, "test")})
    if both:
        what = f"{len(both)} test images are training images too"
        yield Problem(what, str(layout.image_folder(folder, "test")), listing(both), "NSD numbers of one split alone")


def _pair_problems(folder: Path) -> Iterator[Problem]:
    """Files that come for both hemispheres or for none."""
    pairs = {
        "noise ceiling": layout.ceiling_files(folder),
        "signal-to-noise ratio": layout.ncsnr_files(folder),
        "all-vertices mask": layout.all_vertices_files(folder),
    }
    for mask_class in layout.classes(folder):
        pairs[f"{mask_class} mask over fsaverage"] = layout.mask_files(folder, mask_class, "fsaverage")
    for kind, pair in pairs.items():
        there = [file.is_file() for file in pair]
        if any(there) and not all(there):
            yield Problem(f"the {kind} of one hemisphere is missing", str(pair[there.index(False)]))
    for mask_class in layout.classes(folder):
        for file in [*layout.mask_files(folder, mask_class), layout.mapping_file(folder, mask_class)]:
            if not file.is_file():
                yield Problem("file is missing", str(file), fix=LAYOUT)
