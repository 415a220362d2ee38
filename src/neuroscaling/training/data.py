"""The images of a run, decoded once and held in memory as uint8."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroscaling.datasets.images import load_images
from neuroscaling.datasets.index import DatasetIndex, load_index
from neuroscaling.datasets.subsets import read_subset
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.models.names import architecture
from neuroscaling.training.augment import stored_size

MEMORY_SHARE = 0.8
DEVICE_SHARE = 0.4  # of a GPU's free memory, for each of training and validation images


@dataclass(frozen=True)
class Images:
    """Images uint8 (n, 3, size, size) and labels int64 (n,).

    The labels are on the device that computes; so are the pixels, unless they are too many for it.
    """

    pixels: torch.Tensor
    labels: torch.Tensor

    def batch(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels and labels of `rows` (positions on the CPU), on the device that computes."""
        device = self.labels.device
        if isinstance(rows, slice):
            return self.pixels[rows].to(device), self.labels[rows]
        return self.pixels[rows.to(self.pixels.device)].to(device), self.labels[rows.to(device)]

    def __len__(self) -> int:
        return len(self.labels)


def training_images(run: dict[str, Any], subset: Path, device: torch.device) -> Images:
    """The images of the file `subset`, for the run's architecture and augmentation.

    Raises DataError when the subset is of other images than the run's, or an image can't be decoded.
    """
    columns, facts = read_subset(subset)
    index = load_index(run["dataset"], run["dataset_settings"], "train", run["fingerprint"])
    _check_subset(run, subset, facts, columns, index)
    _check_classes(run, index)
    size = stored_size(run["recipe"]["augmentation"], architecture(run["arch"]).input_size)
    return _decoded(run, "train", columns["index"], columns["label"], size, device)


def validation_images(run: dict[str, Any], device: torch.device) -> Images:
    """All validation images of the run's data set, at the size that its training images have."""
    index = load_index(run["dataset"], run["dataset_settings"], "validation", run["fingerprint"])
    augmentation = run["recipe"]["augmentation"] if run["recipe"] else "none"
    size = stored_size(augmentation, architecture(run["arch"]).input_size)
    return _decoded(run, "validation", np.arange(len(index)), index.labels, size, device)


def n_classes(run: dict[str, Any]) -> int:
    """Classes of the run's data set."""
    return len(load_index(run["dataset"], run["dataset_settings"], "validation", run["fingerprint"]).class_names)


def _decoded(
    run: dict[str, Any], split: str, rows: np.ndarray, labels: np.ndarray, size: int, device: torch.device
) -> Images:
    _check_memory(run["dataset"], len(rows), size)
    pixels = load_images(run["dataset"], run["dataset_settings"], split, rows, size)
    # A view with channels first, in the memory layout (channels last) that convolutions like: no second copy.
    view = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    fits = device.type != "cuda" or pixels.nbytes < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
    return Images(view.to(device) if fits else view, torch.tensor(labels, dtype=torch.int64, device=device))


def _check_subset(
    run: dict[str, Any], path: Path, facts: dict[str, Any], columns: dict[str, np.ndarray], index: DatasetIndex
) -> None:
    problems = [
        Problem(
            f"the subset's {key} is not the run's", str(path), facts[key], str(run[wanted]), fix="run `subset` again"
        )
        for key, wanted in (
            ("fingerprint", "fingerprint"),
            ("samples_per_class", "samples_per_class"),
            ("seed", "subset_seed"),
        )
        if facts[key] != run[wanted]
    ]
    gone = [
        i for row, i in zip(columns["index"], columns["image_id"], strict=True) if index.image_ids[row : row + 1] != [i]
    ]
    if gone:
        problems.append(Problem("images of the subset are not where they were", str(path), listing(gone, 5)))
    if problems:
        raise DataError(problems)


def _check_classes(run: dict[str, Any], index: DatasetIndex) -> None:
    # Labels are positions among the class folders: with other folders, accuracy would be of other classes.
    validation = load_index(run["dataset"], run["dataset_settings"], "validation", run["fingerprint"])
    differing = sorted(set(index.class_names) ^ set(validation.class_names))
    if differing:
        what = "training and validation images have different classes"
        raise DataError(
            Problem(what, f"dataset {run['dataset']}", listing(differing), fix="both need the same folders")
        )


def _check_memory(name: str, n_images: int, size: int) -> None:
    needed = n_images * size * size * 3
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > MEMORY_SHARE * there:
        raise DataError(
            Problem(
                "the decoded images don't fit into memory",
                f"dataset {name}",
                f"{n_images} images of {size} x {size} pixels, {needed / 1e9:.0f} GB",
                f"{MEMORY_SHARE * there / 1e9:.0f} GB",
                fix="train on fewer samples per class, or on a machine with more memory",
            )
        )
