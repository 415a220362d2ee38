"""Slurm's commands, asked with patience: a controller that is away for minutes costs time and nothing else.

A busy or restarted `slurmctld` leaves commands without an answer. They are given again, with pauses, until it answers.
A submission without an answer may have arrived: whoever gives it again looks for it first (`arrived`).
"""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

AWAY = (
    "unable to contact slurm controller",
    "socket timed out",
    "controller not responding",
    "communication connection failure",
    "communications connection failure",
    "connection refused",
    "connection timed out",
    "connection reset",
    "zero bytes were transmitted or received",
    "in standby mode",
    "insane message length",
    "transport endpoint is not connected",
    "temporarily unable to accept job",
    "resource temporarily unavailable",
    "no answer within",
)
"""What Slurm's commands say, in small letters, when the controller does not answer."""
FULL = ("maxsubmit", "max submit", "job submit limit")
"""What `sbatch` says, in small letters, when a user may have no more jobs in the queue."""
PAUSE = 15.0
TELL_EVERY = 1800.0
LOOKS = 2
"""Looks at the queue, by a controller that answers, after which a submission counts as not arrived."""
SECONDS = 120
"""Seconds after which a command that hangs counts as one without an answer."""


class Stopped(Exception):
    """The driver ends, so nothing is asked any more."""


@dataclass(frozen=True)
class Answer:
    """What a command printed. status: its exit status; said: its errors."""

    status: int
    out: str
    said: str

    @property
    def is_away(self) -> bool:
        """Whether the controller gave no answer."""
        return self.status != 0 and any(words in self.said.lower() for words in AWAY)

    @property
    def is_full(self) -> bool:
        """Whether the user has as many jobs in the queue as the site allows, by the name of the limit.

        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)" may mean a job that is
        too large: it alone says nothing.
        """
        return self.status != 0 and any(words in self.said.lower().split("job violates")[0] for words in FULL)


def run(command: Sequence[str] | str, text: str | None = None, seconds: float = SECONDS) -> Answer:
    """Run a command, words or a line of a shell, with `text` at its input."""
    # The shell becomes the command, so that the end of one that hangs ends it.
    words = ["sh", "-c", f"exec {command}"] if isinstance(command, str) else list(command)
    try:
        done = subprocess.run(
            words, input=text or "", capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return Answer(1, "", f"no answer within {seconds:.0f} s")
    except OSError as error:
        return Answer(127, "", str(error))
    return Answer(done.returncode, done.stdout, done.stderr.strip())


@dataclass
class Controller:
    """Slurm's controller, as all threads of a driver ask it.

    tell: where messages go; ended: set when the driver ends.
    """

    tell: Callable[[str], None]
    pause: float = PAUSE
    ended: threading.Event = field(default_factory=threading.Event)
    _told: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self,
        command: Sequence[str] | str,
        text: str | None = None,
        arrived: Callable[[], str | None] | None = None,
    ) -> Answer:
        """Give a command until the controller answers. Raises Stopped where the driver ends meanwhile.

        arrived: looks, before the command is given again, whether it was heard after all; gives what it would have
        printed, an empty string where it was not heard, and None where Slurm does not tell.
        """
        while True:
            answer = run(command, text)
            if not self.hears(answer):
                return answer
            self._wait()
            if answer.is_away and arrived is not None and (heard := self._heard(arrived)):
                return Answer(0, heard, "")

    def _heard(self, arrived: Callable[[], str | None]) -> str:
        """What a command without an answer has done. A controller that comes back may take it up a moment later."""
        looks = 0
        while looks < LOOKS:
            found = arrived()
            if found:
                return found
            looks = looks + 1 if found is not None else 0
            self._wait()
        return ""

    def _wait(self) -> None:
        if self.ended.wait(self.pause):
            raise Stopped

    def hears(self, answer: Answer) -> bool:
        """Whether to ask again later: the controller is away, or the queue is full. Tells it, once in a while."""
        if answer.is_full:
            first = answer.said.splitlines()[0]
            more = "The next are submitted when some have ended; `jobs:` in the profile sets how many there may be."
            self._tell_seldom("full", f"The site allows no more jobs in the queue ({first}). {more}")
            return True
        if answer.is_away:
            first = answer.said.splitlines()[0]
            self._tell_seldom(
                "away", f"Slurm's controller does not answer ({first}). This driver goes on when it does."
            )
            return True
        with self._lock:
            self._told.pop("full", None)
            was_away = self._told.pop("away", None) is not None
        if was_away:
            self.tell("Slurm's controller answers again.")
        return False

    def _tell_seldom(self, what: str, message: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._told.get(what, -TELL_EVERY) < TELL_EVERY:
                return
            self._told[what] = now
        self.tell(message)
