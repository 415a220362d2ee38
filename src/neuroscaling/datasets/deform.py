"""Small random deformations of handwritten digits: one image gives as many as are wanted.

Each is an affine map (rotation, scale, shear, shift) and an elastic one: a field of random shifts, smoothed
(P. Simard, D. Steinkraus, J. Platt, Best practices for convolutional neural networks applied to visual document
analysis, ICDAR 2003). The numbers below are this project's own.
"""

from functools import cache

import numpy as np

DEFORMATION_VERSION = 1
SIZE = 28
ROTATION = np.pi / 12  # radians to either side
SCALE = 0.15  # of the size, to either side
SHEAR = 0.2
SHIFT = 2.0  # pixels to either side
SMOOTHING = 4.0  # standard deviation of the smoothing of the elastic shifts, pixels
ELASTIC = 1.0  # standard deviation of the elastic shifts, pixels


def deformed(image: np.ndarray, seed: int) -> np.ndarray:
    """`image` uint8 (28, 28), deformed in the way of `seed`; black comes in from outside."""
    from scipy.ndimage import map_coordinates  # not while a study is parsed

    random = np.random.default_rng([DEFORMATION_VERSION, seed])
    places = _affine(random) + _elastic(random)
    return map_coordinates(image.astype(np.float32), places, order=1, mode="constant").round().astype(np.uint8)


def _affine(random: np.random.Generator) -> np.ndarray:
    """Where each pixel comes from, (2, 28, 28): rows and columns."""
    angle, shear = random.uniform(-ROTATION, ROTATION), random.uniform(-SHEAR, SHEAR)
    scale, shift = random.uniform(1 - SCALE, 1 + SCALE, 2), random.uniform(-SHIFT, SHIFT, 2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.array([[1.0, 0.0], [shear, 1.0]]) @ np.diag(1 / scale)
    centre = (SIZE - 1) / 2
    return np.tensordot(matrix, _grid() - centre, 1) + (centre + shift)[:, None, None]


def _elastic(random: np.random.Generator) -> np.ndarray:
    """Shifts of each pixel, (2, 28, 28)."""
    smooth = _smoothing()
    return ELASTIC * (smooth @ random.standard_normal((2, SIZE, SIZE)) @ smooth.T)


@cache
def _grid() -> np.ndarray:
    return np.mgrid[:SIZE, :SIZE].astype(np.float64)


@cache
def _smoothing() -> np.ndarray:
    """Gaussian smoothing along one axis, (28, 28); white noise keeps a variance of 1."""
    distance = np.arange(SIZE)[:, None] - np.arange(SIZE)[None]
    weights = np.exp(-0.5 * (distance / SMOOTHING) ** 2)
    return weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))
