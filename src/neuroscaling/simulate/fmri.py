"""Simulated fMRI in the directory layout of the Algonauts 2023 Challenge (github.com/gifale95/algonauts_2023).

Single-trial responses are z-scored per vertex and averaged over three repetitions, as the challenge's betas are.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.simulate.features import FeatureBank, draw_tuning
from neuroscaling.simulate.fmri_files import Hemisphere, draw_places, write_fmri, write_images
from neuroscaling.simulate.images import Scenes, balanced_order, write_png
from neuroscaling.simulate.record import Truth
from neuroscaling.study.recording_folders import HEMISPHERES, NSD_IMAGE_SIZE, nsd_stimulus_id
from neuroscaling.study.simulated_brains import BROKEN, MISSING, Area, BrainSettings, areas_of, roi_names, subject_sizes

REPETITIONS = 3
RELIABILITY = (0.3, 0.85)


def write_subjects(
    root: Path,
    settings: BrainSettings,
    bank: FeatureBank,
    scenes: Scenes,
    rng: np.random.Generator,
    withheld: bool = False,
) -> list[Truth]:
    """One folder a subject. Subjects share images and differ in vertices, images, ROIs and noise; see `fmri_areas`.

    withheld: without test responses and noise ceilings, as the public archive is.
    """
    order = balanced_order(scenes.labels, rng)
    shown = order[: settings.algonauts_train + settings.algonauts_test]
    images = _image_files(root, scenes, shown)
    features = _features(bank, scenes, shown)
    truths = []
    for number in range(1, settings.algonauts_subjects + 1):
        n_train, n_test, vertices = subject_sizes(settings, number)
        train = np.sort(order[:n_train])
        test = np.sort(order[settings.algonauts_train :][:n_test])
        subject = root / f"subj{number:02d}"
        write_images(subject, "training", images, train)
        write_images(subject, "test", images, test)
        rows = np.concatenate([train, test])
        hemispheres = {}
        for side in HEMISPHERES:
            areas = areas_of(vertices[side])
            response = _respond({region: values[rows] for region, values in features.items()}, areas, rng)
            hemispheres[side] = _hemisphere(response, areas, number, side, rng)
            truths.append(_truth(response, f"algonauts2023-{subject.name}-{side}", rows))
        write_fmri(subject, hemispheres, np.full(len(rows), REPETITIONS), n_train, withheld)
    shutil.rmtree(root / "images")
    return truths


def _features(bank: FeatureBank, scenes: Scenes, shown: np.ndarray) -> dict[str, np.ndarray]:
    """Return features by region of all scenes, (scenes, features); 0 for those that nobody sees."""
    found = bank.features(scenes.pixels[shown])
    features = {region: np.zeros((len(scenes.labels), values.shape[1])) for region, values in found.items()}
    for region, values in found.items():
        features[region][shown] = values
    return features


@dataclass(frozen=True)
class Response:
    """A hemisphere's response to its images: mean over repetitions (images, vertices), ncsnr, and what made them."""

    mean: np.ndarray
    ncsnr: np.ndarray
    features: np.ndarray
    clean: np.ndarray
    weights: np.ndarray
    reliability: np.ndarray


def _hemisphere(response: Response, areas: list[Area], number: int, side: str, rng: np.random.Generator) -> Hemisphere:
    responses = response.mean.copy()
    broken = BROKEN.get((number, side))
    if broken:
        responses[:, -1] = np.nan if broken == "nan" else 0
    rois = roi_names(areas, MISSING.get(number, ()))
    ceiling = ceiling_of_mean(response.ncsnr, REPETITIONS)
    return Hemisphere(responses, ceiling, response.ncsnr, rois, draw_places(len(areas), rng))


def _truth(response: Response, name: str, rows: np.ndarray) -> Truth:
    ids = [nsd_stimulus_id(int(row)) for row in rows]
    return Truth(name, ids, response.features, response.clean, response.weights, response.reliability)


def _respond(by_region: dict[str, np.ndarray], areas: list[Area], rng: np.random.Generator) -> Response:
    """Return responses to images with features (images, features) by region."""
    n_categories = by_region["IT"].shape[1]
    features = np.hstack([by_region["V1"], by_region["V2"], by_region["V4"]])
    first = {"V1": 0, "V2": by_region["V1"].shape[1], "V4": by_region["V1"].shape[1] + by_region["V2"].shape[1]}
    first["IT"] = features.shape[1] - n_categories
    weights = np.zeros((features.shape[1], len(areas)))
    clean = np.empty((len(features), len(areas)))
    reliability = np.empty(len(areas))
    for vertex, area in enumerate(areas):
        own = by_region[area.features]
        tuning = draw_tuning(
            area.features, own.shape[1], 1, rng, RELIABILITY, n_categories if area.features in ("V4", "IT") else 0
        )
        weights[first[area.features] :][: own.shape[1], vertex] = tuning.weights[:, 0]
        clean[:, vertex] = tuning.clean(own)[:, 0]
        reliability[vertex] = tuning.reliability[0]
    noise = np.sqrt(REPETITIONS * clean.var(0) * (1 - reliability) / reliability)
    trials = clean + noise * rng.standard_normal((REPETITIONS, *clean.shape))
    trials = (trials - trials.mean((0, 1))) / trials.std((0, 1))
    return Response(trials.mean(0), ncsnr_of(trials), features, clean, weights, reliability)


def noise_ceiling(trials: np.ndarray) -> np.ndarray:
    """Return the explainable share (vertices,) of the variance of the mean of `trials`.

    trials: (repetitions, images, vertices).
    """
    return ceiling_of_mean(ncsnr_of(trials), len(trials))


def ncsnr_of(trials: np.ndarray) -> np.ndarray:
    """Return the signal-to-noise ratio (vertices,) of single trials (repetitions, images, vertices).

    Allen and others (2022): noise variance from the repetitions (ddof 1), signal variance what is left of the total,
    ncsnr the root of their ratio.
    """
    noise = trials.var(0, ddof=1).mean(0)
    return np.sqrt(np.maximum(trials.var((0, 1)) - noise, 0) / noise)


def ceiling_of_mean(ncsnr: np.ndarray, repetitions: int) -> np.ndarray:
    """Return the noise ceiling of the mean of K repetitions: ncsnr^2 / (ncsnr^2 + 1/K) (Allen and others 2022)."""
    return ncsnr**2 / (ncsnr**2 + 1 / repetitions)


def _image_files(root: Path, scenes: Scenes, rows: np.ndarray) -> dict[int, Path]:
    """Return each image once, to be copied to the subjects that saw it."""
    (root / "images").mkdir(parents=True)
    files = {int(row): root / "images" / f"{row}.png" for row in rows}
    for row, file in files.items():
        write_png(file, scenes.pixels[row], NSD_IMAGE_SIZE)
    return files
