"""The training loop minimises an objective's loss: the same weights for the same settings, interrupted or not."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neuroscaling.core.errors import Problem
from neuroscaling.core.records import KeptWeights
from neuroscaling.models.state import copy_hidden, hidden_buffers, set_hidden
from neuroscaling.study.recipes import Recipe
from neuroscaling.training.batch_normalisation import RunningStatistics
from neuroscaling.training.distributed import share_units, summed, unit_group, world
from neuroscaling.training.feeding.protocols import Batch, Feed, Request
from neuroscaling.training.optimisers import learning_rate, set_rates
from neuroscaling.training.run_folder import EpochRow, RunFailed
from neuroscaling.training.schedule import SEEDS, StepPlan, generator
from neuroscaling.training.torch_runtime import autocast, collapsed, seed_torch


class Objective(nn.Module, ABC):
    """A network and what it is trained for; this is what is compiled and spread over processes.

    network: the architecture that is trained; all other parts (heads, teachers) are the objective's own.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def mixed(self, views: list[Tensor], labels: Tensor, seed: int) -> tuple[list[Tensor], Tensor]:
        """Views (b, 3, s, s) and labels (b,) of a micro-batch as `forward` takes them; equal seeds give equal ones.

        Views may be changed in place.
        """
        return views, labels

    @abstractmethod
    def forward(self, views: list[Tensor], targets: Tensor) -> Tensor:
        """Mean loss of this process's part of a micro-batch, float32."""

    def before_step(self, step: int) -> None:
        """Called ahead of the first micro-batch of step `step` (from 0)."""

    def after_backward(self, step: int) -> None:
        """Called when the gradients of step `step` are complete, before they are clipped."""

    def after_step(self, step: int) -> None:
        """Called when the optimiser has taken step `step`."""

    def scored(self) -> nn.Module:
        """The network whose weights are evaluated and kept."""
        return self.network


# Reading a loss from a GPU waits for it; so they are read some steps at a time.
LOSSES_AT_ONCE = {"cpu": 1, "cuda": 50}


@dataclass
class Progress:
    """Where a training stands: `step` steps are done, and `epoch` (from 1) is the first whose end is not dealt with.

    loss_sum, loss_images: of this epoch's finite losses so far; bad: steps in a row, up to now, without one; seconds:
    spent until the last start; checkpoints: weights that were kept on the way; corrupt: images that could not be
    decoded until the last start.
    """

    epoch: int = 1
    step: int = 0
    images_seen: int = 0
    loss_sum: float = 0.0
    loss_images: int = 0
    bad: int = 0
    seconds: float = 0.0
    history: list[EpochRow] = field(default_factory=list)
    checkpoints: list[KeptWeights] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)


