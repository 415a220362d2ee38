"""A subject of THINGS-fMRI is converted once to a folder of prepared recordings, in blocks of voxels.

Hebart and others, eLife 12 (2023): single-trial responses at 3 T to 8,640 images of THINGS once, and to 100 more 12
times, in 12 sessions.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.leases import Lease
from neuroscaling.recordings.prepared import (
    MANIFEST,
    TRAINING,
    About,
    SplitRows,
    TargetColumns,
    make_once,
    write_recording,
)
from neuroscaling.recordings.things_fmri_files import Subject, Voxels, opened_subject
from neuroscaling.regression.scores import varies
from neuroscaling.study.nsd_tree import is_simulated
from neuroscaling.study.preparation_jobs import ThingsFmriJob
from neuroscaling.study.things_tree import Person, fmri_subjects, subject_problems

LARGEST_CEILING = 1 - 1e-6
"""Of this the signal-to-noise ratio is still finite."""
GAP = 16
"""Voxels from one chosen one to the next up to which both are read in one go."""
LONGEST = 1000
"""Voxels of the file that are read in one go: 80 MB of 9,840 trials."""


def prepare_things_fmri_subject(job: ThingsFmriJob) -> Path:
    """Convert a subject's single-trial responses to the job's folder; returns its manifest.

    Training rows are the trials of training images, in the order of the table; test rows are averages over the
    repetitions of an image. Trials of other kinds (catch trials) stay out. Voxels are those of any named region, of
    those that the job names, or all; voxels that have a NaN or don't vary are kept in the files and left out by the
    reader. The ceiling of the test rows is the authors' `nc_testset`, the signal-to-noise ratio of single trials
    follows from `nc_singletrial`; both are per cent in the files. Raises DataError with everything that is wrong with
    the files.
    """
    manifest, what = job.folder / MANIFEST, f"recordings of {job.subject}"
    return make_once(manifest, what, job.definition, lambda lease: _prepare(job, lease))


def _prepare(job: ThingsFmriJob, lease: Lease) -> None:
    if problems := subject_problems(job.root, [job.subject], fmri_subjects(job.root), "betas_csv/sub-01_..."):
        raise DataError(problems)
    person = Person(job.root, job.subject)
    with opened_subject(person, [] if isinstance(job.voxels, str) else job.voxels) as subject:
        voxels, trials = subject.voxels, subject.trials
        chosen = _chosen(person, voxels, job.voxels)
        training, test = trials.of("train"), trials.of("test")
        images = sorted({trials.stimulus_ids[i] for i in test})
        repeated = [test[[trials.stimulus_ids[i] == image for i in test]] for image in images]
        settings = {
            "voxels": job.voxels if isinstance(job.voxels, str) else list(job.voxels),
            "zscore": job.zscore,
            "of": len(voxels.ids),
        }
        about = About(job.definition, "things_fmri", job.subject, is_simulated(job.root), settings)
        rows = {
            TRAINING: SplitRows([trials.stimulus_ids[i] for i in training], [1] * len(training)),
            "test": SplitRows(images, [len(found) for found in repeated]),
        }

        def fill(arrays: Mapping[str, np.memmap]) -> TargetColumns:
            usable = np.isfinite(voxels.test_ceiling[chosen]) & np.isfinite(voxels.trial_ceiling[chosen])
            empty = np.ones(len(trials.kinds), bool)
            for columns, block in _blocks(subject, chosen, job):
                arrays[TRAINING][:, columns] = block[training]
                means = np.stack([block[found].mean(0) for found in repeated])
                arrays["test"][:, columns] = means
                used = block[np.concatenate([training, test])]
                usable[columns] &= np.isfinite(used).all(0) & varies(block[training]) & varies(means)
                empty &= ~np.isfinite(block).any(1)
            _refuse_empty(person, np.intersect1d(np.flatnonzero(empty), np.concatenate([training, test])))
            return _targets(voxels, chosen, usable)

        write_recording(job.folder, about, rows, len(chosen), fill, lease)


def _chosen(person: Person, voxels: Voxels, asked: Sequence[str] | str) -> np.ndarray:
    """Numbers of the voxels to keep, ascending. Raises DataError for regions that the subject's table doesn't have."""
    if asked == "all":
        return np.arange(len(voxels.ids))
    names = list(voxels.regions) if isinstance(asked, str) else list(asked)
    known = [*voxels.regions, *voxels.columns]
    if unknown := [name for name in names if name not in voxels.regions]:
        raise DataError(
            [
                Problem(
                    what="no such region",
                    where=str(person.voxels),
                    value=name,
                    allowed=listing(known, 30),
                    nearest=nearest(name, known),
                )
                for name in unknown
            ]
        )
    masks = [voxels.regions[name] for name in names]
    chosen = np.flatnonzero(np.logical_or.reduce(masks)) if masks else np.empty(0, int)
    if not len(chosen):
        raise DataError(Problem(what="no voxel in these regions", where=str(person.voxels), value=listing(names)))
    return chosen


def _blocks(subject: Subject, chosen: np.ndarray, job: ThingsFmriJob) -> Iterator[tuple[slice, np.ndarray]]:
    """Columns of the prepared arrays, and the responses (trials, columns) float64 of these voxels."""
    n_trials = len(subject.trials.kinds)
    # Read, in the order of the trials, and z-scored: three arrays at a time.
    most = max(1, int(job.memory_mb * 1e6 // (3 * 8 * n_trials)))
    sessions = np.array(subject.trials.sessions)
    for first in range(0, len(chosen), most):
        voxels = chosen[first : first + most]
        block = np.empty((n_trials, len(voxels)))
        for stretch in _stretches(voxels):
            near = voxels[stretch]
            block[:, stretch] = subject.read(int(near[0]), int(near[-1]) + 1)[near - near[0]].T
        yield slice(first, first + len(voxels)), _zscored(block, sessions) if job.zscore == "session" else block


def _stretches(voxels: np.ndarray) -> Iterator[slice]:
    """Voxels (ascending) that are read in one go: near each other, and not too many."""
    first = 0
    for i in range(1, len(voxels) + 1):
        if i == len(voxels) or voxels[i] - voxels[i - 1] > GAP or voxels[i] - voxels[first] >= LONGEST:
            yield slice(first, i)
            first = i


def _zscored(block: np.ndarray, sessions: np.ndarray) -> np.ndarray:
    """z-scores (ddof 0) within each session over all its trials; NaN where a voxel doesn't vary in one."""
    scored = np.empty_like(block)
    for session in np.unique(sessions):
        trials = sessions == session
        values = block[trials]
        spread = np.where(varies(values), values.std(0), np.nan)
        scored[trials] = (values - values.mean(0)) / spread
    return scored


def _refuse_empty(person: Person, trials: np.ndarray) -> None:
    if len(trials):
        what, fix = f"{len(trials)} trials have no response in any voxel", "copy or download it again"
        value = f"trials {listing(trials.tolist())}, from 0"
        raise DataError(Problem(what=what, where=str(person.responses), value=value, fix=fix))


def _targets(voxels: Voxels, chosen: np.ndarray, usable: np.ndarray) -> TargetColumns:
    shares = np.clip(voxels.trial_ceiling[chosen], 0, LARGEST_CEILING)
    return TargetColumns(
        hemisphere=np.full(len(chosen), "both"),
        vertex=np.arange(len(chosen)),
        usable=usable,
        regions={name: mask[chosen] for name, mask in voxels.regions.items()}
        | {ALL_VERTICES: np.ones(len(chosen), bool)},
        ceilings={"test": voxels.test_ceiling[chosen]},
        ncsnr=np.sqrt(shares / (1 - shares)),
        index=chosen,
    )
