"""How fast a job's CPUs feed a run with images: not at all where these are decoded once, else by the core. Light."""

from neuroscaling.calibration.gpus import Interval
from neuroscaling.calibration.work import Work
from neuroscaling.config import Training

# Images a second for each core, stated: read from JPEG files or from a pack of 256 pixels, cropped and resized; and
# where timm's policies (RandAugment, ThreeAugment) change images one by one on top of it.
STREAMED = Interval(400, 1000, 1900)
BY_POLICY = Interval(150, 300, 500)
RESIDENT = 64e9
"""Bytes of decoded images that a job is taken to have room for, where the study does not say (`resident_gb`)."""
CHANNELS = 3


def feeding_rate(work: Work, training: Training) -> Interval | None:
    """Images a second for each GPU of a job of `work`'s run; None where its images are decoded once and stay.

    training: the study's; a large run's GPUs share the cores of their node.
    """
    cores = training.cpus / (training.gpus if work.images_seen > training.small else 1)
    if work.by_policy:
        return BY_POLICY.times(cores)
    room = RESIDENT if training.resident_gb is None else training.resident_gb * 1e9
    decoded = work.n_samples * CHANNELS * work.stored_side**2
    return None if work.from_squares and decoded <= room else STREAMED.times(cores)
