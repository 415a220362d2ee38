"""Voxel-wise ridge: invariances, chance, memory, and each faulty input's message. Data are SIMULATED."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from neuroscaling.regression.scores import prediction_correlation
from neuroscaling.regression.voxelwise import budget
from neuroscaling.regression.voxelwise.blocks import FeatureBlocks, FeatureRows, GramRows
from neuroscaling.regression.voxelwise.budget import flops
from neuroscaling.regression.voxelwise.fit import fit_sizes
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings

SETTINGS = RidgeSettings(tuple(np.logspace(-2, 3, 6)), dtype="float64", device="cpu")


def problem(n, p, t, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, p)) + 1
    return features, features @ rng.standard_normal((p, t)) / np.sqrt(p) + rng.standard_normal((n, t))


def fitted(source, targets, orders, folds, evaluate, settings):
    """{size: (choices, scores, predictions)} over all blocks, and the blocks' widths."""
    rows, widths = {}, []
    read = lambda start, stop: targets[:, start:stop]  # noqa: E731
    for fit in fit_sizes(source, orders, folds, evaluate, read, targets.shape[1], settings):
        widths.append(fit.stop - fit.start)
        mask = np.ones(widths[-1], bool)
        rows.setdefault(fit.size, []).append((fit.choice, fit.cv_score, fit.predict(mask)))
    return {size: tuple(map(np.hstack, zip(*parts, strict=True))) for size, parts in rows.items()}, widths


def fit_once(features, targets, settings=SETTINGS, n=40, labels=None):
    labels = np.arange(n) % 4 if labels is None else labels
    return fitted(FeatureRows(features), targets, [np.arange(n)], [labels], np.arange(len(features)), settings)[0][0]


@pytest.mark.parametrize("p", [6, 30, 60])
@examples(max_examples=10)
@given(width=st.integers(1, 23))
def test_the_width_of_blocks_of_targets_changes_nothing(p, width):
    features, targets = problem(50, p, 23)
    whole = fit_once(features, targets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "MOST_TARGETS", width)
        blocks, widths = fitted(
            FeatureRows(features), targets, [np.arange(40)], [np.arange(40) % 4], np.arange(50), SETTINGS
        )
    assert max(widths) == width
    np.testing.assert_array_equal(blocks[0][0], whole[0])
    np.testing.assert_allclose(blocks[0][2], whole[2], rtol=1e-9, atol=1e-9)


@examples(max_examples=15)
@given(seed=st.integers(0, 1000), p=st.sampled_from([6, 30, 60]))
def test_the_order_of_targets_and_of_features_changes_nothing(seed, p):
    rng = np.random.default_rng(seed)
    features, targets = problem(50, p, 17)
    order = rng.permutation(17)
    plain = fit_once(features, targets)
    shuffled = fit_once(features[:, rng.permutation(p)], targets[:, order])
    np.testing.assert_array_equal(shuffled[0], plain[0][order])
    np.testing.assert_allclose(shuffled[2], plain[2][:, order], rtol=1e-8, atol=1e-8)


