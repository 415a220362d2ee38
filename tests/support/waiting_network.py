"""A network that waits in the middle of its training for as long as the file `wait` is there, which a test makes.

However fast the machine is, its training can be looked at and killed half-way. The file holds a number: so many runs of
the store are finished before one waits. This file is copied into the folder of a study.
"""

import time
from pathlib import Path

import torch
from torch import nn

FILE = Path("wait")
PASS = 30
"""The forward pass of a training, counted from its last start, from which on it may wait."""


class Waiting(nn.Sequential):
    """A small network with all that a training goes on from: running statistics, and random draws."""

    def __init__(self, classes: int):
        convolution = [nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
        super().__init__(*convolution, nn.Dropout(0.1), nn.Linear(8 * 8 * 8, classes))
        self.passes = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        self.passes += self.training
        while self.training and self.passes >= PASS and _is_to_wait():
            time.sleep(0.02)
        return super().forward(images)


def _is_to_wait() -> bool:
    try:
        wanted = int(FILE.read_text())
    except FileNotFoundError:
        return False
    return len(list(Path("store/runs").glob("*/run.json"))) >= wanted


def network(num_classes: int) -> nn.Module:
    """The network, for images of 32 pixels."""
    return Waiting(num_classes)
