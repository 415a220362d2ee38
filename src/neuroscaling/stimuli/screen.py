"""Images on a screen of another visual angle, by the rule of Brain-Score.

Source: brainscore_vision 2.4.2, `benchmark_helpers/screen.py`, class ImageConverter.
"""

import numpy as np
from PIL import Image

BACKGROUND = "gray"


def place_on_screen(image: Image.Image, source_degrees: float, target_degrees: float) -> Image.Image:
    """`image`, `source_degrees` wide, as a screen of `target_degrees` shows it, at the same pixels a degree.

    A larger screen shows the image in the middle of gray (128); a smaller one shows its centre. Equal degrees return
    the image itself.
    """
    if source_degrees == target_degrees:
        return image
    ratio = target_degrees / source_degrees
    size = np.array(image.size)
    target = (ratio * size).round().astype(int)
    return _pad(image, size, target) if ratio >= 1 else _crop(image, size, target)


def _pad(image: Image.Image, size: np.ndarray, target: np.ndarray) -> Image.Image:
    screen = Image.new("RGB", tuple(target.tolist()), BACKGROUND)
    screen.paste(image, tuple(((target - size) / 2).round().astype(int).tolist()))
    return screen


def _crop(image: Image.Image, size: np.ndarray, target: np.ndarray) -> Image.Image:
    left, upper = ((size - target) / 2).round().astype(int).tolist()
    width, height = target.tolist()
    return image.crop((left, upper, left + width, upper + height))
