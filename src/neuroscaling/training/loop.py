"""The training loop: plain torch, the same weights for the same settings, interrupted or not."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from neuroscaling.errors import DataError, Problem
from neuroscaling.training.augment import augmented
from neuroscaling.training.data import Images
from neuroscaling.training.evaluate import evaluate
from neuroscaling.training.recipe import Recipe
from neuroscaling.training.schedule import batches, epoch_order, evaluation_epochs, generator, learning_rate

# Reading a loss from a GPU waits for it; so they are read some steps at a time.
LOSSES_AT_ONCE = {"cpu": 1, "cuda": 50}


@dataclass
class Progress:
    """Where a training stands: `batch` is the next one of `epoch` (from 1), `step` the number of steps done.

    loss_sum: sum of the losses of this epoch's images so far; seconds: spent until the last start.
    """

    epoch: int = 1
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Training:
    """All that a training works with. size: pixels of each side of the network's input."""

    run: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    seed: int
    size: int
    images: Images
    validation: Images
    progress: Progress = field(default_factory=Progress)
    pending: list[tuple[float, int, torch.Tensor]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds spent, those before an interruption included."""
        return self.progress.seconds + time.monotonic() - self.started


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of `model`."""
    common = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=recipe.momentum, **common)
    return torch.optim.AdamW(model.parameters(), betas=(recipe.momentum, 0.999), **common)


def fit(training: Training, after_step: Callable[[], None], after_epoch: Callable[[], None]) -> None:
    """Train from where `training.progress` stands to the end; its history gets a row an epoch, 0 being before training.

    after_step, after_epoch: called when a step or an epoch is complete; may save or leave. Raises DataError when the
    loss is no longer finite.
    """
    progress = training.progress
    training.model.train()
    if not progress.history:
        progress.history.append(_row(training, 0, None, None))
    while progress.epoch <= training.recipe.epochs:
        rate = _finish_epoch(training, after_step)
        mean_loss = progress.loss_sum / len(training.images)
        progress.history.append(_row(training, progress.epoch, rate, mean_loss))
        progress.epoch, progress.batch, progress.loss_sum = progress.epoch + 1, 0, 0.0
        after_epoch()


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Deterministic algorithms for the length of the block; the global random state is put back after it.

    On a GPU, operations without a deterministic form are used with a warning.
    """
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(before)


def read_losses(training: Training) -> None:
    """Add the losses of the last steps to the epoch's sum. Raises DataError when one of them isn't finite."""
    first = training.progress.step - len(training.pending)
    values = [loss.item() for _, _, loss in training.pending]
    for i, (value, (rate, count, _)) in enumerate(zip(values, training.pending, strict=True)):
        if not isfinite(value):
            raise _diverged(training, value, rate, first + i + 1)
        training.progress.loss_sum += value * count
    training.pending.clear()


def snapshot(training: Training, definition: str) -> dict[str, Any]:
    """Everything that `restore` needs. Order, augmentation and rates follow from the position and have no state."""
    read_losses(training)
    return {
        "definition": definition,
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "progress": asdict(training.progress) | {"seconds": training.seconds},
    }


def restore(training: Training, state: dict[str, Any]) -> None:
    """Put `training` back to where `snapshot` was taken."""
    training.model.load_state_dict(state["model"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.progress = Progress(**state["progress"])


def _finish_epoch(training: Training, after_step: Callable[[], None]) -> float:
    """Take the steps that are left of this epoch; returns the last learning rate."""
    progress, recipe = training.progress, training.recipe
    order = torch.from_numpy(epoch_order(training.seed, progress.epoch, len(training.images)))
    slices = batches(len(order), recipe.batch_size)
    for rows in slices[progress.batch :]:
        rate = learning_rate(recipe, progress.step, len(slices))
        loss = _step(training, order[rows], rate)
        training.pending.append((rate, rows.stop - rows.start, loss))
        progress.batch, progress.step = progress.batch + 1, progress.step + 1
        if len(training.pending) >= LOSSES_AT_ONCE.get(loss.device.type, 1):
            read_losses(training)
        after_step()
    read_losses(training)
    return learning_rate(recipe, progress.step - 1, len(slices))


def _step(training: Training, rows: torch.Tensor, rate: float) -> torch.Tensor:
    """One step of the optimizer on the images of `rows`; returns the mean loss, still on its device."""
    recipe, step = training.recipe, training.progress.step
    rng = generator("augmentation", training.seed, step)
    # Dropout and the like draw from torch's own generators, seeded for each step so that a resumed run draws the same.
    torch.manual_seed(int(rng.integers(2**62)))
    pixels, labels = training.images.batch(rows)
    batch = augmented(pixels, recipe.augmentation, training.size, rng)
    batch = batch.contiguous(memory_format=torch.channels_last)
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = training.model(batch)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    training.optimizer.step()
    return loss.detach()


def _row(training: Training, epoch: int, rate: float | None, train_loss: float | None) -> dict[str, Any]:
    due = epoch in evaluation_epochs(training.recipe)
    loss, accuracy = evaluate(training.model, training.validation, training.size) if due else (None, None)
    return {
        "epoch": epoch,
        "step": training.progress.step,
        "images_seen": epoch * len(training.images),
        "learning_rate": rate,
        "train_loss": train_loss,
        "val_loss": loss,
        "val_accuracy": accuracy,
        "seconds": round(training.seconds, 3),
    }


def _diverged(training: Training, value: float, rate: float, step: int) -> DataError:
    where = f"{training.run}: epoch {training.progress.epoch}, step {step}, learning rate {rate:.4g}"
    return DataError(
        Problem("the loss is no longer finite", where, value, "finite losses", fix="lower the recipe's learning_rate")
    )
