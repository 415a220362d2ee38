"""Networks of the campaign that misbehave once, in a job of Slurm: one hangs, one takes more memory than its job has.

A file beside this one says that it shall happen, and is gone when it happens.
"""

import os
import time
from pathlib import Path

import torch
from torch import nn


class Faulty(nn.Sequential):
    """A small network that does something else first, where the file `fault` is there."""

    def __init__(self, fault: str, classes: int):
        super().__init__(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 8, classes))
        self.fault = Path(__file__).with_name(fault)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        if self.training and "SLURM_JOB_ID" in os.environ and self.fault.exists():
            self.fault.unlink()
            self.misbehave()
        return super().forward(images)

    def misbehave(self) -> None:
        """Hang, or take half as much memory again as the job asked for."""
        if self.fault.name == "hangs":
            time.sleep(36_000)
        held = torch.ones(int(1.5 * float(os.environ["SLURM_MEM_PER_NODE"]) * 2**18))
        time.sleep(60)
        del held


def hangs(num_classes: int) -> nn.Module:
    """A network that hangs once."""
    return Faulty("hangs", num_classes)


def swallows(num_classes: int) -> nn.Module:
    """A network that takes too much memory once."""
    return Faulty("swallows", num_classes)
