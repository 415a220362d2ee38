"""Several bands of features together: planted signals, what may not leak, blocks, memory, and the tridiagonal form."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroscaling.regression.scores import prediction_correlation
from neuroscaling.regression.voxelwise.banded import candidate_weights, fit_banded
from neuroscaling.regression.voxelwise.bands import Bands, effective_number, least_memory_mb
from neuroscaling.regression.voxelwise.blocks import FeatureBlocks, FeatureRows, GramRows
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings
from neuroscaling.regression.voxelwise.simplex import simplex_weights
from neuroscaling.regression.voxelwise.solver import HatMatrices, TrainingSystem
from neuroscaling.regression.voxelwise.stacking import fit_stacked
from neuroscaling.regression.voxelwise.tridiagonal import Tridiagonal

SETTINGS = RidgeSettings(tuple(np.logspace(-3, 3, 10)), scale="centre", dtype="float64", device="cpu")
N, N_EVALUATE, N_TARGETS, N_LAYERS = 150, 150, 30, 4
SIZE = MappingSize(0, np.arange(N), np.arange(N) % 3)
EVALUATE = np.arange(N, N + N_EVALUATE)
CANDIDATES = candidate_weights(N_LAYERS, 30, seed=0)


def planted(shares, seed=0, noise=1.0):
    """Features of four layers, and targets to which each adds a signal with its share of the variance."""
    rng = np.random.default_rng(seed)
    layers = [rng.standard_normal((N + N_EVALUATE, 60)) for _ in range(N_LAYERS)]
    targets = noise * rng.standard_normal((N + N_EVALUATE, N_TARGETS))
    for share, x in zip(shares, layers, strict=True):
        targets += np.sqrt(share / 20) * x[:, :20] @ rng.standard_normal((20, N_TARGETS))
    return layers, targets


def bands_of(layers, settings=SETTINGS, size=SIZE):
    return Bands.of([lambda x=x: FeatureRows(x) for x in layers], size, EVALUATE, settings)


def reader(targets):
    return lambda start, stop: targets[:, start:stop]


def fits(layers, targets, settings=SETTINGS):
    """The best single layer, banded ridge, and stacking."""
    bands, read = bands_of(layers, settings), reader(targets)
    return (
        fit_banded(bands, read, N_TARGETS, settings, np.eye(N_LAYERS)),
        fit_banded(bands, read, N_TARGETS, settings, CANDIDATES),
        fit_stacked(bands, read, N_TARGETS, settings),
    )


def test_where_two_layers_share_the_signal_both_beat_the_best_single_one():
    layers, targets = planted((1, 0, 1, 0))
    r = [prediction_correlation(fit.predictions, targets[EVALUATE]).mean() for fit in fits(layers, targets)]
    assert r[1] > r[0] + 0.05
    assert r[2] > r[0] + 0.05
    _, banded, stacked = fits(layers, targets)
    for fit in (banded, stacked):
        assert fit.weights[[0, 2]].sum(0).mean() > 0.85
        assert 1.4 < np.median(effective_number(fit.weights)) < 3


def test_where_one_layer_has_the_signal_neither_falls_below_it_by_more_than_noise():
    """Noise: a tenth of the standard error of one target's r. The luckiest of all candidates loses more."""
    losses = []
    for seed in range(4):
        layers, targets = planted((0, 2, 0, 0), seed)
        single, banded, stacked = fits(layers, targets)
        assert (single.weights.argmax(0) == 1).mean() > 0.9
        luckiest = fit_banded(bands_of(layers), reader(targets), N_TARGETS, SETTINGS, CANDIDATES, -np.inf)
        r = [prediction_correlation(fit.predictions, targets[EVALUATE]) for fit in (single, banded, stacked, luckiest)]
        losses.append([(r[0] - other).mean() for other in r[1:]])
    banded, stacked, luckiest = np.mean(losses, axis=0)
    noise = 0.1 * (1 - r[0].mean() ** 2) / np.sqrt(N_EVALUATE)
    assert banded < noise
    assert stacked < noise
    assert luckiest > noise


