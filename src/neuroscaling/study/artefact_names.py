"""Names of artefacts hold everything that determines one in their definition.

What is not in any definition: where things lie, what a job or a machine is like, seconds and dates. Light: the
Snakefile imports it.
"""

from dataclasses import dataclass, field
from typing import Any

from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.score_table import ITSELF
from neuroscaling.study.brainscore_jobs import BrainScoreJob, brainscore_jobs
from neuroscaling.study.code_fingerprints import code_of, version_of
from neuroscaling.study.layer_choice import (
    FOUND,
    choice_of_layers,
    chosen_benchmarks,
    extracted_layers,
    fixed_layers,
    reference_run,
)
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.mapping_samples import samples_of
from neuroscaling.study.recordings import EncodingJob, encoding_jobs
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.encoding import RecordingsEncoding
from neuroscaling.study.sections.recordings import BrainScore
from neuroscaling.study.stimulus_sets import StimulusSet


def subset_name(run: Run) -> ArtefactName:
    """The list of training images of a run."""
    definition = {
        "dataset": run.dataset,
        "fingerprint": run.fingerprint,
        "subset": run.subset,
        "seed": run.subset_seed,
        "version": version_of("subsets"),
    }
    return ArtefactName(f"{run.subset}-s{run.subset_seed}", definition)


