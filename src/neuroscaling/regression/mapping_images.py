"""Nested subsets of mapping images: a seeded order of images whose beginnings are the subsets."""

from typing import Literal

import numpy as np

from neuroscaling.core.errors import Problem, listing

SampleSize = int | Literal["all"]
"""A number of mapping images; `all` are the training images."""


def nested_order(n: int, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Rows 0 .. n - 1 in a seeded order, (n,); each beginning of it is a subset, so that all are nested.

    labels (n,): of the rows; each beginning then has each label in its share of all rows, but for a row or so
    (systematic sampling: the rows of a label stand at equal distances).
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if labels is None:
        return order
    _, codes, counts = np.unique(np.asarray(labels).astype(str)[order], return_inverse=True, return_counts=True)
    ranks = np.empty(n)
    ranks[np.argsort(codes, kind="stable")] = np.concatenate([np.arange(count) for count in counts])
    places = (ranks + rng.random(len(counts))[codes]) / counts[codes]
    return order[np.argsort(places, kind="stable")]


def mapping_ranks(stimuli: np.ndarray, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
    """The place of each row's image in the nested order of the different `stimuli` (rows,): those below n are n images.

    stimuli: an id for each row, or numbers in the order of the ids; labels (rows,): balanced by `nested_order`. The
    order of the rows makes no difference.
    """
    _, first, image = np.unique(stimuli, return_index=True, return_inverse=True)
    order = nested_order(len(first), seed, None if labels is None else np.asarray(labels)[first])
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(len(order))
    return places[image]


def mapping_rows(stimuli: np.ndarray, n_images: int, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Rows, ascending, of the first `n_images` images, as `mapping_ranks` orders them."""
    return np.flatnonzero(mapping_ranks(stimuli, seed, labels) < n_images)


def too_many_images(benchmark: str, larger: list[int], most: int) -> Problem:
    """The problem of numbers above the training images of a benchmark."""
    what = f"more mapping images than {benchmark} has training images"
    fix = f"numbers for this benchmark alone: `samples: {{{benchmark}: [...]}}`"
    return Problem(what=what, where="", value=listing(larger), allowed=f"at most {most}, or `all`", fix=fix)
