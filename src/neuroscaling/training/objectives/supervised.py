"""Learning from labels: cross-entropy, or binary cross-entropy, with mixup and cutmix."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from timm.data.mixup import Mixup, mixup_target
from timm.loss import BinaryCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn

from neuroscaling.training.objectives.base import Objective
from neuroscaling.training.recipe import Recipe


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
