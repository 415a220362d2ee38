"""The moving average of a network's weights, which is what is evaluated and scored where a recipe has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroscaling.percent import percent
from neuroscaling.training.recipe import Recipe

if TYPE_CHECKING:
    from timm.utils import ModelEmaV3
    from torch import nn

MUCH = 0.05
"""Share of the start in what is scored that a user should know of."""


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
    """Share that the weights before training have in the average after `n_steps`: the product of the steps' decays.

    0 without an average, and with `ema_warmup`, whose first step takes the network's weights as they are then.
    """
    return 0.0 if recipe.ema is None or recipe.ema_warmup else recipe.ema**n_steps


def start_note(recipe: Recipe, n_steps: int) -> str | None:
    """Words on a run of `n_steps` whose average is its start by more than 5 %; None for others."""
    share = start_share(recipe, n_steps)
    if share <= MUCH:
        return None
    return (
        f"after {n_steps} steps, {percent(share)} of the average that is scored (`ema: {recipe.ema:g}`) is still "
        "what training starts from; `ema_warmup: true` or a smaller `ema` changes that"
    )
