"""Views of images, changed at random in batches on the device that trains: what `ViewSpec` says, after the crop."""

import random

import numpy as np
import torch
from timm.data.random_erasing import RandomErasing

from neuroscaling.training.feeding import colours
from neuroscaling.training.feeding.draws import seeds, uniform
from neuroscaling.training.feeding.interface import Request
from neuroscaling.training.feeding.normal import normalised, of_unit_range
from neuroscaling.training.moving import moved
from neuroscaling.training.objectives.views import ViewSpec
from neuroscaling.training.precision import seed_torch

JITTERS = (colours.brightness, colours.contrast, colours.saturation, colours.hue)
HUE = 3
AT_ONCE = 256  # images, so that what is between takes little memory


def finished(images: torch.Tensor, spec: ViewSpec, seed: int, request: Request, view: int) -> torch.Tensor:
    """Cropped images uint8 (b, 3, s, s) as the view `spec`: normalised float32, channels last.

    request: of a step in which this process has those b images; view: number of the view.
    """
    parts = []
    for start in range(0, len(images), AT_ONCE):
        some = slice(start, start + AT_ONCE)
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
        x[rows] = colours.grey(x[rows]).expand(-1, 3, -1, -1)
    if blur.any():
        rows, sigma = _rows(blur, x), _numbers(low + chance[blur, 2] * (high - low), x)
        x[rows] = colours.blurred(x[rows], sigma, int(np.ceil(3 * high)))
    if solarize.any():
        rows = _rows(solarize, x)
        x[rows] = colours.solarized(x[rows], spec.solarize_threshold)
    return of_unit_range(x)


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
    return moved(np.flatnonzero(chosen), x.device)


def _numbers(values: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    return moved(values, x.device, x.dtype)
