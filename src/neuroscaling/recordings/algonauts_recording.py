"""One subject of an Algonauts 2023 tree is read as a recording; a scan finds unusable vertices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuroscaling.core.array_files import npy_shape, read_npy
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.recordings.recording import Recording, Responses, Split
from neuroscaling.regression.scores import ncsnr_ceiling
from neuroscaling.study import recording_folders
from neuroscaling.study.algonauts_tree import folder_problems, region_masks
from neuroscaling.study.recording_folders import HEMISPHERES


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
    found = scan_responses(folder)
    masked = {side: found.masked(side) for side in HEMISPHERES}
    columns = tuple(np.setdiff1d(np.arange(found.width[side]), masked[side]) for side in HEMISPHERES)
    places = np.concatenate([columns[0], found.width["lh"] + columns[1]])
    regions = region_masks(folder, sum(found.width.values()))
    training, test = (_split(folder, split, columns) for split in recording_folders.SPLIT_PREFIXES)
    ncsnr = _beside(recording_folders.ncsnr_files(folder), columns)
    return Recording(
        name=subject,
        training=training,
        tests={"test": replace(test, ceiling=_ceiling(folder, columns, ncsnr, test.repeats))},
        hemisphere=np.repeat(HEMISPHERES, [len(chosen) for chosen in columns]),
        vertex=np.concatenate(columns),
        regions={region: mask[places] for region, mask in regions.items()},
        ncsnr=ncsnr,
        fsaverage=_fsaverage(folder, columns),
        masked=masked,
    )


def count_problems(folder: Path) -> Iterator[Problem]:
    """Masks over fsaverage that have another number of vertices than the responses."""
    files = recording_folders.all_vertices_files(folder)
    if not all(file.is_file() for file in files):
        return
    counts = [int(np.count_nonzero(read_npy(file))) for file in files]
    widths = [npy_shape(file)[1] for file in recording_folders.response_files(folder, "training")]
    if counts != widths and counts == widths[::-1]:
        what = "the hemispheres of the responses are swapped"
        value, allowed = f"{widths[0]} and {widths[1]} vertices", f"{counts[0]} and {counts[1]}, as all-vertices has"
        yield Problem(what=what, where=str(folder / "training_split" / "training_fmri"), value=value, allowed=allowed)
        return
    for file, count, width, side in zip(files, counts, widths, HEMISPHERES, strict=True):
        if count != width:
            what = f"{count} vertices on fsaverage, but the {side} training responses have {width}"
            yield Problem(what=what, where=str(file))


def _split(folder: Path, split: str, columns: tuple[np.ndarray, ...]) -> Split:
    files, repeats = recording_folders.response_files(folder, split), recording_folders.repeats_file(folder, split)
    return Split(
        recording_folders.image_ids(folder, split),
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
    stored = _beside(recording_folders.ceiling_files(folder), columns)
    if stored is not None or ncsnr is None or repeats is None:
        return stored
    numbers, counts = np.unique(repeats, return_counts=True)
    return ncsnr_ceiling(ncsnr, dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


def _fsaverage(folder: Path, columns: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """Vertex numbers on fsaverage, or None: the challenge's columns are its all-vertices in ascending order."""
    files = recording_folders.all_vertices_files(folder)
    if not files[0].is_file():
        return None
    return np.concatenate([np.flatnonzero(read_npy(f))[chosen] for f, chosen in zip(files, columns, strict=True)])


BLOCK_BYTES = 32 * 2**20
"""Of responses held at once: a whole hemisphere need not fit in memory."""


@dataclass(frozen=True)
class Scan:
    """nan, constant: vertices (columns) that can't be used, by hemisphere; width: all of them; empty: file -> rows
    (from 1) without one finite number."""

    nan: dict[str, list[int]]
    constant: dict[str, list[int]]
    width: dict[str, int]
    empty: dict[Path, list[int]]

    def masked(self, side: str) -> list[int]:
        """Vertices of a hemisphere that are left out, ascending."""
        return sorted(self.nan[side] + self.constant[side])


def scan_responses(folder: Path) -> Scan:
    """Read the responses of both splits, ceilings and signal-to-noise ratios, in blocks of rows."""
    nan, constant, width, empty = {}, {}, {}, {}
    for which, side in enumerate(HEMISPHERES):
        files = [recording_folders.response_files(folder, split)[which] for split in recording_folders.SPLIT_PREFIXES]
        finite, varies = np.array(True), np.array(True)
        for file in (file for file in files if file.is_file()):
            responses = read_npy(file, mapped=True)
            all_finite, low, high = column_summary(responses)
            width[side] = responses.shape[1]
            rows = [] if all_finite.any() else empty_rows(responses)
            if rows:
                empty[file] = rows
            finite, varies = finite & all_finite, varies & (low < high)
        for file in (recording_folders.ceiling_files(folder)[which], recording_folders.ncsnr_files(folder)[which]):
            finite = finite & (np.isfinite(read_npy(file)) if file.is_file() else True)
        nan[side] = np.flatnonzero(~finite).tolist()
        constant[side] = np.flatnonzero(finite & ~varies).tolist()
    return Scan(nan, constant, width, empty)


def column_summary(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each column: whether all rows are finite, the smallest and the largest value (of no meaning if they aren't).

    The extremes, not the spread: in float32 the spread of equal numbers is not always 0.
    """
    n_columns = responses.shape[1]
    finite = np.ones(n_columns, bool)
    low, high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    rows = max(1, BLOCK_BYTES // max(1, responses.itemsize * n_columns))
    for start in range(0, len(responses), rows):
        block = np.asarray(responses[start : start + rows])
        finite &= np.isfinite(block).all(0)
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
    return finite, low, high


def empty_rows(responses: np.ndarray) -> list[int]:
    """Rows, counted from 1, without one finite number."""
    return [row for row, values in enumerate(responses, start=1) if not np.isfinite(values).any()]
