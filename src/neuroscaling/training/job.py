"""One job makes many runs, one after another: one start, one set of validation images."""

import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.files import share_as
from neuroscaling.core.leases import Held
from neuroscaling.core.logs import LOG_FORMAT
from neuroscaling.core.records import failure_in
from neuroscaling.training.launch import on_many_gpus, processes, processes_wanted, side_by_side

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunToMake:
    """A run to make: its settings, the file of its images, its folder, and that of the run it starts from."""

    run: dict[str, Any]
    subset: Path | None
    out: Path
    base: Path | None = None


@dataclass(frozen=True)
class Failure:
    """A run that failed for a reason of its own, and the reason."""

    run: str
    problem: str


def train_runs(jobs: list[RunToMake], operating: dict[str, Any] | None = None) -> list[Failure]:
    """Make the runs of `jobs`, in their order; those that are there are left as they are.

    operating: see `training.train`, and `gpus` (of each node), `nodes`: one process for each of them, all for one run
    at a time; `side_by_side`: runs at one time, each in a process of its own. `threads` and `workers` are those of all
    processes of a host. Runs that another process makes at this time come last, and are waited for. A run that fails
    for a reason of its own is marked and returned. Other errors of a run (such as missing data) don't keep the others
    from being made: they are raised as one DataError at the end.
    """
    operating = operating or {}
    if not jobs:
        return []
    if processes_wanted(operating) > 1 and processes() == 1:
        share_as(jobs[0].out)
        jobs[0].out.mkdir(parents=True, exist_ok=True)
        each = _part_of_cpus(operating, operating.get("gpus", 1))
        on_many_gpus(write_runs_to_make(jobs, each), operating, jobs[0].out)
    elif operating.get("side_by_side", 1) > 1 and len(jobs) > 1 and processes() == 1:
        side_by_side(_dealt(jobs, operating))
    else:
        _one_after_another(jobs, operating)
    failures = {job.run["run"]: failure_in(job.out) for job in jobs}
    return [Failure(run, problem) for run, problem in failures.items() if problem is not None]


def write_runs_to_make(jobs: list[RunToMake], operating: dict[str, Any]) -> str:
    """`jobs` and `operating` as JSON, for `python -m neuroscaling.training.job`."""
    return json.dumps({"jobs": [asdict(job) for job in jobs], "operating": operating}, default=str)


def read_runs_to_make(text: str) -> tuple[list[RunToMake], dict[str, Any]]:
    """What `write_plainly` wrote."""
    content = json.loads(text)
    jobs = [
        RunToMake(entry["run"], *(Path(entry[key]) if entry[key] else None for key in ("subset", "out", "base")))
        for entry in content["jobs"]
    ]
    return jobs, content["operating"]


def _one_after_another(jobs: list[RunToMake], operating: dict[str, Any]) -> None:
    """The runs in this process, or in each of those that train every run together."""
    from neuroscaling.training.distributed import joined
    from neuroscaling.training.setup import chosen_device

    problems: list[Problem] = []
    held: list[RunToMake] = []
    with joined(chosen_device(operating)):
        for number, job in enumerate(jobs, 1):
            log.info("run %d of %d: %s", number, len(jobs), job.run["run"])
            if job.run.get("start") in {other.run["run"] for other in held}:
                held.append(job)
                continue
            try:
                problems += _make(job, operating, wait=len(jobs) == 1)
            except Held as error:
                log.info("%s", error)
                held.append(job)
        for job in held:
            problems += _make(job, operating, wait=True)
    if problems:
        raise DataError(problems)


def _make(job: RunToMake, operating: dict[str, Any], wait: bool) -> list[Problem]:
    """Make one run; what went wrong. Without `wait`, Held is raised where another process makes it."""
    from neuroscaling.training.train import train

    try:
        train(job.run, job.subset, job.out, operating, job.base, wait)
    except Held:
        raise
    except NeuroscalingError as error:
        if processes() > 1:  # the others wait for this one: they have to end too
            raise
        log.error("%s", error)
        return [_of_run(job, problem) for problem in error.problems]
    except Exception as error:
        if processes() > 1:
            raise
        log.exception("%s", job.run["run"])
        return [Problem(what=f"{type(error).__name__}: {error}", where=f"run {job.run['run']}")]
    return []


def _of_run(job: RunToMake, problem: Problem) -> Problem:
    where = f"run {job.run['run']}: {problem.where}" if problem.where else f"run {job.run['run']}"
    return Problem(
        what=problem.what,
        where=where,
        value=problem.value,
        allowed=problem.allowed,
        nearest=problem.nearest,
        fix=problem.fix,
    )


def _dealt(jobs: list[RunToMake], operating: dict[str, Any]) -> list[str]:
    """The jobs of each of the processes that work side by side; runs that start from another one follow it."""
    wanted = operating["side_by_side"]
    hands: list[list[RunToMake]] = [[] for _ in range(min(wanted, len(jobs)))]
    place: dict[str, int] = {}
    for job in jobs:
        hand = place.get(job.run.get("start") or "", min(range(len(hands)), key=lambda i: len(hands[i])))
        place[job.run["run"]] = hand
        hands[hand].append(job)
    hands = [hand for hand in hands if hand]
    each = _part_of_cpus(operating, len(hands)) | {"side_by_side": 1}
    return [write_runs_to_make(hand, each) for hand in hands]


def _part_of_cpus(operating: dict[str, Any], n: int) -> dict[str, Any]:
    """`operating` for each of `n` processes that share a host: `threads` and `workers` are of all of them."""
    shared = {key: max(1, operating[key] // n) for key in ("threads", "workers") if operating.get(key)}
    return operating | shared


def main() -> None:
    """Train the runs of the JSON file that the command line names."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        train_runs(*read_runs_to_make(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except NeuroscalingError as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
