"""Networks without a classifier learn without labels, by SimCLR or by DINO.

The classifier stays in the network, untrained, so that its weights load like any other's; but the network's output is
what the classifier was given.
"""

import copy
from itertools import groupby
from math import sqrt
from typing import Any

import torch
from timm.layers import DropPath, Format
from timm.models import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.models.heads import head_names
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipe_parts import Dino, Simclr
from neuroscaling.training.distributed import gathered, rank, summed
from neuroscaling.training.loop import Objective
from neuroscaling.training.optimisers import annealed


def as_backbone(network: nn.Module, arch: str) -> int:
    """Make `network` return the input of its classifier, (b, features); the number of features.

    The classifier is no longer trained. Raises StudyError for a network whose classifier is no linear layer.
    """
    heads = head_names(arch, network)
    classifier = network.get_submodule(heads[0]) if len(heads) == 1 else None
    if not isinstance(classifier, nn.Linear):
        what = "self-supervised training needs a network with one linear classifier"
        raise StudyError(Problem(what=what, where=arch, value=", ".join(heads) or "none"))
    classifier.register_forward_hook(_input)
    classifier.requires_grad_(False)
    return classifier.in_features


def allow_any_size(network: nn.Module) -> None:
    """Let timm's vision transformers take images of other sizes, as timm's `dynamic_img_size` does.

    Embeddings of positions are resized (bicubic, antialiased) for them. At the size that the network was made for,
    outputs stay the same.
    """
    if isinstance(network, VisionTransformer) and not network.dynamic_img_size:
        network.dynamic_img_size = True  # type: ignore[misc]  # final to timm, which decides it when it builds
        network.patch_embed.strict_img_size = False
        network.patch_embed.flatten, network.patch_embed.output_fmt = False, Format.NHWC


def _input(classifier: nn.Module, given: tuple[Tensor, ...], output: Any) -> Tensor:
    return given[0].flatten(1)


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


LARGE = 2  # views that the teacher sees: the first ones


class DinoTraining(Objective):
    """Student (`network`) and teacher with their heads, and the centre of the teacher's outputs, (output,)."""

    center: Tensor
    temperature: Tensor

    def __init__(self, network: nn.Module, arch: str, numbers: Dino, epochs: int, n_steps: int):
        super().__init__(network)
        self.numbers, self.epochs, self.n_steps = numbers, epochs, n_steps
        features = as_backbone(network, arch)
        allow_any_size(network)
        _check_small_crops(network, arch, numbers.local_share)
        self.head = Head(features, numbers)
        self.teacher, self.teacher_head = copy.deepcopy(network), copy.deepcopy(self.head)
        _without_drop_path(self.teacher)
        self.teacher.requires_grad_(False)
        self.teacher_head.requires_grad_(False)
        self.register_buffer("center", torch.zeros(numbers.output))
        # Of the step at hand, as tensors, so that a compiled forward need not be made anew.
        self.register_buffer("temperature", torch.tensor(numbers.first_temperature), persistent=False)
        self._sum: Tensor | None = None
        self._count = 0

    def forward(self, views: list[Tensor], targets: Tensor) -> Tensor:
        """Mean cross-entropy of the student's to the teacher's outputs, over all pairs of different crops."""
        with torch.no_grad():
            said = self.teacher_head(through(self.teacher, views[:LARGE]))
        predicted = self.head(through(self.network, views))
        with torch.autocast(said.device.type, enabled=False):
            said, predicted = said.float(), predicted.float()
            self._remember(said)
            wanted = ((said - self.center) / self.temperature).softmax(1)
            return cross_entropy_of_pairs(wanted, predicted / self.numbers.student_temperature, len(views))

    def before_step(self, step: int) -> None:
        """The teacher's temperature of this step's epoch."""
        first, last = self.numbers.first_temperature, self.numbers.teacher_temperature
        self.temperature.fill_(first + self._warmth(self._epoch(step)) * (last - first))
        self._sum, self._count = torch.zeros_like(self.center), 0

    def after_backward(self, step: int) -> None:
        """In the first epochs, take away the gradients of the head's last layer: the optimiser passes it over."""
        if self._epoch(step) < self.numbers.frozen_epochs:
            self.head.last.grad = None

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the centre to the mean of what the teacher said, over all processes, and the teacher to the student."""
        if self._sum is None:
            raise RuntimeError("a step of DINO begins with before_step")
        total = summed(torch.cat([self._sum, self._sum.new_full((1,), self._count)]))
        self.center.lerp_(total[:-1] / total[-1], 1 - self.numbers.center_momentum)
        share = 1 - self.momentum(step)
        pairs = [(self.teacher, self.network), (self.teacher_head, self.head)]
        for teacher, student in pairs:
            torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), share)

    def momentum(self, step: int) -> float:
        """Share of the teacher that step `step` keeps: along a cosine to 1 at the end, by steps or by epochs."""
        return teacher_momentum(self.numbers, step, self.epochs, self.n_steps)

    def scored(self) -> nn.Module:
        """The teacher's network."""
        return self.teacher

    def _epoch(self, step: int) -> int:
        """Epochs before that of `step`."""
        return step * self.epochs // self.n_steps

    def _warmth(self, epoch: int) -> float:
        """Share of the way from the first temperature to the last, which the last epoch of the rise reaches."""
        length = self.numbers.temperature_epochs - 1
        return min(1.0, epoch / length) if length > 0 else float(epoch > length)

    def _remember(self, said: Tensor) -> None:
        if self._sum is not None:
            self._sum = self._sum + said.sum(0)
            self._count += len(said)


