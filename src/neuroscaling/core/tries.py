"""The tries of a job are recorded beside its log: when each began and where, how long it took and how it ended.

`logs/train/<job>.log` holds the last try alone. `logs/train/<job>.tries.jsonl` has two lines for each, beginning and
end: a job has one process at a time, which appends them. A try that was killed writes no end. The next one does,
with the date of the log that it left.
"""

import json
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.lease_holders import boot, lives, namespace, slurm_job, started, user_name

DONE, FAILED, STOPPED, CUT_OFF = "done", "failed", "stopped", "cut off"
"""How a try ended: well, with an error, by Ctrl-C, or without a word (killed, out of memory or time)."""
SUFFIX = ".tries.jsonl"
LONGEST_REASON = 500
SIGNALLED = 128


@dataclass(frozen=True, kw_only=True)
class Try:
    """One try of a job. began, ended: UTC, ISO 8601; outcome: DONE, FAILED, STOPPED, CUT_OFF, or empty while it lasts.

    runs: that it is to make; gpus: that it has; cpus: cores that it has; boot, namespace, start: of its process, by its
    kernel.
    """

    began: str
    host: str
    user: str
    pid: int
    slurm_job_id: str | None = None
    boot: str = ""
    namespace: str = ""
    start: str = ""
    runs: tuple[str, ...] = ()
    gpus: int = 0
    cpus: int = 1
    ended: str | None = None
    seconds: float | None = None
    outcome: str = ""
    reason: str | None = None

    @property
    def gpu_seconds(self) -> float:
        """What it has taken of its GPUs; of one that lasts, until now."""
        return self._until_now * self.gpus

    @property
    def cpu_seconds(self) -> float:
        """What it has taken of its cores, where it has no GPU; of one that lasts, until now."""
        return 0.0 if self.gpus else self._until_now * self.cpus

    @property
    def _until_now(self) -> float:
        return (datetime.now(UTC) - moment(self.began)).total_seconds() if self.seconds is None else self.seconds

    def is_alive(self) -> bool | None:
        """Whether its process lives; None where that can't be seen from here."""
        if self.outcome:
            return False
        if self.boot and (self.boot, self.namespace) == (boot(), namespace()):
            return lives(self.pid, self.start)
        return None


def tries_file(log: str | Path) -> Path:
    """Where the tries of the job with this log are recorded."""
    path = Path(log)
    return path.with_name(path.name.removesuffix(".log") + SUFFIX)


def log_of(tries: Path) -> Path:
    """The log of the job whose tries are recorded in the file `tries`."""
    return tries.with_name(tries.name.removesuffix(SUFFIX) + ".log")


def begin_try(log: str | Path, runs: Sequence[str] = (), gpus: int = 0, cpus: int = 1) -> Try:
    """Record that this process begins a try of the job with this log, before it writes there.

    A try before it that has no end gets one: the date of the log. What can't be written is left out: a job needs no
    record of its tries.
    """
    path, now = tries_file(log), datetime.now(UTC)
    begun = Try(
        began=_text(now),
        host=socket.gethostname(),
        user=user_name(),
        pid=os.getpid(),
        slurm_job_id=slurm_job(),
        boot=boot(),
        namespace=namespace(),
        start=started(os.getpid()) or "",
        runs=tuple(dict.fromkeys(runs)),
        gpus=gpus,
        cpus=cpus,
    )
    with suppress(OSError):
        lines = [_line(begun)]
        if (before := read_tries(path)) and not before[-1].outcome:
            lines.insert(0, _end(cut_off(before[-1], Path(log))))
        _append(path, lines)
    return begun


def end_try(log: str | Path, begun: Try, error: BaseException | None = None) -> None:
    """Record how a try of this process ended: well, or with an error."""
    now = datetime.now(UTC)
    seconds = (now - moment(begun.began)).total_seconds()
    outcome, reason = (DONE, None) if error is None else _ending(error)
    with suppress(OSError):
        ended = replace(begun, ended=_text(now), seconds=round(seconds, 1), outcome=outcome, reason=reason)
        _append(tries_file(log), [_end(ended)])


def cut_off(one: Try, log: Path) -> Try:
    """A try without an end, known to be over, as one that ended with the last line of its log."""
    began = moment(one.began)
    try:
        last = max(datetime.fromtimestamp(log.stat().st_mtime, UTC), began)
    except OSError:
        last = began
    return replace(one, ended=_text(last), seconds=round((last - began).total_seconds(), 1), outcome=CUT_OFF)


def read_tries(path: str | Path) -> list[Try]:
    """The tries that a file records, in their order; none where it is not there. Damaged lines are left out."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    tries: list[Try] = []
    for content in map(_content, lines):
        if "began" in content:
            with suppress(TypeError):
                tries.append(Try(**content | {"runs": tuple(content.get("runs", ()))}))
        elif content and tries:
            tries[-1] = replace(tries[-1], **content)
    return tries


def _ending(error: BaseException) -> tuple[str, str | None]:
    """How a try ended that raised this, and why. A training that heeds a signal ends with the status 128 + n."""
    if isinstance(error, KeyboardInterrupt):
        return STOPPED, None
    if isinstance(error, SystemExit):
        if isinstance(error.code, int) and error.code > SIGNALLED:
            number = error.code - SIGNALLED
            name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
            return (STOPPED, None) if number == signal.SIGINT else (CUT_OFF, f"it was told to end ({name})")
        if error.__cause__ is not None:
            return FAILED, reason_of(error.__cause__)
    return FAILED, reason_of(error)


def reason_of(error: BaseException) -> str:
    """An error in a line: the first of a NeuroscalingError's problems, else its type and message."""
    if isinstance(error, NeuroscalingError):
        problem, more = error.problems[0], len(error.problems) - 1
        said = [problem.what, f"{problem.where}" if problem.where else "", f"({more} more)" if more else ""]
        text = ": ".join(filter(None, said[:2])) + f" {said[2]}".rstrip()
    else:
        text = f"{type(error).__name__}: {error}".strip().rstrip(":")
    return " ".join(text.split())[:LONGEST_REASON]


def moment(text: str) -> datetime:
    """The moment that a record states."""
    return datetime.fromisoformat(text)


ENDING = ("ended", "seconds", "outcome", "reason")
KEYS = {own.name for own in fields(Try)}


def _content(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
        moment(content.get("began") or content["ended"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {key: value for key, value in content.items() if key in KEYS}


def _line(one: Try) -> str:
    return json.dumps({key: value for key, value in asdict(one).items() if key not in ENDING})


def _end(one: Try) -> str:
    return json.dumps({key: getattr(one, key) for key in ENDING})


def _append(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def _text(when: datetime) -> str:
    return when.isoformat(timespec="seconds")
