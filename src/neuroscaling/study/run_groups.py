"""Runs share jobs: this module knows which runs make a group, and what the job of a group is called.

Every job of runs is the job of a group, which may hold one run. The driver of a start makes the groups once: its jobs
are told which runs they have.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Literal, TypeVar

from neuroscaling.core.file_names import readable_name
from neuroscaling.core.hashing import content_hash
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.key_types import AUTO, fixed_size

Item = TypeVar("Item")
ON_GPU = ("trained", "pretrained", "checkpoint")
"""Kinds of runs whose networks are trained or worth a GPU; untrained ones and baselines are small."""


@dataclass(frozen=True)
class RunGroup:
    """The runs of one job. label: name of the job, and of its marker, log and benchmark file.

    extracts: of a job that makes runs, whether it extracts their activations too.
    """

    label: str
    runs: tuple[str, ...]
    extracts: bool = False

    @classmethod
    def of(cls, parts: Iterable[str | None], runs: Sequence[str]) -> "RunGroup":
        """The group of `runs`: labelled by the run where there is one, else by `parts` and a hash of the names."""
        if len(runs) == 1:
            return cls(runs[0], (runs[0],))
        readable = "-".join(readable_name(part) for part in parts if part)
        return cls(f"{readable}-{content_hash(list(runs))}", tuple(runs))

    @property
    def title(self) -> str:
        """The runs as a job's message names them."""
        return self.label if len(self.runs) == 1 else f"{len(self.runs)} networks ({self.label})"


@dataclass(frozen=True)
class RunGroups:
    """The groups of a study.

    training: runs that are left to make, by the jobs that make them; networks: all runs of the study, by the jobs that
    extract and score them.
    """

    training: tuple[RunGroup, ...]
    networks: tuple[RunGroup, ...]

    @cached_property
    def to_train(self) -> dict[str, RunGroup]:
        """The groups of training jobs by their labels."""
        return {group.label: group for group in self.training}

    @cached_property
    def to_score(self) -> dict[str, RunGroup]:
        """The groups of jobs of extraction and scoring by their labels."""
        return {group.label: group for group in self.networks}

    @cached_property
    def trained_by(self) -> dict[str, str]:
        """Label of the job that makes each run."""
        return _labels(self.training)

    @cached_property
    def extracted_in_training(self) -> frozenset[str]:
        """The runs whose activations the job extracts that makes them."""
        return frozenset(run for group in self.training if group.extracts for run in group.runs)

    @cached_property
    def scored_by(self) -> dict[str, str]:
        """Label of the job that extracts and scores each run."""
        return _labels(self.networks)


Planned = Callable[[Run], float | None]
"""The planned seconds of a run; None where they are not known."""
PLANNED_SECONDS, MOST_RUNS = 3600.0, 50
"""Of the runs that share a job with `runs_per_job: auto`, where there are several."""


def network_groups(study: LoadedStudy, planned: Planned | None = None) -> tuple[RunGroup, ...]:
    """The runs of the study in groups of one architecture, at most `runs_per_job:` each, in the order of the run table.

    planned: of a run in the longest of its jobs, for `auto`; without it each run is alone then.
    Where layers were published for each data set, a group is of one data set too: its networks share their layers.
    """
    by_dataset = study.config.brainscore is not None and study.config.brainscore.layers.choose == "published"
    alike: dict[tuple[str, str | None], list[Run]] = {}
    for run in study.runs.values():
        alike.setdefault((run.arch, run.dataset if by_dataset else None), []).append(run)
    return tuple(
        RunGroup.of([_kind_of(chunk), *key], [run.run for run in chunk])
        for key, runs in alike.items()
        for chunk in shared(runs, study.config.runs_per_job, planned)
    )


def shared(runs: Sequence[Run], per_job: int | Literal["auto"], planned: Planned | None) -> Iterator[Sequence[Run]]:
    """`runs`, which are alike, in stretches that share a job: as many as the study says, or as take an hour."""
    if per_job != AUTO or planned is None or len(runs) == 1:
        yield from chunks(runs, fixed_size(per_job))
        return
    held: list[Run] = []
    seconds = 0.0
    for run in runs:
        own = planned(run)
        own = inf if own is None else own  # what is not known fills a job
        if held and (seconds + own > PLANNED_SECONDS or len(held) == MOST_RUNS):
            yield held
            held, seconds = [], 0.0
        held.append(run)
        seconds += own
    if held:
        yield held


def needs_gpu(runs: Iterable[Run]) -> bool:
    """Whether any of `runs` has something to compute on a GPU."""
    return any(run.kind in ON_GPU for run in runs)


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """`items` in stretches of at most `size`."""
    return (items[i : i + size] for i in range(0, len(items), size))


def _kind_of(runs: Sequence[Run]) -> str:
    """A kind that tells whether the job of `runs` needs a GPU: profiles look for it in the job's label."""
    return next((run.kind for run in runs if run.kind in ON_GPU), runs[0].kind)


def _labels(groups: Iterable[RunGroup]) -> dict[str, str]:
    return {run: group.label for group in groups for run in group.runs}
