"""The files that a study wants, stage by stage. The rules and `neuroscaling status` both read them from here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neuroscaling.brainscore.targets import BrainScoreJob, StimulusSet, v4_files, v4_stimuli
from neuroscaling.config import FmriEncoding, V4Encoding
from neuroscaling.core.names import Name
from neuroscaling.core.run_record import RECORD
from neuroscaling.encoding.targets import EncodingJob
from neuroscaling.paths import Store
from neuroscaling.published import source
from neuroscaling.runs import Run
from neuroscaling.store.names import Names, subset_name
from neuroscaling.study import LoadedStudy


@dataclass(frozen=True)
class Score:
    """One score file: which run, which data, which benchmark, from which stimulus set's activations.

    name: what it is called, and what determines it; chosen_on: the run that its layers are chosen on, where they are.
    """

    run: str
    data: str
    benchmark: str
    stage: str
    stimulus_set: str
    name: Name
    chosen_on: str | None = None

    def path(self, store: Store) -> Path:
        """Where it is written to."""
        return store.score(str(self.name), self.run)


@dataclass(frozen=True)
class Commitment:
    """One file of chosen layers: on which run, for which benchmark of which job, what it is called."""

    run: str
    job: BrainScoreJob
    benchmark: str
    name: Name

    def path(self, store: Store) -> Path:
        """Where it is written to."""
        return store.commitment(str(self.name), self.run)


@dataclass(frozen=True)
class Pack:
    """Networks of one architecture that share a job."""

    name: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Targets:
    """What a study wants of its store."""

    study: LoadedStudy

    @cached_property
    def names(self) -> Names:
        """What things are called."""
        return Names.of(self.study)

    @property
    def store(self) -> Store:
        """The store that they lie in."""
        return self.study.store

    @cached_property
    def sets(self) -> dict[str, StimulusSet]:
        """The stimulus sets that the study's scores need, by name."""
        found = [job.stimuli for job in self.names.jobs] + [job.stimuli for job in self.names.subjects]
        return {one.name: one for one in [*found, *self.sessions.values()]}

    @cached_property
    def recordings(self) -> list[tuple[V4Encoding, list[str]]]:
        """The entries of V4 recordings with their sessions."""
        return [(entry, self.study.v4_sessions(entry)) for entry in self.study.recordings]

    @cached_property
    def sessions(self) -> dict[str, StimulusSet]:
        """The sessions of V4 recordings that are encoded, and the images of each."""
        names = dict.fromkeys(session for _, sessions in self.recordings for session in sessions)
        return {session: v4_stimuli(self.study, session) for session in names}

    @cached_property
    def scores(self) -> list[Score]:
        """Every score of the study: all runs against all benchmarks, subjects and sessions."""
        return [score for run in self.study.runs.values() for score in self.scores_of(run)]

    def scores_of(self, run: Run) -> Iterator[Score]:
        """The scores of a run."""
        for job in self.names.jobs if run.kind != "baseline" else []:
            yield from self.brainscore(run, job)
        for subject in self.names.subjects:
            yield self.encoding(run, subject)
        yield from (score for session in self.sessions for score in self.v4(run, session))

    def brainscore(self, run: Run, job: BrainScoreJob) -> Iterator[Score]:
        """The scores of a run on the benchmarks of a job."""
        for benchmark in job.benchmarks:
            name = self.names.score(run, job, benchmark)
            on = self.names.reference(run).run if self.names.chooses(job, benchmark) else None
            yield Score(run.run, job.data, benchmark, "brainscore", job.stimuli.name, name, on)

    def encoding(self, run: Run, subject: EncodingJob) -> Score:
        """The score of a run on a subject of fMRI."""
        name = self.names.encoding(run, subject)
        return Score(run.run, subject.data, subject.benchmark, "encoding", subject.stimuli.name, name)

    def v4(self, run: Run, session: str) -> Iterator[Score]:
        """The scores of a run on a session of V4 recordings, of each entry of the study that asks for it."""
        for entry, sessions in self.recordings:
            if session in sessions:
                name = self.names.v4(run, entry, session)
                yield Score(run.run, "v4", session, "v4", self.sessions[session].name, name)

    def activations(self, run: Run, stimuli: StimulusSet) -> Path:
        """Manifest of the activations of a run to a stimulus set."""
        return self.store.activations(run.run, str(self.names.activations(run, stimuli)))

    @cached_property
    def all_activations(self) -> dict[tuple[str, str], Path]:
        """Manifests of all activations that the scores need, by run and stimulus set."""
        wanted = dict.fromkeys((score.run, score.stimulus_set) for score in self.scores)
        return {(run, name): self.activations(self.study.runs[run], self.sets[name]) for run, name in wanted}

    def commitments(self, run: Run) -> list[Commitment]:
        """The files of layers that are chosen on a run."""
        if run.run not in self._commitments:
            self._commitments[run.run] = self._chosen(run)
        return self._commitments[run.run]

    @cached_property
    def _commitments(self) -> dict[str, list[Commitment]]:
        return {}

    def _chosen(self, run: Run) -> list[Commitment]:
        return [
            Commitment(run.run, job, benchmark, self.names.commitment(run, job, benchmark))
            for job in self.names.jobs
            for benchmark in job.benchmarks
            if self.names.chooses(job, benchmark)
        ]

    @cached_property
    def references(self) -> list[Run]:
        """The runs that layers are chosen on."""
        runs = [run for run in self.study.runs.values() if run.kind != "baseline"] if self.names.any_choice else []
        return list({found.run: found for found in map(self.names.reference, runs)}.values())

    def subset(self, run: Run) -> Path:
        """The list of a run's training images."""
        return self.store.subset(str(run.dataset), str(run.fingerprint), str(subset_name(run)))

    @cached_property
    def run_files(self) -> list[Path]:
        """run.json of every run."""
        return [self.store.run(run) / RECORD for run in self.study.runs]

    @cached_property
    def score_files(self) -> list[Path]:
        """Every score file of the study."""
        return [score.path(self.store) for score in self.scores]

    def submitted(self, entry: FmriEncoding, archs: list[str] | str) -> list[Path]:
        """Score files of the networks and subjects of a submission; the predictions lie beside them."""
        runs = [run for run in self.study.runs.values() if archs == "all" or run.arch in archs]
        subjects = [subject for subject in self.names.subjects if subject.entry is entry]
        return [self.encoding(run, subject).path(self.store) for subject in subjects for run in runs]

    def inputs(self) -> Iterator[Path]:
        """What lies before runs and activations: subsets, stimuli, recordings, downloads."""
        yield from (self.subset(run) for run in self.study.runs.values() if run.kind == "trained")
        for one in self.sets.values():
            yield from one.needs
            yield self.store.stimuli(one.name) / "manifest.json"
        yield from (job.made for job in [*self.names.jobs, *self.names.subjects] if job.made)
        yield from (file for session in self.sessions for file in v4_files(self.study, session))
        yield from published_tables(self.study).values()

    def all_paths(self) -> Iterator[Path]:
        """Everything that the study wants of the store, some of it more than once."""
        yield from self.inputs()
        yield from self.run_files
        yield from self.all_activations.values()
        yield from (one.path(self.store) for run in self.references for one in self.commitments(run))
        yield from self.score_files


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
    if study.config.published is None:
        return {}
    names = {
        "scores": "benchmark_scores.csv",
        "checkpoints": "benchmark_scores_ckpts.csv",
        "brainscore": "benchmark_scores_brainscore.csv",
        "seed": "seed_data_scaling.csv",
    }
    folder = study.config.published.published_dir
    return {key: study.store.published(name) for key, name in names.items() if source.available(name, folder or "")}
