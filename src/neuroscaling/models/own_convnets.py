"""Two convolutional networks are written here: CORnet-S, and the ResNet whose widths and depths are free.

CORnet-S follows its description in Kubilius et al. 2019; the flex ResNet is made of torchvision's basic blocks.
"""

from itertools import pairwise

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, conv1x1

# Channels that each area gives, and how many times a recurrent one runs.
AREAS = {"V2": (128, 2), "V4": (256, 4), "IT": (512, 2)}
EXPANSION = 4  # of the channels between an area's first and third convolution


class Recurrent(nn.Module):
    """An area: a bottleneck of three convolutions that runs `times` times on its own output.

    Weights of convolutions are shared over time, normalisations aren't. The first time halves the resolution, of the
    input too, which is added ahead of the last ReLU. `output` passes on what leaves the area at each time.
    """

    def __init__(self, channels: int, width: int, times: int):
        super().__init__()
        inner = EXPANSION * width
        self.times = times
        self.conv_input = _conv(channels, width, 1)
        self.skip = _conv(width, width, 1, stride=2)
        self.norm_skip = nn.BatchNorm2d(width)
        self.conv1 = _conv(width, inner, 1)
        self.nonlin1 = nn.ReLU(inplace=True)
        self.conv2 = _conv(inner, inner, 3, stride=2)
        self.nonlin2 = nn.ReLU(inplace=True)
        self.conv3 = _conv(inner, width, 1)
        self.nonlin3 = nn.ReLU(inplace=True)
        self.output = nn.Identity()
        for time in range(times):
            self.add_module(f"norm1_{time}", nn.BatchNorm2d(inner))
            self.add_module(f"norm2_{time}", nn.BatchNorm2d(inner))
            self.add_module(f"norm3_{time}", nn.BatchNorm2d(width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to (b, width, h / 2, w / 2)."""
        state = self.conv_input(maps)
        for time in range(self.times):
            state = self._step(state, time)
        return state

    def _step(self, state: torch.Tensor, time: int) -> torch.Tensor:
        norm1, norm2, norm3 = (self.get_submodule(f"norm{k}_{time}") for k in (1, 2, 3))
        shortcut = state if time else self.norm_skip(self.skip(state))
        x = self.nonlin1(norm1(self.conv1(state)))
        # The stride is the first time's alone: the weights are the same ever after.
        x = self.conv2(x) if time == 0 else nn.functional.conv2d(x, self.conv2.weight, padding=1)
        x = norm3(self.conv3(self.nonlin2(norm2(x))))
        return self.output(self.nonlin3(x + shortcut))


class CORnetS(nn.Module):
    """Four areas, V1, V2, V4 and IT, and a linear decoder. num_classes: its outputs; 0 for none."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.V1 = _first_area()
        channels = 64
        for area, (width, times) in AREAS.items():
            self.add_module(area, Recurrent(channels, width, times))
            channels = width
        self.decoder = nn.Sequential()
        self.decoder.add_module("avgpool", nn.AdaptiveAvgPool2d(1))
        self.decoder.add_module("flatten", nn.Flatten())
        self.decoder.add_module("linear", nn.Linear(channels, num_classes) if num_classes else nn.Identity())
        self.decoder.add_module("output", nn.Identity())
        self.apply(_initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, 3, h, w) to logits (b, num_classes)."""
        maps = self.V1(images)
        for area in AREAS:
            maps = self.get_submodule(area)(maps)
        return self.decoder(maps)


def _first_area() -> nn.Sequential:
    area = nn.Sequential()
    area.add_module("conv1", nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False))
    area.add_module("norm1", nn.BatchNorm2d(64))
    area.add_module("nonlin1", nn.ReLU(inplace=True))
    area.add_module("pool", nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
    area.add_module("conv2", _conv(64, 64, 3))
    area.add_module("norm2", nn.BatchNorm2d(64))
    area.add_module("nonlin2", nn.ReLU(inplace=True))
    area.add_module("output", nn.Identity())
    return area


def _conv(channels: int, width: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)


class FlexResNet(nn.Module):
    """A ResNet of basic blocks; with filters 64, 64, 128, 256, 512 and blocks 2, 2, 2, 2 it is torchvision's ResNet-18.

    filters: channels of the stem and of the four stages; blocks: of each stage. A stage without blocks passes on what
    it is given, at the same resolution; the head takes the channels of the last stage that has some. Modules are named
    as torchvision's. num_classes: outputs; 0 for none.
    """

    def __init__(self, num_classes: int, filters: list[int], blocks: list[int]):
        super().__init__()
        stem, *widths = filters
        self.conv1 = nn.Conv2d(3, stem, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = stem
        self.stages = [f"layer{stage}" for stage in range(1, len(widths) + 1)]
        for stage, width, n in zip(self.stages, widths, blocks, strict=True):
            self.add_module(stage, _stage(channels, width, n, stride=1 if stage == self.stages[0] else 2))
            channels = width if n else channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, 3, h, w) to logits (b, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(channels: int, width: int, n: int, stride: int) -> nn.Sequential:
    widths = pairwise([channels, *[width] * n])
    strides = [stride, *[1] * n]
    return nn.Sequential(*(_block(*pair, step) for pair, step in zip(widths, strides, strict=False)))


def _block(channels: int, width: int, stride: int) -> BasicBlock:
    if stride == 1 and channels == width:
        return BasicBlock(channels, width)
    return BasicBlock(channels, width, stride, nn.Sequential(conv1x1(channels, width, stride), nn.BatchNorm2d(width)))


def _initialise(module: nn.Module) -> None:
    # He et al. 2015, by the outputs of each convolution; torchvision's ResNets begin so too.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
