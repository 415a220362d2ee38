"""Waiting for an event, and the end of all that runs in a folder: for tests that start processes and kill them.

A test waits for what happens and never for a time: what takes a second on a quiet machine takes a minute beside load.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

LIMIT = 900.0
"""Seconds after which something hangs. Nothing that works takes so long, on a slow machine beside load either."""
Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value], describe: Callable[[], str] = str, pause: float = 0.05) -> Value:
    """The first true value of `condition`, polled. Raises AssertionError with `describe()` where it hangs."""
    end = time.monotonic() + LIMIT
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {LIMIT:g} s for nothing\n{describe()}")
        time.sleep(pause)
    return value


def kill_all(folder: Path) -> None:
    """Kill all processes that work in a folder, suspended or not, and what they start meanwhile."""

    def none_is_left() -> bool:
        left = [one for one in psutil.process_iter() if one.pid != os.getpid() and _works_in(one, folder)]
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        return not left

    wait_for(none_is_left)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
