"""What a driver logged of one start: jobs that finished, jobs that failed and why."""

import re
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.logs import FOLLOWS

PLANNED = re.compile(r"^(Job stats:|Nothing to be done)", re.M)
ERROR = re.compile(r"^Error in (?:rule|group) ([^\s:]+):\n((?:    .*\n)+)", re.M)
DRY_RUN = "This was a dry-run"
CTRL_C = "Terminating processes on user request"
FINISHED = re.compile(r"^Finished jobid: (\d+)", re.M)
# A message of a script's log: the time, the level, who speaks, what.
MESSAGE = re.compile(r"^\d{4}-\d\d-\d\d \S+ ERROR \S+: (.*(?:\n(?!\d{4}-\d\d-\d\d ).*)*)", re.M)

FOLLOWING = re.compile(rf"{re.escape(FOLLOWS)}(\S.*)$")


@dataclass(frozen=True)
class Failure:
    """A job that failed, or a run: its rule and name, the reason in a line, and the log that has the rest."""

    name: str
    reason: str
    log: str = ""

    def __str__(self) -> str:
        return f"  {self.name}: {self.reason}" + (f"\n    log: {self.log}" if self.log else "")


@dataclass(frozen=True)
class DriverLog:
    """What Snakemake logged of one start."""

    text: str

    @property
    def planned(self) -> bool:
        """Whether Snakemake got as far as its jobs: it may have been asked for something else, or have refused."""
        return PLANNED.search(self.text) is not None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the start."""
        return CTRL_C in self.text

    @property
    def finished(self) -> int:
        """How many jobs came to their end."""
        return len(set(FINISHED.findall(self.text)))

    def failures(self) -> list[Failure]:
        """Jobs that failed, in their order; not those that passed when they were tried again."""
        found: dict[str, Failure] = {}
        done = [(int(number), match.start()) for match in FINISHED.finditer(self.text) for number in match.groups()]
        for match in ERROR.finditer(self.text):
            facts = dict(re.findall(r"^    (\w+): (.*)$", match[2], re.M))
            number, own = facts.get("jobid", "0"), facts.get("log", "").split(" (check log")[0]
            if not any(str(job) == number and place > match.start() for job, place in done):
                log = last_log(own)
                rule = match[1] if log == own else Path(log).parents[1].name
                found[number] = Failure(_job_name(rule, log), reason_in(log, facts.get("message", "")), log)
        return list(found.values())


def driver_log(folder: Path, since: float) -> DriverLog | None:
    """Snakemake's log of the start that began at `since`, in seconds of the epoch; None where it wrote none."""
    # A file system may round dates.
    logs = [path for path in folder.glob("*.snakemake.log") if path.stat().st_mtime > since - 2]
    if not logs:
        return None
    return DriverLog(max(logs, key=lambda path: path.stat().st_mtime).read_text(encoding="utf-8", errors="replace"))


def last_start(folder: Path) -> DriverLog | None:
    """Snakemake's log of the last start that got as far as its jobs; a dry run is none."""
    for path in sorted(folder.glob("*.snakemake.log"), key=lambda path: path.stat().st_mtime, reverse=True):
        found = DriverLog(path.read_text(encoding="utf-8", errors="replace"))
        if found.planned and DRY_RUN not in found.text:
            return found
    return None


def last_log(log: str) -> str:
    """The log of a job's last kind of work: the one that its log ends with, else this one itself."""
    return next((found[1] for line in _text(log).splitlines()[-1:] if (found := FOLLOWING.search(line))), log)


def reason_in(log: str, told: str = "") -> str:
    """Why a job failed, in a line: the last error of its log, else what Snakemake was told of it (by Slurm)."""
    if errors := MESSAGE.findall(_text(log)):
        lines = [line.strip() for line in errors[-1].splitlines() if line.strip()]
        is_trace = lines and lines[0].startswith("Traceback")
        return (lines[-1] if is_trace else lines[0]) if lines else "an error without a message"
    return told if told not in ("", "None") else "it was ended without a message"


def _text(log: str) -> str:
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace") if log else ""
    except OSError:
        return ""


def _job_name(rule: str, log: str) -> str:
    """`train vit_w32_digits_1-0a1b2c3d`: the rule, and what stands for its wildcards in the name of its log."""
    path = Path(log)
    name = path.stem if path.parent.name in (rule, "logs") else f"{path.parent.name}/{path.stem}"
    return rule if not log or path.stem == rule else f"{rule} {name}"
