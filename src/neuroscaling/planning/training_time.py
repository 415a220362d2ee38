"""The seconds of trainings and of their jobs are estimated, and the jobs' time limits from them.

`hours = sum over runs of (images seen x passes / training rate + images evaluated / evaluation rate + start) / 3600`,
where the first term is images seen / feeding rate if that is longer. An estimate may be off by OFF_BY to either side.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.planning.network_shapes import known_cost
from neuroscaling.planning.training_jobs import COLOURS, RESIDENT_GB, is_small, training_groups
from neuroscaling.planning.training_throughput import Speed, Speeds, stored_speeds
from neuroscaling.planning.workload import Work, cost_of, size_of, work_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_groups import needs_gpu
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.networks import Training

UNKNOWN_MINUTES = 600
"""Where no GPU is named, an architecture is in no table, or a data set can't be counted."""


def job_minutes(study: LoadedStudy, runs: Iterable[Run], gpus: int = 1) -> int:
    """Minutes of a job that makes `runs` one after another, each on `gpus` GPUs of the kind `training: gpu:` names.

    From the store's calibration of such a GPU, else from a stated share of its peak.
    """
    name = study.config.training.gpu
    if name is None:
        return UNKNOWN_MINUTES
    speeds = stored_speeds(name, study.store.root)
    trained = [run for run in runs if run.kind == "trained"]
    if any(known_cost(run.arch, study.store.cache()) is None for run in trained):  # to count one would load torch
        return UNKNOWN_MINUTES
    try:
        seconds = [run_estimate(study, run, speeds).seconds for run in trained]
    except NeuroscalingError:  # of a data set that can't be counted
        return UNKNOWN_MINUTES
    return limit_minutes(job_seconds(seconds, gpus))


JOB_START = 60.0
"""Seconds of a job before its first step: Python, torch, decoding, compilation."""
OFF_BY = 2.0
"""How far off an estimate may be: a network reaches half of its share of the peak, or CPUs feed half as many images."""
LIMIT_FACTOR = 1.3 * OFF_BY
"""A time limit is so many times the estimate: what the estimate may miss, with a margin of 1.3."""


def run_seconds(work: Work, speed: Speed, feed: float | None = None) -> float:
    """Seconds of one run on one device, the job's start not counted.

    feed: images a second that its job's CPUs feed; None: images that are decoded once.
    """
    computing = work.images_seen * work.facts.passes / speed.train
    return max(computing, work.images_seen / feed if feed else 0) + work.evaluated / speed.evaluate


def job_seconds(runs: Iterable[float], gpus: int = 1) -> float:
    """Seconds of a job that makes runs of so many seconds one after another, each on `gpus` devices at once."""
    return JOB_START + sum(runs) / gpus


def limit_minutes(seconds: float) -> int:
    """Time limit of a job of estimated `seconds`, in whole steps of 10 minutes."""
    return max(10 * ceil(LIMIT_FACTOR * seconds / 600), 10)


# Images a second for each core, stated: read from JPEG files or from a pack of 256 pixels, cropped and resized (400 to
# 1,900); and where timm's policies (RandAugment, ThreeAugment) change images one by one on top of it (150 to 500).
STREAMED, BY_POLICY = 800.0, 300.0


def feeding_rate(work: Work, training: Training) -> float | None:
    """Images a second for each GPU of a job of `work`'s run; None where its images are decoded once and stay.

    training: the study's; a large run's GPUs share the cores of their node.
    """
    cores = training.cpus / (training.gpus if work.images_seen > training.small else 1)
    if work.facts.by_policy:
        return BY_POLICY * cores
    room = (training.resident_gb or RESIDENT_GB) * 1e9
    decoded = work.n_samples * COLOURS * work.facts.stored_side**2
    return None if work.facts.from_squares and decoded <= room else STREAMED * cores


@dataclass(frozen=True)
class RunEstimate:
    """What one run does, how fast, and seconds on one GPU without the start of its job."""

    run: Run
    work: Work
    speed: Speed
    seconds: float


@dataclass(frozen=True)
class JobEstimate:
    """Runs that share a job, one after another, each on `gpus` GPUs; seconds: by the clock, the start included."""

    runs: tuple[str, ...]
    gpus: int
    seconds: float


def trained_runs(study: LoadedStudy) -> list[Run]:
    """The runs of the study that are trained."""
    return [run for run in study.runs.values() if run.kind == "trained"]


def run_estimate(study: LoadedStudy, run: Run, speeds: Speeds) -> RunEstimate:
    """The training of `run`. Raises DataError for a data set that is neither there nor declared."""
    cache_dir = study.store.cache()
    work = work_of(run, size_of(run, cache_dir), known_cost(run.arch, cache_dir) or cost_of(run.arch))
    speed, feed = speeds.of(run, work.cost.macs), feeding_rate(work, study.config.training)
    return RunEstimate(run, work, speed, run_seconds(work, speed, feed))


def run_estimates(study: LoadedStudy, speeds: Speeds) -> list[RunEstimate]:
    """Every training of the study, in the order of its run table. Raises DataError as `run_estimate`."""
    return [run_estimate(study, run, speeds) for run in trained_runs(study)]


def job_estimates(study: LoadedStudy, runs: list[RunEstimate]) -> list[JobEstimate]:
    """The jobs of these runs: small ones of a data set and recipe share one, others have one to themselves."""
    named = {one.run.run: one for one in runs}
    jobs = []
    for group in training_groups(study, [one.run for one in runs]):
        gpus = max(job_gpus(study, [named[run].run for run in group.runs]), 1)
        seconds = job_seconds((named[run].seconds for run in group.runs), gpus)
        jobs.append(JobEstimate(group.runs, gpus, seconds))
    return jobs


def wall_seconds(jobs: Iterable[JobEstimate], gpus: int) -> float:
    """Seconds until all jobs are done on `gpus` GPUs, the longest started first; a job takes the GPUs free first."""
    free, latest = [0.0] * gpus, 0.0
    for job in sorted(jobs, key=lambda job: -job.seconds):
        taken = [heapq.heappop(free) for _ in range(min(job.gpus, gpus))]
        # A job that wants more GPUs than there are takes longer by their ratio.
        done = max(taken) + job.seconds * max(job.gpus / gpus, 1)
        for _ in taken:
            heapq.heappush(free, done)
        latest = max(latest, done)
    return latest


KEPT_OF_RESULTS = 0.6
"""Share of the results of a forward pass that a step of training keeps for the backward pass."""
MOST_MEMORY_TRIES = 3
"""Attempts up to which memory grows: a run beyond the longest time limit goes on in many, and needs no more in each."""


def is_large(study: LoadedStudy, runs: Sequence[Run]) -> bool:
    """Whether a job makes one run that has the GPUs and nodes of `training:` to itself."""
    return len(runs) == 1 and runs[0].kind == "trained" and not is_small(study, runs[0])


def job_nodes(study: LoadedStudy, runs: Sequence[Run]) -> int:
    """Nodes of a job that makes `runs`."""
    return study.config.training.nodes if is_large(study, runs) else 1


def job_gpus(study: LoadedStudy, runs: Sequence[Run]) -> int:
    """GPUs of a job that makes `runs`, on all of its nodes together: one, or none, where the run is not large."""
    if is_large(study, runs):
        return study.config.training.gpus * study.config.training.nodes
    return int(needs_gpu(run for run in runs if run.kind != "checkpoint"))  # which is fetched and written, not run
