"""Simulated recordings and choices of monkeys, in Brain-Score's own files."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.simulate.features import FeatureBank, Tuning, decision_values, draw_tuning
from neuroscaling.simulate.images import Scenes, balanced_order, phase_scrambled, write_png
from neuroscaling.simulate.record import Truth
from neuroscaling.study.benchmarks import DATA_SETS, DataSet
from neuroscaling.study.sections.simulated_brains import BrainSettings

RELIABILITY = (0.6, 0.9)
OBJECT_WINDOW = (70, 170)
TEXTURE_WINDOW = (50, 200)


def write_object_recordings(
    root: Path, settings: BrainSettings, bank: FeatureBank, scenes: Scenes, rng: np.random.Generator
) -> list[Truth]:
    """V4 and IT in the format of MajajHong2015.public: one bin of 70-170 ms, `object_name` is the digit."""
    data_set = DATA_SETS["MajajHong2015.public"]
    shown = scenes.take(balanced_order(scenes.labels, rng)[: settings.stimuli])
    stimuli = object_stimuli(shown, "hvm")
    write_stimuli(root, data_set, stimuli, shown.pixels)
    features = bank.features(shown.pixels)
    tunings = [_draw(region, features, settings, rng) for region in ("V4", "IT")]
    write_recordings(root, data_set, stimuli, tunings, features, settings.repetitions, [OBJECT_WINDOW], rng)
    return [_truth(data_set, stimuli, tuning, features) for tuning in tunings]


def write_texture_recordings(
    root: Path, settings: BrainSettings, bank: FeatureBank, scenes: Scenes, rng: np.random.Generator
) -> list[Truth]:
    """V1 and V2 in the format of FreemanZiemba2013.public: 1-ms bins, digits and their phase-scrambled twins."""
    data_set = DATA_SETS["FreemanZiemba2013.public"]
    n = settings.stimuli // 2
    shown = scenes.take(balanced_order(scenes.labels, rng)[:n])
    both = Scenes(
        np.concatenate([shown.pixels, phase_scrambled(shown.pixels, rng)]),
        np.concatenate([shown.labels] * 2),
        shown.digit_ids * 2,
    )
    kinds = ["texture"] * n + ["noise"] * n
    stimuli = [
        _stimulus(f"{kind}-{digit}", texture_type=kind) for kind, digit in zip(kinds, both.digit_ids, strict=True)
    ]
    write_stimuli(root, data_set, stimuli, both.pixels)
    features = bank.features(both.pixels)
    tunings = [_draw(region, features, settings, rng) for region in ("V1", "V2")]
    bins = [(t, t + 1) for t in range(*TEXTURE_WINDOW)]
    write_recordings(root, data_set, stimuli, tunings, features, settings.repetitions, bins, rng)
    return [_truth(data_set, stimuli, tuning, features) for tuning in tunings]


def object_stimuli(shown: Scenes, prefix: str) -> list[dict[str, Any]]:
    """Return rows of a stimulus CSV with the digit as the object."""
    names = [f"digit{label}" for label in shown.labels]
    return [
        _stimulus(f"{prefix}-{i}", object_name=n, image_label=n) for i, n in zip(shown.digit_ids, names, strict=True)
    ]


def write_stimuli(root: Path, data_set: DataSet, stimuli: Sequence[dict[str, Any]], pixels: np.ndarray) -> None:
    """The stimulus set's CSV and folder of images."""
    folder = root / data_set.stimulus_stem
    folder.mkdir(parents=True)
    for stimulus, image in zip(stimuli, pixels, strict=True):
        write_png(folder / stimulus["filename"], image)
    with open(root / f"{data_set.stimulus_stem}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(stimuli[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(stimuli)


def write_recordings(
    root: Path,
    data_set: DataSet,
    stimuli: Sequence[dict[str, Any]],
    tunings: Sequence[Tuning],
    features: dict[str, np.ndarray],
    repetitions: int,
    bins: list[tuple[int, int]],
    rng: np.random.Generator,
) -> None:
    """Responses (repetitions x images, neuroids, bins) as a netCDF assembly."""
    import xarray as xr  # heavy, and for the files of recordings alone

    trials = [t.repetitions(t.clean(features[t.region]), repetitions, rng) for t in tunings]
    rates = np.concatenate(trials, 2).reshape(repetitions * len(stimuli), -1)
    values = (rates[:, :, None] * time_course(len(bins))).astype(np.float32)
    regions = [t.region for t in tunings for _ in range(t.weights.shape[1])]
    coords = {
        "stimulus_id": ("presentation", [s["stimulus_id"] for s in stimuli] * repetitions),
        "repetition": ("presentation", np.repeat(np.arange(repetitions), len(stimuli))),
        "neuroid_id": ("neuroid", [f"{region}-{i:04d}" for i, region in enumerate(regions)]),
        "region": ("neuroid", regions),
        "time_bin_start": ("time_bin", [start for start, _ in bins]),
        "time_bin_end": ("time_bin", [end for _, end in bins]),
    }
    if data_set.data.startswith("MajajHong2015"):
        # Brain-Score's loader needs a third coordinate here, and breaks on a third one in FreemanZiemba2013.
        coords["animal"] = ("neuroid", ["simulated"] * len(regions))
    assembly = xr.DataArray(values, coords, ("presentation", "neuroid", "time_bin"), name=data_set.assembly)
    assembly.attrs = {"simulated": "yes: made from images by a known rule, not recorded"}
    write_netcdf(assembly, root / data_set.assembly_file)


def write_netcdf(assembly: Any, path: Path) -> None:
    """Write an assembly, compressed, with the variable name that Brain-Score's files have."""
    name = assembly.name or path.stem
    compressed = {} if assembly.dtype.kind == "U" else {name: {"zlib": True, "complevel": 1}}
    assembly.rename(name).to_netcdf(path, encoding=compressed, engine="netcdf4")


def time_course(n_bins: int) -> np.ndarray:
    """Return the rate over time (n_bins,), mean 1: constant in one bin, else a transient and a plateau."""
    if n_bins == 1:
        return np.ones(1)
    course = 0.5 + np.exp(-0.5 * ((np.arange(n_bins) - 30) / 15) ** 2)
    return course / course.mean()


def _stimulus(stimulus_id: str, **columns: Any) -> dict[str, Any]:
    return {"stimulus_id": stimulus_id, "filename": f"{stimulus_id}.png", **columns}


def _draw(region: str, features: dict[str, np.ndarray], settings: BrainSettings, rng: np.random.Generator) -> Tuning:
    n_categories = features["IT"].shape[1] if region in ("V4", "IT") else 0
    return draw_tuning(region, features[region].shape[1], settings.neuroids_per_region, rng, RELIABILITY, n_categories)


def _truth(
    data_set: DataSet, stimuli: Sequence[dict[str, Any]], tuning: Tuning, features: dict[str, np.ndarray]
) -> Truth:
    ids = [stimulus["stimulus_id"] for stimulus in stimuli]
    own = features[tuning.region]
    return Truth(f"{data_set.data}-{tuning.region}", ids, own, tuning.clean(own), tuning.weights, tuning.reliability)


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
