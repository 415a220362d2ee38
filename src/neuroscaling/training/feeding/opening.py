"""The feed of a run: which of the ways to its images serves it."""

from pathlib import Path
from typing import Any

import torch

from neuroscaling.datasets.source import Source
from neuroscaling.training.feeding.feeds import Corrupt, Resident, Supply, ViewFeed
from neuroscaling.training.feeding.interface import Feed
from neuroscaling.training.feeding.sources import pack_of, run_source
from neuroscaling.training.feeding.squares import Squares, kept_squares
from neuroscaling.training.feeding.subset import Subset, read_checked
from neuroscaling.training.feeding.workers import Preparation, Workers
from neuroscaling.training.objectives.views import has_random_crops, stored_size, views_of
from neuroscaling.training.recipe import Recipe


def open_training_feed(
    run: dict[str, Any], subset: Path, size: int, recipe: Recipe, device: torch.device, operating: dict[str, Any]
) -> Feed:
    """The images of the file `subset`, as the views of `recipe` for a network whose input has `size` pixels a side.

    operating: `workers`, `resident_gb`, `packs`, `stage`, `scratch`, `cache_dir`; they change how images are reached,
    not what a run is fed (but for rounding, and for a pack's JPEG). Where crops are of stored squares, these are
    decoded once and kept, on the GPU where they fit. Otherwise, and where timm's policies change images one by one,
    worker processes prepare each step. Raises DataError when the subset is of other images than the run's, or more
    images are corrupt than the data set's `corrupt_limit`.
    """
    specs, stored = views_of(recipe, size), _stored(recipe, size)
    source = run_source(run, "train", stored, operating)
    images = read_checked(run, subset, source.index)
    from_squares = stored is not None and not any(spec.auto_augment for spec in specs)
    apart = device.type == "cpu" and all(spec.crop == "random" for spec in specs)
    squares = _squares(run, source, images, stored, device, operating) if from_squares else None
    supply: Supply | None = Resident(squares, images, apart) if squares else None
    if supply is None:
        prepared = () if from_squares else specs
        supply = _workers(run, Preparation(source, images, prepared, stored), recipe, device, operating)
    corrupt = Corrupt(run["dataset"], run["dataset_settings"].get("corrupt_limit", 0), source.index.image_ids)
    return ViewFeed(images, specs, run["seed"], supply, from_squares, corrupt)


def training_pack(run: dict[str, Any], size: int, recipe: Recipe, operating: dict[str, Any]) -> Path | None:
    """The folder of the pack that the training images are read from; None where it is the data set's own files."""
    return pack_of(run, "train", _stored(recipe, size), operating)


def _stored(recipe: Recipe, size: int) -> int | None:
    """Side of the squares that images are made into before anything else; None where crops are of the originals."""
    originals = recipe.crops == "originals" and has_random_crops(recipe, size)
    return None if originals else stored_size(recipe, size)


def _squares(
    run: dict[str, Any], source: Source, images: Subset, side: int, device: torch.device, operating: dict[str, Any]
) -> Squares | None:
    what = [run["dataset"], run["dataset_settings"], run["fingerprint"], operating.get("packs"), "train"]
    return kept_squares(source, what, side, images.rows, device, operating.get("resident_gb"))


def _workers(
    run: dict[str, Any], preparation: Preparation, recipe: Recipe, device: torch.device, operating: dict[str, Any]
) -> Supply:
    return Workers(preparation, run["seed"], recipe.batch_size, operating.get("workers") or 0, device)
