"""Simulated regions respond to features, from Gabor energy to categories, by sparse weights and noise.

All features are functions of one image alone, scaled by their mean and spread over images of the training split,
so that every experiment of a simulated brain is a view of the same brain.
"""

from dataclasses import dataclass

import numpy as np

from neuroscaling.simulate.images import SIZE, make_scenes

WAVELENGTHS = (6.0, 12.0)
ORIENTATIONS = 6
GRID = 5
N_PRODUCTS = 120
N_MIXTURES = 40
TRAINING_VIEWS = 2
"""Times that each training digit is shown, elsewhere each time, before the classifiers are fitted."""


@dataclass(frozen=True)
class FeatureBank:
    """The features of each region as functions of images; drawn once for a brain.

    even, odd (SIZE * SIZE, filters): quadrature pairs; pairs (N_PRODUCTS, 2): filters whose energies V2 multiplies;
    mixing (N_PRODUCTS, N_MIXTURES): what V4 makes of them; scale: mean and spread of each region's features.
    """

    even: np.ndarray
    odd: np.ndarray
    pairs: np.ndarray
    mixing: np.ndarray
    classifiers: list
    scale: dict[str, tuple[np.ndarray, np.ndarray]]

    def features(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Features (n, features of the region), z-scored, of `pixels` (n, SIZE, SIZE) by region V1, V2, V4, IT."""
        raw = _raw_features(self, pixels)
        scaled = {region: (raw[region] - mean) / spread for region, (mean, spread) in self.scale.items()}
        return scaled | {"V4": np.hstack([scaled["V4"], scaled["IT"]])}


def draw_bank(rng: np.random.Generator) -> FeatureBank:
    """Return a feature bank; classifiers and scales come from images of the training split of the digits."""
    even, odd, positions = gabor_pairs()
    pairs = _neighbours(positions, rng)
    mixing = rng.standard_normal((N_PRODUCTS, N_MIXTURES)) * (rng.random((N_PRODUCTS, N_MIXTURES)) < 0.1)
    views = [make_scenes("train", rng) for _ in range(TRAINING_VIEWS)]
    pixels, labels = np.concatenate([v.pixels for v in views]), np.concatenate([v.labels for v in views])
    bank = FeatureBank(even, odd, pairs, mixing, category_classifiers(pixels, labels), {})
    raw = _raw_features(bank, views[0].pixels)
    scale = {region: (values.mean(0), values.std(0) + 1e-9) for region, values in raw.items()}
    return FeatureBank(even, odd, pairs, mixing, bank.classifiers, scale)


def gabor_pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gabor filters in quadrature on a grid of places: even and odd (SIZE * SIZE, filters), places (filters, 2)."""
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    places = np.linspace(-0.3, 0.3, GRID) * SIZE
    even, odd, centres = [], [], []
    for wavelength in WAVELENGTHS:
        for angle in np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS:
            for cy in places:
                for cx in places:
                    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
                    window = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (0.4 * wavelength) ** 2))
                    wave = 2 * np.pi * along / wavelength
                    even.append((window * (np.cos(wave) - np.cos(wave).mean())).ravel() / window.sum())
                    odd.append((window * np.sin(wave)).ravel() / window.sum())
                    centres.append((cy, cx))
    return np.stack(even, 1), np.stack(odd, 1), np.array(centres)


