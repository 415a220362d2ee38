"""Worker processes, or this one, decode the images of each step.

A task says all that its images depend on, so a worker has no state, and a resumed run needs none of it.
"""

import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.datasets.decode import decode, square
from neuroscaling.datasets.split import Source
from neuroscaling.training.feeding.augmentation import policy_transform
from neuroscaling.training.feeding.crops import crop_into, crop_numbers, mirrored, random_box, seeds
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.sources import Subset
from neuroscaling.training.image_views import ViewSpec
from neuroscaling.training.launch import SIGNALS

TASK = 32  # images that a worker prepares in one go
WAITING = 128  # tasks prepared ahead, at most: each takes one of a process's file descriptors
STEPS_AHEAD = 2


# Pixels of all views, uint8 and flat: view by view (n, s, s, 3); images that can't be decoded; why there are no pixels.
Prepared = tuple[torch.Tensor, list[tuple[int, Problem]], list[Problem]]


@dataclass(frozen=True)
class Task:
    """Some images of a step: positions in the subset (n,), and for each view what `crops` and `policies` draw from."""

    positions: np.ndarray
    crops: list[np.ndarray]
    flips: list[np.ndarray]
    policies: list[np.ndarray]


@dataclass
class Preparation(Dataset):
    """What a worker does with a task.

    specs: views to crop, from the image as it is or, where `side` is given, from its square of that side; none: the
    squares themselves.
    """

    source: Source
    subset: Subset
    specs: tuple[ViewSpec, ...]
    side: int | None

    @property
    def sizes(self) -> list[int]:
        """Pixels of each side of what is made of an image: of its views, or of its square."""
        if self.specs:
            return [spec.size for spec in self.specs]
        if self.side is None:
            raise ValueError("images are made into views or squares, and neither is asked for")
        return [self.side]

    def __getitem__(self, task: Task) -> Prepared:
        """The images of `task`. Errors are returned: a worker process would raise their text alone."""
        faults: dict[int, Problem] = {}
        views = [torch.empty((len(task.positions), size, size, 3), dtype=torch.uint8) for size in self.sizes]
        try:
            for i, position in enumerate(task.positions.tolist()):
                image = self._image(position, faults)  # cropped while it is in the processor's cache
                for view, pixels in enumerate(views):
                    self._write(pixels[i].permute(2, 0, 1), image, task, view, i)
        except DataError as error:
            return torch.empty(0, dtype=torch.uint8), list(faults.items()), error.problems
        flat = [view.view(-1) for view in views]
        return (flat[0] if len(flat) == 1 else torch.cat(flat)), list(faults.items()), []

    def _image(self, position: int, faults: dict[int, Problem]) -> torch.Tensor:
        """The image at `position`, or the next of its class that can be decoded."""
        for other in self.subset.alternatives(position):
            row = int(self.subset.rows[other])
            try:
                image = decode(self.source, row)
            except DataError as error:
                faults[row] = error.problems[0]
                continue
            return square(image, self.side) if self.side else image
        raise DataError([Problem(what="all images of a class are corrupt"), *faults.values()])

    def _write(self, out: torch.Tensor, image: torch.Tensor, task: Task, view: int, i: int) -> None:
        """Write the `view` of the task's image number i to `out`, uint8 (3, size, size)."""
        if not self.specs:
            out.copy_(image)
            return
        spec, (height, width) = self.specs[view], image.shape[1:]
        box = random_box(task.crops[view][i].tolist(), height, width, spec.crop_scale)
        crop_into(out, image, box, bool(task.flips[view][i]), spec.interpolation)
        if spec.auto_augment:
            out.copy_(policy_transform(spec)(out, int(task.policies[view][i])))


class Tasks(Sampler):
    """The tasks of requests that are set anew for each pass."""

    def __init__(self, specs: tuple[ViewSpec, ...], seed: int):
        self.specs, self.seed = specs, seed
        self.requests: Iterable[Request] = ()
        self.given: deque[tuple[Request, int]] = deque()

    def __iter__(self) -> Iterator[Task]:
        for request in self.requests:
            tasks = list(self.of(request))
            self.given.append((request, len(tasks)))
            yield from tasks

    def of(self, request: Request) -> Iterator[Task]:
        """What the workers have to do for this process's part of a step."""
        positions = request.rows[request.mine]
        views = range(len(self.specs))
        crops = [crop_numbers(self.seed, request, view) for view in views]
        flips = [mirrored(self.specs[view], self.seed, request, view) for view in views]
        policies = [seeds("policy", self.seed, request, view) for view in views]
        edges = np.linspace(0, len(positions), -(-len(positions) // TASK) + 1).round().astype(int).tolist()
        for a, b in pairwise(edges):
            yield Task(positions[a:b], *([values[a:b] for values in drawn] for drawn in (crops, flips, policies)))


class Workers:
    """The cropped views (or the squares) of each request, prepared by `workers` processes ahead of their use."""

    def __init__(self, preparation: Preparation, seed: int, batch: int, workers: int, device: torch.device):
        self.sizes = preparation.sizes
        self.device = device
        self.faults: dict[int, Problem] = {}
        self._tasks = Tasks(preparation.specs, seed)
        ahead = min(WAITING, STEPS_AHEAD * -(-batch // TASK))
        self._loader: DataLoader[Prepared] | None = DataLoader(
            preparation,
            sampler=self._tasks,
            batch_size=None,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            worker_init_fn=_heed_no_signals,
            generator=torch.Generator(),  # the loader draws a seed, which is of no use here, from torch's own otherwise
            prefetch_factor=max(2, -(-ahead // workers)) if workers else None,
            persistent_workers=workers > 0,
        )

    def batches(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Sequence[torch.Tensor]]]:
        """Each request with its views uint8 (b, 3, s, s), channels last, on the device."""
        if self._loader is None:
            raise RuntimeError("the workers of this feed were ended")
        self._tasks.requests = requests
        self._tasks.given.clear()
        prepared = iter(self._loader)
        for first in prepared:
            request, n_tasks = self._tasks.given.popleft()
            parts = [first, *(next(prepared) for _ in range(n_tasks - 1))]
            self.faults |= {row: problem for _, faults, _ in parts for row, problem in faults}
            if fatal := [problem for _, _, problems in parts for problem in problems]:
                raise DataError(fatal)
            yield request, self._views([flat for flat, _, _ in parts])

    def close(self) -> None:
        """End the worker processes."""
        self._loader = None

    def _views(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        pixels = [3 * size * size for size in self.sizes]
        moved: list[list[torch.Tensor]] = [[] for _ in pixels]
        for part in parts:
            count = len(part) // sum(pixels)
            for view, some, size in zip(moved, part.split([count * n for n in pixels]), self.sizes, strict=True):
                view.append(some.view(count, size, size, 3).to(self.device, non_blocking=True))
        return [(view[0] if len(view) == 1 else torch.cat(view)).permute(0, 3, 1, 2) for view in moved]


def _heed_no_signals(_: int) -> None:
    """A scheduler tells all processes of a job to end; workers that did would keep the state from being saved."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
