"""Simulated fMRI in the directory layout of the Algonauts 2023 Challenge (github.com/gifale95/algonauts_2023).

Single-trial responses are z-scored per vertex and averaged over three repetitions, as the challenge's betas are.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.simulate.features import FeatureBank
from neuroscaling.simulate.images import Scenes, balanced_order, write_png
from neuroscaling.simulate.settings import BrainSettings
from neuroscaling.simulate.truth import Truth
from neuroscaling.simulate.tuning import draw_tuning

IMAGE_SIZE = 425
FSAVERAGE_VERTICES = 163842
REPETITIONS = 3
RELIABILITY = (0.3, 0.85)
STREAMS = {1: "early", 2: "midventral", 3: "midlateral", 4: "midparietal", 5: "ventral", 6: "lateral", 7: "parietal"}
RETINOTOPY = {1: "V1v", 2: "V1d", 3: "V2v", 4: "V2d", 5: "V3v", 6: "V3d", 7: "hV4"}


@dataclass(frozen=True)
class Area:
    """A stretch of simulated cortex: its share of the vertices, its ROIs (0: none), and the features it responds to."""

    share: float
    retinotopy: int
    stream: int
    features: str


AREAS = (
    Area(0.10, 1, 1, "V1"),
    Area(0.10, 2, 1, "V1"),
    Area(0.08, 3, 1, "V2"),
    Area(0.08, 4, 1, "V2"),
    Area(0.07, 5, 1, "V2"),
    Area(0.07, 6, 1, "V2"),
    Area(0.14, 7, 2, "V4"),
    Area(0.06, 0, 3, "V4"),
    Area(0.18, 0, 5, "IT"),
    Area(0.08, 0, 6, "IT"),
    Area(0.04, 0, 0, "V1"),
)


def write_subjects(
    root: Path, settings: BrainSettings, bank: FeatureBank, scenes: Scenes, rng: np.random.Generator
) -> list[Truth]:
    """One folder a subject. Subjects share images and differ in vertices, images and noise; see `_subject_sizes`."""
    order = balanced_order(scenes.labels, rng)
    images = _image_files(root, scenes, order[: settings.algonauts_train + settings.algonauts_test])
    truths = []
    for number in range(1, settings.algonauts_subjects + 1):
        n_train, n_test, n_vertices = _subject_sizes(settings, number)
        train = np.sort(order[:n_train])
        test = np.sort(order[settings.algonauts_train :][:n_test])
        subject = root / f"subj{number:02d}"
        _write_images(subject, "training", "train", images, train)
        _write_images(subject, "test", "test", images, test)
        for hemisphere in ("lh", "rh"):
            rows = np.concatenate([train, test])
            area = _areas(n_vertices, drop_midlateral=number == 2)
            response = _respond(bank, scenes.take(rows), area, rng)
            broken = n_vertices - 1 if (number, hemisphere) == (2, "lh") else None
            _write_responses(subject, hemisphere, response, len(train), broken)
            _write_masks(subject, hemisphere, area, rng)
            name = f"algonauts2023-{subject.name}-{hemisphere}"
            ids = [f"nsd-{row:05d}" for row in rows]
            truths.append(Truth(name, ids, response.features, response.clean, response.weights, response.reliability))
        _write_mappings(subject)
    shutil.rmtree(root / "images")
    return truths


@dataclass(frozen=True)
class Response:
    """A hemisphere's response to its images: mean over repetitions (images, vertices), ceiling, and what made them."""

    mean: np.ndarray
    ceiling: np.ndarray
    features: np.ndarray
    clean: np.ndarray
    weights: np.ndarray
    reliability: np.ndarray


def _subject_sizes(settings: BrainSettings, number: int) -> tuple[int, int, int]:
    """Training images, test images, vertices a hemisphere: subjects differ, as real ones do."""
    if number % 2:
        return settings.algonauts_train, settings.algonauts_test, settings.vertices
    return round(0.9 * settings.algonauts_train), round(0.9 * settings.algonauts_test), round(0.9 * settings.vertices)


