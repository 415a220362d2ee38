"""One subject of a tree in the Algonauts layout as a Recording: responses stay on the disk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neuroscaling.core.npy import npy_shape, read_npy
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.layout import HEMISPHERES
from neuroscaling.encoding.algonauts.regions import region_masks
from neuroscaling.encoding.algonauts.scan import scan
from neuroscaling.encoding.algonauts.tree import folder_problems
from neuroscaling.encoding.recording import Recording, Responses, Split
from neuroscaling.errors import DataError, Problem
from neuroscaling.regression.scores import ncsnr_ceiling


def read_recording(root: str | Path, subject: str) -> Recording:
    """One subject, both hemispheres side by side. Raises DataError with all problems of its folder.

    Vertices with NaN in a response, a ceiling or a signal-to-noise ratio, or whose responses don't vary, are left out
    and listed in `masked`. Test responses, ceilings, signal-to-noise ratios and numbers of repetitions are None where
    the tree lacks them; the ceiling follows from the last two where it has no file of its own.
    """
    root = Path(root)
    folder = Path(root) / subject
    problems = folder_problems(folder, needs_test_responses=False) or list(count_problems(folder))
    if problems:
        raise DataError(problems)
    found = scan(folder)
    masked = {side: found.masked(side) for side in HEMISPHERES}
    columns = tuple(np.setdiff1d(np.arange(found.width[side]), masked[side]) for side in HEMISPHERES)
    places = np.concatenate([columns[0], found.width["lh"] + columns[1]])
    regions = region_masks(folder, sum(found.width.values()))
    training, test = (_split(folder, split, columns) for split in layout.SPLITS)
    ncsnr = _beside(layout.ncsnr_files(folder), columns)
    return Recording(
        name=subject,
        training=training,
        test=test,
        hemisphere=np.repeat(HEMISPHERES, [len(chosen) for chosen in columns]),
        vertex=np.concatenate(columns),
        regions={region: mask[places] for region, mask in regions.items()},
        ceiling=_ceiling(folder, columns, ncsnr, test.repeats),
        ncsnr=ncsnr,
        fsaverage=_fsaverage(folder, columns),
        masked=masked,
    )


def count_problems(folder: Path) -> Iterator[Problem]:
    """Masks over fsaverage that have another number of vertices than the responses."""
    files = layout.all_vertices_files(folder)
    if not all(file.is_file() for file in files):
        return
    counts = [int(np.count_nonzero(read_npy(file))) for file in files]
    widths = [npy_shape(file)[1] for file in layout.response_files(folder, "training")]
    if counts != widths and counts == widths[::-1]:
        what = "the hemispheres of the responses are swapped"
        value, allowed = f"{widths[0]} and {widths[1]} vertices", f"{counts[0]} and {counts[1]}, as all-vertices has"
        yield Problem(what, str(folder / "training_split" / "training_fmri"), value, allowed)
        return
    for file, count, width, side in zip(files, counts, widths, HEMISPHERES, strict=True):
        if count != width:
            what = f"{count} vertices on fsaverage, but the {side} training responses have {width}"
            yield Problem(what, str(file))


def _split(folder: Path, split: str, columns: tuple[np.ndarray, ...]) -> Split:
    files, repeats = layout.response_files(folder, split), layout.repeats_file(folder, split)
    return Split(
        layout.image_ids(folder, split),
        read_npy(repeats) if repeats.is_file() else None,
        Responses(tuple(files), columns) if files[0].is_file() else None,
    )


def _beside(files: list[Path], columns: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """One number a vertex from a file a hemisphere; None where there are no files."""
    if not files[0].is_file():
        return None
    return np.concatenate([read_npy(file)[chosen] for file, chosen in zip(files, columns, strict=True)])


def _ceiling(
    folder: Path, columns: tuple[np.ndarray, ...], ncsnr: np.ndarray | None, repeats: np.ndarray | None
) -> np.ndarray | None:
    stored = _beside(layout.ceiling_files(folder), columns)
    if stored is not None or ncsnr is None or repeats is None:
        return stored
    numbers, counts = np.unique(repeats, return_counts=True)
    return ncsnr_ceiling(ncsnr, dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


def _fsaverage(folder: Path, columns: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """Vertex numbers on fsaverage, or None: the challenge's columns are its all-vertices in ascending order."""
    files = layout.all_vertices_files(folder)
    if not files[0].is_file():
        return None
    return np.concatenate([np.flatnonzero(read_npy(f))[chosen] for f, chosen in zip(files, columns, strict=True)])
