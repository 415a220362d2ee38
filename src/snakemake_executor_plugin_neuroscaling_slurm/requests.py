"""What a job of Snakemake asks Slurm for, and the same job with its time and memory cut to a partition."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from snakemake_executor_plugin_slurm.partitions import get_job_cpu_requirement, parse_gpu_requirements

from neuroscaling.study.slurm_partitions import Asked, Choice, Nodes, Partition, Wanted


class Resources(dict[str, Any]):
    """Resources by name, as keys and as attributes: Slurm's plugin uses both."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass
class Cut:
    """A job as it is submitted: that of Snakemake, with other resources."""

    job: Any
    resources: Resources

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)


def cut(job: Any, choice: Choice | None) -> Cut:
    """The job with the time and memory of its partition; as it is where there is no choice."""
    resources = Resources(job.resources.items())
    if choice is not None:
        if choice.minutes:
            resources["runtime"] = choice.minutes
        if choice.memory and _number(resources.get("mem_mb")):
            resources["mem_mb"] = choice.memory
    return Cut(job, resources)


def asked_by(job: Any) -> Asked:
    """What a job asks for, by its resources. What only its end can tell counts as nothing."""
    resources = job.resources
    gpus, model = parse_gpu_requirements(job)
    nodes = max(1, _number(resources.get("nodes")))
    cpus, per = get_job_cpu_requirement(job)
    cpus = cpus * ceil(gpus / nodes) if per == "gpu" else cpus
    constraint = str(resources.get("constraint") or "")
    # Slurm's other signs mean alternatives: sbatch looks at them.
    simple = re.fullmatch(r"[\w.-]+([,&][\w.-]+)*", constraint)
    accounts = [one for one in re.split(r"[,\s]+", str(resources.get("slurm_account") or "")) if one]
    return Asked(
        memory=_number(resources.get("mem_mb")) or _number(resources.get("mem_mb_per_cpu")) * cpus,
        minutes=_number(resources.get("runtime")),
        cpus=cpus,
        gpus=gpus,
        nodes=nodes,
        model=str(model or ""),
        features=frozenset(re.split("[,&]", constraint)) if simple else frozenset(),
        partition=str(resources.get("slurm_partition") or ""),
        account=accounts[0] if len(accounts) == 1 else "",
    )


def cluster_of(job: Any) -> str:
    """The cluster that a job names, where several share a login node; their partitions are not read."""
    names = ("slurm_cluster", "cluster", "clusters")
    return next((str(job.resources.get(name)) for name in names if job.resources.get(name)), "")


def wanted_by(jobs: Iterable[Any]) -> list[Wanted]:
    """The jobs that will be submitted, those of a rule that ask for the same as one."""
    found: dict[tuple[str, Asked], list[str]] = {}
    for job in jobs:
        if not job.is_local and not cluster_of(job):
            found.setdefault((job.name, asked_by(job)), []).append(" ".join(job.wildcards))
    return [Wanted(rule, len(examples), examples[0], asked) for (rule, asked), examples in found.items()]


def limited(partitions: list[Partition], site: Iterable[Any]) -> list[Partition]:
    """The partitions of a site's own file (Slurm's plugin has read it), each within what Slurm tells of it.

    Where Slurm does not know a name, `nodes` are as the file says.
    """
    known = {one.name: one for one in partitions}
    found = []
    for entry in site:
        limits, name = entry.limits, entry.name
        of_slurm = known.get(name)
        model = frozenset(limits.available_gpu_models or ())
        features = frozenset(limits.available_constraints or ())
        nodes = of_slurm.nodes if of_slurm else (Nodes(1, 10**6, 10**9, limits.max_gpu, model, features),)
        found.append(
            Partition(
                name,
                nodes,
                min(limits.max_runtime, of_slurm.minutes if of_slurm else limits.max_runtime),
                is_default=of_slurm.is_default if of_slurm else False,
                is_up=of_slurm.is_up if of_slurm else True,
                most_nodes=min(limits.max_nodes, of_slurm.most_nodes if of_slurm else limits.max_nodes),
                most_cpus=min(limits.max_threads, limits.max_cpus_per_task),
                most_memory=limits.max_mem_mb,
                most_gpus=limits.max_gpu,
                accounts=of_slurm.accounts if of_slurm else frozenset(),
            )
        )
    return found


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
