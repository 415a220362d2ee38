"""Which runs of a study share jobs, and which jobs that make runs extract their activations too.

The driver of a start, `neuroscaling status` and `neuroscaling plan` ask here.
"""

from dataclasses import replace

from neuroscaling.planning.job_resources import Asked
from neuroscaling.planning.planned_work import PlannedWork
from neuroscaling.planning.training_jobs import training_groups
from neuroscaling.planning.training_time import job_gpus
from neuroscaling.study.job_parts import Parts
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_groups import RunGroup, RunGroups, network_groups
from neuroscaling.study.wanted import Absent


def job_groups(absent: Absent, on_cluster: bool = False) -> RunGroups:
    """The groups of the runs that are left to make, and of all networks.

    on_cluster: each job is submitted, waits in a queue and starts there. Then runs whose planned work is small share
    jobs (`runs_per_job: auto`), and a job that makes runs extracts their activations too, unless extraction is split up
    or would keep further GPUs from work. On one machine it does not: another network can be trained beside it.
    """
    study = absent.targets.study
    if not on_cluster:
        return RunGroups(training_groups(study, absent.runs), network_groups(study))
    work, in_slices = PlannedWork(Asked(absent.targets)), study.config.extraction.slices > 1
    extracts = not in_slices and len(Parts.of(absent.targets).sets) == 1
    training = training_groups(study, absent.runs, work.making_and_extraction if extracts else work.making)
    if extracts:
        training = tuple(replace(group, extracts=_has_one_gpu(study, group)) for group in training)
    # Slices are of one network.
    return RunGroups(training, network_groups(study, None if in_slices else work.longest_job))


def _has_one_gpu(study: LoadedStudy, group: RunGroup) -> bool:
    """Whether the job of a group has one GPU at most, and so one node."""
    return job_gpus(study, [study.runs[run] for run in group.runs]) <= 1
