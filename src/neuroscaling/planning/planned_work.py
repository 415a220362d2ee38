"""The planned seconds of one run's work: how many runs share a job follows from them (`runs_per_job: auto`).

They come from sizes alone, and not from what the store recorded: groups stay as they are while a study runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.planning.extraction_time import DECODED
from neuroscaling.planning.job_resources import CPU_FLOPS, Asked
from neuroscaling.planning.network_shapes import known_cost
from neuroscaling.planning.training_time import run_estimate
from neuroscaling.planning.workload import size_of, work_of
from neuroscaling.study.layer_choice import FOUND, choice_of_layers, extracted_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_groups import needs_gpu
from neuroscaling.study.run_table import Run

SCORED = 10.0
"""Seconds in which Brain-Score's kernel engine scores a layer on a benchmark: 1 to 9 (perf/results/brainscore.json)."""
TRAINED = 3
"""Forward passes that a step of training counts as."""


@dataclass(frozen=True)
class PlannedWork:
    """The planned seconds of the runs of a study, worked out once for all runs that are alike. asked: its jobs.

    Where no GPU is named or calibrated, a single core of a CPU is taken: nothing that computes is slower.
    """

    asked: Asked
    _known: dict[tuple[Any, ...], float | None] = field(default_factory=dict, compare=False)

    def making(self, run: Run) -> float | None:
        """To train a run, or to fetch or draw its weights; None where a size is not known."""
        recipe = run.recipe.name if run.recipe else None
        key = ("making", run.kind, run.arch, run.dataset, run.subset, recipe, run.kept_epoch is None)
        return self._once(key, lambda: self._trained(run) if run.kind == "trained" else self._made(run))

    def extraction(self, run: Run) -> float | None:
        """To extract the activations of a run to all stimulus sets; None where a size is not known."""
        return self._once(("extraction", *_of_network(run)), lambda: self._extracted(run))

    def making_and_extraction(self, run: Run) -> float | None:
        """Of a job that does both."""
        made, extracted = self.making(run), self.extraction(run)
        return None if made is None or extracted is None else made + extracted

    def longest_job(self, run: Run) -> float | None:
        """Of a run in the longest of the jobs that extract and score it; None where a size is not known."""
        return self._once(("longest", *_of_network(run)), lambda: self._longest(run))

    @property
    def _study(self) -> LoadedStudy:
        return self.asked.targets.study

    @property
    def _knows_gpu(self) -> bool:
        speeds = self.asked.speeds
        return not speeds.on_cpu and (self._study.config.training.gpu is not None or bool(speeds.measured))

    def _once(self, key: tuple[Any, ...], worked_out: Callable[[], float | None]) -> float | None:
        if key not in self._known:
            self._known[key] = worked_out()
        return self._known[key]

    def _made(self, run: Run) -> float | None:
        return self.asked.made_seconds(run) if run.kind == "baseline" or self.asked.shape(run) else None

    def _trained(self, run: Run) -> float | None:
        cost = known_cost(run.arch, self._study.store.cache())
        if cost is None:  # to count it would load torch
            return None
        try:
            if self._knows_gpu:
                return run_estimate(self._study, run, self.asked.speeds).seconds
            work = work_of(run, size_of(run, self._study.store.cache()), cost)
        except NeuroscalingError:  # of a data set that can't be counted
            return None
        images = TRAINED * work.facts.passes * work.images_seen + work.evaluated
        return images * 2 * cost.macs / CPU_FLOPS + (work.images_seen + work.evaluated) / DECODED

    def _extracted(self, run: Run) -> float | None:
        shape, counts = self.asked.shape(run), self.asked.stimuli.values()
        if None in counts or (shape is None and run.kind != "baseline"):
            return None
        on_gpu = needs_gpu([run]) and self._knows_gpu
        return sum(self.asked.extraction_seconds(run, shape, n, on_gpu) for n in counts)

    def _longest(self, run: Run) -> float | None:
        jobs = [self.extraction(run), self._brainscored(run), self._encoded(run)]
        return max((one for one in jobs if one is not None), default=0.0) if None not in jobs else None

    def _brainscored(self, run: Run) -> float | None:
        """Layers are looked at one after another where they are chosen by scores; the stock engine takes far longer."""
        settings, shape = self._study.config.brainscore, self.asked.shape(run)
        if settings is None or run.kind == "baseline":
            return 0.0
        if shape is None or settings.engine == "stock":
            return None
        asked = extracted_layers(self._study.config, run).get("candidates")
        chosen = choice_of_layers(self._study.config) in FOUND
        layers = len(shape.widths(self._study.config.reduction, asked)) if chosen else 1
        return SCORED * layers * sum(len(job.benchmarks) for job in self.asked.targets.names.jobs)

    def _encoded(self, run: Run) -> float | None:
        seconds = 0.0
        for subject in self.asked.targets.names.subjects:
            cost = self.asked.encoding_cost(run, subject, self.asked.subject_shape(subject))[1]
            if not cost and run.kind != "baseline":
                return None
            seconds += cost
        return seconds


def _of_network(run: Run) -> tuple[Any, ...]:
    return run.kind, run.arch, run.dataset
