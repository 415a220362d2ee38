"""Snakemake as forks of one process that has imported it: the import is half of what a dry run takes.

Each is a process of its own, with a working directory, an environment and a command line of its own. It imports the
library of its working directory anew, as `python -m snakemake` does there, and starts its jobs as it does. The small
study (tests/workflow/conftest.py), two drivers at once, those that are killed, and those of Slurm start as users do.
"""

import atexit
import contextlib
import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What it imports beside the library.
IMPORTED = ("snakemake.cli", "nbformat", "smart_open")


class Forks:
    """The process that forks, from the side of the tests.

    cpu_seconds: what its forks took, which this process learns of its own children only when they have ended.
    """

    def __init__(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.cpu_seconds = 0.0
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        atexit.register(self._end)

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess:
        """Snakemake with these arguments in `folder`, to its end; all its output is in `stdout`."""
        with tempfile.NamedTemporaryFile("r", prefix="snakemake-", errors="replace") as output:
            asked = {
                "arguments": list(arguments),
                "folder": str(folder),
                "environment": dict(environment),
                "output": output.name,
            }
            pipes = self._process
            assert pipes.stdin and pipes.stdout
            patience = threading.Timer(timeout, os.killpg, (pipes.pid, signal.SIGKILL))
            patience.start()
            try:
                pipes.stdin.write(json.dumps(asked) + "\n")
                pipes.stdin.flush()
                answer = pipes.stdout.readline()
            finally:
                patience.cancel()
            text = output.read()
        if not answer:
            forks.cache_clear()  # the next one starts another process
        assert answer, f"Snakemake came to no end in {timeout} s, or its process is gone:\n{text[-6000:]}"
        ended = json.loads(answer)
        self.cpu_seconds += ended["cpu_seconds"]
        return subprocess.CompletedProcess(["snakemake", *arguments], ended["status"], text)

    def _end(self) -> None:
        """At the end of the session nothing runs in it, unless Ctrl-C ended the session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@functools.cache
def forks() -> Forks:
    """The process of this test session; it starts with the first run."""
    return Forks()


def cpu_seconds() -> float:
    """Seconds of the processor that forks of this session have taken."""
    return forks().cpu_seconds if forks.cache_info().currsize else 0.0


def _serve() -> dict[str, Any] | None:
    """Fork for each line of standard input; returns what is asked in the fork, and None at the end of the input."""
    for line in iter(sys.stdin.readline, ""):
        before = os.times()
        if not (fork := os.fork()):
            return json.loads(line)
        _, status = os.waitpid(fork, 0)
        after = os.times()
        took = after.children_user + after.children_system - before.children_user - before.children_system
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), "cpu_seconds": took}), flush=True)
    return None


def _become(asked: dict[str, Any]) -> None:
    """Be Snakemake: after this the process ends as any other, with all that is done at an end."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, path, mode in ((0, os.devnull, os.O_RDONLY), (1, asked["output"], os.O_WRONLY | os.O_APPEND)):
        file = os.open(path, mode)
        os.dup2(file, number)
        os.close(file)
    os.dup2(1, 2)
    sys.argv = ["snakemake", *asked["arguments"]]
    sys.path[0] = asked["folder"]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in IMPORTED:
        __import__(name)
    assert "neuroscaling" not in sys.modules, "a fork would take this library for that of its working directory"
    if (asked := _serve()) is not None:
        _become(asked)