def gabor_energy(pixels: np.ndarray, even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Return compressed energy (n, filters) of quadrature pairs: log(1 + 10 amplitude), amplitude of pixels in 0..1."""
    flat = pixels.reshape(len(pixels), -1) / 255
    return np.log1p(10 * np.hypot(flat @ even, flat @ odd))


def category_classifiers(pixels: np.ndarray, labels: np.ndarray) -> list:
    """Return one support vector machine (radial basis functions) for each class against the rest."""
    from sklearn.svm import SVC  # heavy, and for the evidence of categories alone

    inputs = _coarse(pixels)
    return [SVC(C=10, gamma="scale").fit(inputs, labels == label) for label in np.unique(labels)]


def decision_values(pixels: np.ndarray, classifiers: list) -> np.ndarray:
    """Return the margin (n, classes) of each image for each class: around 1 for its own, around -1 for the others."""
    inputs = _coarse(pixels)
    return np.stack([classifier.decision_function(inputs) for classifier in classifiers], 1)


def category_evidence(pixels: np.ndarray, classifiers: list) -> np.ndarray:
    """Evidence (n, classes) for each class: squashed decision values, between -1 (another class) and 1 (this one)."""
    return np.tanh(1.5 * decision_values(pixels, classifiers))


def _coarse(pixels: np.ndarray) -> np.ndarray:
    """Return means of 2 x 2 pixels in 0..1, (n, SIZE * SIZE / 4)."""
    return pixels.reshape(len(pixels), SIZE // 2, 2, SIZE // 2, 2).mean((2, 4)).reshape(len(pixels), -1) / 255


def _raw_features(bank: FeatureBank, pixels: np.ndarray) -> dict[str, np.ndarray]:
    energy = gabor_energy(pixels, bank.even, bank.odd)
    products = np.sqrt(energy[:, bank.pairs[:, 0]] * energy[:, bank.pairs[:, 1]])
    mixtures = np.maximum(products @ bank.mixing, 0)
    return {"V1": energy, "V2": products, "V4": mixtures, "IT": category_evidence(pixels, bank.classifiers)}


def _neighbours(positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pairs of filters at most one step of the grid apart, of any orientation and size."""
    first = rng.integers(0, len(positions), N_PRODUCTS)
    near = [np.flatnonzero(np.abs(positions - positions[f]).max(1) < 0.16 * SIZE) for f in first]
    return np.stack([first, [rng.choice(n[n != f]) for n, f in zip(near, first, strict=True)]], 1)


CATEGORY_SHARE = {"V4": 0.35, "IT": 1.0}
"""Share of a target's input that is evidence for categories; the rest is image features."""


@dataclass(frozen=True)
class Tuning:
    """How `n` targets of one region respond: weights (features, n); reliability (n,) of the mean over repetitions."""

    region: str
    weights: np.ndarray
    reliability: np.ndarray

    def clean(self, features: np.ndarray) -> np.ndarray:
        """Return noise-free responses (images, n) to images with `features` (images, features)."""
        return smooth_rectification(features @ self.weights)

    def repetitions(self, clean: np.ndarray, repetitions: int, rng: np.random.Generator) -> np.ndarray:
        """Return responses (repetitions, images, n): clean plus Gaussian noise.

        The mean over repetitions has the reliability (share of its variance that is not noise) of the tuning.
        """
        noise_variance = repetitions * clean.var(0) * (1 - self.reliability) / self.reliability
        return clean + np.sqrt(noise_variance) * rng.standard_normal((repetitions, *clean.shape))


def draw_tuning(
    region: str,
    n_features: int,
    n: int,
    rng: np.random.Generator,
    reliability: tuple[float, float],
    n_categories: int = 0,
) -> Tuning:
    """`n` targets with random tuning to a region's features, the last `n_categories` of them category evidence."""
    share = CATEGORY_SHARE.get(region, 0.0) if n_categories else 0.0
    image = _sparse_weights(n_features - n_categories, n, 3, rng)
    category = _sparse_weights(n_categories, n, 2, rng)
    weights = np.concatenate([np.sqrt(1 - share) * image, np.sqrt(share) * category])
    return Tuning(region, weights, rng.uniform(*reliability, n))


def smooth_rectification(drive: np.ndarray) -> np.ndarray:
    """log(1 + exp(drive + 1)): a firing rate that is never negative and nearly linear for strong drive."""
    return np.logaddexp(0, drive + 1)


def _sparse_weights(n_features: int, n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return unit-length weights (n_features, n) on k features each, the first of them the strongest and positive."""
    weights = np.zeros((n_features, n))
    if n_features == 0:
        return weights
    for target in range(n):
        chosen = rng.choice(n_features, min(k, n_features), replace=False)
        weights[chosen, target] = rng.uniform(-0.6, 0.6, len(chosen))
        weights[chosen[0], target] = 1
    return weights / np.linalg.norm(weights, axis=0)
