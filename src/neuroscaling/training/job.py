"""One job makes many runs, one after another: one start, one set of validation images.

A process that starts others to do the work has no use for torch, so what loads torch is imported where it is needed.
"""

import json
import logging
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.files import share_as
from neuroscaling.core.hangs import ended_if_hung
from neuroscaling.core.leases import Held
from neuroscaling.core.logs import LOG_FORMAT, Pieces
from neuroscaling.core.machine import return_freed_memory
from neuroscaling.core.records import failure_in
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study.checkpoint_tables import Checkpoint
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import RUN_FIELDS, Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.launch import on_many_gpus, processes, processes_wanted, side_by_side

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A run that failed for a reason of its own, and the reason."""

    run: str
    problem: str


def train_runs(jobs: list[RunJob], options: TrainingOptions) -> list[Failure]:
    """Make the runs of `jobs`, in their order; those that are there are left as they are.

    On each of `options.nodes` there is one process for each of `options.gpus`, all for one run at a time; or there are
    `options.side_by_side` processes with runs of their own. Runs that another process makes at this time come last, and
    are waited for. A run that fails for a reason of its own is marked and returned. Other errors of a run (such as
    missing data) don't keep the others from being made: they are raised as one DataError at the end.
    """
    if not jobs:
        return []
    if processes_wanted(options) > 1 and processes() == 1:
        share_as(jobs[0].out)
        jobs[0].out.mkdir(parents=True, exist_ok=True)
        each = options.with_part_of_cpus(options.gpus)
        on_many_gpus(written_job(jobs, each), options, jobs[0].out)
    elif options.side_by_side > 1 and len(jobs) > 1 and processes() == 1:
        side_by_side(_dealt(jobs, options))
    else:
        _one_after_another(jobs, options)
    failures = {job.run.run: failure_in(job.out) for job in jobs}
    return [Failure(run, problem) for run, problem in failures.items() if problem is not None]


def forget_trainings() -> None:
    """Give back the memory of what this process keeps for further trainings: decoded images, and what is freed."""
    if "torch" in sys.modules:  # else other processes trained, and this one keeps nothing
        from neuroscaling.training.feeding.decoded_images import forget_squares
        from neuroscaling.training.feeding.validation import forget_validation

        forget_squares()
        forget_validation()
    return_freed_memory()


def written_job(jobs: list[RunJob], options: TrainingOptions) -> str:
    """`jobs` and `options` as JSON, for `python -m neuroscaling.training.job`."""
    entries = [
        {
            "run": job.run.content(RUN_FIELDS),
            "subset": None if job.subset is None else str(job.subset),
            "out": str(job.out),
            "base": None if job.base is None else str(job.base),
        }
        for job in jobs
    ]
    return json.dumps({"jobs": entries, "options": asdict(options)})


def read_job(text: str) -> tuple[list[RunJob], TrainingOptions]:
    """What `written_job` wrote."""
    content = json.loads(text)
    options = content["options"] | {"log_to": tuple(content["options"].get("log_to", ()))}
    return [_read_run_job(entry) for entry in content["jobs"]], TrainingOptions(**options)


def _read_run_job(entry: dict[str, Any]) -> RunJob:
    recipe, settings, checkpoint = (entry["run"][key] for key in ("recipe", "dataset_settings", "checkpoint"))
    typed = {
        "recipe": Recipe.model_validate(recipe) if recipe else None,
        "dataset_settings": DatasetSettings.of(settings) if settings else None,
        "checkpoint": Checkpoint(**checkpoint) if checkpoint else None,
    }
    run = Run(**entry["run"] | typed)
    subset, base = (Path(entry[key]) if entry[key] else None for key in ("subset", "base"))
    return RunJob(run, subset, Path(entry["out"]), base)


def _one_after_another(jobs: list[RunJob], options: TrainingOptions) -> None:
    """The runs in this process, or in each of those that train every run together."""
    from neuroscaling.training.distributed import joined
    from neuroscaling.training.setup import chosen_device

    pieces = Pieces()
    held: list[RunJob] = []
    with joined(chosen_device(options.device)):
        for number, job in enumerate(jobs, 1):
            log.info("run %d of %d: %s", number, len(jobs), job.run.run)
            if job.run.start in {other.run.run for other in held}:
                held.append(job)
                continue
            try:
                _make(job, options, pieces, wait=len(jobs) == 1)
            except Held as error:
                log.info("%s", error)
                held.append(job)
        for job in held:
            _make(job, options, pieces, wait=True)
    pieces.end()


def _make(job: RunJob, options: TrainingOptions, pieces: Pieces, wait: bool) -> None:
    """Make one run as one of `pieces`. Without `wait`, Held is raised where another process makes it."""
    from neuroscaling.training.train import train

    # Processes that train a run together wait for each other: they all have to end.
    with pieces.piece(f"run {job.run.run}", (Held,) if processes() == 1 else (Exception,)):
        train(job, options, wait)


def _dealt(jobs: list[RunJob], options: TrainingOptions) -> list[str]:
    """The jobs of each of the processes that work side by side; runs that start from another one follow it."""
    wanted = options.side_by_side
    hands: list[list[RunJob]] = [[] for _ in range(min(wanted, len(jobs)))]
    place: dict[str, int] = {}
    for job in jobs:
        hand = place.get(job.run.start or "", min(range(len(hands)), key=lambda i: len(hands[i])))
        place[job.run.run] = hand
        hands[hand].append(job)
    hands = [hand for hand in hands if hand]
    each = replace(options.with_part_of_cpus(len(hands)), side_by_side=1)
    return [written_job(hand, each) for hand in hands]


def main() -> None:
    """Train the runs of the JSON file that the command line names."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        with ended_if_hung():
            train_runs(*read_job(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except NeuroscalingError as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
