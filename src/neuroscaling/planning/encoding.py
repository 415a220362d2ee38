"""Stimuli, subjects and fits of an encoding are counted before anything is computed."""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.array_files import npy_shape
from neuroscaling.core.errors import DataError
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.recordings.prepared import read_manifest as read_recording_manifest
from neuroscaling.stimuli.manifest import read_manifest
from neuroscaling.stimuli.sources import find_stimuli
from neuroscaling.stimuli.things_images import read_fmri_trials, read_tvsd_images
from neuroscaling.study import recording_folders
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.nsd_tree import COMPLETED, FSAVERAGE_VERTICES, completed_sessions, is_simulated
from neuroscaling.study.own_arrays import TRAINING, OwnArrays, read_own_stimuli, read_own_units
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.sections.encoding import (
    ArraysEncoding,
    FunctionEncoding,
    NsdEncoding,
    RecordingsEncoding,
    ThingsEncoding,
    ThingsFmriEncoding,
    TvsdEncoding,
    V4Encoding,
)
from neuroscaling.study.sections.recordings import SimulatedBrain, SimulatedData
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.stimulus_sources import AlgonautsTree, BrainScoreSets
from neuroscaling.study.things_tree import TVSD_SITES, Monkey, Person

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


PUBLIC_STIMULI = {"FreemanZiemba2013.aperture-public": 135, "hvm-public": 3200, "objectome.public": 2160}
"""Images of Brain-Score's public sets, for a plan before they are downloaded."""
THINGS_VOXELS, THINGS_BRAIN = 20_000, 220_000
"""About as many voxels of a subject of THINGS-fMRI are in a named region, and in the brain."""
NSD_IMAGES, NSD_SHARED, NSD_SESSION = 10_000, 1_000, 750
"""Images of a subject of NSD at most, those of them that everybody saw, and trials of a scan session."""
NSD_GENERAL = {"func1pt8mm": 20_000, "func1mm": 110_000, "nativesurface": 45_000, "fsaverage": 45_000}
"""Targets in the part of cortex that responds, by space: 15,000 voxels of 1.8 mm and 40,000 vertices, and some more."""
NSD_WHOLE = {"func1pt8mm": 750_000, "func1mm": 4_400_000, "nativesurface": 500_000, "fsaverage": 2 * FSAVERAGE_VERTICES}
"""All targets of a space: grids are 81 x 104 x 83 and 145 x 186 x 148 voxels, and some larger."""


@dataclass(frozen=True)
class SubjectShape:
    """Training and test images, and targets, of a subject."""

    training: int
    test: int
    targets: int


@dataclass(frozen=True)
class RidgeFit:
    """A cross-validated ridge from `n` mapping images, predicting `evaluated` more; times: how often it is done."""

    n: int
    evaluated: int
    times: int


def count_stimuli(study: LoadedStudy, stimuli: StimulusSet) -> int | None:
    """Images of a stimulus set: of the prepared set, of its source, or by the settings of a simulated brain.

    Else those that public sets are known to have; None for another set whose files are not there yet.
    """
    try:
        return len(read_manifest(study.store.find(study.store.stimuli(stimuli.name))).stimuli)
    except DataError:
        pass
    brains = {study.simulated_name(name): brain for name, brain in study.config.simulated.items()}
    brain = next((brains[path.parent.name] for path in stimuli.needs if path.parent.name in brains), None)
    if brain:
        alone = all(isinstance(source, AlgonautsTree) for source in stimuli.sources)
        return brain.algonauts_train + brain.algonauts_test if alone else simulated_stimuli(brain)
    try:
        return len({s.stimulus_id for source in stimuli.sources for s in find_stimuli(source)})
    except (DataError, OSError):
        return _known_stimuli(stimuli)


def _known_stimuli(stimuli: StimulusSet) -> int | None:
    names = [name for one in stimuli.sources if isinstance(one, BrainScoreSets) for name in one.stimulus_sets]
    known = [PUBLIC_STIMULI[name] for name in names if name in PUBLIC_STIMULI]
    return sum(known) if known and len(known) == len(names) else None


