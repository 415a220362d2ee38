"""The moving average of a network's weights, which is what is evaluated and scored where a recipe has one."""

from timm.utils import ModelEmaV3
from torch import nn

from neuroscaling.training.recipe import Recipe


def make_ema(recipe: Recipe, network: nn.Module) -> ModelEmaV3 | None:
    """timm's moving average of the weights and buffers of `network`, or None where the recipe has no `ema`.

    It is a module of its own on the network's device: `update(network, step)`, with steps counted from 1, takes a step
    in; `module` is the averaged network; its state_dict restores it. With `ema_warmup` the decay of step t is
    min(ema, 1 - t^(-2/3)), so that a short run's average is of its end, not of its random start; without, it is `ema`
    from the first step on, as in the published study.
    """
    if recipe.ema is None:
        return None
    before = 0 if recipe.ema_warmup else -1  # else timm would put the first step's weights in the place of the average
    return ModelEmaV3(network, decay=recipe.ema, use_warmup=recipe.ema_warmup, update_after_step=before)
