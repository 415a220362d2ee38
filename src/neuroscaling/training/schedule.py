"""A run's steps, their images, and the epochs of evaluations and checkpoints follow from its recipe."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from neuroscaling.study.recipes import Recipe, log_spaced
from neuroscaling.training.feeding.protocols import Request

BANK = 100_000
"""Training images that validation images are compared with, at most, where labels are not trained on."""
SEEDS = 2**31
"""Seeds that are drawn for generators of other libraries lie below this number."""


def batch_slices(n_images: int, batch_size: int) -> list[slice]:
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
    if recipe.evaluations == "log":
        return {0, recipe.epochs, *log_spaced(recipe.epochs)}
    every = recipe.evaluations if isinstance(recipe.evaluations, int) else 1
    return {0, recipe.epochs, *range(every, recipe.epochs + 1, every)}


# As timm's RepeatAugSampler: an epoch of repeated augmentation has a multiple of this many images.
ROUND = 256


@dataclass(frozen=True)
class StepShare:
    """What one process does of a step. parts: its micro batches, as slices of the step's images.

    units: for each micro batch of the step, the ranks that share it.
    """

    parts: tuple[slice, ...]
    units: tuple[tuple[int, ...], ...]

    @property
    def mine(self) -> slice:
        """The step's images that this process feeds."""
        return slice(self.parts[0].start, self.parts[-1].stop)


@dataclass(frozen=True)
class StepPlan:
    """The steps of a run of `n_images` for `epochs`, on `world` processes of which this is number `rank`."""

    seed: int
    n_images: int
    epochs: int
    batch_size: int
    micro_batch: int | None = None
    drop_last: bool = False
    repeats: int = 1
    world: int = 1
    rank: int = 0

    @classmethod
    def of(cls, recipe: Recipe, arch: str, seed: int, n_images: int, world: int = 1, rank: int = 0) -> "StepPlan":
        """The steps of `recipe` with `arch` on `n_images`."""
        at_once = recipe.images_at_once(arch)
        return cls(
            seed, n_images, recipe.epochs, recipe.batch_size, at_once, recipe.drop_last, recipe.repeated_augmentation,
            world, rank,
        )  # fmt: skip

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch takes from the order, before batches are made."""
        if self.repeats == 1 or self.n_images < ROUND:
            return self.n_images
        return self.n_images // ROUND * ROUND

    @property
    def batches(self) -> list[slice]:
        """The steps of an epoch, as slices of its order. A data set that is smaller than a batch is not dropped."""
        slices = batch_slices(self.images_per_epoch, self.batch_size)
        starts = [rows.start for rows in slices if rows.stop - rows.start >= self.batch_size]
        whole = [slice(start, start + self.batch_size) for start in starts]  # without a single image left over
        return whole if self.drop_last and whole else slices

    @property
    def n_steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * len(self.batches)

    def order(self, epoch: int) -> np.ndarray:
        """Positions in the subset, int64, in the order of `epoch` (from 1).

        Repeated augmentation takes the first third (or so) of a permutation, each image as often as it is repeated,
        one behind the other.
        """
        order = epoch_order(self.seed, epoch, self.n_images)
        return np.repeat(order, self.repeats)[: self.images_per_epoch] if self.repeats > 1 else order

    def requests(self, first: int) -> Iterator[Request]:
        """What this process is fed in step `first` (from 0) and all after it."""
        slices = self.batches
        for epoch in range(first // len(slices) + 1, self.epochs + 1):
            order, done = self.order(epoch), (epoch - 1) * len(slices)
            for step, rows in enumerate(slices, done):
                if step >= first:
                    taken = order[rows]
                    yield Request(step, taken, self.share(len(taken)).mine)

    def rows(self, step: int) -> np.ndarray:
        """Positions in the subset of all images of `step`."""
        epoch, batch = divmod(step, len(self.batches))
        return self.order(epoch + 1)[self.batches[batch]]

    def share(self, n: int) -> StepShare:
        """This process's part of a step of `n` images: whole micro batches, or a part of one where they are too few."""
        units = batch_slices(n, self.micro_batch or n)
        if len(units) >= self.world:
            owner = [i * self.world // len(units) for i in range(len(units))]
            mine = tuple(unit for unit, process in zip(units, owner, strict=True) if process == self.rank)
            return StepShare(mine, tuple((process,) for process in owner))
        served = [i * len(units) // self.world for i in range(self.world)]
        groups = tuple(tuple(i for i in range(self.world) if served[i] == unit) for unit in range(len(units)))
        group, unit = groups[served[self.rank]], units[served[self.rank]]
        edges = np.linspace(unit.start, unit.stop, len(group) + 1).round().astype(int).tolist()
        place = group.index(self.rank)
        return StepShare((slice(edges[place], edges[place + 1]),), groups)

    def smallest_unit(self) -> int:
        """Images that go through the network at once at least, on one process or on several that share them."""
        sizes = {rows.stop - rows.start for rows in self.batches}
        return min(unit.stop - unit.start for n in sizes for unit in batch_slices(n, self.micro_batch or n))

    def smallest_part(self) -> int:
        """Images that a process has at least in any of its micro batches; 0: there are too many processes."""
        sizes = {rows.stop - rows.start for rows in self.batches}
        everyone = [replace(self, rank=rank) for rank in range(self.world)]
        parts = [part for n in sizes for one in everyone for part in one.share(n).parts]
        return min(part.stop - part.start for part in parts)
