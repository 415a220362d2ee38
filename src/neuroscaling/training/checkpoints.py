"""When the state of a training is saved, and what happens when it is told to stop."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from neuroscaling.core.leases import Lease
from neuroscaling.training.distributed import any_of, rank
from neuroscaling.training.loop import Training, is_sound, snapshot
from neuroscaling.training.state import save_state

log = logging.getLogger(__name__)
# Epochs can take less than a tenth of a second; what is lost with a killed run is then less than writing its state.
EPOCH_SECONDS = 2.0
# States of large networks take long to write: at most one second in this many goes into them.
SECONDS_PER_SECOND = 50
# SIGUSR1 is what a cluster sends before the time limit, where it is asked to.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@dataclass
class Checkpoints:
    """Saves states of `training` to `folder`: every so many seconds or steps, at ends of epochs, and when told to stop.

    How often states are saved changes nothing in the weights, so it is no part of a recipe. Of several processes all
    do as one of them is told, and the first one writes. It holds the run's `lease`; where another process has taken
    that over, its states are left alone and LeaseLost is raised.
    """

    training: Training
    folder: Path
    definition: str
    every_seconds: float = 60.0
    every_steps: int | None = None
    lease: Lease | None = None
    stop: int | None = None
    last: float = field(default_factory=time.monotonic)
    cost: float = 0.0

    def after_step(self) -> None:
        """Save when it is time to; when told to stop, save and leave with the signal's exit status."""
        step = self.training.progress.step
        in_step = bool(self.every_steps and step % self.every_steps == 0)
        over_time = in_step or self._age() >= self._pause(self.every_seconds)
        stop, due, refused = any_of(self.stop is not None, over_time, self.training.feed.refused)
        if refused:
            self.training.feed.settle()
        if stop or due:
            self.save()
        if stop:
            number = signal.Signals(self.stop or signal.SIGTERM)
            log.warning("%s: told to stop (%s) after step %d; goes on there", self.training.run, number.name, step)
            raise SystemExit(128 + number)

    def after_epoch(self) -> None:
        """Save, unless a state was saved a moment ago or training is over."""
        over = self.training.progress.epoch > self.training.recipe.epochs
        (due,) = any_of(not over and self._age() >= self._pause(min(self.every_seconds, EPOCH_SECONDS)))
        if due:
            self.save()

    def save(self) -> None:
        """Save the state now, if it is one to go on from."""
        if not is_sound(self.training):
            return
        if rank() == 0:
            if self.lease is not None:
                self.lease.check()
            started = time.monotonic()
            save_state(self.folder, self.training.progress.step, snapshot(self.training, self.definition))
            self.cost = time.monotonic() - started
        self.last = time.monotonic()

    def _pause(self, seconds: float) -> float:
        return max(seconds, SECONDS_PER_SECOND * self.cost)

    def _age(self) -> float:
        return time.monotonic() - self.last


@contextmanager
def heeding_signals(checkpoints: Checkpoints) -> Iterator[None]:
    """Signals that end a job ask `checkpoints` to save and leave after the current step (in the main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def remember(number: int, frame: object) -> None:
        checkpoints.stop = number

    before = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
