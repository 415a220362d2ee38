"""What a campaign has taken, what it will take, and when it will be done at the rate of the last hours.

`time left of a stage = what is left / (what was done in the span / span)`, where the span is the last day, or less if
the stage's first artefact of that day is younger. Trainings count by their planned seconds, all else one by one.
A stage that has no rate yet takes its planned seconds, shared by those that run. Stages run side by side: a study is
done with the last of them.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from neuroscaling.campaign.job_artefacts import FITS, REPORT, TRAIN
from neuroscaling.campaign.watch import Stage, Watch
from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.planning.recorded_speed import CPU, Recorded, cores_of, planned_device, recorded_runs
from neuroscaling.planning.training_throughput import Speeds, speeds_of
from neuroscaling.planning.training_time import JOB_START, run_estimate, trained_runs
from neuroscaling.planning.workload import listed_cost

SPAN = 86_400.0
LEAST_SPAN = 60.0
OF_STUDY = (FITS, REPORT)


@dataclass(frozen=True)
class Pace:
    """Of one stage. gpu_seconds: all tries; cpu_seconds: of cores, of tries without a GPU; left: until it is done.

    planned: seconds of the whole stage on the device of the plan, or None. left is None where nothing tells: nothing
    was made in the last day, and nothing runs that has a plan.
    """

    gpu_seconds: float = 0.0
    cpu_seconds: float = 0.0
    planned: float | None = None
    left: float | None = None


@dataclass(frozen=True)
class Plan:
    """Planned seconds of each training, corrected by those that are done. Those without a plan are not named.

    They are of a GPU, or of a CPU that was calibrated: `recorded.device` tells.
    """

    seconds: dict[str, float]
    recorded: Recorded

    @property
    def on_cpu(self) -> bool:
        """Whether it is of a CPU."""
        return self.recorded.device == CPU


def training_plan(watch: Watch) -> Plan:
    """The plan of the trainings; of architectures outside the shipped table none: to count one would load torch."""
    study = watch.study
    try:
        speeds = speeds_of(study.config.training.gpu, study.store.root)
    except NeuroscalingError:
        speeds = Speeds(speeds_of("a100", study.store.root).gpu)
    recorded = recorded_runs(study, speeds, watch.records)
    seconds = {}
    for run in trained_runs(study):
        if listed_cost(run.arch) is None:
            continue
        try:
            estimate = run_estimate(study, run, speeds)
        except NeuroscalingError:  # of a data set that can't be counted
            continue
        if planned_device(estimate, speeds) == recorded.device:
            seconds[run.run] = recorded.estimate(estimate).seconds
    return Plan(seconds, recorded)


def pace_of(watch: Watch, stage: Stage, plan: Plan, now: float | None = None) -> Pace:
    """The pace of a stage. now: seconds of the epoch."""
    now = time.time() if now is None else now
    weights = _weights(stage, plan)
    planned = None
    gpu_seconds, cpu_seconds = stage.gpu_seconds, stage.cpu_seconds
    planned_for = plan.seconds and not _trains_elsewhere(stage, plan)
    if stage.name == TRAIN:
        more = _made_elsewhere(watch)
        gpu_seconds, cpu_seconds = gpu_seconds + more[0], cpu_seconds + more[1]
        if planned_for:
            planned = sum(plan.seconds.values()) * (watch.study.config.training.cpus if plan.on_cpu else 1)
    taken = Pace(gpu_seconds, cpu_seconds, planned)
    if not stage.left:
        return replace(taken, left=0.0)
    left = sum(map(weights, stage.left)) - _begun(stage, weights)
    found = sorted((date, weights(path)) for date, path in _dates(watch, stage) if date > now - SPAN)
    if len(found) > 1:
        # The span begins when the first of them was done: what that took lies before it.
        span, made = max(now - found[0][0], LEAST_SPAN), sum(weight for _, weight in found[1:])
        return replace(taken, left=max(left, 0.0) * span / made)
    if planned_for and stage.name == TRAIN and stage.running:
        return replace(taken, left=(left + JOB_START * len(stage.left)) / len(stage.running))
    return taken


def _trains_elsewhere(stage: Stage, plan: Plan) -> bool:
    """Whether trainings are on another kind of device than the plan's, by those that are done, else by those that run.

    Nothing is compared then: a CPU takes hundreds of times what an A100 would.
    """
    if plan.recorded.runs or plan.recorded.others:
        return plan.recorded.all_elsewhere
    seen = {one.progress.device for one in (*stage.running, *stage.held) if one.progress and one.progress.device}
    return bool(seen) and plan.recorded.device not in seen


def seconds_left(paces: Iterable[Pace]) -> float | None:
    """Seconds until all stages are done, 0 where they are; None where nothing tells of those that are not."""
    left = [pace.left for pace in paces]
    known = [one for one in left if one]
    return max(known, default=None if None in left else 0.0)


def _weights(stage: Stage, plan: Plan) -> Callable[[Path], float]:
    """What each artefact of a stage counts."""
    if stage.name != TRAIN or not plan.seconds:
        return lambda path: 1.0
    mean = sum(plan.seconds.values()) / len(plan.seconds)
    return lambda path: plan.seconds.get(path.parent.name, min(mean, JOB_START))


def _begun(stage: Stage, weights: Callable[[Path], float]) -> float:
    """What is done of what runs."""
    if stage.name != TRAIN:
        return 0.0
    paths = {path.parent.name: path for path in stage.left}
    return sum(
        weights(paths[one.name]) * min(one.progress.done / one.progress.total, 1.0)
        for one in (*stage.running, *stage.held)
        if one.progress and one.progress.total and one.name in paths
    )


def _dates(watch: Watch, stage: Stage) -> Iterator[tuple[float, Path]]:
    """When each artefact was made, by its file."""
    for path in stage.done:
        place = path if stage.name in OF_STUDY else watch.study.store.find(path)
        with suppress(OSError):
            yield place.stat().st_mtime, path


def _made_elsewhere(watch: Watch) -> tuple[float, float]:
    """Seconds of GPUs, and of cores of CPUs, of the trainings that no job of this folder tried, by their records."""
    tried = {run for job in watch.tries if job.rule == "train" for one in job.tries for run in one.runs}
    gpu_seconds = cpu_seconds = 0.0
    for made in (record.get("provenance") or {} for run, record in watch.records.items() if run not in tried):
        if not isinstance(made.get("seconds"), int | float):
            continue
        if made.get("device") == CPU:
            cpu_seconds += made["seconds"] * cores_of(watch.study, made)
        else:
            gpu_seconds += made["seconds"]
    return gpu_seconds, cpu_seconds
