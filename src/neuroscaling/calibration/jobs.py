"""Time limits of training jobs, for the scheduler. Light: asked for while the Snakefile is read, no torch."""

from collections.abc import Iterable

from neuroscaling.calibration.costs import listed_cost
from neuroscaling.calibration.feeding import feeding_rate
from neuroscaling.calibration.gpus import Interval
from neuroscaling.calibration.sizes import size_of
from neuroscaling.calibration.speeds import stored_speeds
from neuroscaling.calibration.training import Speeds, job_seconds, limit_minutes, run_seconds
from neuroscaling.calibration.work import work_of
from neuroscaling.errors import NeuroscalingError
from neuroscaling.runs import Run
from neuroscaling.study import LoadedStudy

UNKNOWN_MINUTES = 600
"""Where no GPU is named, an architecture is in no table, or a data set can't be counted."""


def job_minutes(study: LoadedStudy, runs: Iterable[Run], gpus: int = 1) -> int:
    """Minutes of a job that makes `runs` one after another, each on `gpus` GPUs of the kind `training: gpu:` names.

    From the store's calibration of such a GPU, else from a stated utilisation: the slow end with a margin of 1.3.
    """
    name = study.config.training.gpu
    if name is None:
        return UNKNOWN_MINUTES
    speeds = stored_speeds(name, study.store.root)
    found = [_seconds(study, run, speeds) for run in runs if run.kind == "trained"]
    known = [seconds for seconds in found if seconds is not None]
    return limit_minutes(job_seconds(known, gpus)) if len(known) == len(found) else UNKNOWN_MINUTES


def _seconds(study: LoadedStudy, run: Run, speeds: Speeds) -> Interval | None:
    cost = listed_cost(run.arch)
    if cost is None:
        return None
    try:
        size = size_of(run, study.store.cache())
    except NeuroscalingError:
        return None
    work = work_of(run, size, cost)
    return run_seconds(work, speeds.of(run, work.macs), feeding_rate(work, study.config.training))
