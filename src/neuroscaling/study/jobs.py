"""A job is given one typed object for each artefact that it makes.

Paths lie in the folders of the store as they are when the job is planned. The repr of an object is the name of its
artefact: Snakemake shows it, and keeps it. The Snakefile imports this module, so it loads no heavy library.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.core.records import failure_in
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study.artefact_names import subset_name
from neuroscaling.study.brainscore_jobs import BrainScoreJob
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.preparation_jobs import PreparationJob
from neuroscaling.study.recording_jobs import BrainJob, StimuliJob, V4AssemblyJob
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.v4_recordings import v4_assembly, v4_root
from neuroscaling.study.wanted import Absent, Commitment, Score, Targets


@dataclass(frozen=True, repr=False)
class SubsetJob:
    """A list of training images to draw."""

    path: Path
    dataset: str
    settings: DatasetSettings
    fingerprint: str
    token: str
    seed: int
    definition: dict[str, Any]

    def __repr__(self) -> str:
        return self.path.stem


@dataclass(frozen=True, repr=False)
class ScoreJob:
    """A file to write for one run and benchmark, of scores or of chosen layers.

    folder: of the run; stimuli: name of the set; activations: manifest of the run's activations to it; commitment: file
    of the layers that a score takes, where they are chosen; chosen_on: folder of the run that they are chosen on.
    """

    path: Path
    run: str
    folder: Path
    data: str
    benchmark: str
    stimuli: str
    activations: Path
    definition: dict[str, Any]
    commitment: Path | None = None
    chosen_on: Path | None = None

    def __repr__(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"


def sound(jobs: Iterable[ScoreJob], together: bool = False) -> list[ScoreJob]:
    """Those of `jobs` that can be done: a failed run has no activations, no scores, and no layers for others.

    One whose weights are lost may have some from before. together: the jobs of a run need one another's activations.
    """
    jobs = list(jobs)
    lacking = {job.run for job in jobs if not _is_sound(job)} if together else set()
    return [job for job in jobs if job.run not in lacking and _is_sound(job)]


def _is_sound(job: ScoreJob) -> bool:
    needs = [(job.folder, job.activations)]
    needs += [(job.chosen_on, job.commitment)] if job.chosen_on and job.commitment else []
    return all(failure_in(folder) is None or made.exists() for folder, made in needs)


@dataclass(frozen=True)
class Jobs:
    """The maker of a study's typed objects, by artefact."""

    absent: Absent
    _known: dict[Any, list[ScoreJob]] = field(default_factory=dict, compare=False)

    def subset(self, run: Run) -> SubsetJob:
        """The job of a run's list of training images."""
        name = subset_name(run)
        assert run.dataset and run.fingerprint and run.subset and run.dataset_settings is not None
        return SubsetJob(
            self._targets.subset(run),
            run.dataset,
            run.dataset_settings,
            run.fingerprint,
            run.subset,
            run.subset_seed,
            dict(name.definition),
        )

    def run(self, run: Run) -> RunJob:
        """The job of a run."""
        store = self._targets.store
        subset = store.find(self._targets.subset(run)) if run.kind == "trained" else None
        base = self.absent.folder(run.start) if run.start else None
        return RunJob(run, subset, store.run(run.run), base)

    def stimuli(self, one: StimulusSet) -> StimuliJob:
        """The job of a stimulus set."""
        folder = self._targets.store.stimuli(one.name)
        return StimuliJob(folder, one.sources, one.degrees, dict(one.made.definition))

    def simulated(self, brain: str) -> BrainJob:
        """The job of a simulated brain, by its name in the store."""
        study = self._targets.study
        name = next(name for name in study.config.simulated if study.simulated_name(name) == brain)
        settings = study.config.simulated[name].settings(name)
        return BrainJob(study.store.simulated(brain), settings, dict(study.simulated_brain(name).definition))

    def preparation(self, data: str, subject: str) -> PreparationJob:
        """The job of a subject's prepared recordings."""
        subjects = self._targets.names.subjects
        return next(
            one.preparation for one in subjects if (one.data, one.subject) == (data, subject) and one.preparation
        )

    def v4_assembly(self, session: str) -> V4AssemblyJob:
        """The job of a session of V4 as an assembly."""
        study = self._targets.study
        name = v4_assembly(study, session)
        folder = study.store.recording(str(name), session)
        return V4AssemblyJob(v4_root(study, session), session, folder, dict(name.definition))

    def extraction(self, run: Run, one: StimulusSet) -> ExtractionJob:
        """The job of a run's activations to a stimulus set."""
        store, targets = self._targets.store, self._targets
        stimuli = store.find(store.stimuli(one.name) / "manifest.json")
        definition = dict(targets.names.activations(run, one).definition)
        folder, output = self.absent.folder(run.run), targets.activations(run, one)
        freed_by = () if run.keep or folder != store.run(run.run) else self._freed_by[run.run]
        return ExtractionJob(run, folder, stimuli, output, FeatureSpec.of(definition), definition, freed_by)

    @cached_property
    def _freed_by(self) -> dict[str, tuple[Path, ...]]:
        """The manifests of all activations that the study wants of each run."""
        found: dict[str, list[Path]] = {}
        for (run, _), path in self._targets.all_activations.items():
            found.setdefault(run, []).append(self._targets.store.find(path))
        return {run: tuple(paths) for run, paths in found.items()}

    def choices(self, run: Run) -> list[ScoreJob]:
        """The files of layers that are chosen on a run."""
        return [
            self._made(one, one.job.data, one.benchmark, one.job.stimuli.name) for one in self._targets.commitments(run)
        ]

    def brainscore(self, run: Run, job: BrainScoreJob) -> list[ScoreJob]:
        """The score files of a run on the benchmarks of a job."""
        # Snakemake asks for each job's several times, and there are thousands.
        key = (run.run, job.data, job.stimuli.name)
        if key not in self._known:
            self._known[key] = self._brainscore(run, job)
        return self._known[key]

    def _brainscore(self, run: Run, job: BrainScoreJob) -> list[ScoreJob]:
        targets = self._targets
        names, store = targets.names, targets.store
        found = []
        for score in targets.brainscore(run, job):
            commitment = chosen_on = None
            if score.chosen_on:
                name = names.commitment(names.reference(run), job, score.benchmark)
                commitment = store.find(store.commitment(str(name), score.chosen_on))
                chosen_on = self.absent.folder(score.chosen_on)
            found.append(replace(self._scored(score), commitment=commitment, chosen_on=chosen_on))
        return found

    def encoding(self, run: Run, subject: EncodingJob) -> ScoreJob:
        """The score file of a run on a subject of a source of recordings."""
        return self._scored(self._targets.encoding(run, subject))

    def left(self, jobs: Iterable[ScoreJob]) -> list[ScoreJob]:
        """Those of `jobs` whose file has to be made: it is absent, and no run that it needs failed."""
        return [
            job
            for job in jobs
            if self.absent(job.path)
            and not self.absent.is_hopeless(job.run, job.chosen_on.name if job.chosen_on else None)
        ]

    def _scored(self, score: Score) -> ScoreJob:
        return self._made(score, score.data, score.benchmark, score.stimulus_set)

    def _made(self, one: Score | Commitment, data: str, benchmark: str, stimuli: str) -> ScoreJob:
        store = self._targets.store
        activations = store.find(self._targets.all_activations[one.run, stimuli])
        folder, definition = self.absent.folder(one.run), dict(one.name.definition)
        return ScoreJob(one.path(store), one.run, folder, data, benchmark, stimuli, activations, definition)

    @property
    def _targets(self) -> Targets:
        return self.absent.targets
