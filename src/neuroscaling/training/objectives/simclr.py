"""SimCLR (Chen et al. 2020): two views of an image are alike, those of all others are not."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neuroscaling.training.distributed import gathered, rank
from neuroscaling.training.objectives.backbone import as_backbone
from neuroscaling.training.objectives.base import Objective
from neuroscaling.training.recipe import Simclr


class SimclrTraining(Objective):
    """The network, whose output is its features, and a head that is trained with it and thrown away."""

    def __init__(self, network: nn.Module, arch: str, numbers: Simclr):
        super().__init__(network)
        self.head = head(as_backbone(network, arch), numbers)
        self.temperature = numbers.temperature

    def forward(self, views: list[Tensor], targets: Tensor) -> Tensor:
        """Mean contrastive loss of both views of this process's images, against all of the micro-batch.

        The views go through the network one after the other, so batch statistics are of one view.
        """
        first, second = (self.head(self.network(view)) for view in views)
        return nt_xent(first, second, self.temperature)


def head(features: int, numbers: Simclr) -> nn.Module:
    """Two layers, with batch normalisation after both where `numbers.batch_norm`, as in the published study."""
    norm = nn.BatchNorm1d if numbers.batch_norm else nn.Identity
    return nn.Sequential(
        nn.Linear(features, numbers.hidden, bias=not numbers.batch_norm),
        norm(numbers.hidden),
        nn.ReLU(),
        nn.Linear(numbers.hidden, numbers.output, bias=not numbers.batch_norm),
        norm(numbers.output),
    )


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy (Chen et al. 2020, eq. 1), mean over the 2 b rows given.

    first, second (b, d): two views of each image, in the same order. Row i of one is to be found among all rows of the
    micro-batch but itself, those on other processes included, by its cosine to row i of the other.
    """
    with torch.autocast(first.device.type, enabled=False):
        first, second = (functional.normalize(view.float(), dim=1) for view in (first, second))
        everyone = torch.cat([gathered(first), gathered(second)])
        n, total = len(first), len(everyone) // 2
        mine = _before(first) + torch.arange(n, device=first.device)
        itself, other = torch.cat([mine, mine + total]), torch.cat([mine + total, mine])
        logits = torch.cat([first, second]) @ everyone.T / temperature
        logits = logits.scatter(1, itself[:, None], float("-inf"))
        return functional.cross_entropy(logits, other)


def _before(rows: Tensor) -> Tensor:
    """Rows of the micro-batch that other processes put ahead of this one's."""
    ranks = gathered(torch.full_like(rows[:, :1], float(rank())).detach())
    return (ranks < rank()).sum()
