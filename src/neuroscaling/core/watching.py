"""A watch over work: one thread writes how far it is, to a record and to the log, and ends a process that hangs.

The thread looks at the work every second; the work itself does nothing for it, but count (core/counting.py).
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from neuroscaling.core.counting import Part, Tally, counting, share_of
from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.hangs import NEVER, Patience, hung_problem, tell_and_end
from neuroscaling.core.leases import Lease
from neuroscaling.core.progress import Progress, begun, in_time, in_words, progress_beside, utc_now, write_progress
from neuroscaling.core.tries import reason_of

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
WRITE_EVERY = 10.0
TELL_EVERY = 55.0
"""Seconds between two lines in the log: one a minute at least."""
SUSPENDED = 60.0
"""Seconds between two looks after which the process itself was held: by Slurm, or by a machine that swaps."""


@dataclass(frozen=True)
class Standing:
    """How far work is, as it knows itself.

    rows: of its history; images: that went through; steps, signs, parts: as of a Tally; the rest as in Progress.
    """

    done: int
    total: int | None = None
    images: int | None = None
    rows: int = 0
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    steps: int = 0
    signs: int = 0
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, tally: Tally) -> "Standing":
        """The count."""
        images = tally.done if tally.unit == "images" else None
        return cls(tally.done, tally.total, images, steps=tally.steps, signs=tally.signs, parts=tally.parts)

    @property
    def sign(self) -> Hashable:
        """What changes with every step, and every sign of life."""
        return self.done, self.images, self.rows, self.epoch, self.steps, self.signs

    @property
    def ahead(self) -> float:
        """Units that are done, with what is done of the present one; loops of an extraction are beside its images."""
        return self.done + (share_of(self.parts) if self.images is None else 0.0)

    def as_progress(self) -> dict[str, Any]:
        """The fields of a Progress."""
        own = {name: getattr(self, name) for name in ("done", "total", "epoch", "epochs", "loss", "accuracy")}
        told = ", ".join(str(part) for part in self.parts if part.total != 1)
        return own | {"part": told or None, "part_share": round(self.ahead - self.done, 4)}


class Work(Protocol):
    """What a watch looks at, from its own thread."""

    def standing(self) -> Standing | None:
        """How far the work is; None while it is prepared."""
        ...

    def keep(self, progress: Progress) -> None:
        """Write what is to be seen besides the record: called now and then, and at the end."""
        ...


@dataclass
class Counted:
    """The count of a tally, for a watch to look at."""

    tally: Tally

    def standing(self) -> Standing:
        """How far it is."""
        return Standing.of(self.tally)

    def keep(self, progress: Progress) -> None:
        """There is nothing else."""


@contextmanager
def watching(
    work: Work,
    progress: Progress,
    record: Path | None,
    patience: Patience = NEVER,
    lease: Lease | None = None,
    traces: Path | None = None,
) -> Iterator["Watch"]:
    """Watch `work` for the length of the block.

    progress: the record at its beginning; record: where it is written, which only its maker does (None: nowhere);
    lease: given back where the process hangs; traces: a folder for tracebacks. A block that ends with an error leaves
    the reason in the record; what ends well removes it itself.
    """
    # The thread writes, wherever the process goes meanwhile.
    record, traces = record and record.absolute(), traces and traces.absolute()
    watch = Watch(work, progress, record, patience, lease, traces)
    thread = threading.Thread(target=watch.run, daemon=True, name=f"watch over {progress.name}")
    thread.start()
    try:
        yield watch
    except BaseException as error:
        watch.finish(thread)
        watch.leave(reason_of(error) if isinstance(error, Exception) else None)
        raise
    watch.finish(thread)


@contextmanager
def watched_lease(lease: Lease, name: str, tally: Tally, patience: Patience = NEVER) -> Iterator["Watch"]:
    """Watch the work for what a lease is held of, with the record beside it: removed where the block ends well.

    What the block passes through `counted` counts.
    """
    record = progress_beside(lease.path)
    progress = begun(record, name, tally.stage, tally.unit, None)
    with counting(tally), watching(Counted(tally), progress, record, patience, lease) as watch:
        yield watch
    record.unlink(missing_ok=True)


@dataclass
class Watch:
    """See `watching`. problem: why the work ends, where it ends badly."""

    work: Work
    progress: Progress
    record: Path | None
    patience: Patience
    lease: Lease | None
    traces: Path | None
    problem: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        now = time.monotonic()
        self._started = self._looked = self._heard = self._told = now
        self._wrote: float | None = None
        self._last: Standing | None = None
        self._first: tuple[float, float] | None = None  # when the first step was done, and how many units were by then
        self._most: float | None = 0.0  # units that were done at most; None where loops began again
        self._samples: deque[tuple[float, int]] = deque()  # of late: when so many images had gone through
        self._longest, self._has_stepped, self._complained = 0.0, False, False

    def run(self) -> None:
        """Look at the work until it is over."""
        while not self.over.wait(self._pause()):
            try:
                self.look()
            except Exception:  # whatever it is, the work goes on, unwatched
                log.warning("%s: it is no longer watched", self.progress.name, exc_info=True)
                return

    def _pause(self) -> float:
        limits = (self.patience.seconds, self.patience.first)
        return min([LOOK_EVERY, *(0.1 * limit for limit in limits if limit)])

    @contextmanager
    def expecting(self, patience: Patience) -> Iterator[None]:
        """The work makes steps, for the length of the block: where it makes none for too long, it hangs."""
        before, self._heard, self.patience = self.patience, time.monotonic(), patience
        try:
            yield
        finally:
            self.patience = before

    def finish(self, thread: threading.Thread) -> None:
        """End the thread."""
        self.over.set()
        thread.join()

    def leave(self, problem: str | None) -> None:
        """Write how far the work came, and why it ended there."""
        self.problem = problem
        if (standing := self.work.standing()) is not None:
            self._compare(time.monotonic(), standing)
        self.write()

    def look(self) -> None:
        """Look at the work: write the record, and a line, where it is time to; end the process where it hangs."""
        now = time.monotonic()
        if now - self._looked > SUSPENDED:
            self._heard = now  # this thread, and so the process, was held
        self._looked = now
        if (standing := self.work.standing()) is not None:
            self._compare(now, standing)
        if self._wrote is None or now - self._wrote >= WRITE_EVERY:
            self.write()
        if now - self._told >= TELL_EVERY:
            self._tell(now)
        self._end_if_hung(now)

    def _compare(self, now: float, standing: Standing) -> None:
        """Take over how far the work is, and note whether it got on."""
        last, self._last = self._last, standing
        if last is None:
            self._first, self._heard = (now, standing.ahead), now
        elif standing.sign != last.sign:
            first = not self._has_stepped
            if first and (standing.done, standing.steps) > (last.done, last.steps):
                # What is before the first step says nothing of the speed, nor of how long a pause may be.
                self._has_stepped, self._first = True, (now, standing.ahead)
            else:
                self._longest = max(self._longest, now - self._heard)
            self._heard = now
            if standing.images is not None:
                self._sample(now, standing.images, first)
        speed, left = self._images_per_second(), self._seconds_left(standing)
        self.progress = replace(self.progress, **standing.as_progress(), images_per_second=speed, seconds_left=left)

    def _sample(self, now: float, images: int, first: bool) -> None:
        if first:
            self._samples.clear()
        self._samples.append((now, images))
        while now - self._samples[0][0] > 2 * TELL_EVERY and len(self._samples) > 2:
            self._samples.popleft()

    def _images_per_second(self) -> float | None:
        """Over the last minute or two."""
        if len(self._samples) < 2:
            return None
        (since, before), (until, after) = self._samples[0], self._samples[-1]
        return round((after - before) / (until - since), 1)

    def _seconds_left(self, standing: Standing) -> float | None:
        """At the speed since the first step. None where all units are done and something else is not, and where loops
        follow each other, of which nobody knows how many will."""
        ahead = standing.ahead
        self._most = None if self._most is None or ahead < self._most else ahead
        if self._most is None or self._first is None or standing.total is None:
            return None
        if (more := ahead - self._first[1]) <= 0 or (standing.parts and standing.done >= standing.total):
            return None
        return round((standing.total - ahead) * (self._heard - self._first[0]) / more, 1)

    def _tell(self, now: float) -> None:
        self._told = now
        if self.record is not None:
            silent = now - self._heard
            waits = f", no step for {in_time(silent)}" if silent > TELL_EVERY else ""
            log.info("%s: %s%s", self.progress.name, in_words(self.progress), waits)

    def write(self) -> None:
        """Write the record, and what the work keeps. That nothing can be written is said once, and hurts nobody."""
        self._wrote = time.monotonic()
        if self.record is None or (self.lease is not None and not self.lease.is_held()):
            return
        seconds = round(self._wrote - self._started, 1)
        self.progress = replace(self.progress, seconds=seconds, updated=utc_now(), problem=self.problem)
        try:
            write_progress(self.record, self.progress)
            self.work.keep(self.progress)
        except (OSError, NeuroscalingError) as error:
            if not self._complained:
                log.warning("%s: its progress can't be written: %s", self.progress.name, error)
            self._complained = True

    def _end_if_hung(self, now: float) -> None:
        limit = self.patience.seconds if self._has_stepped else self.patience.first
        if limit is None or now - self._heard <= (allowed := limit + self._longest):
            return
        file = f"tracebacks-{socket.gethostname()}-{os.getpid()}.txt"
        path = self.traces / file if self.traces else None
        problem = hung_problem(self.progress.name, now - self._heard, allowed, path)
        self._heard = now
        tell_and_end(problem, path, self._last_words)

    def _last_words(self, error: NeuroscalingError) -> None:
        """The record with the reason, and the lease given back."""
        self.problem = reason_of(error)
        self.write()
        if self.lease is not None:
            self.lease.release()
