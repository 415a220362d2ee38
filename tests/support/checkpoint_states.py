"""Checkpoints as others write them, with made-up numbers: MosaicML Composer's trainer state, and public networks.

The layout of the trainer's state is that of Composer 0.20 (`composer/core/state.py`), and of the published study's own
moving average (`model_ema_state_dict`). Networks are torchvision's and timm's, which that study trained.
"""

import argparse
import datetime
import random

import numpy as np
import timm
import torch
import torchvision
from torch import nn

from neuroscaling.study.architectures import architecture


class Metric:
    """Stands for a class of another package, such as torchmetrics': a file names it, and nobody has it."""

    def __init__(self):
        self.correct = torch.ones(3)


def published_network(arch: str, classes: int) -> nn.Module:
    """The network `arch` as the published study builds it: torchvision's where it has one, else as it is built here.

    Its flex ResNets, DeiTs and CORnet-S have the names of tensors that those built here have.
    """
    from neuroscaling.models.build import create

    if hasattr(torchvision.models, arch):
        return getattr(torchvision.models, arch)(weights=None, num_classes=classes)
    if arch.startswith("convnextflex"):
        widths = architecture(arch).kwargs["dims"]
        settings = [
            torchvision.models.convnext.CNBlockConfig(width, after, depth)
            for width, after, depth in zip(widths, [*widths[1:], None], (3, 3, 9, 3), strict=True)
        ]
        return torchvision.models.ConvNeXt(settings, num_classes=classes)
    if arch.startswith("deitflex"):
        return timm.create_model("deit3_small_patch16_224", num_classes=classes, **architecture(arch).kwargs)
    return create(architecture(arch), classes)


def composer_state(network: nn.Module, averaged: nn.Module | None = None, epoch: int = 100, wrapped: bool = True):
    """What Composer's trainer saves of `network`, with the optimiser's state; averaged: the network's moving average.

    wrapped: whether the averaged weights are named as the network's own are, which begin with `module.`.
    """
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    state = {
        "model": {f"module.{name}": value for name, value in network.state_dict().items()},
        "optimizers": {"SGD": {"state": {0: {"momentum_buffer": torch.ones(7)}}, **optimiser.state_dict()}},
        "schedulers": {"LambdaLR": {"base_lrs": [0.1], "lr_lambdas": [None]}},
        "algorithms": [("ChannelsLast", {"repr": "ChannelsLast()"})],
        "callbacks": [("LRMonitor", {})],
        "timestamp": {"Timestamp": {"epoch": epoch, "batch": 5, "total_wct": datetime.timedelta(seconds=3)}},
        "train_metrics": None,
        "eval_metrics": {"eval": {"MulticlassAccuracy": Metric()}},
        "run_name": "made-up",
        "rank_zero_seed": 0,
        "config": argparse.Namespace(lr=0.1),
    }
    if averaged is not None:
        prefix = "module." if wrapped else ""
        state["model_ema_state_dict"] = {f"{prefix}{name}": value for name, value in averaged.state_dict().items()}
    numbers = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    return {"state": state, "rng": [numbers]}
