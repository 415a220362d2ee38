"""Random resized crops: which part of an image, drawn as torchvision's RandomResizedCrop draws it, and its pixels.

Two ways to the pixels that agree to rounding: image by image with torch's antialiased `interpolate` (fast on a CPU),
and a whole batch of equal squares as two products with the same filter's weights (fast on a GPU).
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10
COLUMNS = 2 * ATTEMPTS + 2  # uniform numbers that a box takes: area and aspect of each attempt, then its place
SUPPORT = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}  # half the filter's width, in pixels of the coarser grid
CUBIC = -0.5  # the coefficient of torch's and PIL's antialiased bicubic filter


def random_boxes(uniform: np.ndarray, height: int, width: int, scale: tuple[float, float]) -> np.ndarray:
    """Parts of images of `height` x `width`: int64 (n, 4), top, left, height and width.

    uniform: (n, COLUMNS) in [0, 1); scale: range of the part's area. The first of ten tries that lies within the
    image, else the largest central part with an allowed aspect.
    """
    area = height * width * (scale[0] + uniform[:, :ATTEMPTS] * (scale[1] - scale[0]))
    low, high = np.log(ASPECT)
    aspect = np.exp(low + uniform[:, ATTEMPTS : 2 * ATTEMPTS] * (high - low))
    widths, heights = np.rint(np.sqrt(area * aspect)).astype(int), np.rint(np.sqrt(area / aspect)).astype(int)
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first, every = fits.argmax(1), np.arange(len(uniform))
    whole_height, whole_width = _largest(height, width)
    h = np.where(fits.any(1), heights[every, first], whole_height)
    w = np.where(fits.any(1), widths[every, first], whole_width)
    place = np.where(fits.any(1)[:, None], uniform[:, -2:], 0.5)
    top, left = (place[:, 0] * (height - h + 1)).astype(int), (place[:, 1] * (width - w + 1)).astype(int)
    return np.stack([top, left, h, w], 1)


def resized(image: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """An image uint8 (3, h, w) at `size` (height, width), antialiased."""
    if interpolation == "lanczos":  # which torch doesn't have
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        return _tensor(picture.resize(size[::-1], Image.Resampling.LANCZOS))
    return functional.interpolate(image[None], size, mode=interpolation, antialias=True)[0]


def crop_each(
    images: Sequence[torch.Tensor], boxes: np.ndarray, mirrored: np.ndarray, size: int, interpolation: str
) -> torch.Tensor:
    """The parts `boxes` of images uint8 (3, h, w) on the CPU, resized: uint8 (n, 3, size, size), channels last.

    mirrored: bool (n,), which of them are flipped left to right.
    """
    out = torch.empty((len(images), size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    for i, (image, (top, left, height, width)) in enumerate(zip(images, boxes.tolist(), strict=True)):
        part = resized(image[:, top : top + height, left : left + width], (size, size), interpolation)
        out[i] = part.flip(-1) if mirrored[i] else part
    return out


def crop_together(
    images: torch.Tensor, boxes: np.ndarray, mirrored: np.ndarray, size: int, interpolation: str
) -> torch.Tensor:
    """As `crop_each`, of squares uint8 (n, 3, s, s) that lie together on a device."""
    # Half precision holds 0 ... 255 exactly; its weights are off by less than 1/2000, an eighth of a grey level.
    dtype = torch.float16 if images.is_cuda else torch.float32
    box = torch.from_numpy(boxes).to(images.device, torch.float32)
    flip = torch.from_numpy(mirrored).to(images.device)
    rows = _weights(box[:, 0], box[:, 2], images.shape[2], size, interpolation)
    columns = _weights(box[:, 1], box[:, 3], images.shape[3], size, interpolation)
    columns = torch.where(flip[:, None, None], columns.flip(1), columns)
    wide = torch.einsum("bchw,bow->bcho", images.to(dtype), columns.to(dtype))
    parts = torch.einsum("bcho,bph->bcpo", wide, rows.to(dtype))
    return parts.round().clamp(0, 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)


def _weights(start: torch.Tensor, length: torch.Tensor, n: int, size: int, interpolation: str) -> torch.Tensor:
    """Share (b, size, n) of each of n pixels in each of `size`, for the part that begins at `start` (b,)."""
    scale = (length / size)[:, None, None]
    pixel = torch.arange(n, device=start.device)[None, None, :] + 0.5
    centre = start[:, None, None] + (torch.arange(size, device=start.device)[None, :, None] + 0.5) * scale
    weights = _filter((pixel - centre) / scale.clamp(min=1), interpolation)
    within = (pixel > start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weights = weights * within
    return weights / weights.sum(2, keepdim=True)


def _filter(x: torch.Tensor, interpolation: str) -> torch.Tensor:
    """The filter's value at distance x, 0 beyond its support."""
    x = x.abs()
    match interpolation:
        case "bilinear":
            value = 1 - x
        case "bicubic":  # Keys 1981, two cubic pieces
            near = (CUBIC + 2) * x**3 - (CUBIC + 3) * x**2 + 1
            value = torch.where(x < 1, near, CUBIC * (x**3 - 5 * x**2 + 8 * x - 4))
        case _:
            value = torch.sinc(x) * torch.sinc(x / SUPPORT["lanczos"])
    return torch.where(x < SUPPORT[interpolation], value, 0.0)


def _largest(height: int, width: int) -> tuple[int, int]:
    """Sides of the largest part whose width to height is within ASPECT."""
    low, high = ASPECT
    if width / height < low:
        return min(height, round(width / low)), width
    if width / height > high:
        return height, min(width, round(height * high))
    return height, width


def _tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
