"""Optimisers and their schedules are timm's, as functions of the recipe and the step."""

from functools import lru_cache
from typing import Any

import torch
from timm.optim import create_optimizer_v2, param_groups_weight_decay
from timm.scheduler import CosineLRScheduler, PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.optim import Optimizer

from neuroscaling.study.recipes import Recipe

# What timm calls them; its `sgd` is Nesterov's, which the publication doesn't use.
NAMES = {"sgd": "momentum", "adamw": "adamw", "lars": "lars"}
BETA2 = 0.999


def make_optimizer(recipe: Recipe, module: nn.Module, device: torch.device | None = None) -> Optimizer:
    """The recipe's optimiser over the parameters of `module` that are trained.

    device: fused kernels are used on a GPU (by SGD and AdamW). Where `decay_norms_and_biases` is
    false, a group without weight decay (0) holds the one-dimensional parameters, biases and those that the network
    names in its `no_weight_decay()`. LARS (You et al. 2017) adapts the rates of groups with weight decay alone.
    """
    options: dict[str, Any]  # keywords of different optimisers, each with a type of its own
    options = {"betas": (recipe.momentum, BETA2)} if recipe.optimizer == "adamw" else {"momentum": recipe.momentum}
    if device is not None and device.type == "cuda" and recipe.optimizer != "lars":
        options["fused"] = True
    groups = parameter_groups(recipe, module)
    return create_optimizer_v2(
        groups, NAMES[recipe.optimizer], lr=recipe.learning_rate, weight_decay=recipe.weight_decay, **options
    )


def parameter_groups(recipe: Recipe, module: nn.Module) -> list[dict[str, Any]]:
    """The parameters of `module` that are trained, in one group, or two where some are exempt from weight decay."""
    return param_groups_weight_decay(
        module,
        recipe.weight_decay,
        weight_decay_exclude_1d=not recipe.decay_norms_and_biases,
        no_weight_decay_list=() if recipe.decay_norms_and_biases else _exempt(module),
    )


def set_rates(optimizer: Optimizer, recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Give `optimizer` the learning rate and weight decay of `step` (from 0); returns the learning rate."""
    rate = learning_rate(recipe, step, steps_per_epoch)
    decay = weight_decay(recipe, step, steps_per_epoch)
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["weight_decay"] = decay if group["weight_decay"] else 0.0  # 0: of parameters that don't decay
    return rate


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Learning rate of `step` (from 0): linear warm-up, then a cosine or a line to the smallest rate at the last step.

    The warm-up starts one part above zero, so that its first step is not lost, and ends where the peak is reached.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    length = total - 1 - warmup
    return annealed(recipe.schedule, recipe.learning_rate, recipe.min_learning_rate, step - warmup, length)


def weight_decay(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Weight decay of `step` (from 0): that of the recipe, or a cosine from it to the final one at the last step."""
    if recipe.final_weight_decay is None:
        return recipe.weight_decay
    length = recipe.epochs * steps_per_epoch - 1
    return annealed("cosine", recipe.weight_decay, recipe.final_weight_decay, step, length)


def annealed(schedule: str, first: float, last: float, step: int, length: int) -> float:
    """A number that goes from `first` at step 0 to `last` at step `length` along half a `cosine`, or in a line."""
    if step >= length:
        return last if length > 0 else first
    optimizer, scheduler = _annealing(schedule, first, last, length)
    scheduler.step_update(step)
    return optimizer.param_groups[0]["lr"]


@lru_cache(maxsize=16)
def _annealing(schedule: str, first: float, last: float, length: int) -> tuple[Optimizer, Scheduler]:
    """timm's scheduler, and the stand-in of an optimiser that it writes its number to; its state is never read."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=first)
    if schedule == "linear":
        return optimizer, PolyLRScheduler(optimizer, length, power=1.0, lr_min=last, t_in_epochs=False)
    return optimizer, CosineLRScheduler(optimizer, length, lr_min=last, t_in_epochs=False)


def _exempt(module: nn.Module) -> list[str]:
    """Parameters that networks inside `module` name as exempt from weight decay, such as embeddings of positions."""
    return [
        f"{name}.{parameter}" if name else parameter
        for name, part in module.named_modules()
        if hasattr(part, "no_weight_decay")
        for parameter in part.no_weight_decay()
    ]
