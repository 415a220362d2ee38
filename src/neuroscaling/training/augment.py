"""Batches: from decoded uint8 images to normalised floating point, augmented on the device they are on."""

import numpy as np
import torch
from torch.nn import functional

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SHIFT = 8  # `shift` moves by up to one part in this many of the side
AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
# Photographs that are cropped at random are kept larger than the network's input, as 256 is to 224.
MARGIN = 256 / 224


def stored_size(augmentation: str, input_size: int) -> int:
    """Pixels of each side at which decoded images are kept for training with `augmentation`."""
    return round(input_size * MARGIN) if augmentation == "crop_flip" else input_size


def normalised(images: torch.Tensor) -> torch.Tensor:
    """uint8 (b, 3, h, w) to float32 with ImageNet's mean and standard deviation, as in the published study."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(3, 1, 1)
    return (images.float() / 255 - mean) / std


def central(images: torch.Tensor, size: int) -> torch.Tensor:
    """The central `size` x `size` pixels of images (b, 3, h, w)."""
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


def augmented(images: torch.Tensor, augmentation: str, size: int, rng: np.random.Generator) -> torch.Tensor:
    """A batch uint8 (b, 3, h, w) as normalised float32 (b, 3, size, size), changed at random by `rng`."""
    match augmentation:
        case "shift":
            return normalised(_shifted(images, size // SHIFT, rng))
        case "crop_flip":
            return _cropped_and_flipped(normalised(images), size, rng)
        case _:
            return normalised(central(images, size))


def _shifted(images: torch.Tensor, reach: int, rng: np.random.Generator) -> torch.Tensor:
    """Each image moved by up to `reach` pixels along both sides; what comes in is black."""
    n, channels, height, width = images.shape
    padded = functional.pad(images, (reach, reach, reach, reach))
    offsets = torch.from_numpy(rng.integers(0, 2 * reach + 1, (2, n, 1, 1, 1))).to(images.device)
    rows = offsets[0] + torch.arange(height, device=images.device).view(1, 1, height, 1)
    columns = offsets[1] + torch.arange(width, device=images.device).view(1, 1, 1, width)
    image = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[image, channel, rows, columns]


def _cropped_and_flipped(images: torch.Tensor, size: int, rng: np.random.Generator) -> torch.Tensor:
    """A random part of each image (8 to 100 % of the area, aspect 3/4 to 4/3), resized to `size`; half are mirrored.

    Bilinear without antialiasing: the parts are taken in one go for the whole batch.
    """
    n = len(images)
    area = rng.uniform(*AREA, n)
    aspect = np.exp(rng.uniform(*np.log(ASPECT), n))
    width, height = (np.minimum(np.sqrt(area * ratio), 1) for ratio in (aspect, 1 / aspect))
    x, y = (rng.uniform(-1, 1, n) * (1 - side) for side in (width, height))
    mirror = rng.choice((-1.0, 1.0), n)
    zero = np.zeros(n)
    matrices = np.stack([np.stack([mirror * width, zero, x], 1), np.stack([zero, height, y], 1)], 1)
    theta = torch.from_numpy(matrices).to(images.device, torch.float32)
    grid = functional.affine_grid(theta, (n, 3, size, size), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
