"""What is done to an image before a network sees it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neuroscaling.images import ImageFile, picture
from neuroscaling.models.dotted import is_dotted
from neuroscaling.models.names import ONE_PEACE, OWN, architecture
from neuroscaling.models.published_weights import COLOURS, IMAGENET, presentation

IMAGENET_MEAN, IMAGENET_STD = IMAGENET
CLIP_MEAN, CLIP_STD = COLOURS["clip"]


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square (antialiased), cut the middle `crop` of its side, scale to 0..1, subtract `mean`, divide.

    size: pixels of each side that the network gets; crop: 1 for all of the image.
    """

    size: int
    interpolation: str = "bilinear"
    crop: float = 1.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    mode: str = "RGB"

    def load(self, file: ImageFile | Path) -> np.ndarray:
        """The image as uint8 (size, size, 3), or (size, size) for mode "L".

        Raises DataError for a damaged file, and for one that holds another image than it should.
        """
        file = file if isinstance(file, ImageFile) else ImageFile(file)
        side = int(self.size / self.crop)
        image = picture(file.read(), str(file.path)).convert("RGB").convert(self.mode)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling[self.interpolation.upper()])
        edge = round((side - self.size) / 2)
        return np.asarray(image)[edge : edge + self.size, edge : edge + self.size]

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        crop = {} if self.crop == 1 else {"crop": self.crop}
        resize = {"size": self.size, "interpolation": f"{self.interpolation}, antialiased", **crop}
        return {"colour": "RGB", **resize, "mean": list(self.mean), "std": list(self.std)}


def preprocessing(run: dict[str, Any], normalise: bool = True, crop: bool = True) -> Preprocessing:
    """That of a run: for published weights what they were published with, otherwise that of training here.

    normalise: False leaves values in 0..1, without mean and standard deviation; crop: False resizes all of the image to
    the network's input, without cutting its edges off.
    """
    own = _own(run)
    own = own if normalise else replace(own, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return own if crop else replace(own, crop=1.0)


def _own(run: dict[str, Any]) -> Preprocessing:
    arch = architecture(run["arch"])
    if run["kind"] != "pretrained":
        return Preprocessing(arch.input_size)
    if arch.timm_name == ONE_PEACE:
        return Preprocessing(arch.input_size, "bicubic", 1.0, CLIP_MEAN, CLIP_STD)  # as it was published
    if is_dotted(arch.timm_name) or arch.timm_name.startswith(OWN):  # weights of which only a folder has any
        return Preprocessing(arch.input_size)
    shown = presentation(run["arch"])
    if shown is None:
        return Preprocessing(arch.input_size)
    return Preprocessing(arch.input_size, shown.interpolation, shown.crop, shown.mean, shown.std)
