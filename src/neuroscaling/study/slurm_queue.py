"""Slurm's queue tells which jobs of a working directory run and wait, and why they wait.

Snakemake's Slurm plugin (2.8) keeps no list of its jobs and adopts none: what a driver that died had submitted runs on,
and a new one would submit it again. All jobs of a driver have one name, `<prefix>_<uuid>`, and its working directory.
So a start waits for earlier jobs before it looks what is there.
"""

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem, listing

EXECUTORS = ("neuroscaling-slurm", "slurm")
"""Names of the executors whose jobs go to Slurm: the one of this library, and the plugin that it is built on."""
PAUSE = 10.0
TELL_EVERY = 300.0
TRIES = 5
"""Number of looks at the queue that may fail in a row: a busy controller leaves some unanswered."""
NAME = re.compile(r"(.+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Id, state, name, working directory, comment, reason, nodes, start.
FIELDS = ("%i", "%T", "%j", "%Z", "%k", "%r", "%N", "%S")
BETWEEN = "\x1f"


@dataclass(frozen=True)
class Job:
    """A job in Slurm's queue.

    state and reason: as squeue has them, such as PENDING and Resources; what: rule and wildcards; nodes: empty for one
    that waits; start: local time, expected where it waits and Slurm knows, else `N/A`.
    """

    id: str
    state: str
    what: str
    reason: str = ""
    nodes: str = ""
    start: str = ""

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.state == "PENDING"


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


def earlier_jobs(folder: str | Path, tries: int = TRIES) -> list[Job]:
    """This user's jobs, running or waiting, that a Snakemake working in `folder` submitted; none where Slurm is not.

    Raises DataError where Slurm gives no answer at `tries` looks.
    """
    if not shutil.which("squeue"):
        return []
    folder = Path(folder).resolve()
    jobs = []
    for line in _queue(tries).splitlines():
        number, state, name, place, comment, *more = (line.split(BETWEEN) + [""] * len(FIELDS))[: len(FIELDS)]
        if NAME.fullmatch(name) and Path(place).resolve() == folder:
            rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
            jobs.append(Job(number, state, f"{rule} {wildcards}".strip(), *more))
    return jobs


def _queue(tries: int) -> str:
    command = ["squeue", "--me", "--noheader", "--format", BETWEEN.join(FIELDS)]
    said = ""
    for number in range(tries):
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
    raise DataError(Problem(what="Slurm does not tell which jobs run", where="squeue", value=said, fix=fix))


def _message(jobs: list[Job]) -> str:
    running = [f"{job.id} ({job.what})" for job in jobs if not job.waits]
    pending = [f"{job.id} ({job.what})" for job in jobs if job.waits]
    lines = ["An earlier start in this folder left jobs on the cluster. This one plans when they have ended."]
    lines += [f"  running: {listing(running)}"] * bool(running) + [f"  waiting: {listing(pending)}"] * bool(pending)
    return "\n".join([*lines, f"  To wait no longer: scancel {' '.join(job.id for job in jobs)}"])


REASONS = {
    "Resources": "for free nodes, CPUs, memory or GPUs",
    "Priority": "behind jobs of a higher priority",
    "Dependency": "for another job",
    "BeginTime": "for its time to begin, such as after a preemption",
    "JobHeldUser": "held by the user: `scontrol release` lets it go",
    "JobHeldAdmin": "held by an administrator: ask the site",
    "Reservation": "for its reservation",
    "Licenses": "for a licence",
    "Cleaning": "for the end of its last try",
    "None": "Slurm has not looked at it yet",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionConfig": "the partition does not take such jobs",
    "BadConstraints": "no node is as it asks",
    "NodeDown": "its node is down",
    "ReqNodeNotAvail": "its nodes are down or reserved",
    "InvalidAccount": "the account is not valid",
    "InvalidQOS": "the quality of service is not valid",
    "AccountNotAllowed": "the partition does not take this account",
    "QOSNotAllowed": "the partition does not take this quality of service",
    "launch failed requeued held": "its start failed, and Slurm holds it: `scontrol release` tries again",
}
"""Slurm's reasons why a job waits, in words."""
LIMITS = (
    ("QOSMax", "the quality of service allows no more"),
    ("QOSGrp", "all who share the quality of service use what it allows"),
    ("QOS", "the quality of service allows no more"),
    ("AssocMax", "the account allows no more"),
    ("AssocGrp", "all who share the account use what it allows"),
    ("Assoc", "the account allows no more"),
    ("Nodes required for job are", "its nodes are down or reserved"),
    ("ReqNodeNotAvail", "its nodes are down or reserved"),
)
"""Beginnings of further reasons: limits come in dozens, such as QOSMaxGRESPerUser."""
ENDLESS = frozenset(
    ("JobHeldUser", "JobHeldAdmin", "PartitionTimeLimit", "PartitionNodeLimit", "PartitionDown", "PartitionInactive",
     "PartitionConfig", "BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed", "QOSNotAllowed",
     "launch failed requeued held")
)  # fmt: skip
"""Reasons that don't end by themselves."""


def reason_in_words(reason: str) -> str:
    """Why a job waits, by squeue's reason, which is in the words too."""
    plain = reason.strip("()")
    words = REASONS.get(plain) or next((text for start, text in LIMITS if plain.startswith(start)), "")
    return f"{words} ({plain})" if words and plain != "None" else words or plain


def waits_for_ever(reason: str) -> bool:
    """Whether a job with this reason of squeue starts only when somebody does something."""
    return reason.strip("()") in ENDLESS
