"""What finished runs of a study took corrects the estimates of those that are left, by architecture or family.

An estimate is of one GPU, or of a CPU that was calibrated. A record has seconds by the clock, of all tries: they count
for each GPU of a large run's job, and in part where runs trained side by side on one. Runs on a CPU say nothing of a
GPU, nor the other way round: those of the other kind are told with their hours, and are compared with nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.records import DONE, RUN_RECORD, unchecked_record
from neuroscaling.planning.training_throughput import MEASURED, RECORDED, Speeds
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

CUDA, CPU = "cuda", "cpu"
"""Kinds of devices, as records name them."""
LEAST_SECONDS = JOB_START
"""Finished runs that took less together say little of longer ones."""
MOST_RATIO = 10.0
"""Where finished runs took more than so many times their forecast, what they took beyond it is no matter of speed, but
of each run: its start, its evaluations, its files."""


@dataclass(frozen=True)
class FinishedRun:
    """A training that is done: its estimate, and the seconds that it took of a GPU, or of a CPU.

    device: `cuda` or `cpu`; cores: of the CPU, in its job; 1 of a GPU's.
    """

    estimate: RunEstimate
    seconds: float
    device: str = CUDA
    cores: int = 1


@dataclass(frozen=True)
class Recorded:
    """Finished trainings. runs: on the kind of device that is planned for; others: on the other kind.

    device: that kind, `cuda` or `cpu`; others may be on it too, whose network was not calibrated on the CPU.
    """

    runs: tuple[FinishedRun, ...] = ()
    others: tuple[FinishedRun, ...] = ()
    device: str = CUDA

    @property
    def unit(self) -> str:
        """What the plan's hours are."""
        return _hours_of(self.device)

    @property
    def all_elsewhere(self) -> bool:
        """Whether finished trainings are all on another kind of device than the plan's."""
        return bool(self.others) and not self.runs

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
    """The finished trainings of a study, by the records of its store. speeds: of the device that is planned for.

    records: what run.json states of each run, where that was read already. Architectures outside the shipped table of
    costs are left out, and data sets that can't be counted: to count them takes long.
    """
    runs: list[FinishedRun] = []
    others: list[FinishedRun] = []
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
        if made.get("device") == CPU:
            one = FinishedRun(estimate, seconds / _beside(study, run), CPU, cores_of(study, made))
        else:
            one = FinishedRun(estimate, seconds * _share(study, run))
        (runs if one.device == planned_device(estimate, speeds) else others).append(one)
    return Recorded(tuple(runs), tuple(others), CPU if speeds.on_cpu else CUDA)


def planned_device(estimate: RunEstimate, speeds: Speeds) -> str:
    """The kind of device that an estimate is of: a CPU where it was calibrated with this network, else a GPU."""
    return CPU if speeds.on_cpu and estimate.speed.source == MEASURED else CUDA


def cores_of(study: LoadedStudy, made: Mapping[str, Any]) -> int:
    """Cores that a training on a CPU had. made: the provenance of its record."""
    processors = (made.get("machine") or {}).get("processors") or study.config.training.cpus
    return int(max(min(study.config.training.cpus, processors), 1))


@dataclass(frozen=True)
class Compared:
    """Forecast against actual of finished trainings of an objective and family, without starts of jobs.

    device: `cuda` or `cpu`; seconds: of GPUs, or of the cores of CPUs; forecast: None for the kind of device that was
    not planned for.
    """

    objective: str
    family: str
    device: str
    finished: int
    forecast: float | None
    seconds: float

    @property
    def unit(self) -> str:
        """What the hours are."""
        return _hours_of(self.device)

    @property
    def ratio(self) -> float | None:
        """What they took by what was forecast."""
        return None if self.forecast is None else self.seconds / self.forecast


def compared(recorded: Recorded) -> list[Compared]:
    """Finished trainings by objective, supervised ones first, and family; then all together.

    First those on the device that is planned for, then those on GPUs and on CPUs that have no forecast.
    """
    without = [[one for one in recorded.others if one.device == device] for device in (CUDA, CPU)]
    return [*_compared(recorded.runs, True), *(row for group in without for row in _compared(group, False))]


def _compared(runs: Sequence[FinishedRun], forecast: bool) -> Iterator[Compared]:
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for one in runs:
        groups.setdefault((one.estimate.run.training_recipe.objective, one.estimate.run.family), []).append(one)
    found = sorted(groups.items(), key=lambda item: (item[0][0] != "supervised", item[0]))
    everything = [(("all", "all"), list(runs))] if found else []
    for key, group in (*found, *everything):
        expected = sum(one.estimate.seconds * one.cores for one in group) if forecast else None
        yield Compared(*key, group[0].device, len(group), expected, sum(one.seconds * one.cores for one in group))


def corrected(estimates: Iterable[RunEstimate], recorded: Recorded) -> list[RunEstimate]:
    """Estimates, as finished runs correct them."""
    return [recorded.estimate(one) for one in estimates]


def _hours_of(device: str) -> str:
    return "GPU-hours" if device == CUDA else "CPU-hours"


def _share(study: LoadedStudy, run: Run) -> float:
    """Seconds of a GPU in a second by the clock of this run."""
    if is_large(study, [run]):
        return float(max(job_gpus(study, [run]), 1))
    return 1 / _beside(study, run)


def _beside(study: LoadedStudy, run: Run) -> int:
    """Runs that a device trains at one time, this among them."""
    return 1 if is_large(study, [run]) else max(study.config.training.side_by_side, 1)


def _keys(run: Run) -> tuple[tuple[str, ...], ...]:
    """What runs are alike in, the most alike first."""
    objective = run.training_recipe.objective
    return (objective, run.family, run.arch), (objective, run.family), (objective,)
