"""The recordings of a study as jobs: Brain-Score data sets, V4 sessions and fMRI subjects with their stimuli."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.hashing import ArtefactName, content_hash
from neuroscaling.study import benchmarks as study_benchmarks
from neuroscaling.study import recording_folders, things_recordings
from neuroscaling.study.array_names import array_recordings, images_identity, listed_images
from neuroscaling.study.code_fingerprints import code_of, version_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.nsd_tree import PREPARATION, SYNTHETIC_PREPARATION
from neuroscaling.study.own_arrays import OwnArrays, read_own_stimuli, read_own_units
from neuroscaling.study.preparation_jobs import SYNTHETIC, ArraysJob, NsdJob, PreparationJob
from neuroscaling.study.sections.encoding import (
    AlgonautsEncoding,
    ArraysEncoding,
    EncodingSource,
    FmriSource,
    NsdEncoding,
    ThingsEncoding,
    ThingsFmriEncoding,
    TvsdEncoding,
    V4Encoding,
)
from neuroscaling.study.sections.recordings import BrainScore, DownloadedData, LocalData, SimulatedData, V4Data
from neuroscaling.study.stimulus_sources import (
    AlgonautsTree,
    BrainScoreSets,
    ImageFolder,
    NsdTree,
    RecordedSets,
    StimulusSource,
    V4Images,
)


@dataclass(frozen=True)
class StimulusSet:
    """A prepared stimulus set: its name in the store, where its images come from, and at which visual angle.

    needs: files that rules of ours write before it can be made.
    """

    made: ArtefactName
    sources: tuple[StimulusSource, ...]
    degrees: float | None
    needs: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the store."""
        return str(self.made)

    @classmethod
    def of(
        cls,
        readable: str,
        identity: object,
        sources: tuple[StimulusSource, ...],
        degrees: float | None = None,
        needs: tuple[Path, ...] = (),
    ) -> "StimulusSet":
        """The set that is `identity` (JSON: what the images are, wherever they lie) shown at `degrees`."""
        readable = readable if degrees is None else f"{readable}-{degrees:g}deg"
        definition = {"images": identity, "degrees": degrees, "version": version_of("stimuli")}
        return cls(ArtefactName(readable, definition), sources, degrees, needs)


@dataclass(frozen=True)
class BrainScoreJob:
    """Benchmarks that one process scores, since they share a stimulus set.

    data: name of the recordings in the store; folder: where they lie; made: file that a rule of ours writes when the
    folder is there, or None for a folder of the user; session: of V4 recordings.
    """

    data: str
    folder: Path
    stimuli: StimulusSet
    benchmarks: tuple[str, ...]
    made: Path | None = None
    session: str | None = None

    @property
    def simulated(self) -> bool:
        """Whether the recordings come from a simulated brain."""
        return self.data.startswith("simulated-")

    @property
    def of_ones_own(self) -> bool:
        """Whether the files are the user's, in a local folder, and no files of Brain-Score."""
        return self.data.startswith("local-")


def v4_stimuli(study: LoadedStudy, session: str) -> StimulusSet:
    """The images of a V4 session, whole."""
    source = V4Images(v4_root(study, session), session)
    identity = {"v4": v4_identity(study, session)}
    return StimulusSet.of(f"v4-{session}", identity, (source,), needs=v4_files(study, session))


def v4_identity(study: LoadedStudy, session: str) -> object:
    """What tells a session's recordings from others: its id where their checksums are known, else names and sizes."""
    names = recording_folders.v4_session_files(session).values()
    known = recording_folders.v4_sha256()
    if study.v4_dir is None or any(name in known for name in names):
        return session
    files = [study.v4_dir / name for name in names]
    return [session, *([file.name, file.stat().st_size] for file in files if file.is_file())]


def v4_root(study: LoadedStudy, session: str) -> Path:
    """Where the recordings of a V4 session lie, or will be downloaded to."""
    return study.v4_dir or study.store.find(v4_files(study, session)[0]).parents[1]


def v4_files(study: LoadedStudy, session: str) -> tuple[Path, ...]:
    """Files of a V4 session that are downloaded; none where the study has a folder with them."""
    if study.v4_dir:
        return ()
    data = study.store.v4()
    return (
        data / f"images/images_{session}.zip",
        data / f"responses_repeat_averaged/responses_{session}.npy",
    )


def v4_assembly(study: LoadedStudy, session: str) -> ArtefactName:
    """A session of V4 as an assembly for Brain-Score's classes: name of the folder that its folder lies in."""
    return ArtefactName(f"v4-{session}", {"recordings": v4_identity(study, session), "code": code_of("v4_assembly")})


