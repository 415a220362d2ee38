"""Simulated fMRI in the directory layout of the Algonauts 2023 Challenge (github.com/gifale95/algonauts_2023).

Single-trial responses are z-scored per vertex and averaged over three repetitions, as the challenge's betas are.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.simulate.features import FeatureBank, draw_tuning
from neuroscaling.simulate.images import Scenes, balanced_order, write_png
from neuroscaling.simulate.record import Truth
from neuroscaling.study import recording_folders
from neuroscaling.study.recording_folders import (
    FSAVERAGE_VERTICES,
    HEMISPHERES,
    NSD_IMAGE_SIZE,
    SPLIT_PREFIXES,
    nsd_stimulus_id,
)
from neuroscaling.study.sections.simulated_brains import (
    BROKEN,
    MISSING,
    ROI_CLASSES,
    Area,
    BrainSettings,
    areas_of,
    roi_names,
    subject_sizes,
)

FSAVERAGE5_VERTICES = 10242  # the first of fsaverage's: maps are drawn on them


@dataclass(frozen=True)
class Hemisphere:
    """What the files of one hemisphere hold; training rows come first.

    responses (images, vertices); ceiling and ncsnr (vertices,); rois: class -> name at each vertex ("": none); places
    (vertices,): their numbers on fsaverage, ascending.
    """

    responses: np.ndarray
    ceiling: np.ndarray
    ncsnr: np.ndarray
    rois: Mapping[str, Sequence[str]]
    places: np.ndarray


def draw_places(n_vertices: int, rng: np.random.Generator) -> np.ndarray:
    """Return vertex numbers on fsaverage (n_vertices,), ascending; among fsaverage5's where these are enough."""
    within = FSAVERAGE5_VERTICES if n_vertices <= FSAVERAGE5_VERTICES else FSAVERAGE_VERTICES
    return np.sort(rng.choice(within, n_vertices, replace=False))


def write_images(subject: Path, split: str, files: Mapping[int, Path], numbers: Sequence[int] | np.ndarray) -> None:
    """Copy the images `numbers` to a split, in that order; files: where each is."""
    folder = recording_folders.image_folder(subject, split)
    folder.mkdir(parents=True)
    for row, number in enumerate(numbers, start=1):
        shutil.copyfile(
            files[int(number)],
            folder / f"{SPLIT_PREFIXES[split]}-{row:04d}_{recording_folders.nsd_stimulus_id(int(number))}.png",
        )


def write_fmri(
    subject: Path, hemispheres: Mapping[str, Hemisphere], repeats: np.ndarray, n_train: int, withheld: bool = False
) -> None:
    """Responses, ceilings, masks and mappings of both hemispheres.

    repeats (images,): repetitions averaged into each row. withheld: without test responses and all that tells of their
    noise, as the public archive is.
    """
    for side in HEMISPHERES:
        _write_responses(subject, side, hemispheres[side], n_train, withheld)
        _write_masks(subject / "roi_masks", side, hemispheres[side])
    _save(recording_folders.repeats_file(subject, "training"), repeats[:n_train].astype(np.int32))
    if not withheld:
        _save(recording_folders.repeats_file(subject, "test"), repeats[n_train:].astype(np.int32))
    for mask_class, names in ROI_CLASSES.items():
        mapping = {0: "Unknown", **dict(enumerate(names, start=1))}
        # An array of one object, as Algonauts' own mappings are.
        np.save(recording_folders.mapping_file(subject, mask_class), np.array(mapping), allow_pickle=True)


def _write_responses(subject: Path, side: str, hemisphere: Hemisphere, n_train: int, withheld: bool) -> None:
    which = HEMISPHERES.index(side)
    responses = hemisphere.responses.astype(np.float32)
    _save(recording_folders.response_files(subject, "training")[which], responses[:n_train])
    if withheld:
        return
    _save(recording_folders.response_files(subject, "test")[which], responses[n_train:])
    _save(recording_folders.ceiling_files(subject)[which], hemisphere.ceiling.astype(np.float32))
    _save(recording_folders.ncsnr_files(subject)[which], hemisphere.ncsnr.astype(np.float32))


def _write_masks(folder: Path, side: str, hemisphere: Hemisphere) -> None:
    """ROI masks over the subject's vertices (challenge space) and over fsaverage."""
    places = hemisphere.places
    ones = np.ones(len(places), np.int32)
    _save(folder / f"{side}.all-vertices_fsaverage_space.npy", _over_fsaverage(places, ones))
    for mask_class, names in hemisphere.rois.items():
        values = {name: value for value, name in enumerate(ROI_CLASSES[mask_class], start=1)} | {"": 0}
        mask = np.array([values[name] for name in names], np.int32)
        _save(folder / f"{side}.{mask_class}_challenge_space.npy", mask)
        _save(folder / f"{side}.{mask_class}_fsaverage_space.npy", _over_fsaverage(places, mask))


def _over_fsaverage(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    whole = np.zeros(FSAVERAGE_VERTICES, np.int32)
    whole[places] = values
    return whole


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


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
