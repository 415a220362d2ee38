"""The recordings that a study predicts by encoding, as jobs: V4 sessions and subjects of fMRI with their stimuli."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.hashing import ArtefactName, content_hash
from neuroscaling.study import things_recordings
from neuroscaling.study.array_names import array_recordings, images_identity, listed_images
from neuroscaling.study.brainscore_jobs import brainscore_jobs
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.nsd_tree import PREPARATION, SYNTHETIC_PREPARATION
from neuroscaling.study.own_arrays import OwnArrays, read_own_stimuli, read_own_units
from neuroscaling.study.own_functions import function_recordings, function_stimuli, images_of
from neuroscaling.study.preparation_jobs import SYNTHETIC, ArraysJob, FunctionJob, NsdJob, PreparationJob
from neuroscaling.study.sections.encoding import (
    AlgonautsEncoding,
    ArraysEncoding,
    EncodingSource,
    FmriSource,
    FunctionEncoding,
    NsdEncoding,
    ThingsEncoding,
    ThingsFmriEncoding,
    TvsdEncoding,
    V4Encoding,
)
from neuroscaling.study.sections.recordings import LocalData, SimulatedData
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.stimulus_sources import AlgonautsTree, NsdTree, StimulusSource
from neuroscaling.study.v4_recordings import v4_files, v4_root, v4_stimuli


@dataclass(frozen=True)
class EncodingJob:
    """A subject (or a session) of a source of recordings.

    data: name of the recordings in the store; benchmark: name of the scores; stimuli: the images that networks are
    shown; folder: where the recordings lie, and what is in it: `tree` (Algonauts layout), `recording` (prepared)
    or `v4`; made: file that a rule of ours writes when the recordings are there, or None for a folder of the user;
    preparation: the job that makes it, of sources that are prepared; downloads: files that are fetched before.
    """

    entry: EncodingSource
    data: str
    subject: str
    benchmark: str
    stimuli: StimulusSet
    folder: Path
    kind: str
    made: Path | None
    preparation: PreparationJob | None = None
    downloads: tuple[Path, ...] = ()

    @property
    def needs(self) -> tuple[Path, ...]:
        """Files of the store that a score waits for, beside activations."""
        return (*self.downloads, *([self.made] if self.made else []))

    @property
    def located(self) -> dict[str, str]:
        """Where it lies, as JSON for the jobs of a workflow, which read it as a `LocatedSubject`."""
        return {"folder": str(self.folder), "kind": self.kind, "subject": self.subject}


@dataclass(frozen=True)
class LocatedSubject:
    """Where the recordings of a subject lie; kind: `tree` (Algonauts layout), `recording` (prepared) or
    `v4`."""

    folder: Path
    kind: str
    subject: str

    @classmethod
    def of(cls, located: Mapping[str, str]) -> "LocatedSubject":
        """From what `EncodingJob.located` wrote."""
        return cls(Path(located["folder"]), located["kind"], located["subject"])


def encoding_jobs(study: LoadedStudy) -> list[EncodingJob]:
    """The subjects and sessions of all sources, in the order of the study file."""
    found: list[EncodingJob] = []
    for entry in study.config.encoding:
        match entry:
            case V4Encoding():
                found += _v4_jobs(study, entry)
            case ArraysEncoding():
                found += _array_jobs(study, entry)
            case FunctionEncoding():
                found += _function_jobs(study, entry)
            case TvsdEncoding() | ThingsFmriEncoding():
                found += _things_jobs(study, entry)
            case NsdEncoding():
                found += _nsd_jobs(study, entry)
            case AlgonautsEncoding():
                found += _algonauts_jobs(study, entry)
    return found


def _v4_jobs(study: LoadedStudy, entry: V4Encoding) -> Iterator[EncodingJob]:
    """The sessions of an entry; what tells one's recordings from others is in the name of its images."""
    for session in study.v4_sessions(entry):
        stimuli, folder, downloads = v4_stimuli(study, session), v4_root(study, session), v4_files(study, session)
        benchmark = f"v4-{session}"
        yield EncodingJob(entry, "v4", session, benchmark, stimuli, folder, "v4", None, downloads=downloads)


def subjects_of(study: LoadedStudy, entry: FmriSource) -> list[str]:
    """Names of the subjects of a source: those that are named, or all that it has."""
    if isinstance(entry, FunctionEncoding) or entry.subjects != "all":
        return list(entry.subjects)
    if isinstance(entry, ArraysEncoding):
        return read_own_units(OwnArrays.of(entry)).names
    if isinstance(entry, ThingsEncoding):
        return things_recordings.subjects_of(entry)
    if isinstance(entry.data, SimulatedData):
        n = study.config.simulated[entry.data.simulated].algonauts_subjects
        return [f"subj{number:02d}" for number in range(1, n + 1)]
    folder = entry.data.local / ("nsddata_betas/ppdata" if isinstance(entry, NsdEncoding) else "")
    return sorted(path.name for path in folder.glob("subj[0-9]*") if path.is_dir())


def nsd_recordings(study: LoadedStudy, entry: NsdEncoding) -> ArtefactName:
    """What the prepared recordings of a tree of NSD are called, and what determines them."""
    listed = content_hash([study.listing(folder) for folder in _nsd_folders(entry)], 16)
    settings = {"space": entry.space, "regions": entry.cortex, "repeats": entry.trials, "tests": list(entry.tests)}
    return ArtefactName("nsd", {"files": listed, **settings, "code": code_of("nsd")})


