"""Order, batches, random numbers and dates of a run, as plain functions: nothing here has a state to lose."""

import hashlib

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


def evaluation_epochs(recipe: Recipe) -> set[int]:
    """Epochs after which the validation images are looked at; 0, before training, and the last are among them."""
    every = {"log": 0, "published": 1}.get(recipe.evaluations, recipe.evaluations)
    spaced = range(every, recipe.epochs + 1, every) if every else log_spaced(recipe.epochs)
    return {0, recipe.epochs, *spaced}


def checkpoint_epochs(recipe: Recipe) -> set[int]:
    """Epochs whose weights are kept; the last is among them. `published`: 28 files of 100 epochs, 32 of 300."""
    match recipe.checkpoints:
        case "published":
            kept = {*range(1, 11), *range(5, 101, 5), *range(150, recipe.epochs + 1, 50)}
            return {recipe.epochs, *(epoch for epoch in kept if epoch <= recipe.epochs)}
        case "log":
            return {recipe.epochs, *log_spaced(recipe.epochs)}
        case _:
            return {recipe.epochs}


def log_spaced(epochs: int) -> set[int]:
    """About ten epochs from 1 to `epochs`, as far apart as their logarithms let them be."""
    return set(np.geomspace(1, epochs, LOG_EVALUATIONS).round().astype(int).tolist())
