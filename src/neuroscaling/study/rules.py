"""The rules ask this module what each job waits for, and what it is given.

A job that concerns runs is called by the label of its group (run_groups.py). A marker is an empty file that Snakemake
has when a job of this start is done. What is in the store belongs to no job, so nothing waits for it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study.brainscore_jobs import BrainScoreJob
from neuroscaling.study.extraction_job import ExtractionJob
from neuroscaling.study.jobs import Jobs, ScoreJob, SubsetJob
from neuroscaling.study.layer_choice import choice_of_layers, fixed_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.run_groups import ON_GPU, RunGroup, RunGroups
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.encoding import AlgonautsEncoding, EncodingSource, Ridge, Submission
from neuroscaling.study.session import markers_folder, session_marker
from neuroscaling.study.v4_recordings import v4_files
from neuroscaling.study.wanted import Absent, Targets

ALL_SUBJECTS = "all-subjects"
"""In place of a subject, where one job scores all subjects of a source."""
AFTER_TRAINING = 1.0
"""Added to the priority of jobs that use a trained network: weights that are not kept go before further ones come."""
MAKERS = (
    ("subset", re.compile(r"subsets/([^/]+)/([^/]+)\.parquet")),
    ("simulate", re.compile(r"simulated/([^/]+)/manifest\.json")),
    ("stimuli", re.compile(r"stimuli/([^/]+)/manifest\.json")),
    ("recordings", re.compile(r"recordings/([^/]+)/([^/]+)/manifest\.json")),
    ("v4_assembly", re.compile(r"recordings/([^/]+)/([^/]+)/manifest\.json")),
    ("v4_data", re.compile(r"data/v4/images/images_(\w+)\.zip")),
    ("prefetch", re.compile(r"data/prefetched/([^/]+)\.json")),
    ("pack", re.compile(r"packs/([^/]+)/([^/]+)/([^/]+)\.json")),
)
"""Which job makes a thing of the store: the groups, joined by dashes, are what its benchmark file is called."""


@dataclass(frozen=True)
class Rules:
    """The rules of a study ask this. absent: what has to be made; groups: the runs that share jobs."""

    absent: Absent
    groups: RunGroups

    @cached_property
    def jobs(self) -> Jobs:
        """The maker of the typed objects that jobs are given."""
        return Jobs(self.absent)

    @property
    def targets(self) -> Targets:
        """The artefacts that the study wants of its store."""
        return self.absent.targets

    @property
    def study(self) -> LoadedStudy:
        """The study."""
        return self.absent.targets.study

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

    def subset(self, dataset: str, subset: str) -> SubsetJob:
        """The list of training images that a job draws. dataset, subset: folder and stem of the list in the store."""
        return self.jobs.subset(self._subsets[dataset, subset])

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
        """Markers of the subsets, packed data sets and runs to start from that a training job waits for."""
        runs = self.trained_runs(job)
        starts = {run.start for run in runs if run.start} - {run.run for run in runs}
        subsets = [self.targets.subset(run) for run in runs if run.kind == "trained"]
        packs = [
            path
            for run in runs
            if run.kind == "trained"
            for path in self.packed_datasets.get(run.dataset or "", {}).values()
        ]
        return [*self.markers([*subsets, *packs]), *self.trained(starts)]

    def runs_to_train(self, job: str) -> list[RunJob]:
        """The runs that a training job makes."""
        return [self.jobs.run(run) for run in self.trained_runs(job)]

    def trained(self, runs: Iterable[str]) -> list[Path]:
        """Markers of the jobs that make those of `runs` that are absent."""
        labels = [self.groups.trained_by[run] for run in sorted(self.absent.run_names.intersection(runs))]
        return [self.made / "train" / label for label in dict.fromkeys(labels)]

    # --- activations ------------------------------------------------------------------------------------------------

    def scored_runs(self, job: str) -> list[Run]:
        """The runs of a job of extraction or scoring."""
        return self._runs(self.groups.to_score[job])

    def before_extraction(self, job: str, stimuli: str) -> list[Path]:
        """Markers of the runs and the stimulus set that an extraction waits for."""
        runs = self.trained(run.run for run in self._to_extract(job, stimuli))
        return [*runs, *self.markers([self.study.store.stimuli(stimuli) / "manifest.json"])]

    def slices(self, job: str, stimuli: str) -> list[Path]:
        """Markers of the slices that an extraction is put together from; none where it is done in one piece."""
        n = self.study.config.extraction.slices
        return [self.made / f"activations/{job}/{stimuli}.slices/{i}" for i in range(n if n > 1 else 0)]

    def extractions(self, job: str, stimuli: str) -> list[ExtractionJob]:
        """The activations that a job extracts."""
        images = self.targets.sets[stimuli]
        return [self.jobs.extraction(run, images) for run in self._to_extract(job, stimuli)]

    def extracted(self, pairs: Iterable[tuple[str, str]]) -> list[Path]:
        """Markers of the jobs that extract absent activations. pairs: names of a run and of a stimulus set."""
        wanted = (pair for pair in pairs if pair in self.absent.activations)
        jobs = dict.fromkeys((self.groups.scored_by[run], stimuli) for run, stimuli in wanted)
        return [self.made / f"activations/{job}/{stimuli}" for job, stimuli in jobs]

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
        pairs = [(run.run, stimuli) for run in self._references(job) for stimuli in self.absent.choice_sets(run)]
        return [*self.extracted(pairs), *self.markers(one.made for one in self.targets.names.jobs if one.made)]

    def choices(self, job: str) -> list[ScoreJob]:
        """The files of chosen layers that a job makes."""
        return [one for run in self._references(job) for one in self.jobs.choices(run)]

    def brainscore_job(self, recordings: str, stimuli: str) -> BrainScoreJob:
        """The benchmarks that share recordings and a stimulus set. recordings: their name in the store."""
        return self._brainscore_jobs[recordings, stimuli]

    def before_brainscore(self, job: str, recordings: str, stimuli: str) -> list[Path]:
        """Markers of the activations, chosen layers and recordings that scores wait for."""
        left = self.jobs.left(self.brainscore(job, recordings, stimuli))
        activations = self.extracted((one.run, one.stimuli) for one in left)
        chosen = [one.commitment for one in left if one.commitment is not None and self.absent(one.commitment)]
        choices = dict.fromkeys(self.groups.scored_by[run] for run in sorted({path.stem for path in chosen}))
        made = self.brainscore_job(recordings, stimuli).made
        return [
            *activations,
            *(self.made / "commitments" / label for label in choices),
            *self.markers([made] if made else []),
        ]

    def brainscore(self, job: str, recordings: str, stimuli: str) -> list[ScoreJob]:
        """The score files of Brain-Score that a job makes."""
        benchmarks = self.brainscore_job(recordings, stimuli)
        return [one for run in self._networks(job) for one in self.jobs.brainscore(run, benchmarks)]

    def region_layers(self, job: str) -> dict[str, str]:
        """Layers of regions that the study names or that were published; the runs of a group share them."""
        return dict(sorted(fixed_layers(self.study.config, self._networks(job)[0])["regions"].items()))

    def readout(self, job: str) -> str:
        """The behavioural readout that the study names or that was published; empty for the last layer."""
        return fixed_layers(self.study.config, self._networks(job)[0])["readout"] or ""

    # --- encoding ---------------------------------------------------------------------------------------------------

    def subjects(self, recordings: str, subjects: str) -> list[EncodingJob]:
        """The subjects that a job scores. subjects: one subject, or ALL_SUBJECTS of these recordings."""
        return self._subjects[recordings, subjects]

    def ridge(self, recordings: str, subjects: str) -> Ridge:
        """How responses are predicted, and what the job may use."""
        return self.encoding_entry(recordings, subjects).ridge

    def before_encoding(self, job: str, recordings: str, subjects: str) -> list[Path]:
        """Markers of the activations and recordings that scores of subjects wait for."""
        left = self.jobs.left(self.encoding(job, recordings, subjects))
        activations = self.extracted((one.run, one.stimuli) for one in left)
        return [*activations, *self.markers(file for one in self.subjects(recordings, subjects) for file in one.needs)]

    def encoding(self, job: str, recordings: str, subjects: str) -> list[ScoreJob]:
        """The score files of subjects that a job makes."""
        runs = self.scored_runs(job)
        return [self.jobs.encoding(run, subject) for subject in self.subjects(recordings, subjects) for run in runs]

    def encoding_entry(self, recordings: str, subjects: str) -> EncodingSource:
        """What the study asks of the source of these recordings."""
        return self.subjects(recordings, subjects)[0].entry

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
            self.made / f"scores/brainscore/{recordings}/{stimuli}/{label}"
            for recordings, stimuli in self._brainscore_jobs
            for label in self.groups.to_score
            if self.jobs.left(self.brainscore(label, recordings, stimuli))
        ]

    def _encoded(self, entry: EncodingSource | None = None) -> list[Path]:
        """Markers of the jobs that make absent scores of subjects. entry: of this source alone."""
        return [
            self.made / f"scores/encoding/{recordings}/{subjects}/{label}"
            for (recordings, subjects), found in self._subjects.items()
            if entry is None or found[0].entry is entry
            for label in self.groups.to_score
            if self.jobs.left(self.encoding(label, recordings, subjects))
        ]

    def benchmark_files(self) -> dict[str, list[str]]:
        """What the benchmark files of this study's jobs are called, by rule; below the folder of a job of runs, where
        the rule has one. Another study in this folder has jobs of its own.
        """
        n = self.study.config.extraction.slices
        found = {
            "activations": [name for one in self.targets.sets for name in (one, *(f"{one}-{i}" for i in range(n)))],
            "brainscore": [f"{recordings}-{stimuli}" for recordings, stimuli in self._brainscore_jobs],
            "encoding": [f"{recordings}-{subjects}" for recordings, subjects in self._subjects],
            "layers": list(self.groups.to_score) if self.targets.references else [],
            "fit": list(self.study.fits),
            "submission": list(self.submissions),
        }
        packs = (path for paths in self.packed_datasets.values() for path in paths.values())
        for name in dict.fromkeys(map(self.study.store.name_of, (*self.targets.inputs(), *packs))):
            for stage, pattern in MAKERS:
                if parts := pattern.fullmatch(name):
                    found.setdefault(stage, []).append("-".join(parts.groups()))
        return found

    def _runs(self, group: RunGroup) -> list[Run]:
        return [self.study.runs[run] for run in group.runs]

    def _networks(self, job: str) -> list[Run]:
        """The runs of a job that Brain-Score scores: pixels and the like are no model of a brain."""
        return [run for run in self.scored_runs(job) if run.kind != "baseline"]

    def _references(self, job: str) -> list[Run]:
        """The runs of a job that layers are chosen on."""
        return [run for run in self._networks(job) if run.run in self._chosen_on]

    def _to_extract(self, job: str, stimuli: str) -> list[Run]:
        """The runs of a job whose activations something absent needs; the weights of others may be gone."""
        runs = self.scored_runs(job)
        return [run for run in runs if (run.run, stimuli) in self.absent.activations]

    @cached_property
    def _subsets(self) -> dict[tuple[str, str], Run]:
        """A run that takes each list of training images, by the list's folder and stem."""
        trained = [run for run in self.study.runs.values() if run.kind == "trained"]
        return {(path.parent.name, path.stem): run for run in trained for path in [self.targets.subset(run)]}

    @cached_property
    def _chosen_on(self) -> frozenset[str]:
        return frozenset(run.run for run in self.targets.references)

    @cached_property
    def _brainscore_jobs(self) -> dict[tuple[str, str], BrainScoreJob]:
        return {(job.data, job.stimuli.name): job for job in self.targets.names.jobs}

    @cached_property
    def _subjects(self) -> dict[tuple[str, str], list[EncodingJob]]:
        """The subjects that a job scores: each by itself, or all of a source where networks share jobs."""
        found: dict[tuple[str, str], list[EncodingJob]] = {}
        for job in self.targets.names.subjects:
            together = self.study.config.runs_per_job > 1
            found.setdefault((job.data, ALL_SUBJECTS if together else job.subject), []).append(job)
        return found


def dataset_name(dataset: str) -> str:
    """Name of a data set in the study file. dataset: its name in the store, which ends in its fingerprint."""
    return dataset.rsplit("-", 1)[0]


def needs_gpu(runs: Iterable[Run]) -> bool:
    """Whether any of `runs` has something to compute on a GPU."""
    return any(run.kind in ON_GPU for run in runs)
