"""Keys of a recipe that contradict each other. Light: imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroscaling.models import names

if TYPE_CHECKING:
    from neuroscaling.training.recipe_schema import Recipe


# Objectives with views and losses of their own, and the keys that these take the place of.
OWN_VIEWS = ("simclr", "dino")
OF_LABELS = (
    "loss",
    "label_smoothing",
    "augmentation",
    "color_jitter",
    "color_jitter_hue",
    "auto_augment",
    "random_erasing",
)
OF_CROPS = ("crop_scale", "auto_augment", "random_erasing", "color_jitter", "color_jitter_hue")


def contradictions(recipe: Recipe) -> list[tuple[str, str]]:
    """The key and what is wrong, for each thing that can't be as the recipe says."""
    groups = (_of_schedules, _of_batches, _of_architectures, _of_losses, _of_images, _of_starts)
    return [fault for group in groups for fault in group(recipe)]


def _of_schedules(recipe: Recipe) -> list[tuple[str, str]]:
    faults = []
    if recipe.warmup_epochs >= recipe.epochs:
        faults.append(("warmup_epochs", f"{recipe.warmup_epochs} must be less than epochs ({recipe.epochs})"))
    if recipe.min_learning_rate > recipe.learning_rate:
        faults.append(("min_learning_rate", f"{recipe.min_learning_rate} must not exceed learning_rate"))
    if recipe.final_weight_decay is not None and recipe.weight_decay == 0:
        faults.append(("final_weight_decay", "weight_decay must be above 0 for it to change"))
    if recipe.ema_warmup and recipe.ema is None:
        faults.append(("ema_warmup", "there is no `ema` to warm up"))
    return faults


def _of_batches(recipe: Recipe) -> list[tuple[str, str]]:
    sizes = {"micro_batch": recipe.micro_batch} if recipe.micro_batch else {}
    sizes |= {f"micro_batches.{arch}": size for arch, size in recipe.micro_batches.items()}
    return [
        (key, f"{size} does not divide batch_size ({recipe.batch_size})")
        for key, size in sizes.items()
        if size < 1 or recipe.batch_size % size
    ]


def _of_architectures(recipe: Recipe) -> list[tuple[str, str]]:
    named = [(key, arch) for key in ("drop_path", "micro_batches") for arch in getattr(recipe, key)]
    return [
        (f"{key}.{arch}", f"unknown architecture; the nearest is {names.nearest(arch) or 'none'}")
        for key, arch in named
        if not names.known(arch)
    ]


def _of_losses(recipe: Recipe) -> list[tuple[str, str]]:
    faults = []
    mixed = recipe.mixup > 0 or recipe.cutmix > 0
    if mixed and recipe.loss == "cross_entropy":
        faults.append(("loss", "mixed labels (mixup, cutmix) need `soft_target` or `bce`"))
    if mixed and recipe.objective != "supervised":
        faults.append(("mixup", f"mixup and cutmix are of `supervised` training, not of `{recipe.objective}`"))
    if recipe.objective == "adversarial" and recipe.loss != "cross_entropy":
        faults.append(("loss", "adversarial training has `cross_entropy`"))
    if recipe.objective in OWN_VIEWS and recipe.ema is not None:
        faults.append(("ema", f"not of `{recipe.objective}`: a moving average is of networks that learn from labels"))
    if recipe.objective in OWN_VIEWS:
        faults += [(key, f"`{recipe.objective}` doesn't use it") for key in _changed(recipe, OF_LABELS)]
    faults += [
        (section, f"a section of `objective: {section}`, not of `{recipe.objective}`")
        for section in ("simclr", "dino", "adversarial")
        if getattr(recipe, section) is not None and recipe.objective != section
    ]
    return faults


def _of_images(recipe: Recipe) -> list[tuple[str, str]]:
    scales = {"crop_scale": recipe.crop_scale}
    if recipe.dino:
        scales |= {"dino.global_scale": recipe.dino.global_scale, "dino.local_scale": recipe.dino.local_scale}
    faults = [
        (key, f"must be two shares of the image, smaller first, not {low:g} and {high:g}")
        for key, (low, high) in scales.items()
        if not 0 < low <= high <= 1
    ]
    faults += [
        (f"drop_path.{arch}", f"{rate} is not from 0 up to 1")
        for arch, rate in recipe.drop_path.items()
        if not 0 <= rate < 1
    ]
    unused = _changed(recipe, OF_CROPS) if recipe.augmentation != "crop_flip" else []
    if unused and recipe.objective not in OWN_VIEWS:
        faults.append(("augmentation", f"{', '.join(unused)}: only with `crop_flip`"))
    if recipe.interpolation == "lanczos" and recipe.auto_augment and not recipe.auto_augment.startswith("3a"):
        faults.append(("interpolation", "`lanczos` can't turn images, as auto_augment does: bilinear or bicubic"))
    if recipe.objective == "dino" and _changed(recipe, ("crop_scale",)):
        faults.append(("crop_scale", "`dino` has global_scale and local_scale in its own section"))
    return faults


def _changed(recipe: Recipe, keys: tuple[str, ...]) -> list[str]:
    """Those of `keys` that say something else than where they are left out."""
    return [key for key in keys if getattr(recipe, key) != type(recipe).model_fields[key].default]


def _of_starts(recipe: Recipe) -> list[tuple[str, str]]:
    if recipe.start and recipe.start.recipe == recipe.name:
        return [("start", "a recipe can't start from its own runs")]
    return []
