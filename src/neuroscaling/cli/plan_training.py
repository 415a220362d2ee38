"""The first half of `neuroscaling plan` states what the trainings of a study cost, before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from neuroscaling.cli.output import GIGA, HOUR, rounded
from neuroscaling.core.errors import number_of
from neuroscaling.planning.recorded_speed import CPU, CUDA, Recorded, compared, corrected
from neuroscaling.planning.training_jobs import packs_of
from neuroscaling.planning.training_throughput import MEASURED, RECORDED, Speeds
from neuroscaling.planning.training_time import (
    JOB_START,
    LIMIT_FACTOR,
    OFF_BY,
    JobEstimate,
    RunEstimate,
    job_estimates,
    limit_minutes,
    run_estimates,
    wall_seconds,
)
from neuroscaling.study.loaded_study import LoadedStudy

BY: dict[str, Callable[[RunEstimate], tuple[str, ...]]] = {
    "family": lambda one: (one.run.training_recipe.objective, one.run.family),
    "arch": lambda one: (one.run.training_recipe.objective, one.run.arch),
    "dataset": lambda one: (one.run.training_recipe.objective, str(one.run.dataset)),
    "run": lambda one: (one.run.run,),
}


def training_rows(
    study: LoadedStudy, speeds: Speeds, by: str = "family", gpus: int = 1, recorded: Recorded | None = None
) -> list[dict[str, Any]]:
    """One row for each group of trainings and one of all; empty where nothing is trained.

    hours: of GPUs; wall_hours: until the row's runs are done on `gpus` GPUs; limit_minutes: time limit of the row's
    longest job. recorded: finished runs that correct the estimates.
    """
    runs = corrected(run_estimates(study, speeds), recorded or Recorded())
    if not runs:
        return []
    jobs = job_estimates(study, runs)
    groups: dict[tuple[str, ...], list[RunEstimate]] = {}
    for one in runs:
        groups.setdefault(BY[by](one), []).append(one)
    titles = ("run",) if by == "run" else ("objective", by)
    rows = [
        dict(zip(titles, key, strict=True)) | _row(study, group, jobs, gpus)
        # Supervised trainings come first, then the other objectives.
        for key, group in sorted(groups.items(), key=lambda item: (item[0][0] != "supervised", item[0]))
    ]
    return [*rows, dict.fromkeys(titles, "all") | _row(study, runs, jobs, gpus)]


def finished_rows(recorded: Recorded) -> list[dict[str, Any]]:
    """Forecast against actual: a row for each objective, family and kind of device, and one of all.

    forecast_hours, hours: GPU-hours, or CPU-hours where trainings ran on CPUs, without the start of jobs; ratio: hours
    by forecast. Without a forecast for the kind of device that is not planned for.
    """
    return [
        {
            "objective": one.objective,
            "family": one.family,
            "finished": one.finished,
            "unit": one.unit,
            "forecast_hours": None if one.forecast is None else rounded(one.forecast / HOUR),
            "hours": rounded(one.seconds / HOUR),
            "ratio": None if one.ratio is None else rounded(one.ratio),
        }
        for one in compared(recorded)
    ]


def recorded_note(recorded: Recorded) -> str:
    """What the hours of the training rows owe to finished runs."""
    device = "GPU" if recorded.device == CUDA else "CPU"
    notes = []
    if recorded.runs and not recorded.known:
        took = f"{number_of(len(recorded.runs), 'finished training')} took less than a minute"
        notes.append(f"{took} in all: no estimate is corrected.")
    elif recorded.runs:
        notes.append(
            f"recorded: corrected by what finished trainings of this study took on {device}s, by architecture, else by "
            "family (the table `finished`: ratio is hours by forecast). `--gpu` plans for a device without them."
        )
    for kind, name in ((CUDA, "GPUs"), (CPU, "CPUs")):
        if count := sum(one.device == kind for one in recorded.others):
            forecast = "no forecast of a GPU" if kind == CPU else "no forecast of a CPU"
            calibrate = "; `--calibrate` on such a machine plans for its CPU" if kind == CPU else ""
            ran = f"{number_of(count, 'finished training')} ran on {name}"
            notes.append(f"{ran}: their hours are compared with {forecast}, and correct none{calibrate}.")
    return "\n".join(notes)


def training_note(study: LoadedStudy, speeds: Speeds, gpus: int) -> str:
    """What the hours mean, in a few lines, and the disk that packed data sets take."""
    packs = ", ".join(f"{name} {rounded(size / GIGA):g} GB" for name, size in packs_of(study).items())
    basis = f"a stated share of the peak of an {speeds.gpu.upper()}"
    if count := len(speeds.measured):
        device = next(iter(speeds.measured.values())).device
        basis = f"{number_of(count, 'calibrated network')} on {device}, of the others from {basis}"
    return (
        f"Hours of training are estimates from {basis}; a stated one may be off by a factor of {OFF_BY:g}.\n"
        f"wall_hours: on {number_of(gpus, 'GPU')}, the longest job first; "
        f"limit_minutes: {LIMIT_FACTOR:g} times the estimate of the longest job.\n"
        "weights_gb: of all runs, kept; state_gb: of the largest run, while it is trained."
        + f" Packed data sets, about: {packs}." * bool(packs)
        + "\n`--gpu` names another device; `--calibrate` measures 30 steps of each network on this machine's."
    )


def _row(study: LoadedStudy, group: list[RunEstimate], jobs: list[JobEstimate], gpus: int) -> dict[str, Any]:
    names = {one.run.run for one in group}
    own = [job for job in jobs if names.intersection(job.runs)]
    # A run has its share of the start of its job.
    starts = JOB_START * sum(job.gpus * len(names.intersection(job.runs)) / len(job.runs) for job in own)
    sources = Counter(one.speed.source for one in group)
    known = [f"{name} {sources[name]} of {len(group)}" for name in (RECORDED, MEASURED) if sources[name]]
    return {
        "runs": len(group),
        "jobs": len(own),
        "images_seen": sum(one.work.images_seen for one in group),
        "flops": rounded(sum(one.work.flops for one in group)),
        "evaluated": sum(one.work.evaluated for one in group),
        "hours": rounded((sum(one.seconds for one in group) + starts) / HOUR),
        "wall_hours": rounded(wall_seconds(job_estimates(study, group), gpus) / HOUR),
        "limit_minutes": max(limit_minutes(job.seconds) for job in own),
        "weights_gb": rounded(sum(one.work.weights for one in group) / GIGA),
        "state_gb": rounded(max(one.work.states for one in group) / GIGA),
        "rate": next(iter(sources)) if len(sources) == 1 else ", ".join(known) or "stated",
    }


def readable_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: large numbers in three digits, no zeros behind the point."""
    return {
        key: (f"{value:.3g}" if value >= 10**6 else f"{value:g}")
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for key, value in row.items()
    }
