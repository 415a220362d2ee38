"""A network that others trained is tried on validation images, and its accuracy compared with what its table says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from neuroscaling.activations.networks import exact_and_fast, normalise
from neuroscaling.activations.stimulus_images import BATCH, load, preprocessing
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.images import ImageFile
from neuroscaling.core.records import RUN_RECORD, checked_weights, read_run
from neuroscaling.datasets.format_folders import read_folders
from neuroscaling.models.batch_independence import never_one
from neuroscaling.models.checkpoints import build_with
from neuroscaling.study.checkpoint_tables import Checkpoint
from neuroscaling.study.run_table import Run

AGREES, DIFFERS, OTHER_ORDER = "agrees", "differs", "another order of classes"
ERRORS = 3.0
"""An accuracy agrees within so many binomial errors."""
ENOUGH = 5
"""Images of a class from which a wrong order of classes is told from chance."""


@dataclass(frozen=True)
class ValidationImages:
    """Images in class folders: files, the class of each (n,), and names of the classes in the order of the labels."""

    files: Sequence[ImageFile]
    labels: np.ndarray
    classes: Sequence[str]

    @classmethod
    def of(cls, folder: Path) -> "ValidationImages":
        """Those below `folder`, one folder a class; classes are numbered in the order of their names.

        Raises DataError for a folder that is missing or has no images.
        """
        found = read_folders(folder)
        files = [ImageFile(folder / name) for name in found.names]
        if not files:
            fix = "put the validation images into one folder a class"
            raise DataError(Problem(what="no images in class folders", where=str(folder), fix=fix))
        return cls(files, np.asarray(found.labels), found.class_names)


@dataclass(frozen=True)
class Accuracy:
    """Of one network. stated: top-1 of its table; found: on the images; error: binomial, of the stated one on as many
    images; assigned: with outputs given to classes as they fit best, one to one; all fractions of 1.
    """

    stated: float
    found: float
    error: float
    assigned: float
    fewest: int

    @property
    def verdict(self) -> str:
        """Whether both agree; and where they don't, whether the classes of the images have another order."""
        if abs(self.found - self.stated) <= ERRORS * self.error:
            return AGREES
        is_reordered = self.fewest >= ENOUGH and self.assigned >= self.stated - ERRORS * self.error
        return OTHER_ORDER if is_reordered and self.found < self.stated else DIFFERS


def network_file(run: Run, folder: Path) -> Path | None:
    """The weights of a checkpoint: of its run in `folder`, else its own file; None where neither is on this disk."""
    one = _checkpoint(run)
    record = folder / RUN_RECORD
    if record.is_file() and read_run(record).failure is None and not read_run(record).lacks_weights(folder):
        return checked_weights(folder)
    return None if one.is_url or not Path(one.place).is_file() else Path(one.place)


def accuracy_of(run: Run, file: Path, images: ValidationImages, device: torch.device) -> Accuracy:
    """The accuracy of the network in `file`, shown images as extraction shows them.

    Raises DataError for another number of classes than the network puts out, for images that can't be decoded, and for
    a checkpoint whose table states no accuracy.
    """
    one = _checkpoint(run)
    if one.acc is None:
        raise DataError(Problem(what="its table states no accuracy", where=run.run, value=one.id))
    model = build_with(run.arch, file, one.ema).to(device).eval()
    outputs = _outputs(run, model, images, device)
    n, classes = len(images.labels), len(images.classes)
    if outputs.shape[1] != classes:
        what, fix = "the images have another number of classes than the network", "name the images it was trained on"
        allowed = f"{outputs.shape[1]} class folders"
        raise DataError(Problem(what=what, where=run.run, value=f"{classes} class folders", allowed=allowed, fix=fix))
    chosen = outputs.argmax(1)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (images.labels, chosen), 1)
    best = counts[linear_sum_assignment(counts, maximize=True)].sum()
    share = min(max(one.acc, 1 / n), 1 - 1 / n)
    fewest = int(np.bincount(images.labels, minlength=classes).min())
    return Accuracy(one.acc, counts.trace() / n, float(np.sqrt(share * (1 - share) / n)), best / n, fewest)


def _outputs(run: Run, model: nn.Module, images: ValidationImages, device: torch.device) -> np.ndarray:
    """Logits (n, classes) of all images."""
    preprocess = preprocessing(run.arch, run.kind, share=_checkpoint(run).crop)
    portions = [images.files[start : start + BATCH] for start in range(0, len(images.files), BATCH)]
    found = []
    with exact_and_fast(device, "none"):
        for portion, pixels in zip(portions, load(portions, preprocess), strict=True):
            outputs = model(never_one(normalise(pixels, device, preprocess)))
            found.append(outputs[: len(portion)].float().cpu().numpy())
    return np.concatenate(found)


def _checkpoint(run: Run) -> Checkpoint:
    if run.checkpoint is None:
        raise DataError(Problem(what="a run without a checkpoint", where=run.run))
    return run.checkpoint
