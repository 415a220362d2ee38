"""Learning from labels on images that were changed against the network: FFGSM (Wong et al. 2020)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from neuroscaling.training.feeding.normal import MEAN, STD
from neuroscaling.training.moving import moved
from neuroscaling.training.objectives.supervised import Supervised
from neuroscaling.training.precision import autocast
from neuroscaling.training.recipe import Recipe


class AdversarialTraining(Supervised):
    """Supervised, on attacked images. The attack is made ahead of `forward`, so that its gradients stay its own."""

    def __init__(self, network: nn.Module, recipe: Recipe, n_classes: int):
        super().__init__(network, recipe, n_classes)
        self.numbers, self.precision = recipe.adversarial, recipe.precision

    def mixed(self, views: list[Tensor], labels: Tensor, seed: int) -> tuple[list[Tensor], Tensor]:
        """Attacked images and their labels; the random start follows from `seed`."""
        images, numbers = views[0], self.numbers
        with autocast(self.precision, images.device):
            attacked = ffgsm(self.network, images, labels, numbers.epsilon, numbers.alpha, seed)
        return [attacked], labels


def ffgsm(network: nn.Module, images: Tensor, labels: Tensor, epsilon: float, alpha: float, seed: int) -> Tensor:
    """Normalised images (b, 3, s, s) changed by at most `epsilon`, in pixels from 0 to 1, to raise the cross-entropy.

    From a random point within `epsilon`, one step of `alpha` along the sign of the gradient, then back to within
    `epsilon` and to 0 to 1. The network is in evaluation mode for it, as torchattacks has it in the published study;
    its parameters get no gradients.
    """
    mean, std = (moved(numbers, images.device).view(3, 1, 1) for numbers in (MEAN, STD))
    pixels = images * std + mean
    draws = torch.Generator(images.device).manual_seed(seed)
    start = (pixels + torch.empty_like(pixels).uniform_(-epsilon, epsilon, generator=draws)).clamp_(0, 1)
    start.requires_grad_()
    with torch.enable_grad(), evaluating(network):
        logits = network((start - mean) / std).float()
        # A sum, so that small gradients of large batches don't vanish in fp16: their sign alone matters.
        (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, labels, reduction="sum"), start)
    change = (start.detach() + alpha * gradient.sign() - pixels).clamp_(-epsilon, epsilon)
    return ((pixels + change).clamp_(0, 1) - mean) / std


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """`network` in evaluation mode for the length of the block."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
