"""Raw NSD of one subject is converted once to a folder of prepared recordings, in blocks of targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.leases import Lease
from neuroscaling.recordings.nsd_betas import averaged_blocks
from neuroscaling.recordings.nsd_regions import chosen_regions, read_regions
from neuroscaling.recordings.nsd_sessions import Grid, chosen_sessions, read_grids, read_ncsnr
from neuroscaling.recordings.nsd_splits import Rows, split_rows
from neuroscaling.recordings.nsd_synthetic import SyntheticSession, read_session, synthetic_blocks
from neuroscaling.recordings.prepared import (
    MANIFEST,
    TRAINING,
    About,
    SplitRows,
    TargetColumns,
    make_once,
    write_recording,
)
from neuroscaling.regression.scores import ncsnr_ceiling
from neuroscaling.stimuli.nsd_design import read_design
from neuroscaling.study.nsd_tree import NsdPlace, is_simulated, nsd_place
from neuroscaling.study.preparation_jobs import SYNTHETIC, HeldOut, NsdJob

HELD_OUT = ("shared1000", "challenge")
CHOICES = {"repeats": ("average", "keep"), "tests": (*HELD_OUT, SYNTHETIC)}


def prepare_nsd_subject(job: NsdJob) -> Path:
    """Convert one subject's responses in one space to the job's folder; returns its manifest.

    Responses are per cent signal change, z-scored per target and scan session (ddof 0) and averaged over the trials of
    an image, or kept apart. Test sets: the shared 1,000 images, or those of Algonauts 2023 (all sessions of the subject
    are needed then), and NSD-synthetic where it is asked for. Targets that have a NaN or don't vary in a session that
    is used, or whose ncsnr is not finite, are kept in the files and left out by the reader. The job's definition is
    what the key in the name of the folder above its own is a hash of; without one that name has no key. Raises
    DataError with everything that is wrong with the files that this needs.
    """
    manifest, what = job.folder / MANIFEST, f"recordings of {job.subject}"
    return make_once(
        manifest, what, job.definition, lambda lease: _prepare(nsd_place(job.root, job.subject, job.space), job, lease)
    )


@dataclass(frozen=True)
class _Chosen:
    """What is read of a subject. sessions: of NSD, from 1; grids: shape of the space of each part; selected: flat
    numbers of the targets over all parts; rows: of each split by its name, that of NSD-synthetic in `synthetic`."""

    source: NsdPlace
    sessions: list[int]
    grids: list[Grid]
    selected: np.ndarray
    rows: dict[str, Rows]
    synthetic: SyntheticSession | None

    @property
    def targets(self) -> list[np.ndarray]:
        """Flat numbers within each part."""
        starts = np.cumsum([0, *(int(np.prod(grid)) for grid in self.grids)])
        ends = np.searchsorted(self.selected, starts)
        return [self.selected[a:b] - start for a, b, start in zip(ends[:-1], ends[1:], starts[:-1], strict=True)]


def _prepare(source: NsdPlace, job: NsdJob, lease: Lease) -> None:
    held_out = _held_out(job)
    design = read_design(source.root)
    sessions = chosen_sessions(source, job.sessions, held_out)
    grids = read_grids(source, sessions, design)
    masks = read_regions(source, grids)
    selected = chosen_regions(source, masks, job.regions)
    splits = split_rows(design, source.subject, sessions, held_out, job.repeats)
    _check_rows(source, splits, sessions)
    synthetic = read_session(source, grids, job.repeats) if SYNTHETIC in job.tests else None
    rows = {TRAINING: splits["training"], held_out: splits["test"]}
    chosen = _Chosen(source, sessions, grids, selected, rows, synthetic)
    ncsnr = read_ncsnr(source, grids)[selected]
    settings = {
        "space": source.space,
        "sessions": sessions,
        "repeats": job.repeats,
        "regions": job.regions if isinstance(job.regions, str) else list(job.regions),
        "grids": [list(grid) for grid in grids],
    }
    about = About(job.definition, "nsd", source.subject, is_simulated(source.root), settings)

    def fill(arrays: Mapping[str, np.memmap]) -> TargetColumns:
        usable = _write_responses(arrays, chosen, job.memory_mb) & np.isfinite(ncsnr)
        ceilings: dict[str, np.ndarray] = {held_out: ncsnr_ceiling(ncsnr, _images_by_repeats(rows[held_out]))}
        if synthetic:
            also, ceilings[SYNTHETIC] = _write_synthetic(arrays[SYNTHETIC], chosen, synthetic, job.memory_mb)
            usable &= also
        return _columns(chosen, masks, usable, ncsnr, ceilings)

    write_recording(job.folder, about, _split_rows(chosen, job), len(selected), fill, lease)


def _held_out(job: NsdJob) -> HeldOut:
    """The test set of NSD itself. Raises DataError for unknown choices, and where none or both are named."""
    _check_choices(repeats=[job.repeats], tests=job.tests)
    named = [test for test in job.tests if test in HELD_OUT]
    if len(named) != 1:
        what, allowed = "one test set is of NSD itself: no mapping sees its images", " or ".join(HELD_OUT)
        raise DataError(Problem(what=what, where="tests", value=", ".join(job.tests) or None, allowed=allowed))
    return "shared1000" if named == ["shared1000"] else "challenge"


def _check_choices(**values: Sequence[str]) -> None:
    problems = [
        Problem(
            what=f"unknown choice of `{key}`",
            where=key,
            value=value,
            allowed=", ".join(CHOICES[key]),
            nearest=nearest(value, CHOICES[key]),
        )
        for key, chosen in values.items()
        for value in chosen
        if value not in CHOICES[key]
    ]
    if problems:
        raise DataError(problems)


def _check_rows(source: NsdPlace, splits: dict[str, Rows], sessions: list[int]) -> None:
    empty = [name for name, rows in splits.items() if not len(rows.ids)]
    if empty:
        what = f"no {' or '.join(empty)} image was shown in these scan sessions"
        raise DataError(Problem(what=what, where=str(source.betas), value=sessions, fix="choose more sessions"))


def _split_rows(chosen: _Chosen, job: NsdJob) -> dict[str, SplitRows]:
    """Training, then the test sets in the order that the job names them in."""
    rows = {name: SplitRows(list(one.stimulus_ids), one.repeats.tolist()) for name, one in chosen.rows.items()}
    if chosen.synthetic:
        rows[SYNTHETIC] = SplitRows(chosen.synthetic.stimulus_ids, chosen.synthetic.rows.repeats.tolist())
    return {name: rows[name] for name in (TRAINING, *job.tests)}


def _write_responses(arrays: Mapping[str, np.memmap], chosen: _Chosen, memory_mb: float) -> np.ndarray:
    """Write the splits of NSD itself, block after block; returns which targets (targets,) are finite and vary in every
    session."""
    usable = np.empty(len(chosen.selected), bool)
    first = 0
    for part, targets in zip(chosen.source.parts, chosen.targets, strict=True):
        files = [chosen.source.session_file(part, session) for session in chosen.sessions]
        for block in averaged_blocks(files, targets, chosen.rows, memory_mb):
            columns = slice(first + block.start, first + block.stop)
            usable[columns] = block.usable
            for name, values in block.responses.items():
                arrays[name][:, columns] = values
        first += len(targets)
    return usable


def _write_synthetic(
    array: np.memmap, chosen: _Chosen, session: SyntheticSession, memory_mb: float
) -> tuple[np.ndarray, np.ndarray]:
    """Write the split of NSD-synthetic; returns which targets (targets,) are finite and vary, and ceilings (targets,).

    A target that isn't usable here is left out of all splits, so that test sets are compared on the same targets.
    """
    usable, ceiling = np.empty(len(chosen.selected), bool), np.empty(len(chosen.selected))
    first = 0
    for part, targets in enumerate(chosen.targets):
        for block in synthetic_blocks(session, part, targets, memory_mb):
            columns = slice(first + block.start, first + block.stop)
            usable[columns], ceiling[columns] = block.usable, block.ceiling
            array[:, columns] = block.responses
        first += len(targets)
    return usable, ceiling


def _images_by_repeats(rows: Rows) -> dict[int, int]:
    return dict(zip(*(values.tolist() for values in np.unique(rows.repeats, return_counts=True)), strict=True))


def _columns(
    chosen: _Chosen,
    masks: dict[str, np.ndarray],
    usable: np.ndarray,
    ncsnr: np.ndarray,
    ceilings: dict[str, np.ndarray],
) -> TargetColumns:
    parts = chosen.targets
    index = np.concatenate(parts)
    return TargetColumns(
        hemisphere=np.repeat(chosen.source.parts, [len(part) for part in parts]),
        vertex=np.concatenate([np.arange(len(part)) for part in parts]),
        usable=usable,
        regions={name: mask[chosen.selected] for name, mask in masks.items()},
        ceilings=ceilings,
        ncsnr=ncsnr,
        index=index,
        fsaverage=index if chosen.source.space == "fsaverage" else None,
    )
