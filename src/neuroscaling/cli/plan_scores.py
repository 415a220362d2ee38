"""The last parts of `neuroscaling plan` state what the scores of a study cost, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from neuroscaling.cli.output import GIGA, HOUR, rounded
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.planning.brainscore_memory import scoring_memory
from neuroscaling.planning.encoding import RidgeFit, SubjectShape, count_stimuli, fits_of, subject_shape
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.recordings import EncodingJob, encoding_jobs
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.encoding import EncodingSource

ENCODING_NOTE = (
    "cpu_hours of encoding: of one thread, good to a factor of 2; a job computes all metrics of its entry in turn.\n"
    "memory_mb: of the largest job; stored_gb: tables of targets and draws, and predictions of submissions."
)


def brainscore_rows(study: LoadedStudy) -> list[dict[str, Any]]:
    """A row for each benchmark: MB of the kernel engine and of the stock engine, and those that a job asks for."""
    settings = study.config.brainscore
    if settings is None:
        return []
    return [
        {
            "benchmark": one.benchmark,
            "stimuli": one.stimuli,
            "widest_layer": one.features,
            "kernel_mb": one.kernel,
            "stock_mb": one.stock,
            "engine": settings.engine,
            "mem_mb": settings.mem_mb,
        }
        for one in scoring_memory(study)
    ]


@dataclass(frozen=True)
class _Subject:
    """A subject whose shape is known, with what its fits of a metric other than ridge, and of ridge, are."""

    job: EncodingJob
    shape: SubjectShape
    settings: EncodingSettings
    fits: list[RidgeFit]

    def fits_of(self, metric: str) -> list[RidgeFit]:
        """Ridge alone has the final model that a submission is made of, the last of the fits."""
        return self.fits if metric == "ridge" or not self.settings.final else self.fits[:-1]


def encoding_rows(study: LoadedStudy) -> list[dict[str, Any]]:
    """A row for each source and metric, one for the starts of the jobs, and one of sums.

    Empty numbers: of the subjects of a source nobody knows the images yet; those that are known count.
    """
    from neuroscaling.planning.encoding_costs import JOB_START

    rows = [row for entry in study.config.encoding for row in _rows_of(study, entry)]
    n_jobs = len(study.runs) * len(encoding_jobs(study))
    start = {"source": "all", "metric": "start of jobs", "networks": len(study.runs)}
    rows.append(start | {"cpu_hours": rounded(n_jobs * JOB_START / HOUR)})
    total = {key: rounded(sum(row.get(key) or 0 for row in rows)) for key in ("cpu_hours", "stored_gb")}
    most = max((row.get("memory_mb") or 0 for row in rows), default=0)
    keys = dict.fromkeys(key for row in rows for key in row)
    every = {"source": "all", "metric": "all", "networks": len(study.runs), **total, "memory_mb": most}
    return [{key: row.get(key) for key in keys} for row in [*rows, every]]


def _rows_of(study: LoadedStudy, entry: EncodingSource) -> Iterator[dict[str, Any]]:
    from neuroscaling.planning.encoding_costs import Mapping, metric_cost

    subjects = list(_subjects(study, entry))
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in study.runs.values():
        groups.setdefault((run.arch, run.kind), []).append(run)
    widths = cache(lambda arch, kind, n: _widths(study, groups[arch, kind][0], n))
    for metric in entry.metrics:
        seconds, memory, stored = 0.0, 0, 0
        for own in subjects:
            n = count_stimuli(study, own.job.stimuli) or own.shape.training + own.shape.test
            for (arch, kind), runs in groups.items():
                mapping = Mapping(widths(arch, kind, n), own.shape, own.fits_of(metric), own.settings)
                cost = metric_cost(metric, mapping)
                seconds, stored = seconds + len(runs) * cost.seconds, stored + len(runs) * cost.stored
                memory = max(memory, cost.memory_mb)
        facts = {"source": entry.source, "metric": metric, "networks": len(study.runs), "subjects": len(subjects)}
        fits = sum(fit.times for own in subjects for fit in own.fits_of(metric))
        known = {"cpu_hours": rounded(seconds / HOUR), "memory_mb": memory, "stored_gb": rounded(stored / GIGA)}
        yield facts | {"fits": fits} | (known if subjects else dict.fromkeys(known))


def _subjects(study: LoadedStudy, entry: EncodingSource) -> Iterator[_Subject]:
    settings = EncodingSettings.of(entry, study.config.protocol)
    for job in encoding_jobs(study):
        shape = subject_shape(study, job) if job.entry is entry else None
        if shape is not None:
            yield _Subject(job, shape, settings, fits_of(entry, study.config.protocol, shape))


def _widths(study: LoadedStudy, run: Run, n_stimuli: int) -> list[int]:
    from neuroscaling.planning.extraction import layers_of_run

    return [layer["features"] for layer in layers_of_run(study, run, n_stimuli)]
