"""A study wants artefacts of its store, stage by stage; those that are absent have to be made."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.records import FAILED, RUN_RECORD, unchecked_record
from neuroscaling.study import published_tables
from neuroscaling.study.artefact_names import Names, subset_name
from neuroscaling.study.brainscore_jobs import BrainScoreJob
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.paths import Store
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.encoding import RecordingsEncoding
from neuroscaling.study.stimulus_sets import StimulusSet


@dataclass(frozen=True)
class Score:
    """One score file: a run, scored on a benchmark of some recordings, from its activations to a stimulus set.

    name: what it is called, and what determines it; chosen_on: the run that its layers are chosen on, where they are.
    """

    run: str
    data: str
    benchmark: str
    stage: str
    stimulus_set: str
    name: ArtefactName
    chosen_on: str | None = None

    def path(self, store: Store) -> Path:
        """Where it is written to."""
        return store.score(str(self.name), self.run)


@dataclass(frozen=True)
class Commitment:
    """One file of layers that are chosen on a run, for a benchmark of a job. name: what the file is called."""

    run: str
    job: BrainScoreJob
    benchmark: str
    name: ArtefactName

    def path(self, store: Store) -> Path:
        """Where it is written to."""
        return store.commitment(str(self.name), self.run)


@dataclass(frozen=True)
class Targets:
    """The artefacts that a study wants of its store."""

    study: LoadedStudy

    @cached_property
    def names(self) -> Names:
        """The names of these artefacts."""
        return Names.of(self.study)

    @property
    def store(self) -> Store:
        """The store that the artefacts lie in."""
        return self.study.store

    @cached_property
    def sets(self) -> dict[str, StimulusSet]:
        """The stimulus sets that the study's scores need, by name."""
        found = [job.stimuli for job in self.names.jobs] + [job.stimuli for job in self.names.subjects]
        return {one.name: one for one in found}

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

    def brainscore(self, run: Run, job: BrainScoreJob) -> Iterator[Score]:
        """The scores of a run on the benchmarks of a job."""
        for benchmark in job.benchmarks:
            name = self.names.score(run, job, benchmark)
            on = self.names.reference(run).run if self.names.chooses(job, benchmark) else None
            yield Score(run.run, job.data, benchmark, "brainscore", job.stimuli.name, name, on)

    def encoding(self, run: Run, subject: EncodingJob) -> Score:
        """The score of a run on a subject of a source of recordings."""
        name = self.names.encoding(run, subject)
        return Score(run.run, subject.data, subject.benchmark, "encoding", subject.stimuli.name, name)

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
        return [self.store.run(run) / RUN_RECORD for run in self.study.runs]

    @cached_property
    def score_files(self) -> list[Path]:
        """Every score file of the study."""
        return [score.path(self.store) for score in self.scores]

    def submitted(self, entry: RecordingsEncoding, archs: list[str] | str) -> list[Path]:
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
        yield from (job.made for job in self.names.jobs if job.made)
        yield from (file for subject in self.names.subjects for file in subject.needs)
        yield from wanted_tables(self.study).values()

    def all_paths(self) -> Iterator[Path]:
        """Everything that the study wants of the store, some of it more than once."""
        yield from self.inputs()
        yield from self.run_files
        yield from self.all_activations.values()
        yield from (one.path(self.store) for run in self.references for one in self.commitments(run))
        yield from self.score_files


def wanted_tables(study: LoadedStudy) -> dict[str, Path]:
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
    return {
        key: study.store.published(name)
        for key, name in names.items()
        if published_tables.is_available(name, folder or "")
    }


@dataclass(frozen=True)
class Inventory:
    """The files of a store, each folder as it was when it was first asked for.

    empty: as if nothing were there, for the graph of the rules.
    """

    store: Store
    empty: bool = False
    _listed: dict[str, frozenset[str]] = field(default_factory=dict, compare=False)

    def has(self, path: Path) -> bool:
        """Whether what is written to `path` is there, in any folder of the store."""
        if self.empty:
            return False
        if path.name in self._names(path.parent):
            return True
        if not self.store.others:
            return False
        inside = path.relative_to(self.store.root)
        return any(inside.name in self._names((folder / inside).parent) for folder in self.store.others)

    def _names(self, folder: Path) -> frozenset[str]:
        key = str(folder)
        if key not in self._listed:
            try:
                self._listed[key] = frozenset(os.listdir(key))
            except OSError:
                self._listed[key] = frozenset()
        return self._listed[key]


