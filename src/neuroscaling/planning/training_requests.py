"""The rule `train` asks this module for the GPUs, nodes, memory and minutes of a job."""

from collections.abc import Sequence

from neuroscaling.planning.training_jobs import is_small, job_memory_mb
from neuroscaling.planning.training_time import job_minutes
from neuroscaling.study.loaded_study import LoadedStudy, Run
from neuroscaling.study.rules import needs_gpu

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
    return int(needs_gpu(runs))


def memory_limit_mb(study: LoadedStudy, runs: Sequence[Run], attempt: int) -> int:
    """Megabytes of a job at its `attempt`, from 1: the images that it keeps decoded, and what its processes need."""
    return job_memory_mb(study, runs) * min(attempt, MOST_MEMORY_TRIES)


def time_limit_minutes(study: LoadedStudy, runs: Sequence[Run], attempt: int) -> int:
    """Minutes of a job at its `attempt`, from 1: from its images and networks where the kind of GPU is known."""
    minutes = job_minutes(study, runs, max(job_gpus(study, runs), 1)) * attempt
    return min(minutes, study.config.training.max_minutes or minutes)
