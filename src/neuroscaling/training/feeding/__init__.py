"""From the images of a data set to the batches of a run: decoded, cropped, changed at random, normalised."""

from neuroscaling.training.feeding.opening import open_training_feed, training_pack
from neuroscaling.training.feeding.validation import open_validation

__all__ = ["open_training_feed", "open_validation", "training_pack"]
