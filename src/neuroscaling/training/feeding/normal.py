"""From uint8 to what networks take."""

import torch

from neuroscaling.training.moving import moved

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# On a CPU, values are converted and scaled while they are in its cache.
CACHED = 2**18


def normalised(images: torch.Tensor) -> torch.Tensor:
    """uint8 (b, 3, h, w) to float32, channels last, with ImageNet's mean and standard deviation as published."""
    n, channels, height, width = images.shape
    out = torch.empty((n, height, width, channels), device=images.device)
    scale, shift = (moved(numbers.repeat(width), images.device) for numbers in _constants())
    at_once = n if images.is_cuda else max(1, CACHED // (channels * height * width))
    for start in range(0, n, at_once):
        part = out[start : start + at_once]
        part.copy_(images[start : start + at_once].permute(0, 2, 3, 1))
        part.view(-1, width * channels).mul_(scale).add_(shift)
    return out.permute(0, 3, 1, 2)


def of_unit_range(images: torch.Tensor) -> torch.Tensor:
    """float32 (b, 3, h, w) in [0, 1], with the same mean and standard deviation."""
    scale, shift = (moved(numbers, images.device).view(3, 1, 1) for numbers in _constants())
    return images * (255 * scale) + shift


def _constants() -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return 1 / (255 * std), -mean / std