def teacher_momentum(numbers: Dino, step: int, epochs: int, n_steps: int) -> float:
    """Share of the teacher that step `step` of `n_steps` in `epochs` keeps; see `DinoTraining.momentum`."""
    if numbers.momentum_by_epoch:  # 1 in the last epoch, as in lightly
        return annealed("cosine", numbers.teacher_momentum, 1.0, step * epochs // n_steps, epochs - 1)
    return annealed("cosine", numbers.teacher_momentum, 1.0, step, n_steps)


class Head(nn.Module):
    """Three layers to a bottleneck, whose direction is compared with that of each output's weights."""

    def __init__(self, features: int, numbers: Dino):
        super().__init__()
        hidden, norm = numbers.hidden, nn.BatchNorm1d if numbers.batch_norm else nn.Identity
        self.layers = nn.Sequential(
            nn.Linear(features, hidden, bias=not numbers.batch_norm),
            norm(hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden, bias=not numbers.batch_norm),
            norm(hidden),
            nn.GELU(),
            nn.Linear(hidden, numbers.bottleneck),
        )
        self.last = nn.Parameter(torch.empty(numbers.output, numbers.bottleneck))
        self._initialise()

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (b, output), from -1 to 1."""
        last = functional.normalize(self.last, dim=1)
        return functional.linear(functional.normalize(self.layers(features), dim=1), last)

    def _initialise(self) -> None:
        """As in DINO's own code, where the last layer has what torch gives linear layers."""
        nn.init.kaiming_uniform_(self.last, a=sqrt(5))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def through(network: nn.Module, views: list[Tensor]) -> Tensor:
    """Features of all views, one view after the other; those of one size go through the network together."""
    groups = [list(group) for _, group in groupby(views, key=lambda view: view.shape[-1])]
    return torch.cat([network(torch.cat(group)) for group in groups])


def cross_entropy_of_pairs(wanted: Tensor, logits: Tensor, n_views: int) -> Tensor:
    """Mean over images and pairs of a teacher's view and another view of -sum(wanted log softmax(logits)).

    wanted: probabilities of the first two views, (2 b, output), view after view; logits: of all, (n_views b, output).
    """
    logs = logits.log_softmax(1).chunk(n_views)
    pairs = [
        -(teacher * logs[student]).sum(1).mean()
        for i, teacher in enumerate(wanted.chunk(LARGE))
        for student in range(n_views)
        if student != i
    ]
    return torch.stack(pairs).mean()


def _check_small_crops(network: nn.Module, arch: str, share: float) -> None:
    """Raise StudyError where small crops are no whole number of a transformer's patches."""
    patch = network.patch_embed.patch_size[0] if isinstance(network, VisionTransformer) else 1
    whole = architecture(arch).input_size
    if (size := round(whole * share)) % patch:
        fix = f"local_share: {max(1, round(size / patch)) * patch / whole:.6g}"
        raise StudyError(
            Problem(
                what="small crops of DINO are cut by patches",
                where=arch,
                value=f"{size} pixels",
                allowed=f"multiples of {patch}",
                fix=fix,
            )
        )


def _without_drop_path(teacher: nn.Module) -> None:
    """The teacher is asked in training mode, but leaves no blocks out."""
    for module in teacher.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.0
