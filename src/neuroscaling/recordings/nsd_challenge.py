"""Withheld test responses and ceilings of the Algonauts 2023 Challenge are rebuilt from NSD.

Gifford and others (arXiv 2301.03198) and the challenge's page: fsaverage betas, z-scored per vertex and scan session,
averaged over the trials of an image; NC = ncsnr^2 / (ncsnr^2 + w), w = (n3/3 + n2/2 + n1) / (n3 + n2 + n1) over the
test images by their number of trials.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.array_files import read_npy
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.recordings.nsd_betas import averaged_blocks
from neuroscaling.recordings.nsd_sessions import chosen_sessions, read_grids, read_ncsnr
from neuroscaling.recordings.nsd_splits import SPLITS, Rows, split_rows
from neuroscaling.regression.scores import ncsnr_ceiling
from neuroscaling.stimuli.nsd_design import Design, read_design
from neuroscaling.study.nsd_tree import NSD_HEMISPHERES, nsd_place, nsd_subject_problems, nsd_subjects

TOLERANCE = 1e-4
"""Largest difference, in standard deviations of a session, that counts as rounding. Another ddof would give 1e-3."""
_ROWS = 256
"""Rows that are compared at once."""
IMAGE = re.compile(r"(?:train|test)-(\d+)_nsd-(\d+)\.png")


@dataclass(frozen=True)
class Hemisphere:
    """What is rebuilt of one: test (images, vertices), ncsnr and ceiling (vertices,), float32."""

    test: np.ndarray
    ncsnr: np.ndarray
    ceiling: np.ndarray


def rebuild_challenge(
    nsd_root: str | Path, algonauts_root: str | Path, subjects: Sequence[str] | str = "all", memory_mb: float = 1000
) -> list[Path]:
    """Write what the public archive lacks into an Algonauts 2023 tree, from NSD's fsaverage betas; returns the files.

    Of each subject: `test_split/test_fmri/{lh,rh}_test_fmri.npy`, `test_split/noise_ceiling/{lh,rh}_noise_ceiling.npy`
    (0..1) and `{lh,rh}_ncsnr.npy` beside it, `{training,test}_split/repeats.npy` (trials of each row). A subject's
    files are written when the training responses, rebuilt in the same way, are those of the tree up to rounding.
    Raises DataError with the problems of all subjects: files that are missing, images of other numbers, responses that
    differ (with the largest difference), files that are there already and say something else.
    """
    nsd_root, algonauts_root = Path(nsd_root), Path(algonauts_root)
    design = read_design(nsd_root)
    problems, written = list(nsd_subject_problems(nsd_root, subjects)), []
    for subject in [] if problems else _named(nsd_root, algonauts_root, subjects):
        try:
            written += _rebuild_subject(nsd_root, algonauts_root / subject, subject, design, memory_mb)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return written


def _named(nsd_root: Path, algonauts_root: Path, subjects: Sequence[str] | str) -> list[str]:
    """The subjects that are asked for, or all that the challenge's tree has. Raises DataError where it has none."""
    if subjects != "all":
        return list(subjects)
    there = [subject for subject in nsd_subjects(nsd_root) if (algonauts_root / subject).is_dir()]
    if not there:
        raise DataError(
            Problem(what="no subject of the NSD tree", where=str(algonauts_root), fix="name the folder of subj01, ...")
        )
    return there


def _rebuild_subject(nsd_root: Path, folder: Path, subject: str, design: Design, memory_mb: float) -> list[Path]:
    source = nsd_place(nsd_root, subject, "fsaverage")
    sessions = chosen_sessions(source, "all", "challenge")
    grids = read_grids(source, sessions, design)
    splits = split_rows(design, subject, sessions, "challenge")
    problems = [p for name in SPLITS for p in _image_problems(folder, name, splits[name])]
    if problems:
        raise DataError(problems)
    ncsnr = np.split(read_ncsnr(source, grids), [grids[0][0]])
    hemispheres = {}
    for side, noise in zip(NSD_HEMISPHERES, ncsnr, strict=True):
        files = [source.session_file(side, session) for session in sessions]
        try:
            hemispheres[side] = _rebuild_hemisphere(folder, side, files, noise, splits, memory_mb)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return _write(_arrays(folder, splits, hemispheres))


def _image_problems(folder: Path, split: str, rows: Rows) -> Iterator[Problem]:
    """Images of the tree against those of the design: first their number, then the first that differs."""
    place_of_images = folder / f"{split}_split" / f"{split}_images"
    if not place_of_images.is_dir():
        yield Problem(what="folder of images is missing", where=str(place_of_images), fix="give the challenge's tree")
        return
    matches = [IMAGE.fullmatch(path.name) for path in place_of_images.iterdir()]
    ids = np.array([number for _, number in sorted((int(m[1]), int(m[2])) for m in matches if m)], int)
    if len(ids) != len(rows.ids):
        what = f"{len(ids)} {split} images, but NSD's design gives {len(rows.ids)}"
        yield Problem(what=what, where=str(place_of_images), fix="are all images there, and of this subject?")
    elif (ids != rows.ids).any():
        row = int(np.flatnonzero(ids != rows.ids)[0])
        n = int((ids != rows.ids).sum())
        what = f"{n} of {len(ids)} images are not those of NSD's design, the first in row {row + 1}"
        hint = "all are off by one: file names count NSD's images from 0" if len(set(ids - rows.ids)) == 1 else ""
        yield Problem(
            what=what,
            where=str(place_of_images),
            value=f"nsd-{ids[row]:05d}",
            allowed=f"nsd-{rows.ids[row]:05d}",
            fix=hint,
        )


