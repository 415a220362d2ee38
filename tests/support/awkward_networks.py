"""Small networks of one's own, each with one awkward habit; `features` of each is what its classifier is given."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Base(nn.Module):
    """Two convolutions, a pooled vector, a linear classifier."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.act, self.pool, self.flat = nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.fc = nn.Linear(8, num_classes)

    def maps(self, images: Tensor) -> Tensor:
        """The last feature map."""
        return self.act(self.conv2(self.act(self.conv1(images))))

    def features(self, images: Tensor) -> Tensor:
        """One vector an image."""
        return self.flat(self.pool(self.maps(images)))

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        return self.fc(self.features(images))


class HiddenBuffer(Base):
    """A projection that is drawn in place, in a buffer that is no part of the state dictionary."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.register_buffer("projection", torch.empty(8, 8).normal_(), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        return super().features(images) @ self.projection


class HiddenCount(Base):
    """Counts its passes in training in a buffer that is no part of the state dictionary, and computes with it."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.register_buffer("passes", torch.zeros(()), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        self.passes += self.training
        return super().features(images) * (1 + 0.01 * self.passes)


class HiddenAttribute(Base):
    """A projection that is neither a parameter nor a buffer, in a list."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.projections = [torch.randn(8, 8)]

    def features(self, images: Tensor) -> Tensor:
        return super().features(images) @ self.projections[0]


class Counter(Base):
    """What it computes depends on how many steps it was trained, which no tensor says."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.scale = next(NUMBERS)

    def features(self, images: Tensor) -> Tensor:
        return super().features(images) * self.scale


NUMBERS = iter(range(1, 1_000_000))


class GainAfterwards(Base):
    """A linear layer that is registered after the classifier and used before it."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.gain = nn.Linear(8, 8)

    def features(self, images: Tensor) -> Tensor:
        vector = super().features(images)
        return vector * torch.sigmoid(self.gain(vector))


class ConvolutionalHead(Base):
    """A classifier that is a convolution, as SqueezeNet's."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.fc = nn.Conv2d(8, num_classes, 1)

    def features(self, images: Tensor) -> Tensor:
        return self.maps(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.fc(self.features(images))).flatten(1)


class TwoHeads(Base):
    """A second classifier, whose logits are added."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.other = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        vector = self.features(images)
        return self.fc(vector) + self.other(vector)


class TwoVectors(Base):
    """One module gives the vector of each of two classifiers, one after the other."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.other = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        vectors = [self.features(images), self.flat(self.pool(self.conv2(self.maps(images))))]
        return self.fc(vectors[0]) + self.other(vectors[1])


class SharedModule(Base):
    """One block under two names, and a weight that two convolutions share."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        block = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.blocks = nn.ModuleList([block, block])
        self.tied = nn.Conv2d(8, 8, 3, 2, 1)
        self.tied.weight = self.conv2.weight

    def features(self, images: Tensor) -> Tensor:
        maps = self.tied(self.maps(images))
        for block in self.blocks:
            maps = block(maps)
        return self.flat(self.pool(maps))


class NoParameters(Base):
    """A bank of fixed filters in a buffer, and no classifier."""

    def __init__(self, num_classes: int):
        nn.Module.__init__(self)
        self.register_buffer("bank", torch.randn(8, 3, 7, 7, generator=torch.Generator().manual_seed(0)))
        self.act, self.pool, self.flat = nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()

    def maps(self, images: Tensor) -> Tensor:
        return self.act(functional.conv2d(images, self.bank, stride=4))

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images)


class LooksAtValues(Base):
    """The number of steps depends on the activity."""

    def features(self, images: Tensor) -> Tensor:
        maps, steps = self.maps(images), 0
        while steps < 2 or (steps < 4 and float(maps.abs().mean()) > 1e9):
            maps, steps = self.act(self.conv2(maps)), steps + 1
        return self.flat(self.pool(maps))


class Squeezes(Base):
    """The pooled map is squeezed, then normalised: one image has no dimension of its own there."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.norm = nn.LayerNorm(8)

    def features(self, images: Tensor) -> Tensor:
        return self.norm(self.pool(self.maps(images)).squeeze())

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.stack([self.features(images)[0], self.features(images)[1], *self.features(images)[2:]]))


class BatchStatistics(Base):
    """A batch normalisation without running statistics."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.norm = nn.BatchNorm2d(8, track_running_stats=False)

    def features(self, images: Tensor) -> Tensor:
        return self.flat(self.pool(self.norm(self.maps(images))))


class Noise(Base):
    """Random numbers in evaluation too."""

    def features(self, images: Tensor) -> Tensor:
        vector = super().features(images)
        return self.flat(vector + 0.1 * torch.randn_like(vector))


class Gives(nn.Module):
    """A block that puts out its map as `form` says."""

    def __init__(self, width: int, form: Callable[[Tensor], Any]):
        super().__init__()
        self.conv, self.form = nn.Conv2d(width, 8, 3, 2, 1), form

    def forward(self, maps: Tensor) -> Any:
        return self.form(functional.relu(self.conv(maps)))


class Blocks(Base):
    """Blocks that put out more than a tensor; `pick` takes the map out of that."""

    def __init__(self, num_classes: int, form: Callable[[Tensor], Any], pick: Callable[[Any], Tensor]):
        super().__init__(num_classes)
        self.blocks, self.pick = nn.ModuleList([Gives(3, form), Gives(8, form)]), pick

    def maps(self, images: Tensor) -> Tensor:
        for block in self.blocks:
            images = self.pick(block(images))
        return images


class Unfilled(Base):
    """A parameter that nothing was written to."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.scale = nn.Parameter(torch.empty(8))

    def features(self, images: Tensor) -> Tensor:
        return super().features(images) * self.scale


class Dictionary(Base):
    """Logits in a dictionary, as some libraries give them."""

    def forward(self, images: Tensor) -> Any:
        return {"logits": super().forward(images)}


def _as(change: Callable[[nn.Module], Any], num_classes: int) -> Any:
    return change(Base(num_classes))


hidden_buffer, hidden_attribute, counter, hidden_count = HiddenBuffer, HiddenAttribute, Counter, HiddenCount
gain_afterwards, convolutional_head, two_heads = GainAfterwards, ConvolutionalHead, TwoHeads
two_vectors = TwoVectors
shared_module, no_parameters, looks_at_values = SharedModule, NoParameters, LooksAtValues
squeezes, batch_statistics, noise, unfilled, dictionary = Squeezes, BatchStatistics, Noise, Unfilled, Dictionary
compiled = partial(_as, lambda model: torch.compile(model, backend="eager"))
scripted = partial(_as, torch.jit.script)
parallel, half, double = partial(_as, nn.DataParallel), partial(_as, nn.Module.half), partial(_as, nn.Module.double)
frozen = partial(_as, lambda model: model.requires_grad_(False))
lazy = partial(_as, lambda model: model.register_module("more", nn.LazyLinear(3)) or model)
empty = partial(_as, lambda model: model.to("meta"))
dictionaries = partial(Blocks, form=lambda maps: {"map": maps, "sizes": [1]}, pick=lambda given: given["map"])
tuples = partial(Blocks, form=lambda maps: (None, maps, torch.ones(5)), pick=lambda given: given[1])
two_tensors = partial(Blocks, form=lambda maps: (maps, maps + 1), pick=lambda given: given[0])