def brainscore_jobs(study: LoadedStudy) -> list[BrainScoreJob]:
    """The Brain-Score jobs of each run, in the order of `brainscore.benchmarks`."""
    settings = study.config.brainscore
    if settings is None:
        return []
    match settings.data:
        case SimulatedData():
            return [_simulated(study, settings)]
        case V4Data():
            return list(_v4(study, settings))
        case DownloadedData():
            return list(_by_stimuli(study, settings, study.store.brainscore(), downloaded=True))
        case LocalData(local=folder):
            return list(_by_stimuli(study, settings, folder, downloaded=False))


def region_of(study: LoadedStudy, benchmark: str) -> str:
    """Region that a benchmark, registered or defined in the study, is about."""
    settings = study.config.brainscore
    defined = settings.define.get(benchmark) if settings else None
    return defined.region if defined else study_benchmarks.registered_benchmark(benchmark).region


def _simulated(study: LoadedStudy, settings: BrainScore) -> BrainScoreJob:
    """A simulated brain's images, of the recordings and of the fMRI, are one set: extracted in one pass."""
    assert isinstance(settings.data, SimulatedData)
    data, brain = study.data_name(settings.data), settings.data.simulated
    root = study.store.find(study.store.simulated(data))
    parts = (RecordedSets(root / "brainscore"), AlgonautsTree(root / "algonauts2023"))
    made = study.store.simulated(data) / "manifest.json"
    stimuli = StimulusSet.of(f"simulated-{brain}", {"simulated": data}, parts, settings.visual_degrees, (made,))
    return BrainScoreJob(data, root / "brainscore", stimuli, tuple(settings.benchmarks), made)


def _by_stimuli(study: LoadedStudy, settings: BrainScore, folder: Path, downloaded: bool) -> Iterator[BrainScoreJob]:
    """Benchmarks of equal stimuli and recordings together; so adding one changes the name of no other's data."""
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for benchmark in settings.benchmarks:
        if benchmark in settings.define:
            yield _defined(settings, folder, benchmark)
        else:
            entry = study_benchmarks.registered_benchmark(benchmark)
            groups.setdefault((entry.stimulus_sets, entry.data), []).append(benchmark)
    for (stimulus_sets, _), benchmarks in groups.items():
        yield _registered(study, settings, folder, stimulus_sets, tuple(benchmarks), downloaded)


def _registered(
    study: LoadedStudy,
    settings: BrainScore,
    folder: Path,
    stimulus_sets: tuple[str, ...],
    benchmarks: tuple[str, ...],
    downloaded: bool,
) -> BrainScoreJob:
    official = downloaded or study_benchmarks.is_official(folder, benchmarks[0])
    key = study_benchmarks.source_hash(None if official else folder, benchmarks[0])
    readable = stimulus_sets[0].replace("_", "-")
    made = study.store.prefetched(f"{readable}-{key}") if downloaded else None
    if made:  # the files lie beside their list, in any folder of the store
        folder = study.store.find(made).parents[1] / study.store.brainscore().name
    identity = {"stimulus_sets": list(stimulus_sets), "files": key}
    needs = (made,) if made else ()
    source = BrainScoreSets(folder, stimulus_sets)
    stimuli = StimulusSet.of(readable, identity, (source,), settings.visual_degrees, needs)
    return BrainScoreJob(f"{'brainscore' if official else 'local'}-{key}", folder, stimuli, benchmarks, made)


def _defined(settings: BrainScore, folder: Path, benchmark: str) -> BrainScoreJob:
    definition = settings.define[benchmark]
    files = [folder / definition.assembly, folder / definition.stimuli]
    key = content_hash([[path.name, path.stat().st_size if path.is_file() else None] for path in files])
    source = ImageFolder(folder, files[1], folder / definition.images, definition.degrees)
    identity = {"folder": key, "degrees": definition.degrees}
    stimuli = StimulusSet.of(_plain_name(benchmark), identity, (source,), settings.visual_degrees)
    return BrainScoreJob(f"local-{key}", folder, stimuli, (benchmark,))


def _v4(study: LoadedStudy, settings: BrainScore) -> Iterator[BrainScoreJob]:
    """Benchmarks of each session: the images are those of `encoding: v4`, shown whole, so their activations serve."""
    assert isinstance(settings.data, V4Data)
    for session in settings.data.v4:
        benchmarks = tuple(b for b in settings.benchmarks if settings.define[b].assembly.parts[0] == session)
        if benchmarks:
            made = study.store.recording(str(v4_assembly(study, session)), session) / "manifest.json"
            folder = study.store.find(made).parents[1]
            stimuli = v4_stimuli(study, session)
            yield BrainScoreJob(f"v4-{session}", folder, stimuli, benchmarks, made, session)


def _plain_name(name: str) -> str:
    return re.sub("[^A-Za-z0-9.-]", "-", name)


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
    if entry.subjects != "all":
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
