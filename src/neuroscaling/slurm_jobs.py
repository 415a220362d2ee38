"""Jobs that an earlier driver left on a Slurm cluster: waited for before a new one plans, so that none is sent twice.

Snakemake's Slurm plugin (2.8) keeps no list of its jobs and adopts none: what a driver that died had submitted runs on,
and a new one would submit it again. All jobs of a driver have one name, `<prefix>_<uuid>`, and its working directory.
"""

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.errors import DataError, Problem, listing

PAUSE = 10.0
TELL_EVERY = 300.0
TRIES = 5
"""Looks at the queue that may fail one after another: a busy controller leaves some unanswered."""
NAME = re.compile(r"(.+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FIELDS = ("%i", "%T", "%j", "%Z", "%k")  # id, state, name, working directory, comment
BETWEEN = "\x1f"


@dataclass(frozen=True)
class Job:
    """A job in Slurm's queue. state: as squeue has it, such as RUNNING; what: rule and wildcards."""

    id: str
    state: str
    what: str


def wait_for_earlier(folder: str | Path) -> None:
    """Wait for the end of jobs that an earlier Snakemake in `folder` submitted.

    To be called by a driver that will submit jobs, before it looks what is there. Those that still wait in the queue
    keep their place. `scancel` ends the wait. Raises DataError where Slurm gives no answer.
    """
    told = None
    while jobs := earlier_jobs(folder):
        if told is None or time.monotonic() - told > TELL_EVERY:
            print(_message(jobs), file=sys.stderr, flush=True)
            told = time.monotonic()
        time.sleep(PAUSE)
    if told is not None:
        print("No job of the earlier start is left; this one plans now.", file=sys.stderr, flush=True)


def earlier_jobs(folder: str | Path) -> list[Job]:
    """This user's jobs, running or waiting, that a Snakemake working in `folder` submitted; none where Slurm is not.

    Raises DataError where Slurm gives no answer.
    """
    if not shutil.which("squeue"):
        return []
    folder = Path(folder).resolve()
    jobs = []
    for line in _queue().splitlines():
        number, state, name, place, comment = (line.split(BETWEEN) + [""] * len(FIELDS))[: len(FIELDS)]
        if NAME.fullmatch(name) and Path(place).resolve() == folder:
            rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
            jobs.append(Job(number, state, f"{rule} {wildcards}".strip()))
    return jobs


def _queue() -> str:
    command = ["squeue", "--me", "--noheader", "--format", BETWEEN.join(FIELDS)]
    said = ""
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE)
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
        except subprocess.TimeoutExpired:
            said = "no answer within 60 s"
            continue
        if not done.returncode:
            return done.stdout
        said = done.stderr.strip()
    fix = "start again when `squeue --me` answers: jobs of an earlier start may still run"
    raise DataError(Problem("Slurm does not tell which jobs run", "squeue", said, fix=fix))


def _message(jobs: list[Job]) -> str:
    running = [f"{job.id} ({job.what})" for job in jobs if job.state != "PENDING"]
    pending = [f"{job.id} ({job.what})" for job in jobs if job.state == "PENDING"]
    lines = ["An earlier start in this folder left jobs on the cluster. This one plans when they have ended."]
    lines += [f"  running: {listing(running)}"] * bool(running) + [f"  waiting: {listing(pending)}"] * bool(pending)
    return "\n".join([*lines, f"  To wait no longer: scancel {' '.join(job.id for job in jobs)}"])
