"""A command of yours is told of the first failure, and of the end: `neuroscaling run --notify`, or `--config notify=`.

The command gets a short text on standard input, and what it may want to choose by in the environment. It runs without a
shell. Whatever it does, the study goes on.
"""

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from neuroscaling.campaign.driver_log import DriverLog, driver_log
from neuroscaling.campaign.run_summary import summary_lines
from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.study.loaded_study import LoadedStudy

FAILED, ENDED = "failed", "ended"
LOOK_EVERY = 5.0
PATIENCE = 120.0
LOGS = Path(".snakemake") / "log"


def command_of(text: str, where: str = "--notify") -> list[str]:
    """The command and its arguments. where: the user wrote it. Raises StudyError for one that is nowhere."""
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise StudyError(Problem(what=f"not a command: {error}", where=where, value=text)) from None
    if not command or not shutil.which(command[0]):
        fix = 'name a program and its arguments, such as "mail -s study me@lab.org"; a script of yours with its path'
        raise StudyError(Problem(what="there is no such command", where=where, value=text, fix=fix))
    return command


class Notifier:
    """Tells a command of the first failure of a start that begins now, while the block lasts, and of its end.

    command: empty for none; read: what the driver logged until now; None: looked for in the current folder.
    """

    def __init__(self, command: Sequence[str], study: str, read: Callable[[], DriverLog | None] | None = None):
        self.command, self.study = list(command), study
        self.began, self.over = time.time(), threading.Event()
        self.folder = Path.cwd()  # now: the thread that looks must not depend on where the process is then
        self.read = read or (lambda: driver_log(self.folder / LOGS, self.began))
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
        log = self.read()
        failures = log.failures() if log else []
        if not failures:
            return False
        text = f"{self.study}: the first failure. The rest goes on.\n{failures[0]}"
        self._tell(FAILED, text, NEUROSCALING_FAILED="1")
        return True

    def _tell(self, event: str, text: str, **facts: str) -> None:
        known = {"NEUROSCALING_EVENT": event, "NEUROSCALING_STUDY": self.study, "NEUROSCALING_FOLDER": str(self.folder)}
        try:
            done = subprocess.run(
                self.command, input=f"{text}\n", text=True, env=os.environ | known | facts, timeout=PATIENCE
            )
            said = f"exit status {done.returncode}" if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        if said:
            print(f"notify: {shlex.join(self.command)}: {said}", file=sys.stderr)


class Hooks:
    """The same in the driver itself, where Snakemake's hooks call it: `began`, then `ended`.

    command: of `--config notify=`, or None for none; file: of the study, as the user wrote it.
    Raises StudyError for a command that is nowhere.
    """

    def __init__(self, command: str | None, study: LoadedStudy, file: str):
        self.command = command_of(str(command), "--config notify") if command else []
        self.study, self.file, self.notifier = study, file, Notifier([], "")

    def began(self, log: Sequence[str]) -> None:
        """Watch for the first failure. log: files of Snakemake's log, as its hooks have them."""
        self.notifier = Notifier(self.command, self.study.config.study, lambda: _logged(log))
        self.notifier.__enter__()

    def ended(self, log: Sequence[str], status: int) -> None:
        """Tell of the end, in the words of `neuroscaling run`; not where Ctrl-C was pressed."""
        self.notifier.__exit__()
        logged = _logged(log) if self.command else None
        if logged is None or logged.interrupted:
            return
        seconds = time.time() - self.notifier.began
        lines = [*summary_lines(self.study, self.file, logged, seconds, status)]
        self.notifier.ended(lines, status, len(logged.failures()))


def _logged(log: Sequence[str]) -> DriverLog | None:
    try:
        texts = [Path(file).read_text(encoding="utf-8", errors="replace") for file in log]
    except OSError:
        return None
    return DriverLog("".join(texts)) if texts else None