@examples(max_examples=15)
@given(scale=st.floats(0.01, 100), shift=st.floats(-100, 100), p=st.sampled_from([6, 60]))
def test_standardised_features_have_no_unit_and_predictions_follow_the_targets(scale, shift, p):
    features, targets = problem(50, p, 9)
    plain = fit_once(features, targets)
    moved = fit_once(scale * features + shift, scale * targets + shift)
    np.testing.assert_array_equal(moved[0], plain[0])
    np.testing.assert_allclose(moved[2], scale * plain[2] + shift, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("p", [10, 300])
def test_targets_of_pure_noise_stay_at_chance_with_their_penalty_chosen(p):
    rng = np.random.default_rng(2)
    features, targets = rng.standard_normal((260, p)), rng.standard_normal((260, 300))
    for score in ("r2", "r"):
        settings = replace(SETTINGS, score=score)
        *_, predicted = fit_once(features, targets, settings, n=100)
        r = prediction_correlation(predicted[100:], targets[100:])
        # The mean over 300 independent targets of a correlation over 160 rows: standard error 0.0046.
        assert abs(r.mean()) < 0.02


def test_predictions_are_made_for_the_chosen_targets_alone():
    features, targets = problem(50, 12, 20)
    everything = fit_once(features, targets)[2]
    mask = np.arange(20) % 3 == 0
    [fit] = fit_sizes(
        FeatureRows(features),
        [np.arange(40)],
        [np.arange(40) % 4],
        np.arange(50),
        lambda start, stop: targets[:, start:stop],
        20,
        SETTINGS,
    )
    np.testing.assert_allclose(fit.predict(mask), everything[:, mask], rtol=1e-10)
    assert fit.predict(np.zeros(20, bool)).shape == (50, 0)
    np.testing.assert_allclose(fit.alpha, 12 * np.array(SETTINGS.alphas)[fit.choice])


@pytest.mark.parametrize("p", [8, 60])
@pytest.mark.parametrize("score", ["r2", "r"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_responses_that_do_not_vary_score_zero_and_are_predicted_as_they_are(p, score, dtype):
    features, targets = problem(50, p, 6)
    targets[:, 1], targets[:, 2] = 7.3, 0.0
    # This one varies in one fold alone: the training sets without it see a constant.
    targets[:, 3] = 4.1
    targets[:10, 3] += np.arange(10)
    labels = np.repeat(np.arange(4), 10)
    _, scores, predicted = fit_once(features, targets, replace(SETTINGS, score=score, dtype=dtype), labels=labels)
    np.testing.assert_array_equal(scores[1:3], 0)
    np.testing.assert_allclose(predicted[:, 1:3], np.broadcast_to([7.3, 0.0], (50, 2)), atol=1e-5)
    if score == "r":
        assert scores[3] == 0
    assert np.isfinite(scores).all() and np.isfinite(predicted).all()


@pytest.mark.parametrize("kind", ["primal", "dual"])
def test_memory_decides_the_width_of_blocks(kind):
    features, targets = problem(300, 20 if kind == "primal" else 400, 4000)
    source, evaluate = FeatureRows(features), np.arange(200, 300)
    widths = {}
    for megabytes in (40, 80):
        settings = replace(SETTINGS, memory_mb=megabytes)
        result, widths[megabytes] = fitted(source, targets, [np.arange(200)], [np.arange(200) % 4], evaluate, settings)
        assert result[0][2].shape == (100, 4000)
    assert 64 <= max(widths[40]) < max(widths[80])


def test_sizes_that_do_not_fit_together_are_fitted_in_groups_with_the_same_answer():
    features, targets = problem(260, 60, 100)
    order, labels = np.random.default_rng(0).permutation(240), np.arange(240) % 4
    counts, settings = (20, 50, 100, 240), replace(SETTINGS, memory_mb=4)
    arguments = ([order[:n] for n in counts], [labels[:n] for n in counts], np.arange(260))
    ample, _ = fitted(FeatureRows(features), targets, *arguments, SETTINGS)
    reads = []

    def read(start, stop):
        reads.append(start)
        return targets[:, start:stop]

    seen = 0
    for fit in fit_sizes(FeatureRows(features), *arguments, read, 100, settings):
        columns = slice(fit.start, fit.stop)
        seen += fit.stop - fit.start
        np.testing.assert_array_equal(fit.choice, ample[fit.size][0][columns])
        predicted = fit.predict(np.ones(fit.stop - fit.start, bool))
        np.testing.assert_allclose(predicted, ample[fit.size][2][:, columns], rtol=1e-9, atol=1e-9)
    assert seen == 4 * 100
    assert reads.count(0) > 1, "each group reads the first target"


def test_read_only_features_and_no_targets_are_fine(tmp_path):
    features, targets = problem(50, 6, 9)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *_, predicted = fit_once(mapped, targets)
    np.testing.assert_array_equal(predicted, fit_once(features, targets)[2])
    assert fitted(FeatureRows(features), targets[:, :0], [np.arange(40)], [np.arange(40) % 4], [0], SETTINGS)[0] == {}


def test_each_way_of_scoring_is_taken_where_it_is_least_work():
    shape = budget.FitShape(2000, 40, 10, 10, 500, 4, False)
    many = MappingSize(0, np.arange(2000), np.arange(2000) % 5)
    few = MappingSize(0, np.arange(60), np.arange(60) % 5)
    routes = [budget.parts_of(size, True, shape)[0].route for size in (many, few)]
    assert routes == ["quadratic", "hats"]
    assert budget.parts_of(few, True, replace(shape, n_targets=50))[0].route == "basis"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("p", [20, 100, 300])
def test_the_device_changes_nothing(p):
    features, targets = problem(220, p, 50)
    ours, peer = (fit_once(features, targets, replace(SETTINGS, device=d), n=200) for d in ("cpu", "cuda"))
    np.testing.assert_array_equal(ours[0], peer[0])
    np.testing.assert_allclose(ours[2], peer[2], rtol=1e-8, atol=1e-8)


def test_operations_grow_with_targets_and_are_least_for_few_features():
    assert flops(8000, 512, 5000, 10, 5, 500) < flops(8000, 512, 10000, 10, 5, 500)
    assert flops(8000, 512, 5000, 10, 5, 500) < flops(8000, 4096, 5000, 10, 5, 500)
    # The sweep over penalties for 1,600 held-out rows and 4,096 features is the least that a study can expect.
    assert flops(8000, 4096, 40000, 10, 5, 500) > 10 * 5 * 2 * 1600 * 4096 * 40000


def faulty(features=None, targets=None, rows=None, labels=None, evaluate=None, settings=SETTINGS, source=None):
    plain, responses = problem(50, 6, 9)
    features, targets = plain if features is None else features, responses if targets is None else targets
    rows, labels = np.arange(40) if rows is None else rows, np.arange(40) % 4 if labels is None else labels
    evaluate = np.arange(50) if evaluate is None else evaluate
    fitted(source or FeatureRows(features), targets, [rows], [labels], evaluate, settings)


def with_nan(shape, *places):
    values = np.random.default_rng(0).standard_normal(shape)
    for place in places:
        values[place] = np.nan
    return values


CASES = {
    "NaN in features": (
        {"features": with_nan((50, 6), (3, 2), (17, 0))},
        "2 stimuli and 2 features: row 3 .feature 2., row 17 .feature 0.",
    ),
    "NaN in many features": ({"features": with_nan((50, 90), (3, 2))}, "1 stimuli and 1 features: row 3 .feature 2."),
    "NaN in a later block": (
        {"source": FeatureBlocks(lambda: [np.ones((50, 70)), with_nan((50, 20), (3, 2))], 50)},
        "1 stimuli and 1 features: row 3 .feature 72.",
    ),
    "NaN in targets": ({"targets": with_nan((50, 9), (5, 4), (6, 4), (7, 8))}, "2 of the targets 0 to 8.*: 4, 8"),
    "too few targets": ({"targets": np.zeros((30, 9))}, r"shape \(30, 9\), expected all rows"),
    "row outside": ({"rows": np.arange(20, 60)}, "row 50 of 50"),
    "evaluation row outside": ({"evaluate": np.array([-1])}, "evaluation rows: row -1 of 50"),
    "repeated row": ({"rows": np.r_[0:39, 0]}, "1 rows are there more than once"),
    "folds of another length": ({"labels": np.arange(30) % 3}, r"\(30,\) fold numbers for \(40,\) rows"),
    "one fold": ({"labels": np.zeros(40, int)}, "1 folds, cross-validation needs at least 2"),
    "folds that are no whole numbers": ({"labels": np.arange(40) % 4 + 0.5}, "fold numbers are float64"),
    "no rows": ({"rows": np.arange(0), "labels": np.arange(0)}, "needs rows and folds"),
    "no features": ({"features": np.zeros((50, 0))}, "there are none"),
    "features of integers": ({"features": np.zeros((50, 3), int)}, "expected .rows, features., float32/64"),
    "a Gram that isn't square": ({"source": GramRows(np.zeros((50, 40)))}, "expected a square matrix"),
    "a Gram to standardise": ({"source": GramRows(np.eye(50))}, "can't be standardised"),
    "blocks of other rows": ({"source": FeatureBlocks(lambda: [np.zeros((40, 3))], 50)}, "expected 50 rows"),
}


@pytest.mark.parametrize(("arguments", "message"), CASES.values(), ids=CASES)
def test_a_faulty_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        faulty(**arguments)


@pytest.mark.parametrize("p", [100, 400])
def test_memory_that_holds_not_one_fold_says_how_much_is_missing(p):
    features, targets = problem(300, p, 9)
    with pytest.raises(ValueError, match=r"memory_mb: too small by \d+ for matrices"):
        fit_once(features, targets, replace(SETTINGS, memory_mb=1), n=300)


@pytest.mark.parametrize("p", [60, 400])
def test_the_least_memory_is_enough_and_one_megabyte_less_is_not(p):
    features, targets = problem(320, p, 9)
    shape = budget.FitShape(320, p, 320, 6, 9, 8, False)
    least = budget.least_memory_mb([300], 4, shape)
    assert least > 1
    fit_once(features, targets, replace(SETTINGS, memory_mb=least), n=300)
    with pytest.raises(ValueError, match="too small by 1 for"):
        fit_once(features, targets, replace(SETTINGS, memory_mb=least - 1), n=300)


@pytest.mark.parametrize("n_alphas", [1, 6])
@pytest.mark.parametrize("case", ["constant feature", "repeated feature", "more features than rows"])
def test_a_penalty_of_zero_needs_a_regular_gram(case, n_alphas):
    features = problem(50, 60 if case == "more features than rows" else 6, 1)[0]
    if case == "constant feature":
        features[:, 2] = 3.0
    if case == "repeated feature":
        features[:, 2] = features[:, 4]
    settings = replace(SETTINGS, alphas=(0.0, *SETTINGS.alphas)[:n_alphas])
    with pytest.raises(ValueError, match="singular at the penalty 0"):
        faulty(features=features, settings=settings)


def test_a_penalty_of_zero_is_least_squares_where_the_gram_is_regular():
    features, targets = problem(50, 6, 9)
    *_, predicted = fit_once(features, targets, replace(SETTINGS, alphas=(0.0,)))
    design = np.c_[features, np.ones(50)]
    expected = design @ np.linalg.lstsq(design[:40], targets[:40], rcond=None)[0]
    np.testing.assert_allclose(predicted, expected, rtol=1e-8, atol=1e-8)


def test_all_faults_of_settings_are_told_at_once():
    settings = RidgeSettings((3.0, 1.0), score="mse", scale="none", memory_mb=0, dtype="float16")
    with pytest.raises(ValueError) as raised:
        settings.check()
    for name in ("alphas: must ascend", "score: 'mse'", "scale: 'none'", "memory_mb: 0", "float16"):
        assert name in str(raised.value)
    assert RidgeSettings((-1.0,)).problems() and RidgeSettings(()).problems()
    assert not RidgeSettings((1.0,)).problems()
