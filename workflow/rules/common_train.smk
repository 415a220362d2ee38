# What the rules of training share: which runs are left, and what their jobs need.
import re

from neuroscaling.planning.training_time import job_minutes
from neuroscaling.planning.training_jobs import job_memory_mb
from neuroscaling.planning.training_jobs import (
    is_small,
    read_jobs,
    training_jobs,
    write_jobs,
)

TRAINING = STUDY.config.training
# Jobs on a cluster read this file again, when some of the runs are there already; they must see the same jobs.
FROZEN = session.PRIVATE / STUDY.config.study / "training.json"
if workflow.is_main_process or WHOLE or not FROZEN.is_file():
    TRAIN_JOBS = training_jobs(ABSENT)
else:
    TRAIN_JOBS = read_jobs(FROZEN)
# Runs that have a job of their own: any name without packs, since thousands of names take their time to match.
ALONE = "|".join(map(re.escape, TRAIN_JOBS.alone)) or "(?!)"
if not TRAIN_JOBS.packs:
    ALONE = r"[A-Za-z0-9._-]+-[0-9a-f]{8}"
PACKED_DATASETS = {
    name: {
        split: STORE.pack(name, STUDY.fingerprints[name], pack.form, pack.size, split)
        for split in ("train", "validation")
    }
    for name, pack in TRAINING.packs.items()
}
config["training"] = {
    **TRAINING.operating(),
    "packs": {
        name: str(STORE.find(paths["train"]).parent)
        for name, paths in PACKED_DATASETS.items()
    },
    "cache_dir": str(STORE.cache()),
}
SUBSETS = {
    (path.parent.name, path.stem): run
    for run in RUNS.values()
    if run.kind == "trained"
    for path in [TARGETS.subset(run)]
}


def subset_job(wildcards):
    """The list of images that a job draws."""
    return ASKED.subset(SUBSETS[wildcards.dataset, wildcards.subset])


def dataset_of(wildcards):
    """Name of a data set without its fingerprint."""
    return wildcards.dataset.rsplit("-", 1)[0]


def dataset_settings(wildcards):
    """What the study says of a data set."""
    return STUDY.config.datasets[dataset_of(wildcards)].model_dump(mode="json")


def before_training(job):
    """What a job waits for: subsets, runs that others start from, and packed data sets, where they are absent."""

    def markers(wildcards):
        runs = runs_of(wildcards, job)
        own = {run.run for run in runs}
        starts = {run.start for run in runs if run.start} - own
        left = starts & ABSENT.run_names
        packs = [
            path
            for run in runs
            for path in PACKED_DATASETS.get(run.dataset, {}).values()
        ]
        subsets = [TARGETS.subset(run) for run in runs if run.kind == "trained"]
        records = [marker(STORE.run(run) / RUN_RECORD) for run in sorted(left)]
        return [*made(*subsets, *packs), *records]

    return markers


def run_jobs(job):
    """The runs that a job makes."""

    def jobs(wildcards):
        return [ASKED.run(run) for run in runs_of(wildcards, job)]

    return jobs


def training_gpus(job):
    """GPUs of a training job on all of its nodes: those that the study gives to large runs; one for a pack."""

    def gpu(wildcards):
        if job is not None:
            return max(gpus_of(SimpleNamespace(run=run)) for run in job.runs)
        nodes = training_nodes(job)(wildcards)
        return gpus_of(wildcards) * (
            TRAINING.gpus * nodes if _large(wildcards.run) else 1
        )

    return gpu


def training_nodes(job):
    """Nodes of a training job."""

    def nodes(wildcards):
        return TRAINING.nodes if job is None and _large(wildcards.run) else 1

    return nodes


def steps_of_nodes(job):
    """What lets a job start a process on each of its nodes: without `mpi` the plugin runs it in a step on one node."""
    if job is not None or TRAINING.nodes == 1:
        return {}

    def mpi(wildcards):
        return "srun" if _large(wildcards.run) else ""

    return {"mpi": mpi, "tasks": training_nodes(job), "tasks_per_gpu": 0}


def training_memory(job):
    """Memory of a training job: the images that it keeps decoded, and what its processes need."""

    def mem_mb(wildcards, attempt):
        runs = [wildcards.run] if job is None else job.runs
        # A run beyond the longest time limit goes on in many tries, and needs no more memory in each.
        return job_memory_mb(STUDY, [RUNS[run] for run in runs]) * min(attempt, 3)

    return mem_mb


def training_minutes(job):
    """Time limit of a training job: from its images and its network where the kind of GPU is known."""

    def runtime(wildcards, attempt):
        runs = [wildcards.run] if job is None else job.runs
        gpus = max(training_gpus(job)(wildcards), 1)
        wanted = job_minutes(STUDY, [RUNS[run] for run in runs], gpus) * attempt
        return min(wanted, TRAINING.max_minutes or wanted)

    return runtime


def _large(run):
    return RUNS[run].kind == "trained" and not is_small(STUDY, RUNS[run])
