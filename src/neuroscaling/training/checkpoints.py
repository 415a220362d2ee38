"""When the state of a training is saved, and what happens when it is told to stop."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from neuroscaling.training.loop import Training, snapshot
from neuroscaling.training.state import save_state

# Epochs can take less than a tenth of a second; what is lost with a killed run is then less than writing its state.
EPOCH_SECONDS = 2.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Checkpoints:
    """Saves states of `training` to `folder`: every so many seconds or steps, at ends of epochs, and when told to stop.

    How often states are saved changes nothing in the weights, so it is no part of a recipe.
    """

    training: Training
    folder: Path
    definition: str
    every_seconds: float = 60.0
    every_steps: int | None = None
    stop: int | None = None
    last: float = field(default_factory=time.monotonic)

    def after_step(self) -> None:
        """Save when it is time to; when told to stop, save and leave with the signal's exit status."""
        step = self.training.progress.step
        if self.stop is not None:
            self.save()
            raise SystemExit(128 + self.stop)
        if self._age() >= self.every_seconds or (self.every_steps and step % self.every_steps == 0):
            self.save()

    def after_epoch(self) -> None:
        """Save, unless a state was saved a moment ago or training is over."""
        over = self.training.progress.epoch > self.training.recipe.epochs
        if not over and self._age() >= min(self.every_seconds, EPOCH_SECONDS):
            self.save()

    def save(self) -> None:
        """Save the state now."""
        save_state(self.folder, self.training.progress.step, snapshot(self.training, self.definition))
        self.last = time.monotonic()

    def _age(self) -> float:
        return time.monotonic() - self.last


@contextmanager
def heeding_signals(checkpoints: Checkpoints) -> Iterator[None]:
    """SIGTERM and SIGINT ask `checkpoints` to save and leave after the current step (in the main thread only)."""
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
