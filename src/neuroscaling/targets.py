"""The files that a study wants, stage by stage. The rules and `neuroscaling status` both read them from here."""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.config import AlgonautsEncoding
from neuroscaling.published import source
from neuroscaling.runs import Run
from neuroscaling.study import LoadedStudy


@dataclass(frozen=True)
class StimulusSet:
    """A prepared stimulus set: its name in the store, where its images come from, and at which visual angle."""

    name: str
    sources: tuple[dict[str, object], ...]
    degrees: float | None


@dataclass(frozen=True)
class Score:
    """One score file: which run, which data, which benchmark, from which stimulus set's activations."""

    run: str
    data: str
    benchmark: str
    stage: str
    stimulus_set: str


@dataclass(frozen=True)
class Pack:
    """Networks of one architecture that share a job."""

    name: str
    runs: tuple[str, ...]


def packs(study: LoadedStudy) -> list[Pack]:
    """The runs of the study in packs of one architecture, at most `pack:` runs each, in the order of the run table."""
    archs: dict[str, list[str]] = {}
    for run in study.runs.values():
        archs.setdefault(run.arch, []).append(run.run)
    size = study.config.pack
    return [
        Pack(f"{arch}-{i // size}", tuple(runs[i : i + size]))
        for arch, runs in archs.items()
        for i in range(0, len(runs), size)
    ]


def published_tables(study: LoadedStudy) -> dict[str, Path]:
    """The published tables that can be had, by what the rules call them; `seed` only where its folder has it."""
    names = {
        "scores": "benchmark_scores.csv",
        "checkpoints": "benchmark_scores_ckpts.csv",
        "brainscore": "benchmark_scores_brainscore.csv",
        "seed": "seed_data_scaling.csv",
    }
    folder = study.config.published.published_dir if study.config.published else None
    return {key: study.store.published(name) for key, name in names.items() if source.available(name, folder or "")}


def run_files(study: LoadedStudy) -> list[Path]:
    """run.json of every run."""
    return [study.store.run(run) / "run.json" for run in study.runs]


def score_files(study: LoadedStudy) -> list[Path]:
    """Every score file of the study."""
    return [study.store.score(s.run, s.data, s.benchmark) for s in scores(study)]


def scores(study: LoadedStudy) -> list[Score]:
    """Every score of the study: all runs against all benchmarks, sources and sessions."""
    return [score for run in study.runs.values() for score in _scores_of(run, study)]


def _scores_of(run: Run, study: LoadedStudy) -> list[Score]:
    found = []
    brainscore = study.config.brainscore
    if brainscore and run.kind != "baseline":
        data = study.data_name(brainscore.data)
        for benchmark in brainscore.benchmarks:
            found.append(Score(run.run, data, benchmark, "brainscore", brainscore_set(study).name))
    for entry in study.algonauts:
        data = study.data_name(entry.data)
        found.append(Score(run.run, data, "algonauts2023", "algonauts", algonauts_set(study, data).name))
    for entry in study.recordings:
        for session in study.v4_sessions(entry):
            found.append(Score(run.run, "v4", session, "v4", f"v4-{session}"))
    return found


def stimulus_sets(study: LoadedStudy) -> dict[str, StimulusSet]:
    """The stimulus sets that the study's scores need, by name."""
    sets = [brainscore_set(study)] if study.config.brainscore else []
    sets += [algonauts_set(study, study.data_name(entry.data)) for entry in study.algonauts]
    for entry in study.recordings:
        root = str(entry.local_dir or study.store.v4())
        for session in study.v4_sessions(entry):
            source: dict[str, object] = {"kind": "v4", "root": root, "session": session}
            sets.append(StimulusSet(f"v4-{session}", (source,), None))
    return {s.name: s for s in sets}


def brainscore_set(study: LoadedStudy) -> StimulusSet:
    """The one set that holds the images of all benchmarks of a data source.

    A simulated brain's images, of the recordings and of the fMRI, are one set: extracted in one pass.
    """
    brainscore = study.config.brainscore
    assert brainscore is not None
    data = study.data_name(brainscore.data)
    sources: list[dict[str, object]] = [{"kind": "brainscore_local", "root": str(brainscore_folder(study))}]
    if data.startswith("simulated-"):
        fmri = data_root(study, data) / "algonauts2023"
        sources.append({"kind": "algonauts2023", "root": str(fmri), "subjects": "all"})
    name = f"{data}-{brainscore.visual_degrees:g}deg"
    return StimulusSet(name, tuple(sources), brainscore.visual_degrees)


def algonauts_set(study: LoadedStudy, data: str) -> StimulusSet:
    """The images of all subjects of a source in the Algonauts layout."""
    brainscore = study.config.brainscore
    if brainscore and data.startswith("simulated-") and study.data_name(brainscore.data) == data:
        return brainscore_set(study)
    entry = next(entry for entry in study.algonauts if study.data_name(entry.data) == data)
    source = {"kind": "algonauts2023", "root": str(algonauts_folder(study, entry)), "subjects": entry.subjects}
    return StimulusSet(data, (source,), None)


def brainscore_folder(study: LoadedStudy) -> Path:
    """Folder with the recordings of the Brain-Score benchmarks."""
    assert study.config.brainscore is not None
    data = study.data_name(study.config.brainscore.data)
    root = data_root(study, data)
    return root / "brainscore" if data.startswith("simulated-") else root


def algonauts_folder(study: LoadedStudy, entry: AlgonautsEncoding) -> Path:
    """Folder with subj01, subj02, ... of a source in the Algonauts layout."""
    data = study.data_name(entry.data)
    root = data_root(study, data)
    return root / "algonauts2023" if data.startswith("simulated-") else root


def data_root(study: LoadedStudy, data: str) -> Path:
    """Folder of a data source by its name in the store."""
    if data.startswith("simulated-"):
        return study.store.simulated(data)
    brainscore = study.config.brainscore
    entries = ([brainscore.data] if brainscore else []) + [entry.data for entry in study.algonauts]
    return next(entry.local for entry in entries if study.data_name(entry) == data)
