"""An objective from its recipe."""

import torch
from torch import nn

from neuroscaling.errors import Problem, StudyError
from neuroscaling.models.state import device_of
from neuroscaling.training.objectives.adversarial import AdversarialTraining
from neuroscaling.training.objectives.base import Objective
from neuroscaling.training.objectives.dino import DinoTraining
from neuroscaling.training.objectives.simclr import SimclrTraining
from neuroscaling.training.objectives.supervised import Supervised
from neuroscaling.training.recipe import Recipe


def make_objective(recipe: Recipe, network: nn.Module, arch: str, n_classes: int, n_steps: int, seed: int) -> Objective:
    """The recipe's objective around `network`, on its device.

    arch: name of the architecture; n_steps: of the whole run; seed: of the weights of heads. The global random state is
    left as it was. In self-supervised training the network's output is from here on its features, (b, features), in
    place of logits, and its classifier is not trained. Raises StudyError for a network without parameters to train.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        fix = "name it under `untrained:`, or give its parameters gradients (`requires_grad`)"
        raise StudyError(Problem("a network without parameters that can be trained", arch, fix=fix))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        objective = _objective(recipe, network, arch, n_classes, n_steps)
    return objective.to(device_of(network))


def _objective(recipe: Recipe, network: nn.Module, arch: str, n_classes: int, n_steps: int) -> Objective:
    match recipe.objective:
        case "simclr":
            return SimclrTraining(network, arch, recipe.simclr)
        case "dino":
            return DinoTraining(network, arch, recipe, n_steps)
        case "adversarial":
            return AdversarialTraining(network, recipe, n_classes)
        case _:
            return Supervised(network, recipe, n_classes)