def algonauts_root(study: LoadedStudy, entry: AlgonautsEncoding) -> Path:
    """Folder with subj01, subj02, ..."""
    if isinstance(entry.data, LocalData):
        return entry.data.local
    return study.store.find(study.store.simulated(study.data_name(entry.data))) / "algonauts2023"


def _array_jobs(study: LoadedStudy, entry: ArraysEncoding) -> Iterator[EncodingJob]:
    """The subjects of recordings of one's own: all see the images of one set."""
    arrays = OwnArrays.of(entry)
    name = array_recordings(arrays, study.store.cache())
    source = listed_images(arrays, read_own_stimuli(arrays), entry.degrees)
    stimuli = StimulusSet.of("images", images_identity(source), (source,), entry.visual_degrees)
    for subject in subjects_of(study, entry):
        job = ArraysJob(arrays, subject, study.store.recording(str(name), subject), definition=dict(name.definition))
        yield _prepared(study, entry, str(name), f"{entry.name}-{subject}", stimuli, job)


def _function_jobs(study: LoadedStudy, entry: FunctionEncoding) -> Iterator[EncodingJob]:
    """The subjects of a function of one's own: all see the images of one set."""
    name, images = function_recordings(entry, study.store.cache()), images_of(entry)
    source = listed_images(images, function_stimuli(entry), entry.degrees)
    stimuli = StimulusSet.of("images", images_identity(source), (source,), entry.visual_degrees)
    for subject in entry.subjects:
        folder, definition = study.store.recording(str(name), subject), dict(name.definition)
        job = FunctionJob(entry.source, entry.options, entry.name, subject, folder, images, definition=definition)
        yield _prepared(study, entry, str(name), f"{entry.name}-{subject}", stimuli, job)


def _things_jobs(study: LoadedStudy, entry: ThingsEncoding) -> Iterator[EncodingJob]:
    """Monkeys, or people. Most images of the study's sources of this kind are the same: one set, extracted once."""
    name = things_recordings.recordings_of(entry)
    others = [other for other in study.config.encoding if isinstance(other, ThingsEncoding)]
    identity, images = things_recordings.images_of(others)
    stimuli = StimulusSet.of("things", identity, (images,))
    for subject in subjects_of(study, entry):
        folder = study.store.recording(str(name), subject)
        job = things_recordings.preparation_of(entry, subject, folder, dict(name.definition))
        yield _prepared(study, entry, str(name), f"{entry.source}-{subject}", stimuli, job)


def _nsd_jobs(study: LoadedStudy, entry: NsdEncoding) -> Iterator[EncodingJob]:
    name = nsd_recordings(study, entry)
    for subject in subjects_of(study, entry):
        job = NsdJob(
            root=entry.data.local,
            subject=subject,
            folder=study.store.recording(str(name), subject),
            space=entry.space,
            repeats=entry.trials,
            tests=entry.tests,
            regions=entry.cortex,
            definition=dict(name.definition),
        )
        stimuli = _stimuli(study, entry, str(name), subject)
        yield _prepared(study, entry, str(name), f"{entry.source}-{subject}", stimuli, job)


def _algonauts_jobs(study: LoadedStudy, entry: AlgonautsEncoding) -> Iterator[EncodingJob]:
    data, folder = study.data_name(entry.data), algonauts_root(study, entry)
    made = study.store.simulated(data) / "manifest.json" if isinstance(entry.data, SimulatedData) else None
    for subject in subjects_of(study, entry):
        stimuli = _stimuli(study, entry, data, subject)
        yield EncodingJob(entry, data, subject, f"{entry.source}-{subject}", stimuli, folder, "tree", made)


def _prepared(
    study: LoadedStudy, entry: EncodingSource, data: str, benchmark: str, stimuli: StimulusSet, job: PreparationJob
) -> EncodingJob:
    """A subject whose recordings are prepared: they lie in any folder of the store, or will be made by `job`."""
    made = job.folder / "manifest.json"
    folder = study.store.find(made).parent
    return EncodingJob(entry, data, job.subject, benchmark, stimuli, folder, "recording", made, job)


def _stimuli(study: LoadedStudy, entry: AlgonautsEncoding | NsdEncoding, data: str, subject: str) -> StimulusSet:
    """The images of all subjects, most of which may be shared; those of one where inner products of all pairs are kept.

    A simulated brain's images are one set with those of its other recordings, extracted in one pass.
    """
    shared = next((job for job in brainscore_jobs(study) if job.simulated and job.data == data), None)
    if shared:
        return shared.stimuli
    alone = study.config.extraction.keep != "features"
    subjects = [subject] if alone else entry.subjects
    name = f"{data}-{subject}" if alone else data
    source: StimulusSource
    if isinstance(entry, NsdEncoding):
        source = NsdTree(entry.data.local, subjects, synthetic=SYNTHETIC in entry.tests)
    else:
        source = AlgonautsTree(algonauts_root(study, entry), subjects)
    needs = (study.store.simulated(data) / "manifest.json",) if isinstance(entry.data, SimulatedData) else ()
    return StimulusSet.of(name, {"kind": entry.source, "data": data, "subjects": subjects}, (source,), needs=needs)


def _nsd_folders(entry: NsdEncoding) -> list[Path]:
    root = entry.data.local
    experiments, preparations = ["nsd"], [PREPARATION]
    if SYNTHETIC in entry.tests:
        experiments, preparations = ["nsd", "nsdsynthetic"], [PREPARATION, SYNTHETIC_PREPARATION]
    spaces = sorted((root / "nsddata_betas/ppdata").glob(f"subj[0-9]*/{entry.space}"))
    betas = [space / preparation for space in spaces for preparation in preparations]
    return [*(root / "nsddata/experiments" / name for name in experiments), *betas]
