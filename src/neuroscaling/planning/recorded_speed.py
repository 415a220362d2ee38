"""What finished runs of a study took corrects the estimates of those that are left, by architecture or family.

An estimate is of one GPU. A record has seconds by the clock, of all tries: they count for each GPU of a large run's
job, and in part where runs trained side by side on one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.records import DONE, RUN_RECORD, unchecked_record
from neuroscaling.planning.training_throughput import RECORDED, Speeds
from neuroscaling.planning.training_time import (
    JOB_START,
    RunEstimate,
    is_large,
    job_gpus,
    run_estimate,
    trained_runs,
)
from neuroscaling.planning.workload import listed_cost
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_table import Run

LEAST_SECONDS = JOB_START
"""Finished runs that took less together say little of longer ones."""
MOST_RATIO = 10.0
"""Where finished runs took more than so many times their forecast, what they took beyond it is no matter of speed, but
of each run: its start, its evaluations, its files."""


@dataclass(frozen=True)
class FinishedRun:
    """A training that is done: its estimate, and the seconds of a GPU that it took."""

    estimate: RunEstimate
    seconds: float


@dataclass(frozen=True)
class Recorded:
    """Finished trainings of one kind of device, `cuda` or `cpu`; empty where there is none."""

    runs: tuple[FinishedRun, ...] = ()
    device: str = ""

    def estimate(self, one: RunEstimate) -> RunEstimate:
        """An estimate as finished runs of its architecture, else of its objective and family, correct it."""
        for key in _keys(one.run):
            if key in self._corrections:
                factor, more = self._corrections[key]
                speed = replace(one.speed, source=RECORDED)
                return replace(one, seconds=one.seconds * factor + more, speed=speed)
        return one

    @cached_property
    def _corrections(self) -> dict[tuple[str, ...], tuple[float, float]]:
        """What an estimate is multiplied with, and the seconds that are added then."""
        groups: dict[tuple[str, ...], list[FinishedRun]] = {}
        for one in self.runs:
            for key in _keys(one.estimate.run):
                groups.setdefault(key, []).append(one)
        found = {}
        for key, group in groups.items():
            taken, forecast = sum(one.seconds for one in group), sum(one.estimate.seconds for one in group)
            if taken > MOST_RATIO * forecast:
                correction = (1.0, (taken - forecast) / len(group))
            else:
                correction = (taken / forecast, 0.0)
            # A speed is a family's own; what each run takes beside it, other families' runs take too.
            if taken >= LEAST_SECONDS and (len(key) > 1 or correction[1] > 0):
                found[key] = correction
        return found

    @property
    def known(self) -> int:
        """Number of architectures and families that are corrected."""
        return len(self._corrections)


def recorded_runs(study: LoadedStudy, speeds: Speeds, records: Mapping[str, Any] | None = None) -> Recorded:
    """The finished trainings of a study, by the records of its store; on GPUs, or on CPUs where none was on one.

    records: what run.json states of each run, where that was read already. Architectures outside the shipped table of
    costs are left out, and data sets that can't be counted: to count them takes long.
    """
    found: dict[str, list[FinishedRun]] = {}
    for run in trained_runs(study):
        path = study.store.run(run.run) / RUN_RECORD
        record = unchecked_record(study.store.find(path)) if records is None else records.get(run.run, {})
        made = record.get("provenance") or {}
        seconds = made.get("seconds")
        if record.get("status") != DONE or not isinstance(seconds, int | float) or listed_cost(run.arch) is None:
            continue
        try:
            estimate = run_estimate(study, run, speeds)
        except NeuroscalingError:
            continue
        found.setdefault(str(made.get("device")), []).append(FinishedRun(estimate, seconds * _share(study, run)))
    device = next((name for name in ("cuda", "cpu") if name in found), "")
    return Recorded(tuple(found.get(device, ())), device)


@dataclass(frozen=True)
class Compared:
    """Forecast against actual of finished trainings of an objective and family: GPU-seconds, without starts of jobs."""

    objective: str
    family: str
    finished: int
    forecast: float
    seconds: float

    @property
    def ratio(self) -> float:
        """What they took by what was forecast."""
        return self.seconds / self.forecast


def compared(recorded: Recorded) -> list[Compared]:
    """Finished trainings by objective, supervised ones first, and family; the last of all together."""
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for one in recorded.runs:
        groups.setdefault((one.estimate.run.training_recipe.objective, one.estimate.run.family), []).append(one)
    found = sorted(groups.items(), key=lambda item: (item[0][0] != "supervised", item[0]))
    everything = [(("all", "all"), list(recorded.runs))] if found else []
    return [
        Compared(*key, len(group), sum(one.estimate.seconds for one in group), sum(one.seconds for one in group))
        for key, group in (*found, *everything)
    ]


def corrected(estimates: Iterable[RunEstimate], recorded: Recorded) -> list[RunEstimate]:
    """Estimates, as finished runs correct them."""
    return [recorded.estimate(one) for one in estimates]


def _share(study: LoadedStudy, run: Run) -> float:
    """Seconds of a GPU in a second by the clock of this run."""
    if is_large(study, [run]):
        return float(max(job_gpus(study, [run]), 1))
    return 1 / max(study.config.training.side_by_side, 1)


def _keys(run: Run) -> tuple[tuple[str, ...], ...]:
    """What runs are alike in, the most alike first."""
    objective = run.training_recipe.objective
    return (objective, run.family, run.arch), (objective, run.family), (objective,)
