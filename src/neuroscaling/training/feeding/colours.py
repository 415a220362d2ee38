"""Random changes of colour, in batches: floating point images (b, 3, h, w) in [0, 1], a factor for each image.

The formulas are those of torchvision's `adjust_*` functions, which take one factor for all images.
"""

import torch
from torch.nn import functional

from neuroscaling.training.moving import moved

GREY = (0.2989, 0.587, 0.114)  # shares of red, green and blue in brightness


def grey(images: torch.Tensor) -> torch.Tensor:
    """Brightness, (b, 1, h, w)."""
    shares = moved(GREY, images.device).view(3, 1, 1)
    return (images * shares).sum(1, keepdim=True)


def brightness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Every value times the factor (b,)."""
    return (images * _each(factors)).clamp_(0, 1)


def contrast(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Away from the image's mean brightness by the factor."""
    return _blend(images, grey(images).mean((1, 2, 3), keepdim=True), factors)


def saturation(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Away from the pixel's brightness by the factor."""
    return _blend(images, grey(images), factors)


def hue(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """The hue turned by part of a circle, -0.5 to 0.5, (b,): hue, saturation and value there and back."""
    high, low = images.amax(1), images.amin(1)
    spread = (high - low).clamp(min=1e-8)
    red, green, blue = images.unbind(1)
    after_red, after_green, after_blue = (green - blue) / spread, (blue - red) / spread + 2, (red - green) / spread + 4
    angle = torch.where(high == red, after_red, torch.where(high == green, after_green, after_blue))
    angle = angle + 6 * turns.view(-1, 1, 1)  # in sixths of a circle
    # Red, green and blue lie 5, 3 and 1 sixths from where a channel is lowest.
    offset = moved((5.0, 3.0, 1.0), images.device).view(3, 1, 1)
    k = (offset + angle[:, None]) % 6
    down = torch.minimum(k, 4 - k).clamp_(0, 1)
    return high[:, None] - (high - low)[:, None] * down


def blurred(images: torch.Tensor, sigma: torch.Tensor, reach: int) -> torch.Tensor:
    """Gaussian blur of standard deviation `sigma` (b,) in pixels, cut off after `reach` pixels."""
    n, channels, height, width = images.shape
    reach = min(reach, height - 1, width - 1)
    distance = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (distance / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    flat = functional.pad(images, (reach,) * 4, mode="reflect").reshape(1, n * channels, height + 2 * reach, -1)
    rows = functional.conv2d(flat, kernel[:, :, :, None], groups=n * channels)
    return functional.conv2d(rows, kernel[:, :, None, :], groups=n * channels).view(n, channels, height, width)


def solarized(images: torch.Tensor, threshold: int) -> torch.Tensor:
    """Values of `threshold` (0 to 255) or more inverted."""
    return torch.where(images >= threshold / 255, 1 - images, images)


def _blend(images: torch.Tensor, other: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    return (other + _each(factors) * (images - other)).clamp_(0, 1)


def _each(factors: torch.Tensor) -> torch.Tensor:
    return factors.view(-1, 1, 1, 1)
