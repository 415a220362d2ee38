"""timm's policies of automatic augmentation (RandAugment, ThreeAugment ...), image by image, by PIL."""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import augment_and_mix_transform, auto_augment_transform, posterize, rand_augment_transform
from timm.data.transforms import str_to_pil_interp

from neuroscaling.training.feeding.normal import MEAN
from neuroscaling.training.objectives.views import ViewSpec

TRANSLATION = 0.45  # of the side, at most: as in timm's own training transforms


@cache
def policy(spec: ViewSpec) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """A view's `auto_augment`: changes an image uint8 (3, s, s) as a seed says.

    timm draws from Python's and numpy's global states: they are seeded and put back.
    """
    change = _with_black(_policy(spec))

    def changed(image: torch.Tensor, seed: int) -> torch.Tensor:
        before = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        picture = change(Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()))
        random.setstate(before[0])
        np.random.set_state(before[1])
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    return changed


def _policy(spec: ViewSpec) -> Callable[[Image.Image], Image.Image]:
    words = spec.auto_augment
    options = {
        "translate_const": int(spec.size * TRANSLATION),
        "img_mean": tuple(min(255, round(255 * mean)) for mean in MEAN),
        "interpolation": str_to_pil_interp(spec.interpolation),
    }
    if words.startswith("rand"):
        return rand_augment_transform(words, options)
    if words.startswith("augmix"):
        return augment_and_mix_transform(words, options | {"translate_pct": 0.3})
    return auto_augment_transform(words, options)


def _with_black(change: Callable) -> Callable:
    """timm's policy, whose strongest posterisation keeps no bits: black in older Pillows, an error in Pillow 13."""
    operations = change.ops if hasattr(change, "ops") else [one for several in change.policy for one in several]
    for operation in operations:
        if operation.aug_fn is posterize:
            operation.aug_fn = _posterized
    return change


def _posterized(image: Image.Image, bits_to_keep: int, **options: Any) -> Image.Image:
    return posterize(image, bits_to_keep, **options) if bits_to_keep > 0 else Image.new(image.mode, image.size)
