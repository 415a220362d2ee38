"""The views of an image that an objective sees: crops of the image, changed at random. Light: imports no torch.

Changes come in the order of the fields: crop, flip, auto_augment, colour jitter, gray, blur, solarize; erasing, last,
is of normalised pixels.
"""

from dataclasses import dataclass, replace
from typing import Literal

from neuroscaling.study.recipe_parts import Dino, Simclr
from neuroscaling.study.recipes import Recipe

# Of brightness, contrast, saturation and hue, at strength 1: SimCLR's and DINO's.
SIMCLR_JITTER = (0.8, 0.8, 0.8, 0.2)
DINO_JITTER = (0.4, 0.4, 0.2, 0.1)

# Photographs are kept larger than the network's input, as 256 is to 224.
MARGIN = 256 / 224


@dataclass(frozen=True)
class ViewSpec:
    """How one view of an image is made.

    size: pixels of each side; crop: `none`: the central square; `shift`: that, moved by up to an eighth of its side;
    `random`: a random part whose area is `crop_scale` of the image's and whose aspect is 3/4 to 4/3, resized by
    `interpolation`; flip: probability of mirroring; auto_augment: a policy in timm's words; jitter: reach of
    brightness, contrast, saturation (each a factor 1 - reach to 1 + reach) and hue (in turns), in random order, with
    probability `jitter_probability`; gray, blur, solarize, erasing: probabilities; blur_sigma: in pixels of the view;
    pixels (0 to 255) of `solarize_threshold` or more are inverted.
    """

    size: int
    crop: Literal["none", "shift", "random"] = "random"
    crop_scale: tuple[float, float] = (0.08, 1.0)
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    flip: float = 0.0
    auto_augment: str | None = None
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter_probability: float = 1.0
    gray: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0
    solarize_threshold: int = 128
    erasing: float = 0.0


def views_of(recipe: Recipe, size: int) -> tuple[ViewSpec, ...]:
    """The views of each training image, for a network whose input has `size` pixels a side."""
    match recipe.section:
        case Simclr() as numbers:
            return (_simclr(recipe, numbers, size),) * 2
        case Dino() as numbers:
            return _dino(recipe, numbers, size)
        case _:
            return (_supervised(recipe, size),)


def has_random_crops(recipe: Recipe, size: int) -> bool:
    """Whether any view of an image is a random part of it."""
    return any(view.crop == "random" for view in views_of(recipe, size))


def stored_size(recipe: Recipe, size: int) -> int:
    """Side of the squares that training images are kept as, for a network whose input has `size` pixels a side."""
    return round(size * MARGIN) if has_random_crops(recipe, size) else size


def image_passes(recipe: Recipe, size: int) -> float:
    """Cost of a training image in units of its forward and backward pass, so that FLOPs are 3 flops n image_passes.

    A forward pass is one third of a unit, and so is a backward pass to the pixels alone (FFGSM's); small crops count by
    their area. DINO's heads are not counted, nor is anything but the network.
    """
    views = views_of(recipe, size)
    seen = sum((view.size / size) ** 2 for view in views)
    match recipe.objective:
        case "adversarial":  # the attack: forward, and backward to the pixels
            return seen + 2 / 3
        case "dino":  # the teacher: forward, for the two large crops
            return seen + 2 / 3
        case _:
            return float(seen)


def _supervised(recipe: Recipe, size: int) -> ViewSpec:
    """One view; without random crops, the images keep their colours too."""
    if recipe.augmentation != "crop_flip":
        return ViewSpec(size, recipe.augmentation, interpolation=recipe.interpolation)
    return ViewSpec(
        size,
        crop_scale=recipe.crop_scale,
        interpolation=recipe.interpolation,
        flip=0.5,
        auto_augment=recipe.auto_augment,
        jitter=(*(recipe.color_jitter,) * 3, recipe.color_jitter_hue),
        erasing=recipe.random_erasing,
    )


def _simclr(recipe: Recipe, numbers: Simclr, size: int) -> ViewSpec:
    """SimCLR's view (Chen et al. 2020, appendix A)."""
    brightness, contrast, saturation, hue = (reach * numbers.jitter for reach in SIMCLR_JITTER)
    return ViewSpec(
        size,
        crop_scale=recipe.crop_scale,
        interpolation=recipe.interpolation,
        flip=0.5,
        jitter=(brightness, contrast, saturation, hue),
        jitter_probability=0.8,
        gray=0.2,
        blur=0.5,
    )


def _dino(recipe: Recipe, numbers: Dino, size: int) -> tuple[ViewSpec, ...]:
    """Two large crops, then the small ones (Caron et al. 2021, section 3.1 and the reference implementation)."""
    large = ViewSpec(
        size,
        crop_scale=numbers.global_scale,
        interpolation=recipe.interpolation,
        flip=0.5,
        jitter=DINO_JITTER,
        jitter_probability=0.8,
        gray=0.2,
        blur=1.0,
    )
    other = replace(large, blur=0.1, solarize=0.2)
    small = replace(large, size=round(size * numbers.local_share), crop_scale=numbers.local_scale, blur=0.5)
    return (large, other, *(small,) * numbers.local_crops)
