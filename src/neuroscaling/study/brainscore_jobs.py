"""The Brain-Score benchmarks of a study as jobs: those that share recordings and stimuli are scored by one process."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.hashing import content_hash
from neuroscaling.study import benchmarks as study_benchmarks
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.sections.recordings import BrainScore, DownloadedData, LocalData, SimulatedData, V4Data
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.stimulus_sources import AlgonautsTree, BrainScoreSets, ImageFolder, RecordedSets
from neuroscaling.study.v4_recordings import v4_assembly, v4_stimuli


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
