"""`neuroscaling run --notify COMMAND`: a command of yours is told of the first failure, and of the end.

The command gets a short text on standard input, and what it may want to choose by in the environment. It runs without a
shell. Whatever it does, the study goes on.
"""

import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from neuroscaling.campaign.driver_log import driver_log
from neuroscaling.cli.output import tell
from neuroscaling.core.errors import Problem, StudyError

FAILED, ENDED = "failed", "ended"
LOOK_EVERY = 5.0
PATIENCE = 120.0
LOGS = Path(".snakemake") / "log"


def command_of(text: str) -> list[str]:
    """The command and its arguments. Raises StudyError for one that is nowhere."""
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise StudyError(Problem(what=f"not a command: {error}", where="--notify", value=text)) from None
    if not command or not shutil.which(command[0]):
        fix = 'name a program and its arguments, such as "mail -s study me@lab.org"; a script of yours with its path'
        raise StudyError(Problem(what="there is no such command", where="--notify", value=text, fix=fix))
    return command


class Notifier:
    """Tells a command of the first failure of a start that begins now, while the block lasts, and of its end.

    command: empty for none.
    """

    def __init__(self, command: Sequence[str], study: str):
        self.command, self.study = list(command), study
        self.began, self.over = time.time(), threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True, name="first failure")

    def __enter__(self) -> "Notifier":
        if self.command:
            self.thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.over.set()
        if self.thread.ident is not None:
            self.thread.join(PATIENCE)

    def ended(self, lines: Sequence[str], status: int, failed: int) -> None:
        """Tell of the end. lines: the summary; status: exit status of the start; failed: how many failed."""
        if self.command:
            self._tell(
                ENDED, "\n".join(lines).strip(), NEUROSCALING_STATUS=str(status), NEUROSCALING_FAILED=str(failed)
            )

    def _watch(self) -> None:
        """Look at the driver's log until a job has failed for good or the start is over."""
        while not self.over.wait(LOOK_EVERY):
            if self._failure_told():
                return
        self._failure_told()

    def _failure_told(self) -> bool:
        log = driver_log(LOGS, self.began)
        failures = log.failures() if log else []
        if not failures:
            return False
        text = f"{self.study}: the first failure. The rest goes on.\n{failures[0]}"
        self._tell(FAILED, text, NEUROSCALING_FAILED="1")
        return True

    def _tell(self, event: str, text: str, **facts: str) -> None:
        known = {"NEUROSCALING_EVENT": event, "NEUROSCALING_STUDY": self.study, "NEUROSCALING_FOLDER": os.getcwd()}
        try:
            done = subprocess.run(
                self.command, input=f"{text}\n", text=True, env=os.environ | known | facts, timeout=PATIENCE
            )
            said = f"exit status {done.returncode}" if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        if said:
            tell([f"--notify: {shlex.join(self.command)}: {said}"])
