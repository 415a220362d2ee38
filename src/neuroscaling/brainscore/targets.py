"""The Brain-Score jobs of a study: which benchmarks share recordings and stimuli, and where those lie. Light."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.brainscore import ids, sources
from neuroscaling.config import BrainScore, DownloadedData, LocalData, SimulatedData, V4Data
from neuroscaling.hashing import content_hash
from neuroscaling.study import LoadedStudy


@dataclass(frozen=True)
class StimulusSet:
    """A prepared stimulus set: its name in the store, where its images come from, and at which visual angle."""

    name: str
    sources: tuple[dict[str, object], ...]
    degrees: float | None


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
    data = study.data_name(settings.data)
    root = study.store.simulated(data)
    parts: tuple[dict[str, object], ...] = (
        {"kind": "brainscore_local", "root": str(root / "brainscore")},
        {"kind": "algonauts2023", "root": str(root / "algonauts2023"), "subjects": "all"},
    )
    stimuli = StimulusSet(_angled(data, settings), parts, settings.visual_degrees)
    return BrainScoreJob(data, root / "brainscore", stimuli, tuple(settings.benchmarks), root / "manifest.json")


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
    name = f"{stimulus_sets[0].replace('_', '-')}-{key}"
    stimuli = StimulusSet(_angled(name, settings), (source,), settings.visual_degrees)
    made = study.store.prefetched(name) if downloaded else None
    return BrainScoreJob(f"{'brainscore' if official else 'local'}-{key}", folder, stimuli, benchmarks, made)


def _defined(settings: BrainScore, folder: Path, benchmark: str) -> BrainScoreJob:
    definition = settings.define[benchmark]
    files = [folder / definition.assembly, folder / definition.stimuli]
    key = content_hash([[path.name, path.stat().st_size if path.is_file() else None] for path in files])
    paths = {"csv": str(files[1]), "images": str(folder / definition.images)}
    source = {"kind": "folder", "root": str(folder), **paths, "degrees": definition.degrees}
    stimuli = StimulusSet(_angled(f"{_plain(benchmark)}-{key}", settings), (source,), settings.visual_degrees)
    return BrainScoreJob(f"local-{key}", folder, stimuli, (benchmark,))


def _v4(study: LoadedStudy, settings: BrainScore) -> Iterator[BrainScoreJob]:
    """Benchmarks of each session: the images are those of `encoding: v4`, shown whole, so their activations serve."""
    assert isinstance(settings.data, V4Data)
    folder = study.store.v4_assemblies()
    root = str(study.v4_dir or study.store.v4())
    for session in settings.data.v4:
        benchmarks = tuple(b for b in settings.benchmarks if settings.define[b].assembly.parts[0] == session)
        if benchmarks:
            stimuli = StimulusSet(f"v4-{session}", ({"kind": "v4", "root": root, "session": session},), None)
            yield BrainScoreJob(
                f"v4-{session}", folder, stimuli, benchmarks, folder / session / "manifest.json", session
            )


def _angled(name: str, settings: BrainScore) -> str:
    return f"{name}-{settings.visual_degrees:g}deg"


def _plain(name: str) -> str:
    return re.sub("[^A-Za-z0-9.-]", "-", name)
