"""Raw NSD of one subject is converted once to a folder of prepared recordings, in blocks of targets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.leases import Lease, held
from neuroscaling.recordings.nsd_betas import averaged_blocks
from neuroscaling.recordings.nsd_regions import chosen_regions, read_regions
from neuroscaling.recordings.nsd_sessions import Grid, chosen_sessions, read_grids, read_ncsnr
from neuroscaling.recordings.nsd_splits import Rows, split_rows
from neuroscaling.recordings.prepared import MANIFEST, About, SplitRows, TargetColumns, write_recording
from neuroscaling.regression.scores import ncsnr_ceiling
from neuroscaling.stimuli.nsd_design import read_design
from neuroscaling.study.nsd_tree import NsdPlace, is_simulated, nsd_place
from neuroscaling.study.preparation_jobs import NsdJob

CHOICES = {"repeats": ("average", "keep"), "test": ("shared1000", "challenge")}


def prepare_nsd_subject(job: NsdJob) -> Path:
    """Convert one subject's responses in one space to the job's folder; returns its manifest.

    Responses are per cent signal change, z-scored per target and scan session (ddof 0) and averaged over the trials of
    an image, or kept apart. The test split holds the shared 1,000 images, or those of Algonauts 2023 (all sessions of
    the subject are needed then). Targets that have a NaN or don't vary in a session, or whose ncsnr is not finite, are
    kept in the files and left out by the reader. The job's definition is what the key in the name of the folder above
    its own is a hash of; without one that name has no key. Raises DataError with everything that is wrong with the
    files that this needs.
    """
    manifest = job.folder / MANIFEST
    with held(job.folder, f"recordings of {job.subject}") as lease:
        if job.definition is None or not manifest.exists():
            _prepare(nsd_place(job.root, job.subject, job.space), job, lease)
    return manifest


def _prepare(source: NsdPlace, job: NsdJob, lease: Lease) -> None:
    _check_choices(repeats=job.repeats, test=job.test)
    design = read_design(source.root)
    numbers = chosen_sessions(source, job.sessions, job.test)
    grids = read_grids(source, numbers, design)
    masks = read_regions(source, grids)
    selected = chosen_regions(source, masks, job.regions)
    splits = split_rows(design, source.subject, numbers, job.test, job.repeats)
    _check_rows(source, splits, numbers)
    ncsnr = read_ncsnr(source, grids)[selected]
    settings = {
        "space": source.space,
        "sessions": numbers,
        "repeats": job.repeats,
        "regions": job.regions if isinstance(job.regions, str) else list(job.regions),
        "grids": [list(grid) for grid in grids],
        "test_set": job.test,
    }
    about = About(job.definition, "nsd", source.subject, is_simulated(source.root), settings)

    def fill(arrays: Mapping[str, np.memmap]) -> TargetColumns:
        usable = _write_responses(arrays, source, numbers, grids, selected, splits, job.memory_mb) & np.isfinite(ncsnr)
        return _targets(source, grids, selected, masks, usable, ncsnr, splits["test"])

    rows = {name: SplitRows(list(one.stimulus_ids), one.repeats.tolist()) for name, one in splits.items()}
    write_recording(job.folder, about, rows, len(selected), fill, lease)


def _check_choices(**values: str) -> None:
    problems = [
        Problem(
            what=f"unknown choice of `{key}`",
            where=key,
            value=value,
            allowed=", ".join(CHOICES[key]),
            nearest=nearest(value, CHOICES[key]),
        )
        for key, value in values.items()
        if value not in CHOICES[key]
    ]
    if problems:
        raise DataError(problems)


def _check_rows(source: NsdPlace, splits: dict[str, Rows], sessions: list[int]) -> None:
    empty = [name for name, rows in splits.items() if not len(rows.ids)]
    if empty:
        what = f"no {' or '.join(empty)} image was shown in these scan sessions"
        raise DataError(Problem(what=what, where=str(source.betas), value=sessions, fix="choose more sessions"))


def _write_responses(
    arrays: Mapping[str, np.memmap],
    source: NsdPlace,
    sessions: list[int],
    grids: list[Grid],
    selected: np.ndarray,
    splits: dict[str, Rows],
    memory_mb: float,
) -> np.ndarray:
    """Write both splits, block after block; returns which targets (targets,) are finite and vary in every session."""
    usable = np.empty(len(selected), bool)
    first = 0
    for part, targets in zip(source.parts, _by_part(selected, grids), strict=True):
        files = [source.session_file(part, session) for session in sessions]
        for block in averaged_blocks(files, targets, splits, memory_mb):
            columns = slice(first + block.start, first + block.stop)
            usable[columns] = block.usable
            for name, values in block.responses.items():
                arrays[name][:, columns] = values
        first += len(targets)
    return usable


def _by_part(selected: np.ndarray, grids: list[Grid]) -> list[np.ndarray]:
    """Flat numbers within each part, of flat numbers over all parts."""
    starts = np.cumsum([0, *(int(np.prod(grid)) for grid in grids)])
    ends = np.searchsorted(selected, starts)
    return [selected[a:b] - start for a, b, start in zip(ends[:-1], ends[1:], starts[:-1], strict=True)]


def _targets(
    source: NsdPlace,
    grids: list[Grid],
    selected: np.ndarray,
    masks: dict[str, np.ndarray],
    usable: np.ndarray,
    ncsnr: np.ndarray,
    test: Rows,
) -> TargetColumns:
    parts = _by_part(selected, grids)
    index = np.concatenate(parts)
    counts = dict(zip(*(values.tolist() for values in np.unique(test.repeats, return_counts=True)), strict=True))
    return TargetColumns(
        hemisphere=np.repeat(source.parts, [len(part) for part in parts]),
        vertex=np.concatenate([np.arange(len(part)) for part in parts]),
        usable=usable,
        regions={name: mask[selected] for name, mask in masks.items()},
        ceilings={"test": ncsnr_ceiling(ncsnr, counts)},
        ncsnr=ncsnr,
        index=index,
        fsaverage=index if source.space == "fsaverage" else None,
    )
