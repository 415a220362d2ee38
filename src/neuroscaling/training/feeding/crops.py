"""Random resized crops are drawn as torchvision draws them, and cut out of decoded squares.

Two ways to the pixels that agree to rounding: image by image with torch's antialiased `interpolate` (fast on a CPU),
and a whole batch of equal squares as two products with the same filter's weights (fast on a GPU).
"""

from collections.abc import Iterable
from math import exp, log, sqrt

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.image_views import ViewSpec
from neuroscaling.training.schedule import SEEDS, generator
from neuroscaling.training.torch_runtime import to_device

ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10
COLUMNS = 2 * ATTEMPTS + 2  # uniform numbers that a box takes: area and aspect of each attempt, then its place
SUPPORT = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}  # half the filter's width, in pixels of the coarser grid
RESIZE_INTO = {
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.out,
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.out,
}
CUBIC = -0.5  # the coefficient of torch's and PIL's antialiased bicubic filter


def random_box(uniform: list[float], height: int, width: int, scale: tuple[float, float]) -> list[int]:
    """Part of an image of `height` x `width`: top, left, height and width.

    uniform: COLUMNS numbers in [0, 1); scale: range of the part's area. The first of ten tries that lies within the
    image, else the largest central part with an allowed aspect.
    """
    for area, aspect in zip(uniform[:ATTEMPTS], uniform[ATTEMPTS : 2 * ATTEMPTS], strict=True):
        pixels = height * width * (scale[0] + area * (scale[1] - scale[0]))
        ratio = exp(log(ASPECT[0]) + aspect * (log(ASPECT[1]) - log(ASPECT[0])))
        w, h = round(sqrt(pixels * ratio)), round(sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            return [int(uniform[-2] * (height - h + 1)), int(uniform[-1] * (width - w + 1)), h, w]
    h, w = _largest(height, width)
    return [(height - h) // 2, (width - w) // 2, h, w]


def random_boxes(uniform: np.ndarray, height: int, width: int, scale: tuple[float, float]) -> np.ndarray:
    """The same of several images of one size: int64 (n, 4), from numbers (n, COLUMNS)."""
    return np.array([random_box(numbers, height, width, scale) for numbers in uniform.tolist()], np.int64)


def resized(image: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """An image uint8 (3, h, w) at `size` (height, width), antialiased."""
    if interpolation == "lanczos":  # which torch doesn't have
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        return _tensor(picture.resize(size[::-1], Image.Resampling.LANCZOS))
    return functional.interpolate(image[None], size, mode=interpolation, antialias=True)[0]


def crop_into(out: torch.Tensor, image: torch.Tensor, box: list[int], mirrored: bool, interpolation: str) -> None:
    """Write the part `box` of an image uint8 (3, h, w), resized and perhaps flipped left to right, to `out` (3, s, s).

    On the CPU. torch's functions have no `out`, and a copy takes a tenth of the time that the whole takes.
    """
    top, left, height, width = box
    part, size = image[:, top : top + height, left : left + width], (out.shape[1], out.shape[2])
    if interpolation in RESIZE_INTO:
        if part.is_contiguous():  # a whole image, plane by plane: torch fails to write it to another layout
            part = part[None].contiguous(memory_format=torch.channels_last)[0]
        RESIZE_INTO[interpolation](part[None], size, False, out=out[None])
    else:
        out.copy_(resized(part, size, interpolation))
    if mirrored:
        out.copy_(out.flip(-1))


def crop_each(
    images: Iterable[torch.Tensor], boxes: np.ndarray, mirrored: np.ndarray, size: int, interpolation: str
) -> torch.Tensor:
    """The parts `boxes` (n, 4) of images, of which `mirrored` (n,) are flipped: uint8 (n, 3, size, size)."""
    out = torch.empty((len(boxes), size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    for part, image, box, flip in zip(out, images, boxes.tolist(), mirrored.tolist(), strict=True):
        crop_into(part, image, box, flip, interpolation)
    return out


def crop_together(
    images: torch.Tensor, boxes: np.ndarray, mirrored: np.ndarray, size: int, interpolation: str
) -> torch.Tensor:
    """As `crop_each`, of squares uint8 (n, 3, s, s) that lie together on a device."""
    # Half precision holds 0 ... 255 exactly; its weights are off by less than 1/2000, an eighth of a grey level.
    dtype = torch.float16 if images.is_cuda else torch.float32
    box = to_device(boxes, images.device, torch.float32)
    flip = to_device(mirrored, images.device)
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


SHIFT = 8  # `shift` moves by up to one part in this many of the side
CROPPED_AT_ONCE = 256  # images that a GPU crops together, so that what is between takes little memory


def cropped(
    squares: torch.Tensor | list[torch.Tensor], spec: ViewSpec, seed: int, request: Request, view: int
) -> torch.Tensor:
    """Squares of this process's images of a step, cropped as `spec` says: uint8 (b, 3, size, size).

    squares: uint8 (b, 3, s, s); or, for random crops on a CPU, b times (3, s, s).
    """
    match spec.crop:
        case "none":
            return central(together(squares), spec.size)
        case "shift":
            reach = spec.size // SHIFT
            offsets = uniform("shift", seed, request, view, 2)
            return _shifted(central(together(squares), spec.size), (offsets * (2 * reach + 1)).astype(int), reach)
        case _:
            side = squares[0].shape[-1]
            boxes = random_boxes(crop_numbers(seed, request, view), side, side, spec.crop_scale)
            return _parts(squares, boxes, mirrored(spec, seed, request, view), spec)


def together(images: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
    """Images (b, 3, s, s) as they are, or those of a list put together."""
    return images if isinstance(images, torch.Tensor) else torch.stack(images)


def central(images: torch.Tensor, size: int) -> torch.Tensor:
    """The central `size` x `size` pixels of images (b, 3, h, w)."""
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


def _parts(
    squares: torch.Tensor | list[torch.Tensor], boxes: np.ndarray, flipped: np.ndarray, spec: ViewSpec
) -> torch.Tensor:
    if not squares[0].is_cuda:
        return crop_each(squares, boxes, flipped, spec.size, spec.interpolation)
    whole = together(squares)
    slices = [slice(start, start + CROPPED_AT_ONCE) for start in range(0, len(squares), CROPPED_AT_ONCE)]
    parts = [crop_together(whole[s], boxes[s], flipped[s], spec.size, spec.interpolation) for s in slices]
    return torch.cat(parts)


def _shifted(images: torch.Tensor, offsets: np.ndarray, reach: int) -> torch.Tensor:
    """Each image moved along both sides by its offset (b, 2), `reach` being none; what comes in is black."""
    n, channels, height, width = images.shape
    padded = functional.pad(images, (reach, reach, reach, reach))
    place = to_device(offsets, images.device)
    rows = place[:, 0].view(n, 1, 1, 1) + torch.arange(height, device=images.device).view(1, 1, height, 1)
    columns = place[:, 1].view(n, 1, 1, 1) + torch.arange(width, device=images.device).view(1, 1, 1, width)
    image = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[image, channel, rows, columns]


def uniform(purpose: str, seed: int, request: Request, view: int, columns: int = 1) -> np.ndarray:
    """Numbers in [0, 1) for this process's images of a step and one of their views: float64 (n, columns).

    The same for an image whichever process feeds it, and whenever.
    """
    drawn = generator(purpose, seed, request.step, view).random((len(request.rows), columns))
    return drawn[request.mine]


def crop_numbers(seed: int, request: Request, view: int) -> np.ndarray:
    """What `crops.random_boxes` needs, float64 (n, COLUMNS)."""
    return uniform("crop", seed, request, view, COLUMNS)


def mirrored(spec: ViewSpec, seed: int, request: Request, view: int) -> np.ndarray:
    """Which images are flipped left to right, bool (n,)."""
    return uniform("flip", seed, request, view)[:, 0] < spec.flip


def seeds(purpose: str, seed: int, request: Request, view: int) -> np.ndarray:
    """A whole number for each image, int64 (n,), to seed libraries that draw for themselves."""
    return (uniform(purpose, seed, request, view)[:, 0] * SEEDS).astype(np.int64)