def _rebuild_hemisphere(
    folder: Path, side: str, files: list[Path], ncsnr: np.ndarray, splits: dict[str, Rows], memory_mb: float
) -> Hemisphere:
    """Rebuild both splits, and compare the training split with that of the tree."""
    path = folder / "training_split" / "training_fmri" / f"{side}_training_fmri.npy"
    published, vertices = read_npy(path, mapped=True), _vertices(folder, side, len(ncsnr))
    if published.shape != (len(splits["training"].ids), len(vertices)):
        expected = f"({len(splits['training'].ids)}, {len(vertices)})"
        raise DataError(
            Problem(
                what="not the training responses of this subject",
                where=str(path),
                value=published.shape,
                allowed=expected,
            )
        )
    test = np.empty((len(splits["test"].ids), len(vertices)), np.float32)
    largest = Difference()
    for block in averaged_blocks(files, vertices, splits, memory_mb):
        columns = slice(block.start, block.stop)
        largest = max(largest, Difference.between(block.responses["training"], published[:, columns], block.start))
        test[:, columns] = block.responses["test"]
    if largest.size > TOLERANCE:
        raise DataError(largest.problem(path, splits["training"], vertices))
    noise = ncsnr[vertices].astype(np.float32)
    counts = dict(zip(*(v.tolist() for v in np.unique(splits["test"].repeats, return_counts=True)), strict=True))
    return Hemisphere(test, noise, ncsnr_ceiling(noise, counts).astype(np.float32))


@dataclass(frozen=True, order=True)
class Difference:
    """The largest difference between rebuilt and published responses so far, and where: row, column, both values."""

    size: float = 0.0
    row: int = 0
    column: int = 0
    rebuilt: float = 0.0
    published: float = 0.0

    @classmethod
    def between(cls, rebuilt: np.ndarray, published: np.ndarray, first: int) -> "Difference":
        """Of two arrays (rows, columns), whose first column is column `first`; NaN in one alone differs infinitely."""
        parts = (slice(start, start + _ROWS) for start in range(0, len(rebuilt), _ROWS))
        return max(cls._of(rebuilt[rows], np.asarray(published[rows]), rows.start, first) for rows in parts)

    @classmethod
    def _of(cls, rebuilt: np.ndarray, published: np.ndarray, row: int, column: int) -> "Difference":
        both = np.isnan(rebuilt) & np.isnan(published)
        size = np.where(both, 0, np.nan_to_num(np.abs(rebuilt - published), nan=np.inf))
        i, j = (int(n) for n in np.unravel_index(np.argmax(size), size.shape))
        return cls(float(size[i, j]), row + i, column + j, float(rebuilt[i, j]), float(published[i, j]))

    def problem(self, path: Path, rows: Rows, vertices: np.ndarray) -> Problem:
        """What to tell of it."""
        image, vertex = rows.stimulus_ids[self.row], vertices[self.column]
        what = (
            "the rebuilt training responses are not those of the tree: "
            f"the largest difference is {self.size:.3g}, of {image} (row {self.row}) in column {self.column} "
            f"(fsaverage vertex {vertex})"
        )
        fix = "check that both trees are of the same subject and release"
        return Problem(
            what=what,
            where=str(path),
            value=self.published,
            allowed=f"{self.rebuilt:.6g}, within {TOLERANCE:g}",
            fix=fix,
        )


def _vertices(folder: Path, side: str, n: int) -> np.ndarray:
    """fsaverage vertices of the challenge's columns."""
    path = folder / "roi_masks" / f"{side}.all-vertices_fsaverage_space.npy"
    mask = read_npy(path, mapped=True)
    if mask.shape != (n,):
        raise DataError(
            Problem(what="not a mask of the fsaverage vertices", where=str(path), value=mask.shape, allowed=f"({n},)")
        )
    return np.flatnonzero(np.asarray(mask) > 0)


def _arrays(folder: Path, splits: dict[str, Rows], hemispheres: dict[str, Hemisphere]) -> dict[Path, np.ndarray]:
    arrays = {folder / f"{name}_split" / "repeats.npy": rows.repeats.astype(np.int64) for name, rows in splits.items()}
    test = folder / "test_split"
    for side, rebuilt in hemispheres.items():
        arrays[test / "test_fmri" / f"{side}_test_fmri.npy"] = rebuilt.test
        arrays[test / "noise_ceiling" / f"{side}_noise_ceiling.npy"] = rebuilt.ceiling
        arrays[test / "noise_ceiling" / f"{side}_ncsnr.npy"] = rebuilt.ncsnr
    return arrays


def _write(arrays: dict[Path, np.ndarray]) -> list[Path]:
    """Write the files that aren't there. Raises DataError, before any is written, for those that say something else."""
    there = [path for path in arrays if path.exists()]
    other = [path for path in there if not _is_same(read_npy(path, mapped=True), arrays[path])]
    if other:
        fix = "move the file away to have it written again"
        raise DataError(
            [Problem(what="is there already and differs from what was rebuilt", where=str(p), fix=fix) for p in other]
        )
    for path, values in arrays.items():
        if path not in there:
            with atomic_path(path) as temporary, open(temporary, "wb") as file:
                np.save(file, values)
    return list(arrays)


def _is_same(found: np.ndarray, rebuilt: np.ndarray) -> bool:
    return found.shape == rebuilt.shape and np.allclose(found, rebuilt, rtol=0, atol=TOLERANCE, equal_nan=True)
