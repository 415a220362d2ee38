"""Operations of the encoding of a subject, before there are features: from its images, its vertices and the study."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.config import FmriEncoding, SimulatedBrain, SimulatedData
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.encoding.targets import EncodingJob
from neuroscaling.study import LoadedStudy

# Subjects of the Algonauts 2023 Challenge: training and test images, vertices of both hemispheres.
CHALLENGE = {
    "subj01": (9841, 159, 39548),
    "subj02": (9841, 159, 39548),
    "subj03": (9082, 293, 39548),
    "subj04": (8779, 395, 39548),
    "subj05": (9841, 159, 39548),
    "subj06": (9082, 293, 39198),
    "subj07": (9841, 159, 39548),
    "subj08": (8779, 395, 39511),
}


@dataclass(frozen=True)
class SubjectShape:
    """Training and test images, and targets, of a subject."""

    training: int
    test: int
    targets: int


@dataclass(frozen=True)
class Fit:
    """A cross-validated ridge from `n` mapping images, predicting `evaluated` more; times: how often it is done."""

    n: int
    evaluated: int
    times: int


def subject_shape(study: LoadedStudy, job: EncodingJob) -> SubjectShape | None:
    """Of a folder in the Algonauts layout what its files say, else what its settings or the challenge say.

    None where nobody knows yet: recordings from NSD that are not prepared.
    """
    if isinstance(job.entry.data, SimulatedData):
        brain: SimulatedBrain = study.config.simulated[job.entry.data.simulated]
        return SubjectShape(brain.algonauts_train, brain.algonauts_test, 2 * brain.vertices)
    if job.kind != "tree":
        return None
    folder = job.folder / job.subject
    counted = [len(layout.images(folder, split)) for split in layout.SPLITS]
    files = layout.response_files(folder, "training")
    if all(counted) and all(file.is_file() for file in files):
        return SubjectShape(*counted, sum(_columns(file) for file in files))
    return SubjectShape(*CHALLENGE[job.subject]) if job.subject in CHALLENGE else None


def fits_of(entry: FmriEncoding, protocol: str, shape: SubjectShape) -> list[Fit]:
    """The fits of every candidate: of each number of mapping images, and of all images for a submission."""
    settings = EncodingSettings.of(entry.model_dump(), protocol)
    used = min(settings.equalise or shape.training, shape.training)
    held_out = settings.validation if settings.evaluate == "validation" else 0
    evaluated = held_out or shape.test
    pool = max(used - held_out, 1)
    sizes = sorted({pool if size == "all" else min(int(size), pool) for size in settings.samples})
    fits = [Fit(size, evaluated, settings.repeats) for size in sizes]
    return [*fits, Fit(shape.training, shape.test, 1)] if settings.final else fits


def encoding_operations(
    entry: FmriEncoding, protocol: str, shape: SubjectShape, rows: list[dict[str, Any]], only_products: bool
) -> float:
    """Operations of all fits of one subject from one network's candidates.

    rows: as of `activations.plan.planned`; only_products: whether inner products stand for the features, so that the
    features' number does not count. What nested sizes share is counted for each of them: an upper bound.
    """
    settings = EncodingSettings.of(entry.model_dump(), protocol)
    alphas, folds = len(settings.ridge_settings(only_products).alphas), settings.folds
    widths = [row["features"] for row in rows]
    return sum(
        fit.times * _fit(fit.n, max(width, fit.n) if only_products else width, shape.targets, alphas, folds, fit)
        for fit in fits_of(entry, protocol, shape)
        for width in widths
    )


@cache
def _fit(n: int, p: int, targets: int, alphas: int, folds: int, fit: Fit) -> float:
    from neuroscaling.regression.voxelwise.cost import flops

    return flops(n, p, targets, alphas, folds, fit.evaluated)


def _columns(file: Path) -> int:
    import numpy as np

    return np.load(file, mmap_mode="r").shape[1]
