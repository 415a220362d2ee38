"""Crops are changed at random, in colour and by timm's policies, and normalised.

The formulas are those of torchvision's `adjust_*` functions, which take one factor for all images.
"""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import (
    AugMixAugment,
    AutoAugment,
    RandAugment,
    augment_and_mix_transform,
    auto_augment_transform,
    posterize,
    rand_augment_transform,
)
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import str_to_pil_interp
from torch.nn import functional

from neuroscaling.training.feeding.crops import seeds, uniform
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.image_views import ViewSpec
from neuroscaling.training.torch_runtime import seed_torch, to_device

GREY = (0.2989, 0.587, 0.114)  # shares of red, green and blue in brightness


def grey(images: torch.Tensor) -> torch.Tensor:
    """Brightness, (b, 1, h, w)."""
    shares = to_device(GREY, images.device).view(3, 1, 1)
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
    offset = to_device((5.0, 3.0, 1.0), images.device).view(3, 1, 1)
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


JITTERS = (brightness, contrast, saturation, hue)
HUE = 3
CHANGED_AT_ONCE = 256  # images, so that what is between takes little memory


def augmented(images: torch.Tensor, spec: ViewSpec, seed: int, request: Request, view: int) -> torch.Tensor:
    """Cropped images uint8 (b, 3, s, s) as the view `spec`: normalised float32, channels last.

    request: of a step in which this process has those b images; view: number of the view.
    """
    parts = []
    for start in range(0, len(images), CHANGED_AT_ONCE):
        some = slice(start, start + CHANGED_AT_ONCE)
        part = normalised(images[some]) if _keeps_colours(spec) else _changed(images, spec, seed, request, view, some)
        parts.append(part)
    batch = (parts[0] if len(parts) == 1 else torch.cat(parts)).contiguous(memory_format=torch.channels_last)
    if spec.erasing:
        _erase(batch, spec.erasing, seeds("erasing", seed, request, view))
    return batch


def _keeps_colours(spec: ViewSpec) -> bool:
    return not (any(spec.jitter) or spec.gray or spec.blur or spec.solarize)


def _changed(images: torch.Tensor, spec: ViewSpec, seed: int, request: Request, view: int, some: slice) -> torch.Tensor:
    x = images[some].float() / 255
    if any(spec.jitter):
        _jitter(x, spec, uniform("jitter", seed, request, view, 9)[some])
    chance = uniform("change", seed, request, view, 4)[some]
    low, high = spec.blur_sigma
    gray, blur, solarize = chance[:, 0] < spec.gray, chance[:, 1] < spec.blur, chance[:, 3] < spec.solarize
    if gray.any():
        rows = _rows(gray, x)
        x[rows] = grey(x[rows]).expand(-1, 3, -1, -1)
    if blur.any():
        rows, sigma = _rows(blur, x), _numbers(low + chance[blur, 2] * (high - low), x)
        x[rows] = blurred(x[rows], sigma, int(np.ceil(3 * high)))
    if solarize.any():
        rows = _rows(solarize, x)
        x[rows] = solarized(x[rows], spec.solarize_threshold)
    return normalised_unit_range(x)


def _jitter(x: torch.Tensor, spec: ViewSpec, chance: np.ndarray) -> None:
    """Brightness, contrast, saturation and hue of images, in place, in an order that is drawn for each image.

    chance: (b, 9): whether, four factors, four numbers whose order is that of the changes.
    """
    jittered = chance[:, 0] < spec.jitter_probability
    turns = np.argsort(chance[:, 5:], axis=1)
    for turn in range(len(JITTERS)):
        for number, change in enumerate(JITTERS):
            drawn = jittered & (turns[:, turn] == number)
            if not spec.jitter[number] or not drawn.any():
                continue
            factors = (2 * chance[drawn, 1 + number] - 1) * spec.jitter[number]
            rows = _rows(drawn, x)
            x[rows] = change(x[rows], _numbers(factors if number == HUE else np.maximum(1 + factors, 0), x))


