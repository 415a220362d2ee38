"""The random numbers of a step, for all its images at once: those of an image depend on its place in the step."""

import numpy as np

from neuroscaling.training.feeding.crops import COLUMNS
from neuroscaling.training.feeding.interface import Request
from neuroscaling.training.objectives.views import ViewSpec
from neuroscaling.training.schedule import generator

SEEDS = 2**31  # of generators that take a whole number


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