@dataclass(frozen=True)
class Names:
    """The names of a study's artefacts. Runs share parts of them, so each part is put together once.

    jobs: of Brain-Score; subjects: of the sources of `encoding:`.
    """

    study: LoadedStudy
    jobs: list[BrainScoreJob]
    subjects: list[EncodingJob]
    _known: dict[Any, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, study: LoadedStudy) -> "Names":
        """The names of a study."""
        return cls(study, brainscore_jobs(study), encoding_jobs(study))

    def extraction(self, run: Run) -> dict[str, Any]:
        """How activations of networks like `run` are extracted: what determines them beside the run and the images."""
        settings = self.study.config
        return self._once(
            ("extraction", _group(run)),
            lambda: {
                "reduction": settings.reduction.settings(),
                "options": settings.extraction.determining(),
                "layers": extracted_layers(settings, run),
                "version": version_of("extraction"),
            },
        )

    def activations(self, run: Run, stimuli: StimulusSet) -> ArtefactName:
        """Activations of a run to a stimulus set."""

        def made() -> ArtefactName:
            return ArtefactName(stimuli.name, {"run": run.run, "stimuli": stimuli.name, **self.extraction(run)})

        return self._once(("activations", run.run, stimuli.name), made)

    def commitment(self, run: Run, job: BrainScoreJob, benchmark: str) -> ArtefactName:
        """Layers that are chosen for a benchmark on a run like `run`; with a hierarchy all benchmarks count."""
        layers = self._brainscore.layers
        extraction = self.extraction(run)

        def made() -> ArtefactName:
            together = [
                [other.data, other.stimuli.name, name, self._defined(name), self._samples(name, chosen=True)]
                for other in self.jobs
                for name in chosen_benchmarks(self.study, other)
            ]
            definition = {
                **self._benchmark(job, benchmark),
                "activations": extraction,
                "choice": {
                    "way": choice_of_layers(self.study.config),
                    "hierarchy": self.hierarchy,
                    "inner_splits": layers.inner_splits,
                    "together": together if self.hierarchy else [],
                },
                "code": code_of("layers"),
                **self._samples(benchmark, chosen=True),
            }
            return ArtefactName(benchmark, definition)

        return self._once(("commitment", job.data, benchmark, _group(run)), made)

    def score(self, run: Run, job: BrainScoreJob, benchmark: str) -> ArtefactName:
        """The score of a run on a benchmark of Brain-Score."""
        settings = self.study.config
        extraction, fixed = self.extraction(run), self._fixed(run)
        reference = self.reference(run) if self.chooses(job, benchmark) else None
        chosen = None if reference is None else self.commitment(reference, job, benchmark).definition
        chosen_on = None if reference is None else ITSELF if reference.run == run.run else reference.run

        def made() -> ArtefactName:
            definition = {
                **self._benchmark(job, benchmark),
                "activations": extraction,
                "layers": fixed["regions"],
                "readout": fixed["readout"],
                # What else determines the choice is here too: a run has the layers of the run that it is chosen on.
                "choice": chosen and {**chosen["choice"], "code": chosen["code"]},
                "reference": chosen_on,
                "engine": self._brainscore.engine,
                "protocol": settings.protocol,
                "code": code_of("brainscore"),
                **self._samples(benchmark),
            }
            return ArtefactName(benchmark, definition)

        return self._once(("score", job.data, benchmark, _group(run), chosen_on), made)

    def encoding(self, run: Run, subject: EncodingJob) -> ArtefactName:
        """The scores of a run on a subject of a source of recordings."""
        extraction = self.extraction(run)

        def made() -> ArtefactName:
            definition = {
                "benchmark": subject.benchmark,
                "data": subject.data,
                "stimuli": subject.stimuli.name,
                "activations": extraction,
                "entry": entry_settings(subject.entry),
                "protocol": self.study.config.protocol,
                "code": code_of("encoding"),
            }
            return ArtefactName(subject.benchmark, definition)

        return self._once(("encoding", id(subject.entry), subject.benchmark, _group(run)), made)

    def chooses(self, job: BrainScoreJob, benchmark: str) -> bool:
        """Whether the layer of a benchmark is found by looking at scores."""
        found = self._once(("chosen", job.data), lambda: frozenset(chosen_benchmarks(self.study, job)))
        return benchmark in found

    def reference(self, run: Run) -> Run:
        """The run that the layers of a run are chosen on."""
        return self._once(("reference", run.run), lambda: reference_run(self.study, run))

    @property
    def any_choice(self) -> bool:
        """Whether any layer is found by looking at scores."""
        return bool(self.jobs) and choice_of_layers(self.study.config) in FOUND

    @property
    def hierarchy(self) -> bool:
        """Whether the layers of all regions are chosen together."""
        settings = self.study.config.brainscore
        return settings is not None and settings.layers.hierarchy

    @property
    def _brainscore(self) -> BrainScore:
        """The section of the study file that all jobs of Brain-Score come from."""
        settings = self.study.config.brainscore
        assert settings is not None
        return settings

    def _benchmark(self, job: BrainScoreJob, benchmark: str) -> dict[str, Any]:
        """What a benchmark is: its name or definition, its recordings and its images."""
        return {
            "benchmark": benchmark,
            "defined": self._defined(benchmark),
            "data": job.data,
            "stimuli": job.stimuli.name,
        }

    def _samples(self, benchmark: str, chosen: bool = False) -> dict[str, Any]:
        """Numbers of mapping images of a benchmark that fits a mapping; chosen: those that layers are chosen in."""
        samples = samples_of(self._brainscore, benchmark)
        if not samples or (chosen and choice_of_layers(self.study.config) != "nested"):
            return {}
        return {"samples": samples}

    def _defined(self, benchmark: str) -> dict[str, Any] | None:
        """What the study says of a benchmark of its own."""
        entry = self._brainscore.define.get(benchmark)
        return entry.model_dump(mode="json") if entry else None

    def _fixed(self, run: Run) -> dict[str, Any]:
        fixed = self._once(("fixed", _group(run)), lambda: fixed_layers(self.study.config, run))
        return {"regions": dict(sorted(fixed["regions"].items())), "readout": fixed["readout"]}

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _group(run: Run) -> tuple[str | None, ...]:
    """Runs of one group have the same layers."""
    return run.arch, run.kind, run.dataset, run.objective


def entry_settings(entry: RecordingsEncoding) -> dict[str, Any]:
    """What a source of recordings is asked, as JSON: all that determines scores beside the recordings themselves."""
    settings = entry.model_dump(mode="json", exclude={"data", "subjects", "sessions", "local_dir", "hang_seconds"})
    ridge = {key: value for key, value in settings["ridge"].items() if key not in ("gpu", "memory_mb")}
    return {**settings, "ridge": ridge, "submissions": bool(settings.get("submissions"))}
