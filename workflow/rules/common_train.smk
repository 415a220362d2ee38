# What the rules of training share: which runs are left, and what their jobs need.
import re
import time

from neuroscaling.calibration.jobs import job_minutes
from neuroscaling.calibration.memory import job_memory_mb
from neuroscaling.training_jobs import (
    is_small,
    jobs_for,
    read_jobs,
    training_jobs,
    write_jobs,
)

TRAINING = STUDY.config.training
# Jobs on a cluster read this file again, when some of the runs are there already; they must see the same jobs.
FROZEN = Path(".snakemake") / "neuroscaling" / f"{STUDY.config.study}-training.json"
# Runs that have a job are not there, and must be made. Snakemake would make none whose record is damaged or tells of a
# failure, nor one that is gone while results made from it are there. An input that is newer than all tells it otherwise.
NOW = FROZEN.with_name(f"{STUDY.config.study}-now")
if workflow.is_main_process:
    NOW.parent.mkdir(parents=True, exist_ok=True)
    NOW.write_text(str(time.time_ns()))
if config.get("whole"):  # for the graph of the rules: as if no run were there
    TRAIN_JOBS = jobs_for(STUDY, list(RUNS.values()))
elif workflow.is_main_process or not FROZEN.is_file():
    TRAIN_JOBS = training_jobs(STUDY)
else:
    TRAIN_JOBS = read_jobs(FROZEN)
# Runs that have a job of their own; a pattern that nothing matches where there are none.
ALONE = "|".join(map(re.escape, TRAIN_JOBS.alone)) or "(?!)"
PACKED_DATASETS = {
    name: {
        split: STUDY.store.pack(
            name, STUDY.fingerprints[name], pack.form, pack.size, split
        )
        for split in ("train", "validation")
    }
    for name, pack in TRAINING.packs.items()
}
config["training"] = {
    **TRAINING.operating(),
    "packs": {
        name: str(paths["train"].parent) for name, paths in PACKED_DATASETS.items()
    },
    "cache_dir": str(STUDY.store.cache()),
}


def of_runs(function, job):
    """`function` of the run's wildcards, or the files of all runs of a pack, each once."""

    def files(wildcards):
        runs = [wildcards.run] if job is None else job.runs
        found = [path for run in runs for path in function(SimpleNamespace(run=run))]
        # Ancient: a run's name says what it is made from; a touched file must not train it again.
        return [ancient(path) for path in dict.fromkeys(found)]

    return files


def subset_of(wildcards):
    """The subset that a run is trained on; none for the others."""
    run = RUNS[wildcards.run]
    if run.kind != "trained":
        return []
    return [
        STUDY.store.subset(run.dataset, run.fingerprint, run.subset, run.subset_seed)
    ]


def start_of(wildcards):
    """run.json of the run that a run starts from."""
    start = RUNS[wildcards.run].start
    return [STUDY.store.run(start) / "run.json"] if start else []


def dataset_packs_of(wildcards):
    """Manifests of the packed data set that a run reads."""
    run = RUNS[wildcards.run]
    return list(PACKED_DATASETS.get(run.dataset, {}).values())


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
