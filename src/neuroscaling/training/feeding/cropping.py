"""The crops of a view, out of decoded squares that are on the device that trains."""

import numpy as np
import torch
from torch.nn import functional

from neuroscaling.training.feeding.crops import crop_each, crop_together, random_boxes
from neuroscaling.training.feeding.draws import crop_numbers, mirrored, uniform
from neuroscaling.training.feeding.interface import Request
from neuroscaling.training.moving import moved
from neuroscaling.training.objectives.views import ViewSpec

SHIFT = 8  # `shift` moves by up to one part in this many of the side
AT_ONCE = 256  # images that a GPU crops together, so that what is between takes little memory


def cropped(
    squares: torch.Tensor | list[torch.Tensor], spec: ViewSpec, seed: int, request: Request, view: int
) -> torch.Tensor:
    """Squares of this process's images of a step, cropped as `spec` says: uint8 (b, 3, size, size).

    squares: uint8 (b, 3, s, s); or, for random crops on a CPU, b times (3, s, s).
    """
    match spec.crop:
        case "none":
            return central(squares, spec.size)
        case "shift":
            reach = spec.size // SHIFT
            offsets = uniform("shift", seed, request, view, 2)
            return _shifted(central(squares, spec.size), (offsets * (2 * reach + 1)).astype(int), reach)
        case _:
            side = squares[0].shape[-1]
            boxes = random_boxes(crop_numbers(seed, request, view), side, side, spec.crop_scale)
            return _parts(squares, boxes, mirrored(spec, seed, request, view), spec)


def central(images: torch.Tensor, size: int) -> torch.Tensor:
    """The central `size` x `size` pixels of images (b, 3, h, w)."""
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


def _parts(
    squares: torch.Tensor | list[torch.Tensor], boxes: np.ndarray, flipped: np.ndarray, spec: ViewSpec
) -> torch.Tensor:
    if not squares[0].is_cuda:
        return crop_each(squares, boxes, flipped, spec.size, spec.interpolation)
    slices = [slice(start, start + AT_ONCE) for start in range(0, len(squares), AT_ONCE)]
    parts = [crop_together(squares[s], boxes[s], flipped[s], spec.size, spec.interpolation) for s in slices]
    return torch.cat(parts)


def _shifted(images: torch.Tensor, offsets: np.ndarray, reach: int) -> torch.Tensor:
    """Each image moved along both sides by its offset (b, 2), `reach` being none; what comes in is black."""
    n, channels, height, width = images.shape
    padded = functional.pad(images, (reach, reach, reach, reach))
    place = moved(offsets, images.device)
    rows = place[:, 0].view(n, 1, 1, 1) + torch.arange(height, device=images.device).view(1, 1, height, 1)
    columns = place[:, 1].view(n, 1, 1, 1) + torch.arange(width, device=images.device).view(1, 1, 1, width)
    image = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[image, channel, rows, columns]
