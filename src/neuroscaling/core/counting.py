"""Work counts its own steps, for a watch of its process to look at (core/watching.py).

A loop passes what it goes through to `counted`: candidates of a subject, splits of a benchmark, blocks of a matrix. So
a piece that takes hours tells how far it is, and that it goes on. Where nobody watches, nothing is counted. A thread
counts for the watch that it was begun under itself: others of the process have their own.
"""

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A loop that is under way: what it goes through, how many are done, and of how many (None: nobody knows)."""

    unit: str
    done: int
    total: int | None

    def __str__(self) -> str:
        """The one that is being done, as in `candidate 3 of 20`."""
        return f"{self.unit} {self.done + 1:,}" + (f" of {self.total:,}" if self.total is not None else "")


@dataclass
class Tally:
    """Work of a stage that counts one unit, such as images or subjects; whoever does it raises `done`.

    steps: things that were done within units, by all loops together; signs: of life without a step; parts: the loops
    that are under way, the outermost first.
    """

    stage: str
    unit: str
    total: int | None = None
    done: int = 0
    steps: int = 0
    signs: int = 0
    parts: tuple[Part, ...] = ()


_present: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def counting(tally: Tally) -> Iterator[None]:
    """Let `counted` count into `tally`, for the length of the block."""
    token = _present.set(tally)
    tally.parts = ()
    try:
        yield
    finally:
        tally.parts = ()
        _present.reset(token)


def counted(things: Iterable[T], unit: str, total: int | None = None) -> Iterator[T]:
    """Pass on `things`, and count each of them once the next one is asked for.

    unit: what one of them is called, as in `candidate`; total: how many they are, where they don't know it themselves.
    """
    tally = _present.get()
    if tally is None:
        yield from things
        return
    if total is None and isinstance(things, Sized):
        total = len(things)
    outer = tally.parts
    try:
        for done, thing in enumerate(things):
            tally.parts = (*outer, Part(unit, done, total))
            yield thing
            tally.steps += 1
    finally:
        # A loop that an error ended may be closed later than those around it.
        if tally.parts[: len(outer)] == outer:
            tally.parts = outer


def alive() -> None:
    """Say that the work goes on though it makes no step, as where it waits for another process that lives."""
    if (tally := _present.get()) is not None:
        tally.signs += 1


def share_of(parts: tuple[Part, ...]) -> float:
    """How much of a unit loops within each other have done, 0 to 1, as far as they know how many they are."""
    share, piece = 0.0, 1.0
    for part in parts:
        if not part.total:
            break
        piece /= part.total
        share += part.done * piece
    return min(share, 1.0)
