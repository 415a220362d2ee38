"""States to resume from and weights to score are written while a run goes on and at its end.

A file is the sha256 of what follows (64 hexadecimal characters) and a `torch.save` archive, read with
`weights_only=True`. The last two are kept: when the newest is damaged, the one before it serves.
"""

import hashlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import nn

from neuroscaling.core.array_files import load_torch
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import Lease
from neuroscaling.core.records import KeptWeights
from neuroscaling.models.weights import save_weights
from neuroscaling.study.recipes import checkpoint_epochs
from neuroscaling.study.run_table import Run
from neuroscaling.training.distributed import any_of, rank
from neuroscaling.training.launch import SIGNALS
from neuroscaling.training.loop import Training, is_sound, snapshot

log = logging.getLogger(__name__)
# Epochs can take less than a tenth of a second; what is lost with a killed run is then less than writing its state.
EPOCH_SECONDS = 2.0
# States of large networks take long to write: at most one second in this many goes into them.
SECONDS_PER_SECOND = 50


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
    every_seconds: float
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


KEPT = 2
DIGEST = 64


def save_state(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write `state` after `step` steps; whole on the disk when this returns. All but the last two are removed."""
    with atomic_path(folder / f"step-{step:012d}.state") as temporary, open(temporary, "wb") as file:
        file.write(b"0" * DIGEST)
        content = _Hashed(file)
        torch.save(state, cast(BinaryIO, content))  # of a file it asks for write and flush alone
        file.seek(0)
        file.write(content.digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())
    for old in _files(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def load_state(folder: Path, definition: str) -> dict[str, Any] | None:
    """The newest sound state of the run with this `definition` (the state's own entry); None to start anew.

    Damaged states and those of another definition are passed over with a warning.
    """
    for path in _files(folder):
        content = memoryview(path.read_bytes())
        if hashlib.sha256(content[DIGEST:]).hexdigest().encode() != bytes(content[:DIGEST]):
            log.warning("%s is damaged or cut short; an earlier state is used", path)
            continue
        state = load_torch(path, content[DIGEST:])
        if state["definition"] == definition:
            return state
        log.warning("%s is of other settings; it is not used", path)
    return None


class _Hashed:
    """A file that is written from one end to the other; the checksum is made on the way."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        self.file.flush()


def _files(folder: Path) -> list[Path]:
    """State files, newest first."""
    return sorted(folder.glob("step-*.state"), reverse=True)


def weights_name(epoch: int) -> str:
    """File of the weights after `epoch`."""
    return f"weights-ep{epoch}.safetensors"


def weights_writer(run: Run, out: Path) -> Callable[[Training, int], KeptWeights | None]:
    """What writes the weights of an epoch to the folder `out`, where the run's recipe keeps them."""
    epochs = checkpoint_epochs(run.training_recipe)

    def keep(training: Training, epoch: int) -> KeptWeights | None:
        if epoch not in epochs or rank() > 0:
            return None
        return write_weights(run, training.scored, out, epoch, training.n_classes)

    return keep


def write_weights(run: Run, network: nn.Module, out: Path, epoch: int, n_classes: int) -> KeptWeights:
    """Write the weights of `network` after `epoch` to the folder `out`.

    With them goes what the network was made from: architecture, number of classes (0: without a head) and seed.
    """
    path = out / weights_name(epoch)
    facts = {"run": run.run, "arch": run.arch, "epoch": str(epoch), "classes": str(n_classes)}
    seed = {} if run.kind in ("pretrained", "checkpoint") else {"seed": str(run.seed)}
    save_weights(network, path, facts | seed)
    return KeptWeights(epoch, path.name, file_sha256(path))
