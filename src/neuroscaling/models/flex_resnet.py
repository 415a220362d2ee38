"""A flex ResNet has torchvision's basic blocks, of any width, in stages that may be empty."""

from itertools import pairwise

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, conv1x1


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
        for stage, (width, n) in enumerate(zip(widths, blocks, strict=True), start=1):
            self.add_module(f"layer{stage}", _stage(channels, width, n, stride=1 if stage == 1 else 2))
            channels = width if n else channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, 3, h, w) to logits (b, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
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
    # As torchvision's ResNets: He et al. 2015, by the outputs of each convolution.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
