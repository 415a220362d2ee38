"""The Brain-Score jobs of a study: which benchmarks share recordings and stimuli, and where those lie. Light."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.brainscore import ids, sources
from neuroscaling.config import BrainScore, DownloadedData, LocalData, SimulatedData, V4Data
from neuroscaling.core.names import Name
from neuroscaling.encoding import v4
from neuroscaling.hashing import content_hash
from neuroscaling.store.code import code_of
from neuroscaling.study import LoadedStudy
from neuroscaling.versions import version_of


@dataclass(frozen=True)
class StimulusSet:
    """A prepared stimulus set: its name in the store, where its images come from, and at which visual angle.

    needs: files that rules of ours write before it can be made.
    """

    made: Name
    sources: tuple[dict[str, object], ...]
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
        sources: tuple[dict[str, object], ...],
        degrees: float | None = None,
        needs: tuple[Path, ...] = (),
    ) -> "StimulusSet":
        """The set that is `identity` (JSON: what the images are, wherever they lie) shown at `degrees`."""
        readable = readable if degrees is None else f"{readable}-{degrees:g}deg"
        definition = {"images": identity, "degrees": degrees, "version": version_of("stimuli")}
        return cls(Name(readable, definition), sources, degrees, needs)


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
    source: dict[str, object] = {"kind": "v4", "root": str(v4_root(study, session)), "session": session}
    identity = {"v4": v4_identity(study, session)}
    return StimulusSet.of(f"v4-{session}", identity, (source,), needs=v4_files(study, session))


def v4_identity(study: LoadedStudy, session: str) -> object:
    """What tells a session's recordings from others: its id where their checksums are known, else names and sizes."""
    names = v4.session_files(session).values()
    known = v4.checksums()
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


def v4_assembly(study: LoadedStudy, session: str) -> Name:
    """A session of V4 as an assembly for Brain-Score's classes: name of the folder that its folder lies in."""
    return Name(f"v4-{session}", {"recordings": v4_identity(study, session), "code": code_of("v4_assembly")})


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
    return defined.region if defined else ids.benchmark(benchmark).region


def _simulated(study: LoadedStudy, settings: BrainScore) -> BrainScoreJob:
    """A simulated brain's images, of the recordings and of the fMRI, are one set: extracted in one pass."""
    assert isinstance(settings.data, SimulatedData)
    data, brain = study.data_name(settings.data), settings.data.simulated
    root = study.store.find(study.store.simulated(data))
    parts: tuple[dict[str, object], ...] = (
        {"kind": "brainscore_local", "root": str(root / "brainscore")},
        {"kind": "algonauts2023", "root": str(root / "algonauts2023"), "subjects": "all"},
    )
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
            entry = ids.benchmark(benchmark)
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
    official = downloaded or sources.is_official(folder, benchmarks[0])
    key = sources.source_hash(None if official else folder, benchmarks[0])
    source = {"kind": "brainscore", "root": str(folder), "stimulus_sets": list(stimulus_sets)}
    readable = stimulus_sets[0].replace("_", "-")
    made = study.store.prefetched(f"{readable}-{key}") if downloaded else None
    if made:  # the files lie beside their list, in any folder of the store
        folder = study.store.find(made).parents[1] / study.store.brainscore().name
        source |= {"root": str(folder)}
    identity = {"stimulus_sets": list(stimulus_sets), "files": key}
    needs = (made,) if made else ()
    stimuli = StimulusSet.of(readable, identity, (source,), settings.visual_degrees, needs)
    return BrainScoreJob(f"{'brainscore' if official else 'local'}-{key}", folder, stimuli, benchmarks, made)


def _defined(settings: BrainScore, folder: Path, benchmark: str) -> BrainScoreJob:
    definition = settings.define[benchmark]
    files = [folder / definition.assembly, folder / definition.stimuli]
    key = content_hash([[path.name, path.stat().st_size if path.is_file() else None] for path in files])
    paths = {"csv": str(files[1]), "images": str(folder / definition.images)}
    source = {"kind": "folder", "root": str(folder), **paths, "degrees": definition.degrees}
    identity = {"folder": key, "degrees": definition.degrees}
    stimuli = StimulusSet.of(_plain(benchmark), identity, (source,), settings.visual_degrees)
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


def _plain(name: str) -> str:
    return re.sub("[^A-Za-z0-9.-]", "-", name)
