"""timm's policies of automatic augmentation (RandAugment, ThreeAugment ...), image by image, by PIL."""

import random

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import augment_and_mix_transform, auto_augment_transform, rand_augment_transform
from timm.data.transforms import str_to_pil_interp

from neuroscaling.training.feeding.normal import MEAN
from neuroscaling.training.objectives.views import ViewSpec

TRANSLATION = 0.45  # of the side, at most: as in timm's own training transforms


class Policy:
    """A view's `auto_augment`. timm draws from Python's and numpy's global states: they are seeded and put back."""

    def __init__(self, spec: ViewSpec):
        words = spec.auto_augment
        options = {
            "translate_const": int(spec.size * TRANSLATION),
            "img_mean": tuple(min(255, round(255 * mean)) for mean in MEAN),
            "interpolation": str_to_pil_interp(spec.interpolation),
        }
        if words.startswith("rand"):
            self._change = rand_augment_transform(words, options)
        elif words.startswith("augmix"):
            self._change = augment_and_mix_transform(words, options | {"translate_pct": 0.3})
        else:
            self._change = auto_augment_transform(words, options)

    def __call__(self, images: torch.Tensor, seeds: np.ndarray) -> torch.Tensor:
        """Images uint8 (n, 3, s, s), each changed as its seed says."""
        before = random.getstate(), np.random.get_state()
        out = torch.empty_like(images)
        for i, seed in enumerate(seeds.tolist()):
            random.seed(seed)
            np.random.seed(seed)
            changed = self._change(Image.fromarray(images[i].permute(1, 2, 0).contiguous().numpy()))
            out[i] = torch.from_numpy(np.array(changed)).permute(2, 0, 1)
        random.setstate(before[0])
        np.random.set_state(before[1])
        return out
