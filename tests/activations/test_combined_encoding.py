"""All layers of a store together predict each target: what is asked of the arrays, and what is told of faults."""

from dataclasses import replace

import numpy as np
import pytest

from neuroscaling.activations.combined_encoding import COMBINATIONS, encode_combined
from neuroscaling.activations.layer_encoding import Candidate, Task, encode
from neuroscaling.core.errors import DataError
from neuroscaling.regression.scores import prediction_correlation
from neuroscaling.regression.voxelwise.blocks import FeatureRows, GramRows
from neuroscaling.regression.voxelwise.settings import NestedSubsets, RidgeSettings

SETTINGS = RidgeSettings(tuple(np.logspace(-2, 2, 5)), scale="centre", dtype="float64", device="cpu")
N, N_TARGETS, COUNTS = 160, 12, (30, 120)


def recording(seed=0):
    """Three layers, of which the first and the last each carry half of what the targets are made of."""
    rng = np.random.default_rng(seed)
    layers = {name: rng.standard_normal((N, 20)) for name in ("early", "middle", "late")}
    signal = layers["early"] + layers["late"]
    return layers, signal @ rng.standard_normal((20, N_TARGETS)) / 6 + rng.standard_normal((N, N_TARGETS))


def tasks():
    order = np.random.default_rng(1).permutation(N)
    evaluate, mapping = order[:40], order[40:]
    draw = NestedSubsets(COUNTS, tuple(mapping[:n] for n in COUNTS), tuple(np.arange(n) % 3 for n in COUNTS))
    return [Task(draw, evaluate), Task(draw, evaluate[:10])]


def candidates(layers, kind=FeatureRows):
    return [Candidate(name, lambda x=x: kind(x)) for name, x in layers.items()]


def encoded(layers, targets, combination, settings=SETTINGS, kind=FeatureRows):
    found = candidates(layers, kind)
    return encode_combined(found, tasks(), lambda a, b: targets[:, a:b], N_TARGETS, settings, combination, n_draws=20)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_each_task_and_size_is_predicted_from_several_layers(combination):
    layers, targets = recording()
    both = encoded(layers, targets, combination)
    assert [[one.n_images for one in sizes] for sizes in both] == [list(COUNTS)] * 2
    best = encode(candidates(layers), tasks(), lambda a, b: targets[:, a:b], N_TARGETS, SETTINGS)
    held_out = targets[tasks()[0].evaluate]
    ours, single = both[0][-1], best[0][-1]
    assert set(ours.candidate) <= {0, 2}
    assert 1.3 < np.median(ours.effective_layers) < 3
    gain = prediction_correlation(ours.predictions, held_out) - prediction_correlation(single.predictions, held_out)
    assert gain.mean() > 0.05
    # The other task evaluates some of the same rows, by the same models.
    np.testing.assert_allclose(both[1][-1].predictions, ours.predictions[:10], rtol=1e-5)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_one_layer_is_the_best_of_one(combination):
    layers, targets = recording()
    only = {"early": layers["early"]}
    [ours], [best] = (
        found[:1]
        for found in (
            encoded(only, targets, combination),
            encode(candidates(only), tasks(), lambda a, b: targets[:, a:b], N_TARGETS, SETTINGS),
        )
    )
    for one, other in zip(ours, best, strict=True):
        np.testing.assert_array_equal(one.effective_layers, 1)
        np.testing.assert_allclose(one.cv, other.cv)
        np.testing.assert_allclose(one.predictions, other.predictions, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_inner_products_serve_as_well_as_features(combination):
    layers, targets = recording()
    expected = encoded(layers, targets, combination)
    ours = encoded(layers, targets, combination, kind=lambda x: GramRows(x @ x.T))
    np.testing.assert_allclose(ours[0][1].predictions, expected[0][1].predictions, rtol=1e-5, atol=1e-7)
    standardised = replace(SETTINGS, scale="standardise")
    assert encoded(layers, targets, combination, standardised)[0][1].predictions.shape == (40, N_TARGETS)
    with pytest.raises(DataError, match="can't be standardised"):
        encoded(layers, targets, combination, standardised, kind=lambda x: GramRows(x @ x.T))


def test_faults_are_told():
    layers, targets = recording()
    with pytest.raises(DataError, match=r"middle.*float32/64"):
        encoded(layers | {"middle": layers["middle"].astype(int)}, targets, "banded")
    with pytest.raises(DataError, match="3 layers and 30 mapping rows"):
        encoded(layers, targets, "stacking", replace(SETTINGS, memory_mb=2))
    layers["late"][5] = np.nan
    with pytest.raises(DataError, match="banded of 3 layers"):
        encoded(layers, targets, "banded")
