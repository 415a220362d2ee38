"""From the images of a data set to the batches of a run: decoded, cropped, changed at random, normalised."""

from importlib import import_module
from typing import Any

__all__ = ["open_training_feed", "open_validation", "training_pack"]
PLACES = {"open_training_feed": "opening", "open_validation": "validation", "training_pack": "opening"}


def __getattr__(name: str) -> Any:
    """Functions are imported when they are asked for: what plans steps needs the interface alone, and no torch."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
