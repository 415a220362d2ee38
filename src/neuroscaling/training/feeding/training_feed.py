"""The feed of a run takes its images from memory, or from workers that decode each step."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from neuroscaling.core.errors import Problem
from neuroscaling.datasets.split import Source
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.distributed import of_all, world
from neuroscaling.training.feeding.augmentation import augmented
from neuroscaling.training.feeding.crops import cropped, together
from neuroscaling.training.feeding.decoded_images import Squares, kept_squares
from neuroscaling.training.feeding.decoding_workers import Preparation, Workers
from neuroscaling.training.feeding.protocols import Batch, Feed, Request
from neuroscaling.training.feeding.sources import Subset, pack_of, read_checked, refuse_corrupt, run_source
from neuroscaling.training.image_views import ViewSpec, has_random_crops, stored_size, views_of

Pixels = torch.Tensor | list[torch.Tensor]


class Supply(Protocol):
    """Pixels of the images of each request: their square, or one crop for each view. faults: corrupt ones by row."""

    faults: dict[int, Problem]

    def batches(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Sequence[Pixels]]]:
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

    def batches(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Sequence[Pixels]]]:
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
            views = [augmented(crop, spec, self._seed, request, view) for view, (crop, spec) in numbered]
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
                yield request, [cropped(pixels[0], spec, self._seed, request, view) for view, spec in views]
            else:
                yield request, [together(view) for view in pixels]

    def close(self) -> None:
        """Give back worker processes and memory."""
        self._supply.close()


class Corrupt:
    """How many images of a data set may be corrupt, and their names. image_ids: by row; refused: are there more?"""

    def __init__(self, dataset: str, limit: int, image_ids: Sequence[str]):
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


def open_training_feed(
    run: Run, subset: Path, size: int, recipe: Recipe, device: torch.device, options: TrainingOptions
) -> Feed:
    """The images of the file `subset`, as the views of `recipe` for a network whose input has `size` pixels a side.

    The options change how images are reached, not what a run is fed (but for rounding, and for a pack's JPEG). Where
    crops are of stored squares, these are decoded once and kept, on the GPU where they fit. Otherwise, and where timm's
    policies change images one by one, worker processes prepare each step. Raises DataError when the subset is of other
    images than the run's, or more images are corrupt than the data set's `corrupt_limit`.
    """
    specs, stored = views_of(recipe, size), _stored(recipe, size)
    source = run_source(run, "train", stored, options)
    images = read_checked(run, subset, source.index)
    from_squares = stored is not None and not any(spec.auto_augment for spec in specs)
    apart = device.type == "cpu" and all(spec.crop == "random" for spec in specs)
    squares = None
    if stored is not None and from_squares:
        squares = _squares(run, source, images, stored, device, options)
    supply: Supply | None = Resident(squares, images, apart) if squares else None
    if supply is None:
        prepared = () if from_squares else specs
        supply = _workers(run, Preparation(source, images, prepared, stored), recipe, device, options)
    corrupt = Corrupt(run.images.dataset, run.images.settings.corrupt_limit, source.index.image_ids)
    return ViewFeed(images, specs, run.seed, supply, from_squares, corrupt)


def training_pack(run: Run, size: int, recipe: Recipe, options: TrainingOptions) -> Path | None:
    """The folder of the pack that the training images are read from; None where it is the data set's own files."""
    return pack_of(run, "train", _stored(recipe, size), options)


def _stored(recipe: Recipe, size: int) -> int | None:
    """Side of the squares that images are made into before anything else; None where crops are of the originals."""
    originals = recipe.crops == "originals" and has_random_crops(recipe, size)
    return None if originals else stored_size(recipe, size)


def _squares(
    run: Run, source: Source, images: Subset, side: int, device: torch.device, options: TrainingOptions
) -> Squares | None:
    what = [run.images.dataset, run.images.settings.content(), run.images.fingerprint, options.packs, "train"]
    return kept_squares(source, what, side, images.rows, device, options.resident_gb)


def _workers(
    run: Run, preparation: Preparation, recipe: Recipe, device: torch.device, options: TrainingOptions
) -> Supply:
    return Workers(preparation, run.seed, recipe.batch_size, options.workers, device)
