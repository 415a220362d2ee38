"""What a step does, as plain functions of the recipe and the step's number: nothing here has a state to lose."""

import hashlib
from math import cos, pi

import numpy as np

from neuroscaling.training.recipe import Recipe

LOG_EVALUATIONS = 10


def batches(n_images: int, batch_size: int) -> list[slice]:
    """Slices of an epoch's order, all images used; a last batch of one image joins the batch before it.

    (Batch normalisation can't be trained on one image, and with few images per class that last batch is not rare.)
    """
    starts = list(range(0, n_images, batch_size))
    if len(starts) > 1 and n_images - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], n_images], strict=True)]


def epoch_order(seed: int, epoch: int, n_images: int) -> np.ndarray:
    """The order of the images in `epoch` (counted from 1): a permutation, int64 (n_images,)."""
    return generator("order", seed, epoch).permutation(n_images)


def generator(purpose: str, seed: int, *position: int) -> np.random.Generator:
    """Random numbers of one purpose at one position of a run: made anew, so a resumed run draws the same ones."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return np.random.default_rng([int.from_bytes(digest[:4], "little"), seed, *position])


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Learning rate of `step` (from 0): linear warm-up, then a cosine down to the smallest rate at the last step."""
    total = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - 1 - warmup)
    span = recipe.learning_rate - recipe.min_learning_rate
    return recipe.min_learning_rate + span * (1 + cos(pi * progress)) / 2


def evaluation_epochs(recipe: Recipe) -> set[int]:
    """Epochs after which the validation images are looked at; 0, before training, and the last are among them."""
    if recipe.evaluations == "log":
        spaced = np.geomspace(1, recipe.epochs, LOG_EVALUATIONS).round().astype(int).tolist()
    else:
        spaced = range(recipe.evaluations, recipe.epochs + 1, recipe.evaluations)
    return {0, recipe.epochs, *spaced}
