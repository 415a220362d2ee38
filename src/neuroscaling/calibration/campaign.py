"""The trainings of a study as jobs: seconds of each run and of each job, and how long all of them take on N GPUs."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from neuroscaling.calibration.costs import ArchCost, cost_of
from neuroscaling.calibration.feeding import feeding_rate
from neuroscaling.calibration.gpus import Interval
from neuroscaling.calibration.sizes import size_of
from neuroscaling.calibration.training import Speed, Speeds, job_seconds, run_seconds, waits_for_images
from neuroscaling.calibration.work import Work, work_of
from neuroscaling.runs import Run
from neuroscaling.study import LoadedStudy
from neuroscaling.training_jobs import is_small, jobs_for


@dataclass(frozen=True)
class Estimate:
    """What one run does, how fast, and seconds on one GPU without the start of its job; waits: for its images."""

    run: Run
    work: Work
    speed: Speed
    seconds: Interval
    waits: bool


@dataclass(frozen=True)
class Job:
    """Runs that share a job, one after another, each on `gpus` GPUs; seconds: by the clock, the start included."""

    runs: tuple[str, ...]
    gpus: int
    seconds: Interval


def trained(study: LoadedStudy) -> list[Run]:
    """The runs of the study that are trained."""
    return [run for run in study.runs.values() if run.kind == "trained"]


def estimates(study: LoadedStudy, speeds: Speeds, costs: dict[str, ArchCost] | None = None) -> list[Estimate]:
    """Every training of the study, in the order of its run table. costs: of architectures, counted where not given.

    Raises DataError for a data set that is neither there nor declared.
    """
    found, cache_dir = [], study.store.cache()
    for run in trained(study):
        work = work_of(run, size_of(run, cache_dir), (costs or {}).get(run.arch) or cost_of(run.arch))
        speed, feed = speeds.of(run, work.macs), feeding_rate(work, study.config.training)
        found.append(Estimate(run, work, speed, run_seconds(work, speed, feed), waits_for_images(work, speed, feed)))
    return found


def jobs_of(study: LoadedStudy, runs: list[Estimate]) -> list[Job]:
    """The jobs of these runs: small ones of a data set and recipe packed as `training:` says, others by themselves."""
    settings, named = study.config.training, {one.run.run: one for one in runs}
    jobs = jobs_for(study, [one.run for one in runs])
    packs = [_job([named[run] for run in pack.runs], 1) for pack in jobs.packs]
    alone = [named[run] for run in jobs.alone]
    gpus = settings.gpus * settings.nodes
    return [*(_job([one], 1 if is_small(study, one.run) else gpus) for one in alone), *packs]


def wall_seconds(jobs: Iterable[Job], gpus: int) -> Interval:
    """Seconds until all jobs are done on `gpus` GPUs, the longest started first, none ever idle without reason."""
    ordered = sorted(jobs, key=lambda job: -job.seconds.expected)
    ends = [_makespan([(job.seconds, job.gpus) for job in ordered], end, gpus) for end in ("low", "expected", "high")]
    return Interval(*ends)


def _makespan(jobs: list[tuple[Interval, int]], end: str, gpus: int) -> float:
    """Each job takes the GPUs that are free first."""
    free = [0.0] * gpus
    latest = 0.0
    for seconds, wanted in jobs:
        taken = [heapq.heappop(free) for _ in range(min(wanted, gpus))]
        # A job that wants more GPUs than there are takes longer by their ratio.
        done = max(taken) + getattr(seconds, end) * max(wanted / gpus, 1)
        for _ in taken:
            heapq.heappush(free, done)
        latest = max(latest, done)
    return latest


def _job(runs: list[Estimate], gpus: int) -> Job:
    return Job(tuple(one.run.run for one in runs), gpus, job_seconds((one.seconds for one in runs), gpus))
