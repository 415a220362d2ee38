"""Networks learn from labels, of images as they are or changed against the network."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from timm.data.mixup import Mixup, mixup_target
from timm.loss import BinaryCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn
from torch.nn import functional

from neuroscaling.study.recipe_parts import Adversarial
from neuroscaling.study.recipes import Recipe
from neuroscaling.training.feeding.augmentation import MEAN, STD
from neuroscaling.training.loop import Objective
from neuroscaling.training.torch_runtime import autocast, to_device


class Supervised(Objective):
    """The network predicts the label of one view."""

    def __init__(self, network: nn.Module, recipe: Recipe, n_classes: int):
        super().__init__(network)
        self.soft = recipe.loss != "cross_entropy"
        self.smoothing, self.n_classes = recipe.label_smoothing, n_classes
        self.mixup = _mixup(recipe, n_classes)
        self.loss = loss_of(recipe)

    def mixed(self, views: list[Tensor], labels: Tensor, seed: int) -> tuple[list[Tensor], Tensor]:
        """Mixed images and float labels (b, classes) where the recipe has either, else what was given.

        Partners are the images of a micro-batch in reverse order; the last of an odd number stays as it is.
        """
        if not self.soft:
            return views, labels
        targets = mixup_target(labels, self.n_classes, smoothing=self.smoothing)
        even = len(labels) // 2 * 2
        if self.mixup and even:
            with numpy_seeded(seed):
                _, targets[:even] = self.mixup(views[0][:even], labels[:even])  # images in place
        return views, targets

    def forward(self, views: list[Tensor], targets: Tensor) -> Tensor:
        """Mean loss of the images' logits."""
        return self.loss(self.network(views[0]).float(), targets)


def loss_of(recipe: Recipe) -> nn.Module:
    """The recipe's loss of logits (b, classes) and targets; labels are smoothed here or, where soft, in `mixed`."""
    match recipe.loss:
        case "soft_target":
            return SoftTargetCrossEntropy()
        case "bce":
            return BinaryCrossEntropy(smoothing=0.0)
        case _:
            return nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """numpy's global random numbers, which timm's mixup draws from, start at `seed`; put back afterwards."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)


def _mixup(recipe: Recipe, n_classes: int) -> Mixup | None:
    """timm's mixup and cutmix (Zhang et al. 2018, Yun et al. 2019): one of them on every micro-batch."""
    if not recipe.mixup and not recipe.cutmix:
        return None
    return Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=n_classes)


class AdversarialTraining(Supervised):
    """Supervised, on attacked images. The attack is made ahead of `forward`, so that its gradients stay its own."""

    def __init__(self, network: nn.Module, recipe: Recipe, numbers: Adversarial, n_classes: int):
        super().__init__(network, recipe, n_classes)
        self.numbers, self.precision = numbers, recipe.precision

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
    mean, std = (to_device(numbers, images.device).view(3, 1, 1) for numbers in (MEAN, STD))
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
