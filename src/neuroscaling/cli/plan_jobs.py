"""A part of `neuroscaling plan` states what the jobs of a study ask for, and which network asks most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from neuroscaling.planning.job_resources import Asked, JobResources
from neuroscaling.planning.submissions import OF_NETWORKS, submissions
from neuroscaling.planning.training_jobs import training_groups
from neuroscaling.study.job_parts import Parts
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_groups import network_groups
from neuroscaling.study.run_table import Run
from neuroscaling.study.wanted import Absent, Inventory, Targets

JOBS_NOTE = (
    "jobs: of one network each where `runs_per_job` is `auto`;\n"
    "mem_mb, gpu_memory_mb, minutes: what the largest job of a row asks for at its first try, each number of another "
    "job perhaps;\nmost: the network, subject or data set that asks for most memory. The store's records of like runs "
    "count."
)
SUBMISSIONS_NOTE = (
    "submissions: jobs that a start on a cluster would submit now; a_network: of those that make, extract and score\n"
    "networks, so many for each network that they concern. On one machine each network has jobs of its own."
)


def job_rows(study: LoadedStudy, by: str = "stage") -> list[dict[str, Any]]:
    """A row for each stage whose jobs concern networks; by: `arch` for a row of each architecture too.

    Stages are the kinds of runs that are made, extraction, encoding, and Brain-Score; ahead of them a row of packs, and
    one of recordings that are prepared. All jobs of the study count, also those that are done.
    """
    targets = Targets(study)
    asked = Asked(targets)
    rows = [({"arch": ""} if by == "arch" else {}) | row for row in _prepared(asked, targets)]
    for stage, found in _stages(asked, targets):
        groups: dict[str, list[tuple[Run, JobResources]]] = {}
        for runs, asks in found:
            groups.setdefault(runs[0].arch if by == "arch" else "", []).append((runs[0], asks))
        for arch, jobs in groups.items():
            named = [(run.arch, asks) for run, asks in jobs]
            rows.append(({"arch": arch} if by == "arch" else {}) | {"jobs_of": stage} | _largest(named))
    return rows


def _prepared(asked: Asked, targets: Targets) -> Iterator[dict[str, Any]]:
    packs = [(name, asked.pack(name)) for name in targets.study.config.training.packs for _ in ("train", "validation")]
    subjects = {(one.data, one.subject) for one in targets.names.subjects if one.preparation}
    recordings = [(subject, asked.preparation(data, subject)) for data, subject in sorted(subjects)]
    for stage, jobs in (("packs", packs), ("recordings", recordings)):
        if jobs:
            yield {"jobs_of": stage} | _largest(jobs)


def submission_rows(study: LoadedStudy) -> list[dict[str, Any]]:
    """A row for each rule with jobs that a start on a cluster would submit now, those of networks with a sum."""
    targets = Targets(study)
    found = submissions(Absent(targets, Inventory(study.store)))
    each = max(found.networks, 1)
    rows: list[dict[str, Any]] = [
        {"rule": rule, "submissions": n, "a_network": round(n / each, 3) if rule in OF_NETWORKS else None}
        for rule, n in found.by_rule.items()
    ]
    total, of_networks = sum(found.by_rule.values()), round(found.of_networks / each, 3)
    return [*rows, {"rule": "all", "submissions": total, "a_network": of_networks}]


def _stages(asked: Asked, targets: Targets) -> Iterator[tuple[str, list[tuple[list[Run], JobResources]]]]:
    study = targets.study
    made: dict[str, list[tuple[list[Run], JobResources]]] = {}
    for group in training_groups(study, study.runs.values()):
        runs = [study.runs[run] for run in group.runs]
        made.setdefault(runs[0].kind, []).append((runs, asked.making(runs)))
    yield from made.items()
    parts, slices = Parts.of(targets), study.config.extraction.slices
    networks = [[study.runs[run] for run in group.runs] for group in network_groups(study)]
    extracted, scored = [], []
    for runs in networks:
        for sets in parts.sets.values():
            pairs = [(run.run, name) for run in runs for name in sets]
            extracted.append((runs, asked.extraction(pairs, slices)))
        scored += [(runs, asked.encoding(runs, subjects)) for subjects in parts.subjects.values()]
    brainscore = [(runs, asked.scoring(runs)) for runs in networks for _ in parts.brainscore]
    for stage, jobs in (("extraction", extracted), ("encoding", scored), ("brainscore", brainscore)):
        if jobs:
            yield stage, jobs


def _largest(jobs: list[tuple[str, JobResources]]) -> dict[str, Any]:
    """Of jobs, each with the name of its network, data set or subject."""
    most = max(jobs, key=lambda job: (job[1].mem_mb, job[1].gpu_memory_mb, job[1].minutes))
    return {
        "jobs": len(jobs),
        "mem_mb": most[1].mem_mb,
        "gpu_memory_mb": max(asks.gpu_memory_mb for _, asks in jobs),
        "minutes": max(asks.minutes for _, asks in jobs),
        "most": most[0],
    }
