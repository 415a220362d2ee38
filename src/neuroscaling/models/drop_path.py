"""Stochastic depth (Huang et al. 2016): in training, blocks are left out for some of the images."""

from dataclasses import replace

from timm.layers import DropPath
from torch import nn

from neuroscaling.errors import Problem, StudyError
from neuroscaling.models.dotted import is_dotted
from neuroscaling.models.names import OWN, TORCHVISION, Architecture


def with_drop_path(definition: Architecture, rate: float) -> Architecture:
    """The architecture with `rate` at its last block, rising from 0 at its first.

    Raises StudyError for a network that isn't timm's, or a rate that is none.
    """
    name = definition.timm_name
    if not 0 <= rate < 1:
        raise StudyError(Problem("not a rate of stochastic depth", definition.name, rate, "0 to less than 1"))
    if is_dotted(name) or name.startswith((OWN, TORCHVISION)):
        raise without_depth(definition, rate)
    return replace(definition, kwargs={**definition.kwargs, "drop_path_rate": rate})


def without_depth(definition: Architecture, rate: float) -> StudyError:
    """The error for an architecture that has no stochastic depth."""
    fix = "leave it out of the recipe's `drop_path`"
    return StudyError(Problem("an architecture without stochastic depth", definition.name, rate, fix=fix))


def has_drop_path(model: nn.Module) -> bool:
    """Are blocks of this network left out in training?"""
    return any(isinstance(module, DropPath) for module in model.modules())


def equal_rates(model: nn.Module, rate: float) -> nn.Module:
    """The network with the same rate in all blocks, those included that a linear rise leaves at 0."""
    paths = {
        (type(module), name)
        for module in model.modules()
        for name, child in module.named_children()
        if isinstance(child, DropPath)
    }
    for module in list(model.modules()):
        for kind, name in paths:
            if type(module) is kind:
                setattr(module, name, DropPath(rate))
    return model
