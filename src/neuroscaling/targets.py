"""The files that a study wants, stage by stage. The rules and `neuroscaling status` both read them from here."""

import re
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.brainscore.targets import BrainScoreJob, StimulusSet, brainscore_jobs
from neuroscaling.encoding.targets import EncodingJob, encoding_jobs
from neuroscaling.published import source
from neuroscaling.runs import Run
from neuroscaling.study import LoadedStudy


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
    """The runs of the study in packs of one architecture, at most `pack:` runs each, in the order of the run table.

    Where layers were published for each data set, a pack is of one data set too: its networks share their layers.
    """
    by_dataset = study.config.brainscore is not None and study.config.brainscore.layers.choose == "published"
    groups: dict[str, list[str]] = {}
    for run in study.runs.values():
        name = f"{run.arch}-{run.dataset or run.kind}" if by_dataset else run.arch
        groups.setdefault(name, []).append(run.run)
    size = study.config.pack
    return [
        Pack(f"{re.sub('[^A-Za-z0-9._-]', '-', name)}-{i // size}", tuple(runs[i : i + size]))
        for name, runs in groups.items()
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
    jobs, subjects = brainscore_jobs(study), encoding_jobs(study)
    return [score for run in study.runs.values() for score in _scores_of(run, study, jobs, subjects)]


def encoding_scores(study: LoadedStudy) -> list[Path]:
    """Score files of the networks on subjects of fMRI."""
    return [study.store.score(s.run, s.data, s.benchmark) for s in scores(study) if s.stage == "encoding"]


def _scores_of(run: Run, study: LoadedStudy, jobs: list[BrainScoreJob], subjects: list[EncodingJob]) -> list[Score]:
    found = []
    for job in jobs if run.kind != "baseline" else []:
        for benchmark in job.benchmarks:
            found.append(Score(run.run, job.data, benchmark, "brainscore", job.stimuli.name))
    for subject in subjects:
        found.append(Score(run.run, subject.data, subject.benchmark, "encoding", subject.stimuli.name))
    for entry in study.recordings:
        for session in study.v4_sessions(entry):
            found.append(Score(run.run, "v4", session, "v4", f"v4-{session}"))
    return found


def stimulus_sets(study: LoadedStudy) -> dict[str, StimulusSet]:
    """The stimulus sets that the study's scores need, by name."""
    sets = [job.stimuli for job in brainscore_jobs(study)]
    sets += [job.stimuli for job in encoding_jobs(study)]
    for entry in study.recordings:
        root = str(study.v4_dir or study.store.v4())
        for session in study.v4_sessions(entry):
            source: dict[str, object] = {"kind": "v4", "root": root, "session": session}
            sets.append(StimulusSet(f"v4-{session}", (source,), None))
    return {s.name: s for s in sets}
