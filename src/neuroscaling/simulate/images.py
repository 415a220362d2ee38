"""The images that a simulated brain looks at: handwritten digits, moved and dimmed, and their phase-scrambled twins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from neuroscaling.datasets.format_digits import load_digits

SIZE = 32
"""Width and height of an image as the simulated brain sees it, in pixels."""
MAX_SHIFT = 3
MIN_CONTRAST = 0.6


@dataclass(frozen=True)
class Scenes:
    """Images made of digits: pixels (n, SIZE, SIZE) uint8, labels (n,) int64, digit_ids."""

    pixels: np.ndarray
    labels: np.ndarray
    digit_ids: list[str]

    def take(self, rows: np.ndarray) -> "Scenes":
        """Return the scenes `rows`, in that order."""
        return Scenes(self.pixels[rows], self.labels[rows], [self.digit_ids[row] for row in rows])


def make_scenes(split: str, rng: np.random.Generator) -> Scenes:
    """Return all digits of a split, each shown at a random place (up to 3 px off) and contrast (.6 to 1).

    Position and contrast vary as in the stimuli of Majaj and others (2015), so that identity can't be read off pixels.
    """
    digits, labels, digit_ids = load_digits(split)
    shifts = rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, (len(digits), 2))
    contrasts = rng.uniform(MIN_CONTRAST, 1, len(digits))
    shown = [_show(*scene) for scene in zip(digits, shifts, contrasts, strict=True)]
    return Scenes(np.stack(shown), labels, list(digit_ids))


def _show(digit: np.ndarray, shift: np.ndarray, contrast: float) -> np.ndarray:
    large = Image.fromarray(digit).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (SIZE, SIZE))
    canvas.paste(large, (int(shift[0]), int(shift[1])))
    return np.round(np.asarray(canvas) * contrast).astype(np.uint8)


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows in an order in which every beginning has nearly as many images of each class."""
    shuffled = rng.permutation(len(labels))
    rank = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        rank[members] = np.arange(len(members))
    return np.lexsort((labels, rank))


def phase_scrambled(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images (n, size, size) with the amplitude spectrum kept and the phases of white noise added.

    The control for texture in Freeman, Ziemba and others (2013); values are clipped to 0..255.
    """
    noise = rng.standard_normal(pixels.shape)
    phases = np.exp(1j * np.angle(np.fft.fft2(noise)))
    phases[:, 0, 0] = 1
    scrambled = np.fft.ifft2(np.fft.fft2(pixels.astype(float)) * phases).real
    return np.clip(np.round(scrambled), 0, 255).astype(np.uint8)


def write_png(path: Path, pixels: np.ndarray, size: int = SIZE) -> None:
    """Write a gray image (SIZE, SIZE) as an RGB PNG of `size` pixels (bilinear)."""
    image = Image.fromarray(pixels).convert("RGB")
    if size != SIZE:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    image.save(path, compress_level=1)
