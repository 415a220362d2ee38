"""A process that hangs is ended by itself, with the tracebacks of its threads and a reason, and its job is tried again.

Threads can't be ended from outside, and a collective that waits for a dead node, or a read from a dead disk, hears no
exception. So the process goes at once (`os._exit`), its worker processes too.
"""

import faulthandler
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem

log = logging.getLogger(__name__)

STATUS = 75
"""Exit status of a process that hung: EX_TEMPFAIL, try again."""
LAST_WORDS_SECONDS = 30.0
"""For writing down what is known; the disk may be what hangs."""

Told = Callable[[DataError], None]
_told: list[Told] = []
"""What is told of a hang before this process ends; empty: it isn't ours to end."""


class Hung(DataError):
    """A process made no step for too long."""


@dataclass(frozen=True)
class Patience:
    """Seconds without a step after which work is taken to hang; None: it never is.

    seconds: beyond the longest pause so far, such as an evaluation; first: until the first step, in which data are
    decoded and networks compiled.
    """

    seconds: float | None = 1800.0
    first: float | None = 7200.0


NEVER = Patience(None, None)
SCORING_SECONDS = 7200.0
"""Of work whose single steps may take long, such as a factorisation of the inner products of 30,000 images."""


def patience_of_job(hang_seconds: float | None, minutes: float | None) -> Patience:
    """The patience with a job whose steps differ: until its first step it has its time limit, where that is longer.

    hang_seconds: as a study sets it, None: nothing is a hang; minutes: the time limit, None where the job has none.
    """
    if hang_seconds is None:
        return NEVER
    return Patience(hang_seconds, max(hang_seconds, 60.0 * (minutes or 0)))


@contextmanager
def ended_if_hung(told: Told = lambda error: None) -> Iterator[None]:
    """Say that this process may be ended, for the length of the block, where its work hangs: it is a job's own.

    told: is given the reason before that. Other processes, such as a notebook, are only warned.
    """
    _told.append(told)
    try:
        yield
    finally:
        _told.remove(told)


def may_end() -> bool:
    """Is this a process that is ended where its work hangs?"""
    return bool(_told)


def hung_problem(what: str, seconds: float, allowed: float, traces: Path | None) -> Problem:
    """The reason why a process is ended. traces: the file with the tracebacks."""
    where = f" ({traces})" if traces else ""
    return Problem(
        what="no step for too long: it hangs",
        where=what,
        value=f"{seconds:.0f} s without one",
        allowed=f"{allowed:.0f} s",
        fix=f"its job is tried again; the tracebacks{where} say where it hung; `hang_seconds:` sets the limit",
    )


def tell_and_end(problem: Problem, traces: Path | None, last: Told) -> None:
    """Write tracebacks to the file `traces` and the log, call `last` and those who asked to be told, and end.

    In a process that isn't ours to end, a warning is all.
    """
    words = threading.Thread(target=_last_words, args=(Hung(problem), traces, last), daemon=True, name="last words")
    words.start()
    words.join(LAST_WORDS_SECONDS)
    if may_end():
        for worker in multiprocessing.active_children():
            with suppress(OSError):
                worker.kill()
        os._exit(STATUS)


def _last_words(error: Hung, traces: Path | None, last: Told) -> None:
    """Each part by itself: a disk that is away must not keep the log from being written."""
    log.error("%s\n%s", error, _tracebacks(traces))
    for told in (last, *_told) if may_end() else ():
        with suppress(Exception):
            told(error)


def _tracebacks(path: Path | None) -> str:
    """The tracebacks of all threads, which stay in the file `path` where that can be written."""
    # faulthandler writes to a descriptor, and asks no thread for anything.
    reading, writing = os.pipe()
    collected: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(reading, collected), daemon=True)
    reader.start()
    with open(writing, "wb", buffering=0) as file:
        faulthandler.dump_traceback(file, all_threads=True)
    reader.join(LAST_WORDS_SECONDS / 3)
    text = b"".join(collected).decode(errors="replace")
    if path is not None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return text


def _read_all(descriptor: int, into: list[bytes]) -> None:
    with open(descriptor, "rb", buffering=0) as file:
        while part := file.read(1 << 16):
            into.append(part)
