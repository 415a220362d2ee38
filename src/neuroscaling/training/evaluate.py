"""How good a network is on images it was not trained on."""

import torch
from torch import nn
from torch.nn import functional

from neuroscaling.training.augment import central, normalised
from neuroscaling.training.data import Images

BATCH = 256


@torch.no_grad()
def evaluate(model: nn.Module, images: Images, size: int) -> tuple[float, float]:
    """Mean cross-entropy and top-1 accuracy (a fraction) of `model` on the central `size` pixels of `images`.

    The model is left in the mode (training or evaluation) that it was in.
    """
    was_training = model.training
    model.eval()
    loss, right = 0.0, 0
    for start in range(0, len(images), BATCH):
        pixels, labels = images.batch(slice(start, start + BATCH))
        logits = model(normalised(central(pixels, size))).float()
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(1) == labels).sum())
    model.train(was_training)
    return loss / len(images), right / len(images)
