"""The rules ask this module what each job waits for, and what it is given.

A job that concerns runs is called by the label of its group (run_groups.py), and a job of extraction or scoring also by
its part of the stimulus sets or recordings (job_parts.py). A marker is an empty file that Snakemake has when a job of
this start is done. What is in the store belongs to no job, so nothing waits for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study.extraction_job import ExtractionJob
from neuroscaling.study.job_parts import Parts
from neuroscaling.study.jobs import Jobs, ScoreJob, SubsetJob
from neuroscaling.study.layer_choice import choice_of_layers, fixed_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.run_groups import RunGroup, RunGroups
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.encoding import AlgonautsEncoding, EncodingSource, Submission
from neuroscaling.study.session import markers_folder, session_marker
from neuroscaling.study.v4_recordings import v4_files
from neuroscaling.study.wanted import Absent, Targets

AFTER_TRAINING = 1.0
"""Added to the priority of jobs that use a trained network: weights that are not kept go before further ones come."""


@dataclass(frozen=True)
class Rules:
    """The rules of a study ask this. absent: what has to be made; groups: the runs that share jobs."""

    absent: Absent
    groups: RunGroups

    @cached_property
    def jobs(self) -> Jobs:
        """The maker of the typed objects that jobs are given."""
        return Jobs(self.absent)

    @cached_property
    def parts(self) -> Parts:
        """What each job of extraction or scoring takes of a group of runs."""
        return Parts.of(self.targets)

    @property
    def targets(self) -> Targets:
        """The artefacts that the study wants of its store."""
        return self.absent.targets

    @property
    def study(self) -> LoadedStudy:
        """The study."""
        return self.targets.study

    @cached_property
    def made(self) -> Path:
        """Folder of the markers."""
        return markers_folder(self.study.config.study)

    def markers(self, paths: Iterable[Path]) -> list[Path]:
        """Markers of those of `paths` in the store that are absent."""
        return [self.made / self.study.store.name_of(path) for path in dict.fromkeys(paths) if self.absent(path)]

    def with_session(self, markers: list[Path]) -> list[Path]:
        """`markers`, and where there are any the file that makes stale what is made of absent things."""
        return [*markers, session_marker(self.study.config.study)] if markers else []

    def before_stimuli(self, stimuli: str) -> list[Path]:
        """Markers of the recordings that a stimulus set is made from."""
        return self.markers(self.targets.sets[stimuli].needs)

    def stimuli(self, stimuli: str) -> StimuliJob:
        """The stimulus set that a job prepares."""
        return self.jobs.stimuli(self.targets.sets[stimuli])

    def priority(self, job: str) -> float:
        """How early a job of runs starts among those of its kind: above 0, to 1 for the first row of the run table.

        job: the label of a group, which counts as its earliest run.
        """
        group = self.groups.to_train.get(job) or self.groups.to_score[job]
        return 1 - min(self._places[run] for run in group.runs) / len(self._places)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {run: place for place, run in enumerate(self.study.runs)}

    # --- training ---------------------------------------------------------------------------------------------------

    def subsets(self, dataset: str) -> list[SubsetJob]:
        """The lists of training images that a job draws. dataset: folder of the lists in the store."""
        return [self.jobs.subset(run) for run in self._absent_subsets[dataset]]

    def dataset_settings(self, dataset: str) -> DatasetSettings:
        """The settings of a data set in the study file. dataset: its name with its fingerprint."""
        return self.study.config.datasets[dataset_name(dataset)].settings()

    @cached_property
    def packed_datasets(self) -> dict[str, dict[str, Path]]:
        """Manifests of the data sets that are packed first: by data set and split."""
        study = self.study
        return {
            name: {
                split: study.store.pack(name, study.fingerprints[name], pack.form, pack.size, split)
                for split in ("train", "validation")
            }
            for name, pack in study.config.training.packs.items()
        }

    def trained_runs(self, job: str) -> list[Run]:
        """The runs of a training job."""
        return self._runs(self.groups.to_train[job])

    def before_training(self, job: str) -> list[Path]:
        """Markers of what a training job waits for: subsets, packed data sets, runs to start from, stimulus sets."""
        runs = self.trained_runs(job)
        starts = {run.start for run in runs if run.start} - {run.run for run in runs}
        lists = [self.targets.subset(run) for run in runs if run.kind == "trained"]
        drawn = dict.fromkeys(path.parent.name for path in lists if self.absent(path))
        packs = [
            path
            for run in runs
            if run.kind == "trained"
            for path in self.packed_datasets.get(run.dataset or "", {}).values()
        ]
        subsets = [self.made / "subsets" / dataset for dataset in drawn]
        stimuli = self._manifests(self.extracted_after_training(job))
        return [*subsets, *self.markers(packs), *self.trained(starts), *self.markers(stimuli)]

    def runs_to_train(self, job: str) -> list[RunJob]:
        """The runs that a training job makes."""
        return [self.jobs.run(run) for run in self.trained_runs(job)]

    def extracted_after_training(self, job: str) -> list[tuple[str, str]]:
        """The absent activations of its runs that a training job extracts, by run and set; none where others do."""
        group = self.groups.to_train[job]
        return self._absent_pairs(group.runs, self.targets.sets) if group.extracts else []

    def trained(self, runs: Iterable[str]) -> list[Path]:
        """Markers of the jobs that make those of `runs` that are absent."""
        labels = [self.groups.trained_by[run] for run in sorted(self.absent.run_names.intersection(runs))]
        return [self.made / "train" / label for label in dict.fromkeys(labels)]

    # --- activations ------------------------------------------------------------------------------------------------

    def scored_runs(self, job: str) -> list[Run]:
        """The runs of a job of extraction or scoring."""
        return self._runs(self.groups.to_score[job])

    def before_extraction(self, job: str, part: str) -> list[Path]:
        """Markers of the runs and the stimulus sets that an extraction waits for."""
        return self._before(self.to_extract(job, self.parts.sets[part]))

    def before_slice(self, job: str, stimuli: str) -> list[Path]:
        """Markers of the run and the stimulus set that a slice waits for."""
        return self._before(self.to_extract(job, [stimuli]))

    def to_extract(self, job: str, sets: Iterable[str]) -> list[tuple[str, str]]:
        """Absent activations that something absent needs, by run and set; the weights of others may be gone.

        Those that the jobs extract which make the runs are left out.
        """
        with_training = self.groups.extracted_in_training
        runs = (run for run in self.groups.to_score[job].runs if run not in with_training)
        return self._absent_pairs(runs, sets)

    def slices(self, job: str, part: str) -> list[Path]:
        """Markers of the slices that an extraction is put together from; none where it is done in one piece."""
        n = self.study.config.extraction.slices
        sets = dict.fromkeys(stimuli for _, stimuli in self.to_extract(job, self.parts.sets[part]))
        return [self.made / f"activations/{job}/{one}.slices/{i}" for one in sets for i in range(n if n > 1 else 0)]

    def extractions(self, job: str, part: str) -> list[ExtractionJob]:
        """The activations that a job extracts: all sets of a run, then those of the next run."""
        return self.extractions_of(self.to_extract(job, self.parts.sets[part]))

    def sliced(self, job: str, stimuli: str) -> list[ExtractionJob]:
        """The activations that a job extracts a slice of."""
        return self.extractions_of(self.to_extract(job, [stimuli]))

    def extracted(self, pairs: Iterable[tuple[str, str]]) -> list[Path]:
        """Markers of the jobs that extract absent activations. pairs: names of a run and of a stimulus set."""
        groups, part_of = self.groups, self.parts.part_of
        jobs = dict.fromkeys(
            f"train/{groups.trained_by[run]}" if run in groups.extracted_in_training
            else f"activations/{groups.scored_by[run]}/{part_of[stimuli]}"
            for run, stimuli in pairs
            if (run, stimuli) in self.absent.activations
        )  # fmt: skip
        return [self.made / job for job in jobs]

    # --- Brain-Score ------------------------------------------------------------------------------------------------

    @cached_property
    def downloads(self) -> dict[str, tuple[str, ...]]:
        """Benchmarks whose files are downloaded together, by the stem of the list of the files."""
        store = self.study.store
        made = [(job.made, job.benchmarks) for job in self.targets.names.jobs if job.made]
        return {path.stem: benchmarks for path, benchmarks in made if path == store.prefetched(path.stem)}

    def definitions(self) -> dict[str, Any]:
        """The study's own benchmarks, as JSON."""
        settings = self.study.config.brainscore
        defined = settings.define if settings else {}
        return {name: entry.model_dump(mode="json") for name, entry in sorted(defined.items())}

    def choice_settings(self) -> dict[str, Any]:
        """How layers are chosen, as JSON."""
        settings = self.study.config.brainscore
        assert settings is not None
        layers = settings.layers
        way = choice_of_layers(self.study.config)
        return {"way": way, "hierarchy": layers.hierarchy, "inner_splits": layers.inner_splits}

    def before_choice(self, job: str) -> list[Path]:
        """Markers of the activations and recordings that a choice of layers waits for."""
        return self._before_choice(self._references(job))

    def choices(self, job: str) -> list[ScoreJob]:
        """The files of chosen layers that a job makes."""
        return [one for run in self._references(job) for one in self.jobs.choices(run)]

    def own_choices(self, job: str, part: str) -> list[ScoreJob]:
        """The files of chosen layers that a job of scores makes first, since nothing but its scores needs them."""
        return [one for run in self._own_references(job, part) for one in self.jobs.choices(run)]

    def before_brainscore(self, job: str, part: str) -> list[Path]:
        """Markers of the activations, chosen layers and recordings that scores wait for."""
        left = self.jobs.left(self.brainscore(job, part))
        activations = self.extracted((one.run, one.stimuli) for one in left)
        labels = dict.fromkeys(self.groups.scored_by[run] for run in self._choices_of(left))
        choices = [self.made / "commitments" / label for label in labels if self._chooses_first(label)]
        scored = {one.data for one in left}
        made = [one.made for one in self.parts.brainscore[part] if one.made and one.data in scored]
        before = [*activations, *choices, *self.markers(made), *self._before_choice(self._own_references(job, part))]
        return list(dict.fromkeys(before))

    def brainscore(self, job: str, part: str) -> list[ScoreJob]:
        """The score files of Brain-Score that a job makes."""
        networks = self._networks(job)
        return [
            one for each in self.parts.brainscore[part] for run in networks for one in self.jobs.brainscore(run, each)
        ]

    def region_layers(self, job: str) -> dict[str, str]:
        """Layers of regions that the study names or that were published; the runs of a group share them."""
        return dict(sorted(fixed_layers(self.study.config, self._networks(job)[0])["regions"].items()))

    def readout(self, job: str) -> str:
        """The behavioural readout that the study names or that was published; empty for the last layer."""
        return fixed_layers(self.study.config, self._networks(job)[0])["readout"] or ""

    # --- encoding ---------------------------------------------------------------------------------------------------

    def before_encoding(self, job: str, part: str) -> list[Path]:
        """Markers of the activations and recordings that scores of subjects wait for."""
        left = self.jobs.left(self.encoding(job, part))
        activations = self.extracted((one.run, one.stimuli) for one in left)
        scored = {(one.data, one.benchmark) for one in left}
        subjects = (one for one in self.parts.subjects[part] if (one.data, one.benchmark) in scored)
        return [*activations, *self.markers(file for one in subjects for file in one.needs)]

    def encoding(self, job: str, part: str) -> list[ScoreJob]:
        """The score files of subjects that a job makes."""
        return self._encodings(job, self.parts.subjects[part])

    @cached_property
    def submissions(self) -> dict[str, tuple[AlgonautsEncoding, Submission]]:
        """The submissions to the challenge, and the source that each is of."""
        entries = [entry for entry in self.study.config.encoding if isinstance(entry, AlgonautsEncoding)]
        return {name: (entry, one) for entry in entries for name, one in entry.submissions.items()}

    def submission_scores(self, submission: str) -> list[str]:
        """Names in the store of the score files that a submission averages."""
        entry, one = self.submissions[submission]
        return [self.study.store.name_of(path) for path in self.targets.submitted(entry, one.archs)]

    def before_submission(self, submission: str) -> list[Path]:
        """Markers of the jobs that make scores of a submission's source."""
        return self.with_session(self._encoded(self.submissions[submission][0]))

    def before_accuracy(self) -> list[Path]:
        """Markers of the jobs that make scores of subjects."""
        return self.with_session(self._encoded())

    def v4_recordings(self, session: str) -> list[Path]:
        """Markers of the recordings of a V4 session, where they are downloaded."""
        return self.markers(v4_files(self.study, session))

    # --- the table --------------------------------------------------------------------------------------------------

    def before_table(self) -> list[Path]:
        """Markers of the jobs that make runs and scores."""
        runs = self.trained(self.absent.run_names)
        scores = [*self._brainscored(), *self._encoded()]
        return self.with_session([*runs, *scores])

    def _brainscored(self) -> list[Path]:
        return [
            self.made / f"scores/brainscore/{part}/{label}"
            for part in self.parts.brainscore
            for label in self.groups.to_score
            if self.jobs.left(self.brainscore(label, part))
        ]

    def _encoded(self, entry: EncodingSource | None = None) -> list[Path]:
        """Markers of the jobs that make absent scores of subjects. entry: of this source alone."""
        of_source = {
            part: [one for one in subjects if entry is None or one.entry is entry]
            for part, subjects in self.parts.subjects.items()
        }
        return [
            self.made / f"scores/encoding/{part}/{label}"
            for part, subjects in of_source.items()
            for label in self.groups.to_score
            if self.jobs.left(self._encodings(label, subjects))
        ]

    def _runs(self, group: RunGroup) -> list[Run]:
        return [self.study.runs[run] for run in group.runs]

    def _networks(self, job: str) -> list[Run]:
        """The runs of a job that Brain-Score scores: pixels and the like are no model of a brain."""
        return [run for run in self.scored_runs(job) if run.kind != "baseline"]

    def _references(self, job: str) -> list[Run]:
        """The runs of a job that layers are chosen on."""
        return [run for run in self._networks(job) if run.run in self._chosen_on]

    def _choices_of(self, scores: Iterable[ScoreJob]) -> set[str]:
        """The runs whose chosen layers `scores` need and that are absent."""
        files = (one.commitment for one in scores if one.commitment is not None)
        return {path.stem for path in files if self.absent(path)}

    def _own_references(self, job: str, part: str) -> list[Run]:
        """The runs that a job of scores chooses layers on before it scores."""
        if not self._chosen_on or self._chooses_first(job):
            return []
        needed = self._choices_of(self.jobs.left(self.brainscore(job, part)))
        return [run for run in self._references(job) if run.run in needed]

    def _chooses_first(self, job: str) -> bool:
        """Whether a job's runs have their layers chosen by a job of its own: jobs of scores share what it finds."""
        return job in self._choosing or len(self.parts.brainscore) > 1

    @cached_property
    def _choosing(self) -> frozenset[str]:
        """The groups with a run that the layers of a run in another group are chosen on."""
        by, reference = self.groups.scored_by, self.targets.names.reference
        networks = [run for run in self.study.runs.values() if run.kind != "baseline"] if self._chosen_on else []
        pairs = ((by[reference(run).run], by[run.run]) for run in networks)
        return frozenset(label for label, other in pairs if label != other)

    def _before_choice(self, references: list[Run]) -> list[Path]:
        pairs = [(run.run, stimuli) for run in references for stimuli in self.absent.choice_sets(run)]
        made = (one.made for one in self.targets.names.jobs if one.made) if references else ()
        return [*self.extracted(pairs), *self.markers(made)]

    def _encodings(self, job: str, subjects: Iterable[EncodingJob]) -> list[ScoreJob]:
        runs = self.scored_runs(job)
        return [self.jobs.encoding(run, subject) for subject in subjects for run in runs]

    def _before(self, pairs: list[tuple[str, str]]) -> list[Path]:
        return [*self.trained(run for run, _ in pairs), *self.markers(self._manifests(pairs))]

    def _manifests(self, pairs: list[tuple[str, str]]) -> list[Path]:
        """The manifests of the stimulus sets that activations are of."""
        return [self.study.store.stimuli(one) / "manifest.json" for one in dict.fromkeys(one for _, one in pairs)]

    def _absent_pairs(self, runs: Iterable[str], sets: Iterable[str]) -> list[tuple[str, str]]:
        return [pair for pair in product(runs, sets) if pair in self.absent.activations]

    def extractions_of(self, pairs: list[tuple[str, str]]) -> list[ExtractionJob]:
        """What jobs are given that extract activations. pairs: names of a run and of a stimulus set."""
        return [self.jobs.extraction(self.study.runs[run], self.targets.sets[stimuli]) for run, stimuli in pairs]

    @cached_property
    def _absent_subsets(self) -> dict[str, list[Run]]:
        """A run that takes each absent list of training images that a training needs, by the list's folder."""
        takers = {self.targets.subset(run): run for run in self.absent.runs if run.kind == "trained"}
        found: dict[str, list[Run]] = {}
        for path, run in takers.items():
            if self.absent(path):
                found.setdefault(path.parent.name, []).append(run)
        return found

    @cached_property
    def _chosen_on(self) -> frozenset[str]:
        return frozenset(run.run for run in self.targets.references)


def dataset_name(dataset: str) -> str:
    """Name of a data set in the study file. dataset: its name in the store, which ends in its fingerprint."""
    return dataset.rsplit("-", 1)[0]