def _erase(batch: torch.Tensor, probability: float, own: np.ndarray) -> None:
    """timm's random erasing by noise, of each image with a seed of its own; other random states are put back."""
    erasing = RandomErasing(probability, mode="pixel", device=batch.device)
    before = random.getstate()
    with torch.random.fork_rng(devices=[batch.device] if batch.is_cuda else []):
        for image, number in zip(batch, own.tolist(), strict=True):
            random.seed(number)
            seed_torch(number, batch.device)
            erasing(image)
    random.setstate(before)


def _rows(chosen: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    return to_device(np.flatnonzero(chosen), x.device)


def _numbers(values: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    return to_device(values, x.device, x.dtype)


MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# On a CPU, values are converted and scaled while they are in its cache.
CACHED = 2**18


def normalised(images: torch.Tensor) -> torch.Tensor:
    """uint8 (b, 3, h, w) to float32, channels last, with ImageNet's mean and standard deviation as published."""
    n, channels, height, width = images.shape
    out = torch.empty((n, height, width, channels), device=images.device)
    scale, shift = (to_device(numbers.repeat(width), images.device) for numbers in _scale_and_shift())
    at_once = n if images.is_cuda else max(1, CACHED // (channels * height * width))
    for start in range(0, n, at_once):
        part = out[start : start + at_once]
        part.copy_(images[start : start + at_once].permute(0, 2, 3, 1))
        part.view(-1, width * channels).mul_(scale).add_(shift)
    return out.permute(0, 3, 1, 2)


def normalised_unit_range(images: torch.Tensor) -> torch.Tensor:
    """float32 (b, 3, h, w) in [0, 1], with the same mean and standard deviation."""
    scale, shift = (to_device(numbers, images.device).view(3, 1, 1) for numbers in _scale_and_shift())
    return images * (255 * scale) + shift


def _scale_and_shift() -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return 1 / (255 * std), -mean / std


Policy = AugMixAugment | AutoAugment | RandAugment
TRANSLATION = 0.45  # of the side, at most: as in timm's own training transforms


@cache
def policy_transform(spec: ViewSpec) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """A view's `auto_augment`: changes an image uint8 (3, s, s) as a seed says.

    timm draws from Python's and numpy's global states: they are seeded and put back.
    """
    change = _with_black(_made_policy(spec))

    def changed(image: torch.Tensor, seed: int) -> torch.Tensor:
        before = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        picture = change(Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()))
        random.setstate(before[0])
        np.random.set_state(before[1])
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    return changed


def _made_policy(spec: ViewSpec) -> Policy:
    """timm's policy of a view. Raises ValueError for a view without one."""
    words = spec.auto_augment
    if words is None:
        raise ValueError("a view without auto_augment has no policy")
    options = {
        "translate_const": int(spec.size * TRANSLATION),
        "img_mean": tuple(min(255, round(255 * mean)) for mean in MEAN),
        "interpolation": str_to_pil_interp(spec.interpolation),
    }
    if words.startswith("rand"):
        return rand_augment_transform(words, options)
    if words.startswith("augmix"):
        return augment_and_mix_transform(words, options | {"translate_pct": 0.3})
    return auto_augment_transform(words, options)


def _with_black(change: Policy) -> Policy:
    """timm's policy, whose strongest posterisation keeps no bits: black in older Pillows, an error in Pillow 13."""
    if isinstance(change, AutoAugment):
        operations = [one for several in change.policy for one in several]
    else:
        operations = change.ops
    for operation in operations:
        if operation.aug_fn is posterize:
            operation.aug_fn = _posterized
    return change


def _posterized(image: Image.Image, bits_to_keep: int, **options: Any) -> Image.Image:
    return posterize(image, bits_to_keep, **options) if bits_to_keep > 0 else Image.new(image.mode, image.size)