def simulated_stimuli(brain: SimulatedBrain) -> int:
    """Images of a simulated brain: objects, textures with their scrambled twins, behaviour, fMRI."""
    textures, choices = 2 * (brain.stimuli // 2), brain.stimuli // 2
    return brain.stimuli + textures + choices + brain.algonauts_train + brain.algonauts_test


def subject_shape(study: LoadedStudy, job: EncodingJob) -> SubjectShape | None:
    """Of a folder in the Algonauts layout, a V4 session and arrays of one's own what files say, else what settings or
    the challenge say.

    Of THINGS what its lists of images say, or the prepared recordings, of NSD these or what is usual; of a function of
    one's own the former. None where nobody knows yet: other recordings that are not prepared or downloaded.
    """
    if isinstance(job.entry, V4Encoding):
        averaged = job.folder / recording_folders.v4_session_files(job.subject)["responses"]
        neurons, images = npy_shape(averaged) if averaged.is_file() else (0, 0)
        return SubjectShape(images, 0, neurons) if images else None
    if isinstance(job.entry, FunctionEncoding):
        return _prepared_shape(study, job)
    if isinstance(job.entry.data, SimulatedData):
        brain: SimulatedBrain = study.config.simulated[job.entry.data.simulated]
        return SubjectShape(brain.algonauts_train, brain.algonauts_test, 2 * brain.vertices)
    if isinstance(job.entry, ArraysEncoding):
        return _own_shape(OwnArrays.of(job.entry), job.subject)
    if isinstance(job.entry, ThingsEncoding):
        return _things_shape(study, job, job.entry)
    if isinstance(job.entry, NsdEncoding):
        return _prepared_shape(study, job) or _nsd_shape(job.entry, job.subject)
    if job.kind != "tree":
        return None
    folder = job.folder / job.subject
    training, test = (len(recording_folders.split_images(folder, split)) for split in recording_folders.SPLIT_PREFIXES)
    files = recording_folders.response_files(folder, "training")
    if training and test and all(file.is_file() for file in files):
        return SubjectShape(training, test, sum(_columns(file) for file in files))
    return SubjectShape(*CHALLENGE[job.subject]) if job.subject in CHALLENGE else None


def _own_shape(arrays: OwnArrays, subject: str) -> SubjectShape:
    stimuli = read_own_stimuli(arrays)
    n_training = len(stimuli.of_split(TRAINING))
    return SubjectShape(n_training, len(stimuli.ids) - n_training, len(read_own_units(arrays).of_subject(subject)))


def _prepared_shape(study: LoadedStudy, job: EncodingJob) -> SubjectShape | None:
    if not (job.made and study.store.find(job.made).is_file()):
        return None
    manifest = read_recording_manifest(job.folder)
    training, *tests = (len(manifest.splits[name].stimulus_ids) for name in (TRAINING, *manifest.test_sets[:1]))
    return SubjectShape(training, sum(tests), manifest.targets)


def _nsd_shape(entry: NsdEncoding, subject: str) -> SubjectShape | None:
    """Before the recordings are prepared: no fewer targets than a subject has, and all images of the design."""
    if is_simulated(entry.data.local):
        return None
    known = NSD_WHOLE if entry.cortex == "all-vertices" else NSD_GENERAL
    trials = NSD_SESSION * (completed_sessions(entry.data.local, subject) or max(COMPLETED.values()))
    kept = trials if entry.trials == "keep" else min(NSD_IMAGES, trials)
    return SubjectShape(kept - NSD_SHARED, NSD_SHARED, known[entry.space])


def _things_shape(study: LoadedStudy, job: EncodingJob, entry: ThingsEncoding) -> SubjectShape | None:
    """From the prepared folder; before that the targets of a monkey are all sites, those of a person a usual number."""
    root = entry.data.local
    try:
        if prepared := _prepared_shape(study, job):
            return prepared
        if isinstance(entry, TvsdEncoding):
            ids = read_tvsd_images(Monkey(root, job.subject))
            return SubjectShape(len(ids["training"]), len(ids["test"]), TVSD_SITES)
        trials = read_fmri_trials(Person(root, job.subject))
        tested = {trials.stimulus_ids[i] for i in trials.of("test")}
        voxels = THINGS_BRAIN if isinstance(entry, ThingsFmriEncoding) and entry.voxels == "all" else THINGS_VOXELS
        return SubjectShape(len(trials.of("train")), len(tested), voxels)
    except DataError:  # told by `check`
        return None


def fits_of(entry: RecordingsEncoding, protocol: str, shape: SubjectShape) -> list[RidgeFit]:
    """The fits of every candidate: of each number of mapping images, and of all images for a submission."""
    settings = EncodingSettings.of(entry, protocol)
    used = min(settings.equalise or shape.training, shape.training)
    folds = settings.held_out_folds if settings.evaluate == "folds" else 1
    held_out = {"validation": settings.validation, "folds": -(-used // folds)}.get(settings.evaluate, 0)
    evaluated = held_out or shape.test
    pool = max(used - held_out, 1)
    sizes = sorted({pool if size == "all" else min(int(size), pool) for size in settings.samples})
    fits = [RidgeFit(size, evaluated, settings.repeats * folds) for size in sizes]
    return [*fits, RidgeFit(shape.training, shape.test, 1)] if settings.final else fits


def _columns(file: Path) -> int:
    return npy_shape(file)[1]
