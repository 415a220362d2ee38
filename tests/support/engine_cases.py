"""SIMULATED recordings of all families of benchmarks, and stores of layers, for both engines of Brain-Score."""

from pathlib import Path

import numpy as np

from neuroscaling.activations.zarr_writing import write_store
from tests.support import brainscore_data


def _latent(rng: np.random.Generator, n: int) -> np.ndarray:
    """Features of `n` stimuli, the last two of which are the same as the first two."""
    latent = rng.standard_normal((n, 12))
    latent[-2:] = latent[:2]
    return latent


def write_recordings(folder: Path) -> dict[str, np.ndarray]:
    """Recordings of all families in `data`, one neuroid in `single`, one trial in `once`; features by stimulus."""
    rng = np.random.default_rng(0)
    one, other, two, three, four = (_latent(rng, n) for n in (80, 80, 48, 60, 24))
    written = [
        (brainscore_data.write_majajhong(folder / "data", one, shuffled=True, constant=1), [one]),
        (brainscore_data.write_majajhong(folder / "data", other, access="private", neuroids=4), [other]),
        (brainscore_data.write_majajhong(folder / "single", one, neuroids=1), [one]),
        (brainscore_data.write_majajhong(folder / "once", one, repetitions=1), [one]),
        (brainscore_data.write_freemanziemba(folder / "data", two), [two]),
        (brainscore_data.write_rajalingham(folder / "data", two), [two]),
        (brainscore_data.write_allen(folder / "data", three, four, shuffled=True), [three, four]),
        (brainscore_data.write_papale(folder / "data", three, four), [three, four]),
        (brainscore_data.write_hebart(folder / "data", three, four), [three, four]),
    ]
    features: dict[str, np.ndarray] = {}
    for ids, latents in written:
        for stimuli, latent in zip(ids.values(), latents, strict=True):
            features |= dict(zip(stimuli, latent, strict=True))
    return features


def _layers(latent: np.ndarray) -> dict[str, np.ndarray]:
    """Layers of few and of many features, with large means; `rank`: many features of low rank."""
    rng = np.random.default_rng(1)

    def layer(p: int) -> np.ndarray:
        return np.maximum(latent @ rng.standard_normal((12, p)) + 1, 0) + 0.3 * rng.standard_normal((len(latent), p))

    low = rng.standard_normal((len(latent), 27)) @ rng.standard_normal((27, 90))
    return {"narrow": layer(30), "wide": layer(150) + 5, "other": layer(100), "rank": low}


def write_stores(folder: Path, features: dict[str, np.ndarray]) -> None:
    ids = sorted(features)
    layers = _layers(np.array([features[stimulus] for stimulus in ids]))
    order = np.random.default_rng(2).permutation(len(ids))
    single = {name: values.astype(np.float32) for name, values in layers.items()}
    moved = {name: values[order] for name, values in layers.items()}
    nothing = {"kind": "none"}
    write_store(folder / "float64.json", ids, [layers], reduction=nothing)
    write_store(folder / "float32.json", ids, [single], reduction=nothing)
    widened = {name: values.astype(np.float64) for name, values in single.items()}
    write_store(folder / "widened.json", ids, [widened], reduction=nothing)
    write_store(folder / "shuffled.json", [ids[i] for i in order], [moved], reduction=nothing)
    write_store(folder / "gram.json", ids, [layers], reduction=nothing, keep="gram")
