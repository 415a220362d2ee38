"""Banded ridge against himalaya's random search, at the same weights of layers, penalties and folds.

SIMULATED features of six layers and responses that two of them made; 10 penalties from 1e-3 to 1e3, 3 folds, mean R^2
over folds, refit included; float64, one thread. himalaya is taken with its backend torch, and refits whenever a target
has found better weights. Both sides run in this process, the layers' inner products made before. Agreement: of the
predictions of targets for which both found the same weights and penalty, over the largest; all but ties do.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import sys
from pathlib import Path

import numpy as np
from common import cpu_seconds, quick, report, row

from neuroscaling.regression.voxelwise.banded import candidate_weights, fit_banded
from neuroscaling.regression.voxelwise.bands import Bands
from neuroscaling.regression.voxelwise.blocks import FeatureRows
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.himalaya_banded import banded_by_himalaya

SETTINGS = RidgeSettings(tuple(np.geomspace(1e-3, 1e3, 10)), scale="centre", dtype="float64", device="cpu")
N_LAYERS, N_EVALUATE, N_FOLDS = 6, 200, 3


def compare(n: int, n_targets: int, n_draws: int) -> dict:
    """A row for n mapping images."""
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((n + N_EVALUATE, 200 * (k + 1))) + 1 for k in range(N_LAYERS)]
    targets = 3 * rng.standard_normal((n + N_EVALUATE, n_targets)) + 2
    for x in layers[1:3]:
        targets += x @ rng.standard_normal((x.shape[1], n_targets)) / np.sqrt(x.shape[1])
    size = MappingSize(0, np.arange(n), np.arange(n) % N_FOLDS)
    bands = Bands.of([lambda x=x: FeatureRows(x) for x in layers], size, np.arange(n, n + N_EVALUATE), SETTINGS)
    weights = candidate_weights(N_LAYERS, n_draws, seed=0)
    our_seconds, ours = cpu_seconds(
        lambda: fit_banded(bands, lambda a, b: targets[:, a:b], n_targets, SETTINGS, weights, standard_errors=-np.inf)
    )
    peer_seconds, peer = cpu_seconds(lambda: banded_by_himalaya(bands, targets, SETTINGS, weights))
    same = np.isclose(ours.alpha, peer.alpha) & np.isclose(ours.weights, peer.weights).all(0)
    difference = np.abs(ours.predictions - peer.predictions)[:, same].max() / np.abs(peer.predictions).max()
    case = f"{n} images, {n_targets} targets, {N_LAYERS} layers, {len(weights)} weights; same {same.mean():.3f}"
    return row(case, our_seconds, peer_seconds, difference)


def main() -> None:
    """`--quick`: the small case alone."""
    cases = [(320, 50, 10)] if quick(__doc__) else [(320, 50, 30), (960, 50, 7)]
    report("banded", [compare(*case) for case in cases])


if __name__ == "__main__":
    main()