@dataclass(frozen=True)
class Absent:
    """The artefacts of a study that have to be made."""

    targets: Targets
    inventory: Inventory
    _folders: dict[str, Path] = field(default_factory=dict, compare=False)

    def __call__(self, path: Path) -> bool:
        """Whether what is written to `path` is in no folder of the store."""
        return not self.inventory.has(path)

    def any_of(self, paths: Iterable[Path]) -> bool:
        """Whether any of `paths` is absent."""
        return any(map(self, paths))

    @cached_property
    def runs(self) -> list[Run]:
        """The runs to make, each behind the one that it starts from, as in the run table.

        A run is left where it has no record, or where its weights are gone and something absent needs them: its
        activations, or a run that starts from it. A run that failed for good is there, and so is one whose weights
        and activations were deleted when its scores had been made.
        """
        runs = self.targets.study.runs
        made = {name for name in runs if self(self._record(name))}
        extracted = {(run, None) for run, _ in self.activations}
        while True:
            bases = {(base, runs[name].kept_epoch) for name in made if (base := runs[name].start)}
            needed = ((name, epoch) for name, epoch in extracted | bases if name in runs and name not in made)
            more = {name for name, epoch in needed if self._needs_weights(name, epoch)}
            if not more:
                return [run for name, run in runs.items() if name in made]
            made |= more

    @cached_property
    def activations(self) -> frozenset[tuple[str, str]]:
        """The activations to extract, by run and stimulus set: absent ones that something absent needs."""
        scores = [score for score in self.scores if not self.is_hopeless(score.run, score.chosen_on)]
        needed = {(score.run, score.stimulus_set) for score in scores}
        for run in self._chosen_on(scores):
            needed |= {(run.run, stimuli) for stimuli in self.choice_sets(run)}
        return frozenset(pair for pair in needed if self(self.targets.all_activations[pair]))

    @cached_property
    def scores(self) -> list[Score]:
        """The scores that are absent, those of failed runs among them."""
        return [score for score in self.targets.scores if self(score.path(self.targets.store))]

    @property
    def results(self) -> list[Path]:
        """What has to be made: runs, activations, scores, published tables; not what is made for them alone."""
        targets = self.targets
        scores = [score for score in self.scores if not self.is_hopeless(score.run, score.chosen_on)]
        return [
            *(self._record(run.run) for run in self.runs),
            *(targets.all_activations[pair] for pair in sorted(self.activations)),
            *(score.path(targets.store) for score in scores),
            *(path for path in wanted_tables(targets.study).values() if self(path)),
        ]

    def choice_sets(self, run: Run) -> list[str]:
        """The stimulus sets that a choice of layers on `run` reads, where one is absent."""
        chosen = self.targets.commitments(run)
        absent = [one for one in chosen if self(one.path(self.targets.store))]
        # With a hierarchy the regions choose together.
        read = chosen if absent and self.targets.names.hierarchy else absent
        return list(dict.fromkeys(one.job.stimuli.name for one in read))

    @cached_property
    def failed(self) -> frozenset[str]:
        """The runs that are known to have failed for good: they have no activations and no scores."""
        asked = {run for score in self.scores for run in (score.run, score.chosen_on) if run}
        return frozenset(name for name in asked if self._known(name).get("status") == FAILED)

    def is_hopeless(self, run: str, chosen_on: str | None) -> bool:
        """Whether nobody will make a score: its run failed, or the run that its layers are chosen on."""
        return run in self.failed or chosen_on in self.failed

    def folder(self, run: str) -> Path:
        """Where a run lies, or will be made."""
        if run not in self._folders:
            made = self.targets.store.run(run)
            self._folders[run] = made if run in self.run_names else self.targets.store.find(made / RUN_RECORD).parent
        return self._folders[run]

    @cached_property
    def run_names(self) -> frozenset[str]:
        """Names of the runs to make."""
        return frozenset(run.run for run in self.runs)

    def _chosen_on(self, scores: Iterable[Score]) -> list[Run]:
        """The runs on which layers of `scores` have to be chosen."""
        targets, found = self.targets, {}
        for score in scores:
            for one in targets.commitments(targets.study.runs[score.chosen_on]) if score.chosen_on else ():
                is_own = (one.job.data, one.benchmark) == (score.data, score.benchmark)
                if is_own and self(one.path(targets.store)):
                    found[one.run] = targets.study.runs[one.run]
        return list(found.values())

    def _record(self, run: str) -> Path:
        return self.targets.store.run(run) / RUN_RECORD

    def _known(self, run: str) -> dict[str, Any]:
        return unchecked_record(self.targets.store.find(self._record(run)))

    def _needs_weights(self, run: str, epoch: int | None) -> bool:
        """Whether a run whose record is there must be made again for its weights; epoch: None for the final ones."""
        record = self._known(run)
        if record.get("status") == FAILED:
            return False
        folder = self.targets.store.find(self._record(run)).parent
        kept = {one["epoch"]: one["file"] for one in record.get("checkpoints", ())}
        file = record.get("weights") if epoch is None else kept.get(epoch)
        return not record or (file is not None and not (folder / file).is_file())