def _areas(n_vertices: int, drop_midlateral: bool) -> list[Area]:
    """The area of each vertex. Without midlateral, its vertices belong to no ROI (not every subject has each one)."""
    ends = np.round(np.cumsum([area.share for area in AREAS]) * n_vertices).astype(int)
    chosen = [AREAS[np.searchsorted(ends, vertex, side="right")] for vertex in range(n_vertices)]
    unnamed = AREAS[-1]
    return [unnamed if drop_midlateral and area.stream == 3 else area for area in chosen]


def _respond(bank: FeatureBank, shown: Scenes, areas: list[Area], rng: np.random.Generator) -> Response:
    by_region = bank.features(shown.pixels)
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
    return Response(trials.mean(0), noise_ceiling(trials), features, clean, weights, reliability)


def noise_ceiling(trials: np.ndarray) -> np.ndarray:
    """Explainable share (vertices,) of the variance of the mean over repetitions.

    trials (repetitions, images, vertices). Allen and others (2022): noise variance from the repetitions (ddof 1),
    signal variance what is left of the total, ncsnr the root of their ratio; the ceiling of the mean of K repetitions
    is ncsnr^2 / (ncsnr^2 + 1/K).
    """
    noise = trials.var(0, ddof=1).mean(0)
    ncsnr2 = np.maximum(trials.var((0, 1)) - noise, 0) / noise
    return ncsnr2 / (ncsnr2 + 1 / len(trials))


def _image_files(root: Path, scenes: Scenes, rows: np.ndarray) -> dict[int, Path]:
    """Each image once, to be copied to the subjects that saw it."""
    (root / "images").mkdir(parents=True)
    files = {int(row): root / "images" / f"{row}.png" for row in rows}
    for row, file in files.items():
        write_png(file, scenes.pixels[row], IMAGE_SIZE)
    return files


def _write_images(subject: Path, split: str, prefix: str, images: dict[int, Path], rows: np.ndarray) -> None:
    folder = subject / f"{split}_split" / f"{split}_images"
    folder.mkdir(parents=True)
    for i, row in enumerate(rows, start=1):
        shutil.copyfile(images[int(row)], folder / f"{prefix}-{i:04d}_nsd-{row:05d}.png")


def _write_responses(subject: Path, hemisphere: str, response: Response, n_train: int, broken: int | None) -> None:
    mean = response.mean.astype(np.float32)
    if broken is not None:
        mean[:, broken] = np.nan
    training, test = subject / "training_split" / "training_fmri", subject / "test_split" / "test_fmri"
    ceiling = subject / "test_split" / "noise_ceiling"
    for folder in (training, test, ceiling):
        folder.mkdir(parents=True, exist_ok=True)
    np.save(training / f"{hemisphere}_training_fmri.npy", mean[:n_train])
    np.save(test / f"{hemisphere}_test_fmri.npy", mean[n_train:])
    np.save(ceiling / f"{hemisphere}_noise_ceiling.npy", response.ceiling.astype(np.float32))


def _write_masks(subject: Path, hemisphere: str, areas: list[Area], rng: np.random.Generator) -> None:
    """ROI masks over the subject's vertices (challenge space) and over fsaverage, at places drawn at random."""
    folder = subject / "roi_masks"
    folder.mkdir(exist_ok=True)
    places = np.sort(rng.choice(FSAVERAGE_VERTICES, len(areas), replace=False))
    masks = {
        "prf-visualrois": [area.retinotopy for area in areas],
        "streams": [area.stream for area in areas],
    }
    _save_fsaverage(folder / f"{hemisphere}.all-vertices_fsaverage_space.npy", places, np.ones(len(areas), np.int32))
    for name, values in masks.items():
        mask = np.array(values, np.int32)
        np.save(folder / f"{hemisphere}.{name}_challenge_space.npy", mask)
        _save_fsaverage(folder / f"{hemisphere}.{name}_fsaverage_space.npy", places, mask)


def _save_fsaverage(path: Path, places: np.ndarray, values: np.ndarray) -> None:
    whole = np.zeros(FSAVERAGE_VERTICES, np.int32)
    whole[places] = values
    np.save(path, whole)


def _write_mappings(subject: Path) -> None:
    for name, rois in (("streams", STREAMS), ("prf-visualrois", RETINOTOPY)):
        np.save(subject / "roi_masks" / f"mapping_{name}.npy", {0: "Unknown", **rois}, allow_pickle=True)