@pytest.mark.parametrize("scale", ["centre", "standardise"])
def test_evaluated_rows_change_no_weight(scale):
    settings = replace(SETTINGS, scale=scale)
    layers, targets = planted((1, 0.5, 0, 0))
    before = fits(layers, targets, settings)
    targets[EVALUATE] = np.nan
    altered = [x.copy() for x in layers]
    for x in altered:
        x[EVALUATE] = 100 * np.random.default_rng(5).standard_normal((N_EVALUATE, 60)) + 7
    for old, new in zip(before, fits(altered, targets, settings), strict=True):
        for name in ("weights", "alpha", "cv"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
        assert np.abs(old.predictions - new.predictions).max() > 1


def test_noise_is_predicted_at_chance():
    layers, targets = planted((0, 0, 0, 0))
    for fit in fits(layers, targets):
        r = prediction_correlation(fit.predictions, targets[EVALUATE])
        assert abs(r.mean()) < 4 * r.std() / np.sqrt(N_TARGETS)


def test_a_size_of_nested_ones_is_what_it_is_alone_from_any_kind_of_source():
    layers, targets = planted((1, 0, 1, 0))
    size = MappingSize(3, np.arange(40), np.arange(40) % 3)
    expected = fit_banded(bands_of(layers, size=size), reader(targets), N_TARGETS, SETTINGS, CANDIDATES)
    sources = [lambda x=x: GramRows(x @ x.T) for x in layers[:2]]
    sources += [
        lambda x=x: FeatureBlocks(lambda: (x[:, start : start + 7] for start in range(0, 60, 7)), len(x))
        for x in layers[2:]
    ]
    bands = Bands.of(sources, size, EVALUATE, SETTINGS)
    ours = fit_banded(bands, reader(targets), N_TARGETS, SETTINGS, CANDIDATES)
    np.testing.assert_array_equal(ours.weights, expected.weights)
    np.testing.assert_allclose(ours.predictions, expected.predictions, rtol=1e-8, atol=1e-10)


def test_bands_don_t_depend_on_the_size_of_their_features():
    layers, targets = planted((1, 0, 1, 0))
    scaled = [x * factor for x, factor in zip(layers, (1e-3, 1, 50, 1e4), strict=True)]
    for ours, expected in zip(fits(scaled, targets), fits(layers, targets), strict=True):
        np.testing.assert_allclose(ours.predictions, expected.predictions, rtol=1e-7, atol=1e-9)
    own = bands_of(scaled).own
    np.testing.assert_allclose(own.diagonal(dim1=1, dim2=2).sum(1), N)


def test_targets_pass_in_blocks(monkeypatch):
    layers, targets = planted((1, 0, 1, 0))
    whole = fits(layers, targets)
    monkeypatch.setattr("neuroscaling.regression.voxelwise.bands.TARGETS_TOGETHER", 7)
    for ours, expected in zip(fits(layers, targets), whole, strict=True):
        for name in ("weights", "alpha", "cv", "predictions"):
            np.testing.assert_allclose(getattr(ours, name), getattr(expected, name), rtol=1e-9, atol=1e-12)


def test_constant_targets_and_layers_predict_nothing_and_fail_nothing():
    layers, targets = planted((1, 0, 1, 0))
    layers[1][:] = 3.0
    targets[:, 0] = 2.5
    single, banded, stacked = fits(layers, targets)
    for fit in (single, banded, stacked):
        np.testing.assert_allclose(fit.predictions[:, 0], 2.5)
        np.testing.assert_allclose(fit.weights.sum(0), 1)
        assert np.isfinite(fit.predictions).all()


def test_candidates_hold_every_layer_alone_and_all_alike():
    weights = candidate_weights(5, 40, seed=2)
    np.testing.assert_array_equal(weights[:5], np.eye(5))
    np.testing.assert_array_equal(weights[5], np.full(5, 0.2))
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_array_equal(weights, candidate_weights(5, 40, seed=2))
    assert len(weights) == 46
    # Every second draw is sparse.
    assert effective_number(weights[6::2].T).mean() < effective_number(weights[7::2].T).mean()
    np.testing.assert_array_equal(candidate_weights(1, 40, seed=2), [[1.0]])


def test_equal_models_and_models_without_error_have_weights_too():
    same = np.ones((2, 3, 3))
    np.testing.assert_allclose(simplex_weights(same).sum(1), 1)
    np.testing.assert_allclose(simplex_weights(np.zeros((1, 4, 4))), 0.25)
    perfect = np.diag([0.0, 1.0, 2.0])[None]
    np.testing.assert_allclose(simplex_weights(perfect), [[1, 0, 0]], atol=1e-6)
    with pytest.raises(ValueError, match="not finite"):
        simplex_weights(np.full((1, 2, 2), np.nan))


def test_too_little_memory_names_what_is_needed():
    layers, _ = planted((1, 0, 1, 0))
    need = least_memory_mb(N_LAYERS, N, N_EVALUATE)
    with pytest.raises(ValueError, match=f"memory_mb: 10 doesn't hold .* 4 layers and 150 mapping rows; give {need}"):
        bands_of(layers, replace(SETTINGS, memory_mb=10))
    bands_of(layers, replace(SETTINGS, memory_mb=need))


def test_what_has_no_meaning_is_refused():
    layers, targets = planted((1, 0, 1, 0))
    bands, read = bands_of(layers), reader(targets)
    with pytest.raises(ValueError, match="relative"):
        fit_banded(bands, read, N_TARGETS, replace(SETTINGS, relative=False), CANDIDATES)
    with pytest.raises(ValueError, match="intercept"):
        fit_stacked(bands, read, N_TARGETS, replace(SETTINGS, intercept=False))
    targets[3, 5] = np.nan
    with pytest.raises(ValueError, match="targets 0 to 29 have NaN or infinity in mapping rows: 5"):
        fit_banded(bands, read, N_TARGETS, SETTINGS, CANDIDATES)


@pytest.mark.parametrize("n", [1, 2, 3, 70])
@pytest.mark.parametrize("kind", [Tridiagonal, HatMatrices])
def test_predictions_equal_the_solved_system(kind, n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 90))
    matrix, rows = torch.from_numpy(x @ x.T), torch.from_numpy(rng.standard_normal((40, n)))
    scale = torch.from_numpy(rng.uniform(0.5, 2, n))
    right, choice = torch.from_numpy(rng.standard_normal((n, 9))), torch.arange(9) % 4
    alphas = torch.logspace(-2, 2, 4, dtype=torch.float64)
    ours = kind(TrainingSystem("test", matrix, rows, scale), alphas, 1.0, torch.float64).predict(right, choice)
    for column, alpha in enumerate(alphas[choice]):
        solved = torch.linalg.solve(matrix + alpha * torch.eye(n, dtype=torch.float64), scale * right[:, column])
        np.testing.assert_allclose(ours[:, column], rows @ solved, rtol=1e-9, atol=1e-9)


def test_a_singular_matrix_is_named():
    matrix = torch.ones(4, 4, dtype=torch.float64)
    system = TrainingSystem("fold 2", matrix, matrix, None)
    with pytest.raises(ValueError, match=r"fold 2: the Gram matrix .* singular at the penalty 0"):
        tri = Tridiagonal(system, torch.zeros(1, dtype=torch.float64), 1.0, torch.float64)
        tri.predict(matrix, torch.zeros(4, dtype=torch.int64))
