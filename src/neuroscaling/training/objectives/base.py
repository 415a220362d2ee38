"""What all objectives have in common."""

from torch import Tensor, nn


class Objective(nn.Module):
    """A network and what it is trained for; this is what is compiled and spread over processes.

    network: the architecture that is trained; all other parts (heads, teachers) are the objective's own.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def mixed(self, views: list[Tensor], labels: Tensor, seed: int) -> tuple[list[Tensor], Tensor]:
        """Views (b, 3, s, s) and labels (b,) of a micro-batch as `forward` takes them; equal seeds give equal ones.

        Views may be changed in place.
        """
        return views, labels

    def forward(self, views: list[Tensor], targets: Tensor) -> Tensor:
        """Mean loss of this process's part of a micro-batch, float32."""
        raise NotImplementedError

    def before_step(self, step: int) -> None:
        """Called ahead of the first micro-batch of step `step` (from 0)."""

    def after_backward(self, step: int) -> None:
        """Called when the gradients of step `step` are complete, before they are clipped."""

    def after_step(self, step: int) -> None:
        """Called when the optimiser has taken step `step`."""

    def scored(self) -> nn.Module:
        """The network whose weights are evaluated and kept."""
        return self.network
