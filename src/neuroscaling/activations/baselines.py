"""Grey values and Gabor energy are image features that no network computes."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np

from neuroscaling.activations.stimulus_images import batches
from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.core.images import ImageFile

PIXELS_SIZE = 28
# Gabor energy: pixels of an image resized to GABOR_SIZE; sigma and stride in wavelengths.
GABOR_SIZE = 112
WAVELENGTHS = (4, 8, 16, 32)
ORIENTATIONS = 8
SIGMA = 0.4
STRIDE = 0.25
REACH = 4.0
GRID = 6


def baseline_batches(name: str, files: Sequence[ImageFile]) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches {name: float32 (b, features)} of the baseline `name`. Raises StudyError for an unknown one."""
    size, features = _baseline(name)
    for images in batches(files, size, "L"):
        yield {name: features(images.astype(np.float32) / 255)}


def baseline_width(name: str) -> int:
    """Return the number of features of the baseline `name`. Raises StudyError for an unknown one."""
    size, features = _baseline(name)
    return features(np.zeros((1, size, size), np.float32)).shape[1]


def pixels(images: np.ndarray) -> np.ndarray:
    """Return grey values 0..1 (b, h, w) as rows (b, h w)."""
    return images.reshape(len(images), -1)


def gabor(images: np.ndarray) -> np.ndarray:
    """log(1 + 10 energy) of Gabor pairs, the largest in each of 6 x 6 places; images grey 0..1 (b, 112, 112).

    Wavelengths 4, 8, 16, 32 pixels (of 112), 8 orientations, a quadrature pair with sigma .4 wavelengths, sampled
    every quarter wavelength. Returns float32 (b, 4 * 8 * 36 = 1152).
    """
    centred = images - 0.5
    maps = [
        _largest(_energy(centred, wavelength, orientation), GRID)
        for wavelength in WAVELENGTHS
        for orientation in range(ORIENTATIONS)
    ]
    return np.log1p(10 * np.concatenate(maps, axis=1)).astype(np.float32)


def _energy(images: np.ndarray, wavelength: int, orientation: int) -> np.ndarray:
    """Modulus of the complex Gabor response, (b, places, places). The filter is separable, so two products suffice."""
    angle = np.pi * orientation / ORIENTATIONS
    across = _bank(wavelength, float(np.cos(angle)), images.shape[2])
    down = _bank(wavelength, float(np.sin(angle)), images.shape[1])
    along = images @ np.concatenate([across.real, across.imag]).T
    return np.abs(down @ (along[..., : len(across)] + 1j * along[..., len(across) :]))


@cache
def _bank(wavelength: int, component: float, size: int) -> np.ndarray:
    """Return one axis of a Gabor filter at all its places, complex64 (places, size); its whole envelope sums to 1.

    Places reach to the borders; what lies beyond counts as mid-grey.
    """
    sigma, step = SIGMA * wavelength, max(round(STRIDE * wavelength), 1)
    distance = np.arange(size)[None] - np.arange(0, size, step)[:, None]
    # Cut at REACH sigma: the far tail is denormal numbers, which are twenty times slower to multiply.
    envelope = np.where(np.abs(distance) <= REACH * sigma, np.exp(-(distance**2) / (2 * sigma**2)), 0)
    envelope /= sigma * np.sqrt(2 * np.pi)
    return (envelope * np.exp(2j * np.pi * component * distance / wavelength)).astype(np.complex64)


def _largest(maps: np.ndarray, grid: int) -> np.ndarray:
    """Return the adaptive max pooling of (b, h, w) to (b, grid * grid), with torch's cell borders."""
    rows = [_cell(maps.shape[1], grid, i) for i in range(grid)]
    columns = [_cell(maps.shape[2], grid, i) for i in range(grid)]
    return np.stack([maps[:, row, column].max((1, 2)) for row in rows for column in columns], axis=1)


def _cell(length: int, grid: int, i: int) -> slice:
    return slice(i * length // grid, -(-(i + 1) * length // grid))


BASELINES: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "pixels": (PIXELS_SIZE, pixels),
    "gabor": (GABOR_SIZE, gabor),
}


def _baseline(name: str) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    if name not in BASELINES:
        raise StudyError(
            Problem(
                what="no such baseline",
                where=name,
                value=name,
                allowed=", ".join(BASELINES),
                nearest=nearest(name, BASELINES),
            )
        )
    return BASELINES[name]
