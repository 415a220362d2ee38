"""Validation images are resized and cut once, and shared by the runs of a process and a machine."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from neuroscaling.core.errors import Problem, listing
from neuroscaling.core.files import DELETE_AND_RERUN, atomic_path, reading
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.decode import decode_into, squares_file, without_ends
from neuroscaling.datasets.split import Source
from neuroscaling.datasets.subset_sampling import validation_rows
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding.augmentation import normalised
from neuroscaling.training.feeding.crops import central, resized
from neuroscaling.training.feeding.decoded_images import fits_device
from neuroscaling.training.feeding.sources import SHOWN, refuse_corrupt, run_source, source_state
from neuroscaling.training.image_views import MARGIN, has_random_crops

log = logging.getLogger(__name__)
KEPT = 2  # sets of images that a process keeps: those of the last runs
_kept: dict[str, "ValidationImages"] = {}


@dataclass(frozen=True)
class Preparation:
    """How a validation image is made into a square of `size` pixels a side."""

    size: int
    to: int
    """Pixels that the short side is resized to, or both sides (`squash`), before the middle is cut out."""
    squash: bool
    interpolation: str


class ValidationImages:
    """Images uint8 (n, size, size, 3) and labels int64 (n,), decoded. They give normalised chunks on `device`."""

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor, device: torch.device):
        self.n_images = len(labels)
        self._pixels, self._labels, self._device = pixels, labels, device

    def chunks(self, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images in order, `batch` at a time: float32 (b, 3, size, size), channels last, and labels (b,)."""
        for start in range(0, self.n_images, batch):
            some = slice(start, start + batch)
            pixels = self._pixels[some].to(self._device, non_blocking=True).permute(0, 3, 1, 2)
            yield normalised(pixels), self._labels[some].to(self._device, non_blocking=True)


def open_validation(
    run: Run,
    size: int,
    recipe: Recipe | None,
    device: torch.device,
    options: TrainingOptions,
    classes: Sequence[str] | None = None,
) -> ValidationImages:
    """The validation images of the run's data set for a network whose input has `size` pixels a side.

    recipe: says how they are resized; None: of a network that is not trained; classes: names of those that the network
    tells apart, None: all. The folder `options.scratch` keeps what was decoded for other jobs of this machine.
    Raises DataError when more images are corrupt than the data set's `corrupt_limit`; those up to it are left out.
    """
    to = validation_resize(recipe, run.arch, size)
    squash = recipe is not None and recipe.validation_resize == "squash"
    how = Preparation(size, to, squash, recipe.validation_interpolation if recipe else "bilinear")
    # A pack may have squares, whose sides are cut off: no use for squashing.
    source = run_source(run, "validation", None if how.squash else to, options)
    what = [run.images.dataset, run.images.settings.content(), run.images.fingerprint, options.packs, asdict(how)]
    key = content_hash([*what, list(classes) if classes else None, str(device)], 16)
    if key not in _kept:
        while len(_kept) >= KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = _load(run, source, how, classes, device, options)
    return _kept[key]


def forget_validation() -> None:
    """Give back the memory of all validation images of this process."""
    _kept.clear()


def _load(
    run: Run,
    source: Source,
    how: Preparation,
    classes: Sequence[str] | None,
    device: torch.device,
    options: TrainingOptions,
) -> ValidationImages:
    rows, labels = validation_rows(source.index, classes)
    ids = content_hash([source.index.image_ids[row] for row in rows.tolist()], 16)
    kept_under = [
        run.images.dataset,
        run.images.settings.content(),
        asdict(how),
        ids,
        source_state(run, "validation", source),
    ]
    scratch = options.scratch
    file = Path(scratch) / f"validation-{content_hash(kept_under, 16)}.npy" if scratch else None
    limit = run.images.settings.corrupt_limit
    pixels, sound = _pixels(source, rows, how, file, limit)
    kept = torch.from_numpy(pixels)
    if fits_device(kept.nbytes, device):
        kept = kept.to(device)
    return ValidationImages(kept, torch.from_numpy(labels[sound].astype(np.int64)).to(device), device)


def _pixels(
    source: Source, rows: np.ndarray, how: Preparation, file: Path | None, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, size, size, 3) and which of `rows` they are: bool (n,)."""
    every = np.ones(len(rows), bool)
    if file and file.exists():
        return _mapped(file), every
    if file is None:
        out = np.zeros((len(rows), how.size, how.size, 3), np.uint8)
        faults = decode_into(out, source, rows, partial(_prepared, how=how))
    else:
        out, faults = _on_disk(file, source, rows, how)
    refuse_corrupt(list(faults.values()), limit, source.index.name)
    if not faults:
        return out, every
    log.warning("%d validation images can't be decoded: %s", len(faults), listing([*map(source.where, faults)], SHOWN))
    sound = ~np.isin(rows, list(faults))
    return out[sound], sound


def _mapped(file: Path) -> np.ndarray:
    """The pixels that another job decoded, mapped; torch wants them writable, and what is written stays in memory."""
    with reading(file, "a NumPy file", DELETE_AND_RERUN):
        return np.lib.format.open_memmap(file, mode="c")


class _Incomplete(Exception):
    """Others would not know which images are missing."""


def _on_disk(file: Path, source: Source, rows: np.ndarray, how: Preparation) -> tuple[np.ndarray, dict[int, Problem]]:
    """Pixels of `rows`, mapped from `file` (the disk has room for what the memory may not hold), and what is wrong.

    The file is kept for others where all images are sound.
    """
    faults: dict[int, Problem] = {}
    with suppress(_Incomplete), atomic_path(file) as temporary:
        out = squares_file(temporary, len(rows), how.size)
        faults = decode_into(out, source, rows, partial(_prepared, how=how))
        out.flush()
        if faults:
            raise _Incomplete
    return (out if faults else _mapped(file)), faults


def _prepared(image: torch.Tensor, how: Preparation) -> torch.Tensor:
    """The central pixels of an image uint8 (3, h, w) that was resized first."""
    image, to = image if how.squash else without_ends(image), how.to
    height, width = image.shape[1:]
    scale = to / min(height, width)
    sides = (to, to) if how.squash else (max(to, round(height * scale)), max(to, round(width * scale)))
    return central((image if sides == (height, width) else resized(image, sides, how.interpolation))[None], how.size)[0]


# The published study's own sizes before the central crop, where they are not that of the margin.
VALIDATION_RESIZE = {"efficientnet_b1": 255, "efficientnet_b2": 288}


def validation_resize(recipe: Recipe | None, arch: str, size: int) -> int:
    """Pixels to which validation images are resized before the central `size` are cut out.

    Networks that are not trained, and those that see their training images whole, see validation images whole.
    """
    if recipe is None or not has_random_crops(recipe, size):
        return size
    return VALIDATION_RESIZE.get(arch, round(size * MARGIN))