@dataclass
class Training:
    """All that a training works with. module: the objective, or what spreads it over processes.

    memory: layout of images; image_ids: of the subset's images; evaluate: validation loss (None where there is none)
    and accuracy at the end of an epoch, None where the epoch is not evaluated; keep: writes the weights of an epoch
    where they are kept.
    """

    run: str
    objective: Objective
    module: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: ModelEmaV3 | None
    recipe: Recipe
    plan: StepPlan
    feed: Feed
    device: torch.device
    image_ids: np.ndarray
    n_classes: int
    evaluate: Callable[["Training", int], tuple[float | None, float] | None]
    keep: Callable[["Training", int], KeptWeights | None]
    memory: torch.memory_format
    nan_steps: int
    progress: Progress = field(default_factory=Progress)
    pending: list[tuple[int, torch.Tensor]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds spent, those before an interruption included."""
        return self.progress.seconds + time.monotonic() - self.started

    @property
    def corrupt(self) -> list[str]:
        """Images that could not be decoded, those before an interruption included."""
        return sorted({*self.progress.corrupt, *self.feed.corrupt})

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return len(self.plan.batches)

    @property
    def scored(self) -> nn.Module:
        """The network whose weights are evaluated, kept and scored: the moving average, where there is one."""
        return self.ema.module if self.ema is not None else self.objective.scored()


def fit(training: Training, after_step: Callable[[], None], after_epoch: Callable[[], None]) -> None:
    """Train from where `training.progress` stands to the end; its history gets a row an epoch, 0 being before training.

    after_step, after_epoch: called when a step or an epoch is complete; may save or leave. Raises RunFailed when the
    loss is not finite for `nan_steps` steps in a row, or at the last one.
    """
    progress = training.progress
    training.module.train()
    if not progress.history:
        progress.history.append(_row(training, 0, None, None))
    batches = training.feed.batches(training.plan.requests(progress.step))
    requests = training.plan.requests(progress.step)
    while progress.epoch <= training.recipe.epochs:
        while progress.step < progress.epoch * training.steps_per_epoch:
            _take(training, next(requests), next(batches))
            after_step()
        _end_epoch(training)
        after_epoch()


def read_losses(training: Training) -> None:
    """Add the losses of the last steps to the epoch's sums. Raises RunFailed when too many in a row aren't finite."""
    if not training.pending:
        return
    progress, pending = training.progress, training.pending
    sums = summed(torch.stack([loss for _, loss in pending])).tolist()
    no_gradient = collapsed(training.scaler)
    for (count, _), value in zip(pending, sums, strict=True):
        if isfinite(value) and not no_gradient:
            progress.loss_sum, progress.loss_images = progress.loss_sum + value, progress.loss_images + count
            progress.bad = 0
        else:
            progress.bad += 1
    pending.clear()
    if progress.bad >= training.nan_steps:
        raise _diverged(training, "the loss is no longer finite")


def is_sound(training: Training) -> bool:
    """Is this a state to go on from? Not while losses aren't finite: the one before may be."""
    read_losses(training)
    return training.progress.bad == 0


def snapshot(training: Training, definition: str) -> dict[str, Any]:
    """Everything that `restore` needs. Order, augmentation and rates follow from the position and have no state."""
    return {
        "definition": definition,
        "objective": training.objective.state_dict(),
        "hidden": hidden_buffers(training.objective),
        "optimizer": training.optimizer.state_dict(),
        "scaler": training.scaler.state_dict(),
        "ema": training.ema.state_dict() if training.ema is not None else None,
        "progress": asdict(training.progress) | {"seconds": training.seconds, "corrupt": training.corrupt},
    }


def restore(training: Training, state: dict[str, Any]) -> None:
    """Put `training` back to where `snapshot` was taken."""
    training.objective.load_state_dict(state["objective"])
    set_hidden(training.objective, state.get("hidden", {}))
    training.optimizer.load_state_dict(state["optimizer"])
    training.scaler.load_state_dict(state["scaler"])
    if training.ema is not None:
        training.ema.load_state_dict(state["ema"])
    training.progress = _progress(state["progress"])


def _progress(content: dict[str, Any]) -> Progress:
    """The progress in a state, which has rows and files of weights as dictionaries."""
    history = [EpochRow(**row) for row in content["history"]]
    checkpoints = [KeptWeights(**entry) for entry in content["checkpoints"]]
    return Progress(**content | {"history": history, "checkpoints": checkpoints})


def _take(training: Training, request: Request, batch: Batch) -> None:
    """One step, and its count."""
    progress = training.progress
    training.pending.append((len(request.rows), _step(training, request, batch)))
    progress.step += 1
    progress.images_seen += len(request.rows)
    if len(training.pending) >= LOSSES_AT_ONCE.get(training.device.type, 1):
        read_losses(training)


def _step(training: Training, request: Request, batch: Batch) -> torch.Tensor:
    """One step of the optimizer; the sum of this process's losses, still on its device."""
    set_rates(training.optimizer, training.recipe, request.step, training.steps_per_epoch)
    share = training.plan.share(len(request.rows))
    share_units(share.units)
    _share_statistics(training.module)
    statistics = RunningStatistics(training.objective) if world() > 1 else None
    training.objective.before_step(request.step)
    losses = [_micro_batch(training, request, batch, part, share.parts) for part in share.parts]
    training.objective.after_backward(request.step)
    _update(training)
    if statistics is not None:
        statistics.merge(share.units)
    training.objective.after_step(request.step)
    if training.ema is not None:
        training.ema.update(training.objective.network, step=request.step + 1)
    return torch.stack(losses).sum()


def _micro_batch(
    training: Training, request: Request, batch: Batch, part: slice, parts: Sequence[slice]
) -> torch.Tensor:
    """Gradients of one of the `parts` of a step, added to those of the parts before it; the sum of its losses."""
    # Dropout and the like draw from torch's own generators, seeded here so that a resumed run draws the same.
    rng = generator("network", training.plan.seed, request.step, part.start)
    seed_torch(int(rng.integers(SEEDS)), training.device)
    mine = slice(part.start - request.mine.start, part.stop - request.mine.start)
    views = [view[mine].contiguous(memory_format=training.memory) for view in batch.views]
    views, targets = training.objective.mixed(views, batch.labels[mine], int(rng.integers(SEEDS)))
    with _waiting(training.module, part is parts[-1]):
        with autocast(training.recipe.precision, training.device):
            loss = training.module(views, targets)
        if part is parts[0]:  # after the forward pass: memory that is given back before it costs a CPU page faults
            training.optimizer.zero_grad(set_to_none=True)
        count = part.stop - part.start
        # Gradients are averaged over processes: times their number, they are of the mean over the whole batch.
        training.scaler.scale(loss * (world() * count / len(request.rows))).backward()
    return loss.detach() * count


def _waiting(module: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Gradients go to the other processes with the last micro batch alone."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()


def _share_statistics(module: nn.Module) -> None:
    """Tell the batch normalisations of a GPU with whom this step's micro batches are shared."""
    if world() == 1:
        return
    for layer in module.modules():
        if isinstance(layer, nn.SyncBatchNorm):
            layer.process_group = unit_group()


def _update(training: Training) -> None:
    if training.recipe.gradient_clip:
        training.scaler.unscale_(training.optimizer)
        nn.utils.clip_grad_norm_(training.objective.parameters(), training.recipe.gradient_clip)
    training.scaler.step(training.optimizer)
    training.scaler.update()


def _end_epoch(training: Training) -> None:
    """Evaluate and keep weights where this epoch is one for it; its row goes to the history."""
    read_losses(training)
    progress = training.progress
    if progress.epoch == training.recipe.epochs and not _ends_well(training):
        raise _diverged(training, "no finite loss or weights at the end")
    rate = learning_rate(training.recipe, progress.step - 1, training.steps_per_epoch)
    mean_loss = progress.loss_sum / progress.loss_images if progress.loss_images else None
    if training.ema is not None:  # which averages what the state dictionary has
        copy_hidden(training.objective.network, training.ema.module)
    progress.history.append(_row(training, progress.epoch, rate, mean_loss))
    kept = training.keep(training, progress.epoch)
    progress.checkpoints += [kept] if kept else []
    progress.epoch, progress.loss_sum, progress.loss_images = progress.epoch + 1, 0.0, 0


def _ends_well(training: Training) -> bool:
    finite = [value.isfinite().all() for value in training.scored.state_dict().values()]
    return training.progress.bad == 0 and bool(torch.stack(finite).all())


def _row(training: Training, epoch: int, rate: float | None, train_loss: float | None) -> EpochRow:
    loss, accuracy = training.evaluate(training, epoch) or (None, None)
    return EpochRow(
        epoch=epoch,
        step=training.progress.step,
        images_seen=training.progress.images_seen,
        learning_rate=rate,
        train_loss=train_loss,
        val_loss=loss,
        val_accuracy=accuracy,
        seconds=round(training.seconds, 3),
    )


def _diverged(training: Training, what: str) -> RunFailed:
    """The failure, with the first step in a row without a finite loss (counted from 1), its rate and its images."""
    step = training.progress.step - max(1, training.progress.bad)
    rate = learning_rate(training.recipe, step, training.steps_per_epoch)
    epoch = step // training.steps_per_epoch + 1
    where = f"{training.run}: epoch {epoch}, step {step + 1}, learning rate {rate:.4g}"
    problem = Problem(
        what=what, where=where, value=f"{training.progress.bad} steps", fix="lower the recipe's learning_rate"
    )
    images = [training.image_ids[row] for row in training.plan.rows(step)]
    return RunFailed(problem, True, step=step + 1, learning_rate=rate, batch=images)
