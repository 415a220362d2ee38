"""Simulated choices in a match-to-sample task, in the format of Rajalingham2018.public."""

from pathlib import Path

import numpy as np

from neuroscaling.simulate.electrophysiology import object_stimuli, write_netcdf, write_stimuli
from neuroscaling.simulate.features import FeatureBank, decision_values
from neuroscaling.simulate.images import Scenes, balanced_order
from neuroscaling.simulate.record import Truth
from neuroscaling.study.benchmarks import DATA_SETS
from neuroscaling.study.simulated_brains import BrainSettings

BIAS = 1.0
GAIN = 1.75
"""Log odds of the right choice: BIAS at the mean difference in evidence, GAIN more a standard deviation of it."""
TRIALS = 30
"""Trials for each image and distractor."""


def write_choices(
    root: Path, settings: BrainSettings, bank: FeatureBank, scenes: Scenes, rng: np.random.Generator
) -> list[Truth]:
    """Choices between the digit shown and each other digit, from the difference of the evidence for both."""
    import xarray as xr  # heavy, and for the files of recordings alone

    data_set = DATA_SETS["Rajalingham2018.public"]
    shown = scenes.take(balanced_order(scenes.labels, rng)[: settings.stimuli // 2])
    stimuli = object_stimuli(shown, "objectome")
    write_stimuli(root, data_set, stimuli, shown.pixels)
    evidence = decision_values(shown.pixels, bank.classifiers)
    probability = choice_probability(evidence, shown.labels)
    image, distractor = (rows.repeat(TRIALS) for rows in np.nonzero(~np.isnan(probability)))
    right = rng.random(len(image)) < probability[image, distractor]
    sample = np.array([f"digit{label}" for label in shown.labels])[image]
    other = np.array([f"digit{label}" for label in distractor])
    choice = np.where(right, sample, other)
    ids = [stimulus["stimulus_id"] for stimulus in stimuli]
    coords = {
        "stimulus_id": ("presentation", np.array(ids)[image]),
        "sample_obj": ("presentation", sample),
        "dist_obj": ("presentation", other),
        "choice": ("presentation", choice),
        "truth": ("presentation", sample),
    }
    write_netcdf(xr.DataArray(choice, coords, ("presentation",), name=data_set.assembly), root / data_set.assembly_file)
    reliability = np.ones(evidence.shape[1])
    return [Truth(data_set.data, ids, evidence, probability, np.eye(evidence.shape[1]), reliability)]


def choice_probability(evidence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability (images, distractors) of choosing the digit shown; NaN where it is the distractor."""
    difference = np.take_along_axis(evidence, labels[:, None], 1) - evidence
    np.put_along_axis(difference, labels[:, None], np.nan, 1)
    scaled = (difference - np.nanmean(difference)) / np.nanstd(difference)
    return 1 / (1 + np.exp(-BIAS - GAIN * scaled))
