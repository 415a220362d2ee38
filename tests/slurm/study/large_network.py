"""A network with many weights and little to compute: what a job of it takes is its weights."""

from torch import nn

WIDTH = 36_000
"""Of the layer between two large ones: 2 x 4,096 x WIDTH weights are 295 million, 1.2 GB."""


def wide(num_classes: int) -> nn.Module:
    """A small convolution, then two layers that connect everything."""
    few = 64 * 8 * 8
    return nn.Sequential(
        nn.Conv2d(3, 64, 4, stride=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(few, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, few),
        nn.ReLU(),
        nn.Linear(few, num_classes),
    )
