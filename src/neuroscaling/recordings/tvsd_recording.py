"""A monkey of TVSD is converted once to a folder of prepared recordings, in blocks of images.

Papale and others, Neuron 113 (2025): multi-unit activity of 1,024 sites in V1, V4 and IT to 22,248 images of THINGS
once, and to 100 more 30 times.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem
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
from neuroscaling.recordings.tvsd_files import Responses, opened_responses, training_blocks
from neuroscaling.regression.scores import repeat_ceiling, varies
from neuroscaling.study.nsd_tree import is_simulated
from neuroscaling.study.preparation_jobs import TvsdJob
from neuroscaling.study.things_tree import TVSD_AREAS, TVSD_REGIONS, Monkey, subject_problems, tvsd_monkeys

LARGEST_CEILING = 1 - 1e-6
"""Of this the signal-to-noise ratio is still finite."""


def prepare_tvsd_subject(job: TvsdJob) -> Path:
    """Convert a monkey's normalised responses to the job's folder; returns its manifest.

    Sites whose reliability (mean correlation between two repetitions over the test images) is below the job's stay out
    and are listed in the manifest; the others that have a NaN or don't vary are kept in the files and left out by the
    reader. Regions are V1, V4 and IT, by the ranges of sites of each monkey. The ceiling of the test images is the
    explainable share of the variance of their means, from the repetitions. Raises DataError with everything that is
    wrong with the files.
    """
    manifest, what = job.folder / MANIFEST, f"recordings of {job.subject}"
    return make_once(manifest, what, job.definition, lambda lease: _prepare(job, lease))


def _prepare(job: TvsdJob, lease: Lease) -> None:
    if problems := subject_problems(job.root, [job.subject], tvsd_monkeys(job.root), "monkeyF, monkeyN"):
        raise DataError(problems)
    monkey = Monkey(job.root, job.subject)
    with opened_responses(monkey) as responses:
        # NaN, of a site without a pair of repetitions, is no reliability at all.
        kept = np.flatnonzero(responses.reliability >= job.reliability)
        if not len(kept):
            highest = float(np.nanmax(responses.reliability, initial=-1))
            what, fix = "no site is as reliable", f"a lower `reliability:`; the highest here is {highest:.3g}"
            raise DataError(Problem(what=what, where=str(monkey.responses), value=job.reliability, fix=fix))
        left_out = np.setdiff1d(np.arange(len(responses.reliability)), kept)
        settings = {
            "reliability": job.reliability,
            "sites": len(responses.reliability),
            "unreliable_sites": left_out.tolist(),
        }
        about = About(job.definition, "tvsd", job.subject, is_simulated(job.root), settings)
        made = np.isfinite(responses.repetitions[kept]).any(0).sum(1)
        rows = {
            TRAINING: SplitRows(responses.ids["training"], [1] * len(responses.ids["training"])),
            "test": SplitRows(responses.ids["test"], made.tolist()),
        }

        def fill(arrays: Mapping[str, np.memmap]) -> TargetColumns:
            usable = np.ones(len(kept), bool)
            for stretch, block in training_blocks(monkey, responses.training):
                arrays[TRAINING][stretch] = block[:, kept]
                usable &= np.isfinite(block[:, kept]).all(0)
            arrays["test"][:] = responses.test[:, kept]
            usable &= np.isfinite(responses.test[:, kept]).all(0)
            usable &= varies(arrays[TRAINING]) & varies(arrays["test"])
            return _targets(responses, kept, usable, job.subject)

        write_recording(job.folder, about, rows, len(kept), fill, lease)


def _targets(responses: Responses, kept: np.ndarray, usable: np.ndarray, monkey: str) -> TargetColumns:
    repetitions = responses.repetitions[kept]
    repeated = (np.isfinite(repetitions).sum(2) > 1).any(1)
    ceiling = np.full(len(kept), np.nan)
    ceiling[repeated] = repeat_ceiling(repetitions[repeated])
    areas = TVSD_AREAS[monkey]
    return TargetColumns(
        hemisphere=np.full(len(kept), "both"),
        vertex=np.arange(len(kept)),
        usable=usable & np.isfinite(ceiling),
        regions={name: np.isin(kept, areas[name]) for name in TVSD_REGIONS},
        ceilings={"test": ceiling},
        ncsnr=_signal_to_noise(ceiling, repetitions),
        index=kept,
    )


def _signal_to_noise(ceiling: np.ndarray, repetitions: np.ndarray) -> np.ndarray:
    """Of single repetitions: c = s^2 / (s^2 + w) of the mean, w the mean of 1 / repetitions over images."""
    counts = np.isfinite(repetitions).sum(2)
    made = counts > 0
    weight = np.where(made, 1 / np.maximum(counts, 1), 0).sum(1) / np.maximum(made.sum(1), 1)
    shares = np.minimum(ceiling, LARGEST_CEILING)
    return np.sqrt(shares / (1 - shares) * weight)
