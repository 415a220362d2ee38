"""A training asks for the images of a step by a request, and is given a batch of views.

A request says all that a batch depends on: the step seeds the random numbers, the place among `rows` selects those of
an image. So one process and two, an interrupted run and one that was not, are fed the same images.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Request:
    """The images of one optimiser step.

    step: number of the step in the run; rows: int64 (n,), positions in the subset of the whole batch, in order,
    repeats allowed; mine: the part of `rows` that this process feeds.
    """

    step: int
    rows: np.ndarray
    mine: slice


@dataclass(frozen=True)
class Batch:
    """views: normalised float32 (b, 3, size, size) each, channels last; labels: int64 (b,). All on the device."""

    views: "list[torch.Tensor]"
    labels: "torch.Tensor"


class Feed(Protocol):
    """The training images of a run."""

    n_images: int

    @property
    def corrupt(self) -> list[str]:
        """Ids of images that could not be decoded so far."""
        ...

    @property
    def refused(self) -> bool:
        """Whether more images are corrupt than the data set may have."""
        ...

    def batches(self, requests: Iterable[Request]) -> Iterator[Batch]:
        """The batch of each request, in their order. May work ahead; keeps no state from one request to the next."""
        ...

    def settle(self) -> None:
        """Put together what all processes found corrupt. Raises RunFailed, in all of them, when it is too much."""
        ...

    def close(self) -> None:
        """Give back worker processes and memory."""
        ...


class Validation(Protocol):
    """The validation images of a run."""

    n_images: int

    def chunks(self, batch: int) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        """All images in order, `batch` at a time: normalised float32 (b, 3, size, size) and labels int64 (b,)."""
        ...
