"""One look at a campaign: its stages in numbers, what runs, waits and failed, hours against plan, when it ends."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuroscaling.campaign.driver_log import last_start
from neuroscaling.campaign.job_artefacts import STAGE_OF, job_name
from neuroscaling.campaign.pace import Pace, pace_of, seconds_left, training_plan
from neuroscaling.campaign.watch import KILLED, Failed, Running, Stage, Waiting, Watch
from neuroscaling.core.tries import tries_file
from neuroscaling.planning.recorded_speed import Recorded, compared
from neuroscaling.study.loaded_study import LoadedStudy

HOUR = 3600
DONE, FAILED, LEFT = 0, 1, 3
"""Exit statuses of `status`; 2 is a wrong command line."""


@dataclass(frozen=True)
class Look:
    """What was seen of a campaign at a moment. paces: of the stages, in their order."""

    study: str
    title: str
    moment: datetime
    stages: list[Stage]
    paces: list[Pace]
    recorded: Recorded
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> list[Failed]:
        """Everything that failed."""
        return [one for stage in self.stages for one in stage.failed]

    @property
    def running(self) -> list[Running]:
        """Everything that jobs of this folder make."""
        return [one for stage in self.stages for one in stage.running]

    @property
    def held(self) -> list[Running]:
        """Everything that others make."""
        return [one for stage in self.stages for one in stage.held]

    @property
    def waiting(self) -> list[Waiting]:
        """The jobs in Slurm's queue."""
        return [one for stage in self.stages for one in stage.waiting]

    @property
    def exit_status(self) -> int:
        """DONE, FAILED where anything failed, LEFT where something is to be done."""
        if any(stage.n_failed for stage in self.stages):
            return FAILED
        return LEFT if any(stage.n_left for stage in self.stages) else DONE

    @property
    def seconds_left(self) -> float | None:
        """Until the slowest stage is done; None where nothing tells."""
        return seconds_left(self.paces)

    @property
    def gpu_hours(self) -> float:
        """Of all tries of all stages."""
        return sum(pace.gpu_seconds for pace in self.paces) / HOUR

    @property
    def cpu_hours(self) -> float:
        """Of the cores of all tries without a GPU."""
        return sum(pace.cpu_seconds for pace in self.paces) / HOUR

    @property
    def planned_unit(self) -> str:
        """What planned hours are: GPU-hours, or CPU-hours where the plan is of a CPU."""
        return self.recorded.unit

    @property
    def planned_hours(self) -> float | None:
        """Of all trainings, corrected by those that are done; None without a plan of the device that trains."""
        planned = [pace.planned for pace in self.paces if pace.planned is not None]
        return sum(planned) / HOUR if planned else None

    def hours(self) -> dict[str, tuple[float, float | None]]:
        """By unit the hours of all tries and those that are planned, where there are any or a plan is in that unit."""
        told = {
            unit: (hours, self.planned_hours if unit == self.planned_unit else None)
            for unit, hours in (("GPU-hours", self.gpu_hours), ("CPU-hours", self.cpu_hours))
        }
        return {unit: both for unit, both in told.items() if both[0] or both[1] is not None}

    def rows(self) -> list[dict[str, Any]]:
        """A row for each stage."""
        return [
            {
                "stage": stage.name,
                "wanted": len(stage.wanted),
                "done": len(stage.done),
                "running": len(stage.running),
                "held": len(stage.held),
                "waiting": sum(one.artefacts for one in stage.waiting),
                "failed": stage.n_failed,
                "left": stage.n_left,
                "gpu_hours": pace.gpu_seconds / HOUR,
                "cpu_hours": pace.cpu_seconds / HOUR,
                "planned_hours": None if pace.planned is None else pace.planned / HOUR,
                "hours_left": None if pace.left is None else pace.left / HOUR,
            }
            for stage, pace in zip(self.stages, self.paces, strict=True)
        ]

    def finished_rows(self) -> list[dict[str, Any]]:
        """Forecast against actual of finished trainings."""
        return [
            {
                "objective": one.objective,
                "family": one.family,
                "finished": one.finished,
                "unit": one.unit,
                "forecast_hours": None if one.forecast is None else one.forecast / HOUR,
                "hours": one.seconds / HOUR,
                "ratio": one.ratio,
            }
            for one in compared(self.recorded)
        ]


def look(study: LoadedStudy, folder: Path = Path()) -> Look:
    """Look at the campaign of a study, whose driver works in `folder`. Writes nothing."""
    watch = Watch(study, folder)
    stages, plan = watch.stages, training_plan(watch)
    _with_driver_log(watch, stages)
    title = study.config.title or study.config.study
    notes = [*study.left_out_notes()]
    # Slurm's commands may be on a machine that belongs to no cluster.
    if watch.queue_problem and any(one.slurm_job_id for job in watch.tries for one in job.tries):
        notes.append(f"{watch.queue_problem}: what waits is not told")
    paces = [pace_of(watch, stage, plan) for stage in stages]
    return Look(study.config.study, title, datetime.now(UTC), stages, paces, plan.recorded, tuple(notes))


def _with_driver_log(watch: Watch, stages: list[Stage]) -> None:
    """Put what the last driver was told in the place of reasons that jobs could not state, such as Slurm's.

    Jobs that failed before they recorded a try are added.
    """
    log = last_start(watch.folder / ".snakemake" / "log")
    for failure in log.failures() if log else ():
        rule, _, name = failure.name.partition(" ")
        stage = next((one for one in stages if one.name == STAGE_OF.get(rule, rule)), None)
        if stage is None:
            continue
        known = [place for place, one in enumerate(stage.failed) if failure.log and one.log == failure.log]
        for place in known:
            if stage.failed[place].reason == KILLED:
                stage.failed[place] = replace(stage.failed[place], reason=failure.reason)
        lacking = set(watch.jobs.of(rule, name) or ()) & set(stage.left)
        if lacking and not known and not tries_file(watch.folder / failure.log).is_file():
            stage.failed.append(Failed(stage.name, job_name(rule, name), failure.reason, failure.log, 0, len(lacking)))
