"""Memory that scoring on Brain-Score's benchmarks takes is estimated before anything is computed."""

from collections.abc import Iterator
from dataclasses import dataclass

from neuroscaling.brainscore.environment import estimate_mb
from neuroscaling.planning.encoding import count_stimuli
from neuroscaling.study.benchmarks import registered_benchmark
from neuroscaling.study.brainscore_jobs import brainscore_jobs
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.sections.key_types import ALL

MANY_NEUROIDS = 1_000
"""Neuroids of a large recording: those of a benchmark are known when its files are read."""


@dataclass(frozen=True)
class ScoringMemory:
    """What a benchmark takes at its peak, from the widest layer of any network of the study.

    stimuli: of its set, None where they can't be counted yet, and with them the rest; features: of that layer; kernel,
    stock: MB of the engines.
    """

    benchmark: str
    stimuli: int | None
    features: int | None
    kernel: int | None
    stock: int | None


def scoring_memory(study: LoadedStudy) -> Iterator[ScoringMemory]:
    """One for each benchmark of the study, in its order; nothing is computed but shapes.

    The stock engine, and behaviour with either engine, hold all features; the kernel engine holds inner products.
    """
    settings = study.config.brainscore
    if settings is None:
        return
    for job in brainscore_jobs(study):
        n = count_stimuli(study, job.stimuli)
        width = _widest(study, n) if n else None
        for benchmark in job.benchmarks:
            if n is None or width is None:
                yield ScoringMemory(benchmark, n, None, None, None)
                continue
            whole = _is_behaviour(study, benchmark)
            targets = 1 if whole else MANY_NEUROIDS
            stock = estimate_mb(n, width, targets, "stock", ("features",))
            kernel = stock if whole else kernel_mb(study, n, width)
            yield ScoringMemory(benchmark, n, width, kernel, stock)


def kernel_mb(study: LoadedStudy, n_stimuli: int, n_features: int) -> int:
    """MB of the kernel engine at the study's numbers of mapping images, from what it keeps of a layer."""
    settings = study.config.brainscore
    few = settings is not None and settings.samples != ALL
    kept = ("gram",) if study.config.extraction.keep != "features" else ("features",)
    return estimate_mb(n_stimuli, n_features, MANY_NEUROIDS, "kernel", kept, few)


def _widest(study: LoadedStudy, n_stimuli: int) -> int | None:
    from neuroscaling.planning.extraction import layers_of_run  # loads torch, which `check` needs for no memory

    architectures = {(run.arch, run.kind): run for run in study.runs.values()}
    widths = [layer["features"] for run in architectures.values() for layer in layers_of_run(study, run, n_stimuli)]
    return max(widths, default=None)


def _is_behaviour(study: LoadedStudy, benchmark: str) -> bool:
    settings = study.config.brainscore
    defined = settings is not None and benchmark in settings.define
    return not defined and registered_benchmark(benchmark).kind == "behavior"
