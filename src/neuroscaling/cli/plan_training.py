"""The first half of `neuroscaling plan`: what the trainings of a study cost, before anything runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from neuroscaling.calibration.gpus import DEFAULT, GPUS, gpu
from neuroscaling.calibration.training import limit_minutes
from neuroscaling.calibration.training_rates import devices, read_rates
from neuroscaling.errors import Problem, StudyError, nearest

if TYPE_CHECKING:
    from neuroscaling.calibration.campaign import Estimate, Job
    from neuroscaling.calibration.training import Speeds
    from neuroscaling.study import LoadedStudy

GIGA = 1e9
HOUR = 3600
DIGITS = 3
BY: dict[str, Callable[[Estimate], tuple[str, ...]]] = {
    "family": lambda one: (str(_recipe(one)["objective"]), one.run.family),
    "arch": lambda one: (str(_recipe(one)["objective"]), one.run.arch),
    "dataset": lambda one: (str(_recipe(one)["objective"]), str(one.run.dataset)),
    "run": lambda one: (one.run.run,),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `plan` that speak of training."""
    parser.add_argument("--by", choices=list(BY), default="family", help="a row of trainings is a ... (family)")
    text = "GPU of the plan: one that the store has calibrations of, or a stated utilisation of " + ", ".join(GPUS)
    parser.add_argument("--gpu", metavar="NAME", help=f"{text} (the study's `training: gpu`, else {DEFAULT})")
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="GPUs that work side by side (1)")
    text = "compare the estimate with the seconds that finished runs recorded"
    parser.add_argument("--compare", action="store_true", help=text)


def speeds_of(options: argparse.Namespace, study: LoadedStudy) -> Speeds:
    """Speeds that the plan rests on: the store's calibrations of a device, and a GPU for what is missing there.

    Without `--gpu` it is the study's, else the only device that was calibrated, else the default. Raises StudyError
    for a name that is neither a GPU's nor a calibrated device's.
    """
    from neuroscaling.calibration.training import Speeds

    store = study.config.store
    known, wanted = devices(store), options.gpu or study.config.training.gpu
    if wanted is None:
        found = known if len(known) == 1 else []
    else:
        found = [device for device in known if wanted in device or wanted in device.replace("-", "")]
        if not found and wanted not in GPUS:
            names = [*GPUS, *known]
            what, fix = "unknown GPU, and none that was calibrated", "`--calibrate` measures the device of this machine"
            raise StudyError(Problem(what, "--gpu", wanted, ", ".join(names), nearest(wanted, names), fix))
    measured = tuple(read_rates(store, found[0])) if found else ()
    stated = next((name for name in GPUS if name == wanted or (found and name in found[0].replace("-", ""))), DEFAULT)
    return Speeds(stated, measured)


def training_rows(study: LoadedStudy, speeds: Speeds, by: str = "family", gpus: int = 1) -> list[dict[str, Any]]:
    """One row for each group of trainings and one of all; empty where nothing is trained.

    hours: of GPUs, with the ends of their interval; wall_hours: until the row's jobs are done on `gpus` GPUs;
    limit_minutes: time limit of the row's longest job.
    """
    from neuroscaling.calibration.campaign import estimates, jobs_of

    runs = estimates(study, speeds)
    if not runs:
        return []
    jobs = jobs_of(study, runs)
    groups: dict[tuple[str, ...], list[Estimate]] = {}
    for one in runs:
        groups.setdefault(BY[by](one), []).append(one)
    titles = ("run",) if by == "run" else ("objective", by)
    rows = [
        dict(zip(titles, key, strict=True)) | _row(group, jobs, gpus)
        for key, group in sorted(groups.items(), key=_order)
    ]
    return [*rows, dict.fromkeys(titles, "all") | _row(runs, jobs, gpus)]


def note(speeds: Speeds, gpus: int) -> str:
    """What the hours mean, in a few lines."""
    basis = f"a stated utilisation of {gpu(speeds.gpu).title}"
    if speeds.measured:
        count = len(speeds.measured)
        calibrated = f"{count} calibrated network{'s' if count > 1 else ''} on {speeds.measured[0].device}"
        basis = f"{calibrated}, others scaled from these or from {basis}"
    return (
        f"Hours of training are estimates from {basis}; hours_low and hours_high: how far off that may be.\n"
        f"wall_hours: on {gpus} GPU{'s' if gpus > 1 else ''}, the longest job first; "
        "limit_minutes: 1.3 times the slow end of the longest job.\n"
        "`--gpu` names another device; `--calibrate` measures 30 steps of each network on this machine's."
    )


def _row(group: list[Estimate], jobs: list[Job], gpus: int) -> dict[str, Any]:
    from neuroscaling.calibration.campaign import wall_seconds

    names = {one.run.run for one in group}
    own = [job for job in jobs if names.intersection(job.runs)]
    hours = _gpu_hours(group, own)
    return {
        "runs": len(group),
        "jobs": len(own),
        "images_seen": sum(one.work.images_seen for one in group),
        "flops": _rounded(sum(one.work.flops for one in group)),
        "evaluated": sum(one.work.evaluated for one in group),
        "hours_low": _rounded(hours[0]),
        "hours": _rounded(hours[1]),
        "hours_high": _rounded(hours[2]),
        "wall_hours": _rounded(wall_seconds(own, gpus).expected / HOUR),
        "limit_minutes": max(limit_minutes(job.seconds) for job in own),
        "weights_gb": _rounded(sum(one.work.weights for one in group) / GIGA),
        "state_gb": _rounded(max(one.work.states for one in group) / GIGA),
        "rate": _sources(group),
    }


def _gpu_hours(group: list[Estimate], jobs: list[Job]) -> list[float]:
    """Hours of GPUs of the group's runs and of their share of the jobs' starts."""
    from neuroscaling.calibration.training import START

    names = {one.run.run for one in group}
    starts = sum(job.gpus * len(names.intersection(job.runs)) / len(job.runs) for job in jobs)
    ends = ("low", "expected", "high")
    return [(sum(getattr(one.seconds, end) for one in group) + starts * getattr(START, end)) / HOUR for end in ends]


def _sources(group: list[Estimate]) -> str:
    """Where the rates come from: that of all, or how many runs have which kind."""
    found = {one.speed.source: 0 for one in group}
    if len(found) == 1:
        return next(iter(found))
    kinds: dict[str, int] = {}
    for one in group:
        kind = one.speed.source.split()[0] if one.speed.source[0].isalpha() else "stated"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))


def _order(item: tuple[tuple[str, ...], Any]) -> tuple[bool, tuple[str, ...]]:
    """Supervised trainings first, then the other objectives."""
    return item[0][0] != "supervised", item[0]


def _recipe(one: Estimate) -> dict[str, Any]:
    return one.run.recipe or {}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
