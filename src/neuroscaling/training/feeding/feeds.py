"""The feeds of a training: from decoded squares that stay in memory, or from images decoded for each step."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import torch

from neuroscaling.errors import Problem
from neuroscaling.training.distributed import of_all, world
from neuroscaling.training.feeding.cropping import cropped
from neuroscaling.training.feeding.interface import Batch, Request
from neuroscaling.training.feeding.squares import Squares
from neuroscaling.training.feeding.subset import Subset, refuse_corrupt
from neuroscaling.training.feeding.views import finished
from neuroscaling.training.objectives.views import ViewSpec

Pixels = torch.Tensor | list[torch.Tensor]


class Supply(Protocol):
    """Pixels of the images of each request: their square, or one crop for each view. faults: corrupt ones by row."""

    faults: dict[int, Problem]

    def batches(self, requests: Iterable[Request]) -> Iterator[tuple[Request, list[Pixels]]]:
        """Each request with uint8 (b, 3, s, s) on the device, or b times (3, s, s)."""
        ...

    def close(self) -> None:
        """Give back processes and memory."""
        ...


class Resident:
    """Squares that are in memory. apart: given one by one, uncopied, for crops that are made one by one."""

    def __init__(self, squares: Squares, subset: Subset, apart: bool):
        asked = {int(row) for row in subset.rows} & set(squares.faults) if squares.faults else set()
        self.faults = {row: squares.faults[row] for row in asked}
        self._rows = subset.rows[subset.sound(asked)] if asked else subset.rows
        self._batch = squares.each if apart else squares.batch

    def batches(self, requests: Iterable[Request]) -> Iterator[tuple[Request, list[Pixels]]]:
        """Each request with its squares."""
        for request in requests:
            yield request, [self._batch(self._rows[request.rows[request.mine]])]

    def close(self) -> None:
        """The squares stay for the next run of this process."""


class ViewFeed:
    """The views of a run's training images. from_squares: whether they are still to be cropped."""

    def __init__(
        self,
        subset: Subset,
        specs: tuple[ViewSpec, ...],
        seed: int,
        supply: Supply,
        from_squares: bool,
        corrupt: "Corrupt",
    ):
        self.n_images = len(subset)
        self._specs, self._seed, self._supply, self._from_squares = specs, seed, supply, from_squares
        self._corrupt = corrupt
        self._labels = torch.from_numpy(subset.labels.astype(np.int64))
        corrupt.check(supply.faults)

    @property
    def corrupt(self) -> list[str]:
        """Ids of images that could not be decoded so far; others of their class were taken."""
        return self._corrupt.ids(self._supply.faults)

    def batches(self, requests: Iterable[Request]) -> Iterator[Batch]:
        """The batch of each request. Raises RunFailed when more images are corrupt than the data set may have.

        One of several processes must not leave the others waiting: there `refused` says so, and `settle` raises.
        """
        for request, crops in self.crops(requests):
            labels = self._labels[torch.from_numpy(request.rows[request.mine])]
            numbered = enumerate(zip(crops, self._specs, strict=True))
            views = [finished(crop, spec, self._seed, request, view) for view, (crop, spec) in numbered]
            yield Batch(views, labels.to(crops[0].device, non_blocking=True))

    @property
    def refused(self) -> bool:
        """Whether this process found more corrupt images than the data set may have."""
        return self._corrupt.refused

    def settle(self) -> None:
        """Put together what all processes found corrupt. Raises RunFailed, in all of them, when it is too much."""
        for faults in of_all(self._supply.faults):
            self._supply.faults |= faults
        self._corrupt.refuse(self._supply.faults)

    def crops(self, requests: Iterable[Request]) -> Iterator[tuple[Request, list[torch.Tensor]]]:
        """Each request with the crops of its views, uint8 (b, 3, size, size), before their colours are changed."""
        for request, pixels in self._supply.batches(requests):
            self._corrupt.check(self._supply.faults)
            if self._from_squares:
                views = enumerate(self._specs)
                pixels = [cropped(pixels[0], spec, self._seed, request, view) for view, spec in views]
            yield request, pixels

    def close(self) -> None:
        """Give back worker processes and memory."""
        self._supply.close()


class Corrupt:
    """How many images of a data set may be corrupt, and their names. image_ids: by row; refused: are there more?"""

    def __init__(self, dataset: str, limit: int, image_ids: object):
        self._dataset, self._limit, self._image_ids = dataset, limit, image_ids
        self.refused = False

    def check(self, faults: dict[int, Problem]) -> None:
        """Raise RunFailed with all faults when they are more than the limit; one of several processes only notes it."""
        self.refused = len(faults) > self._limit
        if world() == 1:
            self.refuse(faults)

    def refuse(self, faults: dict[int, Problem]) -> None:
        """Raise RunFailed with all faults when they are more than the limit."""
        refuse_corrupt(list(faults.values()), self._limit, self._dataset)

    def ids(self, faults: dict[int, Problem]) -> list[str]:
        """Names of the images, in the order of the data set."""
        return [self._image_ids[row] for row in sorted(faults)]
