"""The first half of `neuroscaling plan`: what the trainings of a study cost, before anything runs.

What loads torch is imported in the functions that need it, so that other commands start at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from neuroscaling.cli.output import GIGA, HOUR, rounded
from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.planning.training_jobs import packs_of
from neuroscaling.planning.training_throughput import Speeds, read_training_rates, slug, stated_name
from neuroscaling.planning.training_time import (
    JOB_START,
    JobEstimate,
    RunEstimate,
    job_estimates,
    limit_minutes,
    run_estimates,
    wall_seconds,
)
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.sections.networks import GPUS, calibrated_devices, known_gpu

BY: dict[str, Callable[[RunEstimate], tuple[str, ...]]] = {
    "family": lambda one: (one.run.training_recipe.objective, one.run.family),
    "arch": lambda one: (one.run.training_recipe.objective, one.run.arch),
    "dataset": lambda one: (one.run.training_recipe.objective, str(one.run.dataset)),
    "run": lambda one: (one.run.run,),
}


def speeds_of(options: argparse.Namespace, study: LoadedStudy) -> Speeds:
    """Speeds that the plan rests on: the store's calibrations of a device, and a GPU for what is missing there.

    Without `--gpu` it is the one that was just measured, else the study's, else the only one that was calibrated, else
    the default. Raises StudyError for a name that is neither a GPU's nor a calibrated device's.
    """
    store = study.store.root
    known = calibrated_devices(store)
    wanted = options.gpu or (_this_device(options) if options.calibrate else study.config.training.gpu)
    if wanted is None:
        found = known if len(known) == 1 else []
    else:
        found = [device for device in known if wanted in device or wanted in device.replace("-", "")]
        if not found and wanted not in GPUS:
            names = [*GPUS, *known]
            what, fix = "unknown GPU, and none that was calibrated", "`--calibrate` measures the device of this machine"
            raise StudyError(
                Problem(
                    what=what,
                    where="--gpu",
                    value=wanted,
                    allowed=", ".join(names),
                    nearest=nearest(wanted, names),
                    fix=fix,
                )
            )
    measured = tuple(read_training_rates(store, found[0])) if found else ()
    return Speeds(stated_name(wanted, found), measured)


def _this_device(options: argparse.Namespace) -> str:
    """Folder of the device that `--calibrate` measures."""
    from neuroscaling.core.machine import device_of
    from neuroscaling.planning.benchmark import machine_name

    return slug(machine_name(device_of(options.device)))


def training_rows(study: LoadedStudy, speeds: Speeds, by: str = "family", gpus: int = 1) -> list[dict[str, Any]]:
    """One row for each group of trainings and one of all; empty where nothing is trained.

    hours: of GPUs, with the ends of their interval; wall_hours: until the row's runs are done on `gpus` GPUs;
    limit_minutes: time limit of the row's longest job.
    """
    runs = run_estimates(study, speeds)
    if not runs:
        return []
    jobs = job_estimates(study, runs)
    groups: dict[tuple[str, ...], list[RunEstimate]] = {}
    for one in runs:
        groups.setdefault(BY[by](one), []).append(one)
    titles = _titles(by)
    rows = [
        dict(zip(titles, key, strict=True)) | _row(study, group, jobs, gpus)
        for key, group in sorted(groups.items(), key=_order)
    ]
    return [*rows, dict.fromkeys(titles, "all") | _row(study, runs, jobs, gpus)]


def training_note(study: LoadedStudy, speeds: Speeds, gpus: int) -> str:
    """What the hours mean, in a few lines, and the disk that packed data sets take."""
    packs = ", ".join(f"{name} {rounded(size / GIGA):g} GB" for name, size in packs_of(study).items())
    basis = f"a stated utilisation of {known_gpu(speeds.gpu).title}"
    if speeds.measured:
        count = len(speeds.measured)
        calibrated = f"{count} calibrated network{'s' if count > 1 else ''} on {speeds.measured[0].device}"
        basis = f"{calibrated}, others scaled from these or from {basis}"
    return (
        f"Hours of training are estimates from {basis}; hours_low and hours_high: how far off that may be.\n"
        f"wall_hours: on {gpus} GPU{'s' if gpus > 1 else ''}, the longest job first; "
        "limit_minutes: 1.3 times the slow end of the longest job.\n"
        "weights_gb: of all runs, kept; state_gb: of the largest run, while it is trained."
        + f" Packed data sets, about: {packs}." * bool(packs)
        + "\n`--gpu` names another device; `--calibrate` measures 30 steps of each network on this machine's."
    )


def _row(study: LoadedStudy, group: list[RunEstimate], jobs: list[JobEstimate], gpus: int) -> dict[str, Any]:
    names = {one.run.run for one in group}
    own = [job for job in jobs if names.intersection(job.runs)]
    hours = _gpu_hours(group, own)
    return {
        "runs": len(group),
        "jobs": len(own),
        "images_seen": sum(one.work.images_seen for one in group),
        "flops": rounded(sum(one.work.flops for one in group)),
        "evaluated": sum(one.work.evaluated for one in group),
        "hours_low": rounded(hours[0]),
        "hours": rounded(hours[1]),
        "hours_high": rounded(hours[2]),
        "wall_hours": rounded(wall_seconds(job_estimates(study, group), gpus).expected / HOUR),
        "limit_minutes": max(limit_minutes(job.seconds) for job in own),
        "weights_gb": rounded(sum(one.work.weights for one in group) / GIGA),
        "state_gb": rounded(max(one.work.states for one in group) / GIGA),
        "rate": _sources(group),
    }


def _gpu_hours(group: list[RunEstimate], jobs: list[JobEstimate]) -> list[float]:
    """Hours of GPUs of the group's runs and of their share of the jobs' starts."""
    names = {one.run.run for one in group}
    starts = sum(job.gpus * len(names.intersection(job.runs)) / len(job.runs) for job in jobs)
    ends = ("low", "expected", "high")
    return [(sum(getattr(one.seconds, end) for one in group) + starts * getattr(JOB_START, end)) / HOUR for end in ends]


def _sources(group: list[RunEstimate]) -> str:
    """Where the rates come from: that of all, or how many runs have which kind."""
    found = {one.speed.source: 0 for one in group}
    if len(found) == 1:
        return next(iter(found))
    kinds: dict[str, int] = {}
    for one in group:
        kind = one.speed.source.split()[0] if one.speed.source[0].isalpha() else "stated"
        kinds[kind] = kinds.get(kind, 0) + 1
    return (
        next(iter(kinds)) if len(kinds) == 1 else ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    )


def _titles(by: str) -> tuple[str, ...]:
    return ("run",) if by == "run" else ("objective", by)


def _order(item: tuple[tuple[str, ...], Any]) -> tuple[bool, tuple[str, ...]]:
    """Supervised trainings first, then the other objectives."""
    return item[0][0] != "supervised", item[0]


def readable_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: large numbers in three digits, no zeros behind the point."""
    return {key: _readable(value) for key, value in row.items()}


def _readable(value: Any) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return f"{value:.3g}" if value >= 10**6 else f"{value:g}"
