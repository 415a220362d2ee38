"""A moving average of a network's weights is evaluated and scored where a recipe asks for it.

The command line imports this module at its start, so what loads torch is imported in functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroscaling.core.errors import percent
from neuroscaling.study.recipe_parts import Dino
from neuroscaling.study.recipes import Recipe

if TYPE_CHECKING:
    from timm.utils import ModelEmaV3
    from torch import nn


MUCH = 0.05
"""Share of the start in what is scored that a user should know of."""
NOTHING = 1e-6


def make_ema(recipe: Recipe, network: nn.Module) -> ModelEmaV3 | None:
    """timm's moving average of the weights and buffers of `network`, or None where the recipe has no `ema`.

    It is a module of its own on the network's device: `update(network, step)`, with steps counted from 1, takes a step
    in; `module` is the averaged network; its state_dict restores it. With `ema_warmup` the decay of step t is
    min(ema, 1 - t^(-2/3)), so that a short run's average is of its end, not of its random start; without, it is `ema`
    from the first step on, as in the published study.
    """
    from timm.utils import ModelEmaV3

    if recipe.ema is None:
        return None
    before = 0 if recipe.ema_warmup else -1  # else timm would put the first step's weights in the place of the average
    return ModelEmaV3(network, decay=recipe.ema, use_warmup=recipe.ema_warmup, update_after_step=before)


def start_share(recipe: Recipe, n_steps: int) -> float:
    """Share that the weights before training have in what is scored after `n_steps`: the product of the steps' decays.

    0 without an average, and with `ema_warmup`, whose first step takes the network's weights as they are then. What
    DINO scores is its teacher, an average whose decay is the momentum.
    """
    if isinstance(recipe.section, Dino):
        return _teacher_share(recipe.section, recipe.epochs, n_steps)
    return 0.0 if recipe.ema is None or recipe.ema_warmup else recipe.ema**n_steps


def start_note(recipe: Recipe, n_steps: int) -> str | None:
    """Words on a run of `n_steps` whose average is its start by more than 5 %; None for others."""
    share = start_share(recipe, n_steps)
    if share <= MUCH:
        return None
    average, less = f"average that is scored (`ema: {recipe.ema}`)", "`ema_warmup: true` or a smaller `ema`"
    if isinstance(recipe.section, Dino):
        momentum = recipe.section.teacher_momentum
        average, less = f"teacher that is scored (`teacher_momentum: {momentum}`)", "a smaller one or more epochs"
    still = f"after {n_steps} steps, {percent(share)} of the {average} is still what training starts from"
    return f"{still}; with {less} it is less"


def _teacher_share(numbers: Dino, epochs: int, n_steps: int) -> float:
    from neuroscaling.training.self_supervised_objectives import teacher_momentum

    share = 1.0
    for step in range(n_steps):
        share *= teacher_momentum(numbers, step, epochs, n_steps)
        if share < NOTHING:
            return 0.0
    return share
