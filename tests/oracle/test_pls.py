"""PLS on row numbers against scikit-learn's PLSRegression: predictions, and the very same power iterations."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import PLSRegression

from neuroscaling.regression.features import Features, finite_rows, not_finite_in_words
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.pls import KernelPLS, pls_splits

FORMS = {"features": Features.of, "gram": Gram.of}
SHAPES = [(150, 400, 20), (300, 60, 20), (150, 400, 1), (300, 40, 1), (80, 79, 3), (40, 200, 90), (120, 20, 50)]


def problem(n, p, m, seed=0, latent=12):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, latent)) * np.arange(1, latent + 1) ** -0.6
    features = np.maximum(hidden @ rng.standard_normal((latent, p)) + 0.3 * rng.standard_normal((n, p)), 0)
    targets = np.tanh(hidden) @ rng.standard_normal((latent, m)) + rng.standard_normal((n, m)) + 3
    return features + 1, targets


def stock(features, targets, train, test, n_components):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PLSRegression(n_components, scale=False).fit(features[train], targets[train])
    return model.predict(features[test]).reshape(len(test), -1), list(model.n_iter_)


def check(features, targets, train, test, n_components, form, tolerance=1e-10):
    expected, iterations = stock(features, targets, train, test, n_components)
    fit = KernelPLS(FORMS[form](features), n_components).fit(train, targets[train])
    assert np.abs(fit.predict(test) - expected).max() <= tolerance * max(np.abs(expected).max(), 1)
    assert fit.n_iter_ == iterations


def shuffled(n, n_train, seed=0):
    order = np.random.default_rng(seed).permutation(n)
    return order[:n_train], order[n_train:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.9, 0.5])
@pytest.mark.parametrize(("n", "p", "m"), SHAPES)
def test_predictions_and_iterations_equal_those_of_scikit_learn(n, p, m, share, form):
    check(*problem(n, p, m), *shuffled(n, int(share * n)), 15, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [60, 400])
def test_repeated_training_rows_count_as_often_as_they_are_there(p, form):
    train, test = shuffled(150, 130)
    check(*problem(150, p, 8), np.concatenate([train, train[:20], train[:5]]), test, 10, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [60, 400])
def test_equal_stimuli_in_both_sides_agree(p, form):
    features, targets = problem(150, p, 8)
    features[120:] = features[:30]
    check(features, targets, np.arange(130), np.arange(130, 150), 10, form)


@pytest.mark.parametrize("p", [60, 400])
def test_float32_features_agree_where_scikit_learn_rounds(p):
    features, targets = problem(150, p, 8)
    features = features.astype(np.float32)
    train, test = shuffled(150, 130)
    expected, iterations = stock(features, targets, train, test, 10)
    for form in FORMS.values():
        fit = KernelPLS(form(features), 10).fit(train, targets[train])
        # scikit-learn fits in float64, but centres the rows to predict in float32.
        assert np.abs(fit.predict(test) - expected).max() <= 1e-6 * np.abs(expected).max()
        assert fit.n_iter_ == iterations


@pytest.mark.parametrize(
    ("form", "offset", "tolerance"), [("features", 1e4, 1e-10), ("gram", 30, 1e-10), ("gram", 1e3, 1e-7)]
)
def test_large_means_cost_no_digits_but_those_that_a_raw_gram_cannot_hold(form, offset, tolerance):
    features, targets = problem(150, 400, 20)
    check(features + offset, targets + offset, *shuffled(150, 135), 15, form, tolerance)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [30, 300])
def test_constant_targets_and_constant_features_agree(p, form):
    features, targets = problem(100, p, 5)
    features[:, [3, 4]] = 2.0, 0.0
    targets[:, [0, 3]] = 1.0, 0.0
    train, test = np.arange(80), np.arange(80, 100)
    check(features, targets, train, test, 6, form)
    predictions = KernelPLS(FORMS[form](features), 6).fit(train, targets[train]).predict(test)
    np.testing.assert_allclose(predictions[:, 0], 1.0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_predict_or_to_predict_from_gives_the_mean(form):
    features, targets = problem(60, 20, 3)
    for x, y in ((features, np.full((60, 3), 2.0)), (np.ones((60, 20)), targets)):
        fit = KernelPLS(FORMS[form](x), 4).fit(np.arange(50), y[:50])
        assert fit.n_iter_ == []
        np.testing.assert_allclose(fit.predict(np.arange(50, 60)), np.tile(y[:50].mean(0), (10, 1)), atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_components_end_where_scikit_learn_finds_the_targets_used_up(form):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 50))
    targets = rng.standard_normal((30, 4)) + features[:, :4]
    check(features, targets, np.arange(20), np.arange(20, 30), 20, form)
    assert len(KernelPLS(FORMS[form](features), 20).fit(np.arange(20), targets[:20]).n_iter_) == 19


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [20, 200])
def test_more_components_than_rank_end_at_least_squares(p, form):
    # scikit-learn goes on with what rounding left of the features: its predictions are then some 10 to 1000 off.
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 3)) @ rng.standard_normal((3, p))
    targets = features @ rng.standard_normal((p, 4)) + 0.1 * rng.standard_normal((60, 4))
    train, test = np.arange(50), np.arange(50, 60)
    fit = KernelPLS(FORMS[form](features), 10).fit(train, targets[:50])
    expected, iterations = stock(features, targets, train, test, 3)
    assert fit.n_iter_ == iterations
    np.testing.assert_allclose(fit.predict(test), expected, atol=1e-9)
    design = np.column_stack([np.ones(60), features])
    least_squares = design[50:] @ np.linalg.lstsq(design[:50], targets[:50], rcond=None)[0]
    np.testing.assert_allclose(fit.predict(test), least_squares, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_power_iterations_stop_at_the_limit_of_scikit_learn(form):
    # Two directions of nearly the same strength: the weights creep from the second towards the first.
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(np.column_stack([np.ones(60), rng.standard_normal((60, 2))]))
    sine, cosine = np.sin(np.radians(22.5)), np.cos(np.radians(22.5))
    targets = basis[:, 1:] @ np.diag([np.sqrt(1.003), 1.0]) @ [[sine, cosine], [cosine, -sine]]
    features = np.column_stack([basis[:, 1:], np.zeros((60, 80 if form == "gram" else 1))])
    rows = np.arange(60)
    assert stock(features, targets, rows, rows, 1)[1] == [500]
    check(features, targets, rows, rows, 1, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "p", "m"), [(150, 400, 20), (300, 60, 20), (60, 200, 90)])
def test_splits_in_step_equal_splits_one_by_one(n, p, m, form):
    features, targets = problem(n, p, m)
    splits = [shuffled(n, int(0.9 * n), seed) for seed in range(4)]
    shared = FORMS[form](features)
    for predictions, (train, test) in zip(pls_splits(shared, targets, splits, 12), splits, strict=True):
        alone = KernelPLS(shared, 12).fit(train, targets[train]).predict(test)
        np.testing.assert_allclose(predictions, alone, atol=1e-10)
        expected, _ = stock(features, targets, train, test, 12)
        np.testing.assert_allclose(predictions, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("p", [40, 300])
def test_splits_of_unequal_sizes_and_with_repeats_are_each_right(p):
    features, targets = problem(150, p, 6)
    splits = [shuffled(150, size) for size in (140, 60, 120)]
    splits.append((np.concatenate([splits[0][0], splits[0][0][:9]]), splits[0][1]))
    for form in FORMS.values():
        for predictions, (train, test) in zip(pls_splits(form(features), targets, splits, 8), splits, strict=True):
            expected, _ = stock(features, targets, train, test, 8)
            np.testing.assert_allclose(predictions, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [40, 300])
def test_splits_with_repeated_rows_alone_are_right(p, form):
    features, targets = problem(150, p, 6)
    train, test = shuffled(150, 135)
    train = np.concatenate([train, train[:9]])
    (predictions,) = pls_splits(FORMS[form](features), targets, [(train, test)], 8)
    expected, _ = stock(features, targets, train, test, 8)
    np.testing.assert_allclose(predictions, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [10, 80])
def test_iterations_start_at_the_first_target_that_is_not_used_up(p, form):
    # The first component is the first target itself, of which nothing is left for the second to start from.
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(np.column_stack([np.ones(60), rng.standard_normal((60, 9))]))
    features = np.column_stack([basis[:, 1:], np.zeros((60, p - 9))])
    turned = basis[:, 2:6] @ rng.standard_normal((4, 3)) / 4
    targets = np.column_stack([2 * basis[:, 1], turned])
    rows = np.arange(60)
    assert stock(features, targets, rows, rows, 3)[1][0] == 2
    check(features, targets, rows, rows, 3, form)


@settings(max_examples=30)
@given(
    n=st.integers(20, 70),
    p=st.integers(6, 90),
    m=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    form=st.sampled_from(sorted(FORMS)),
)
def test_any_shape_agrees(n, p, m, seed, form):
    features, targets = problem(n, p, m, seed, latent=6)
    train, test = shuffled(n, n - 5, seed)
    expected, iterations = stock(features, targets, train, test, 4)
    fit = KernelPLS(FORMS[form](features), 4).fit(train, targets[train])
    assert np.abs(fit.predict(test) - expected).max() <= 1e-9 * max(np.abs(expected).max(), 1)
    assert fit.n_iter_ == iterations


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-4, 0.3, 1e5]), p=st.sampled_from([25, 90]))
def test_the_order_of_stimuli_and_the_scale_of_features_change_nothing(seed, scale, p):
    features, targets = problem(60, p, 3, seed, latent=6)
    train, test = shuffled(60, 50, seed)
    expected = KernelPLS(Gram.of(features), 5).fit(train, targets[train]).predict(test)
    place = np.random.default_rng(seed + 1).permutation(60)
    where = np.argsort(place)
    permuted = Gram.of(scale * features[place])
    fit = KernelPLS(permuted, 5).fit(where[train], targets[train])
    np.testing.assert_allclose(fit.predict(where[test]), expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
def test_faulty_numbers_and_shapes_are_refused(form):
    features, targets = problem(40, 10, 3)
    shared = FORMS[form](features)
    rows = np.arange(30)
    with pytest.raises(ValueError, match="expected 30 rows"):
        KernelPLS(shared).fit(rows, targets)
    with pytest.raises(ValueError, match="expected 30 rows"):
        KernelPLS(shared).fit(rows, targets[:30, 0])
    with pytest.raises(ValueError, match="at least 1"):
        KernelPLS(shared, 0)
    targets[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 targets are not finite"):
        KernelPLS(shared).fit(rows, targets[:30])


def test_one_nan_feature_is_one_of_one_stimulus():
    features, targets = problem(50, 30, 3)
    features[3, 5] = np.nan
    message = r"features of 50 stimuli: NaN or infinite in 1 stimuli and 1 features: row 3 .feature 5."
    with pytest.raises(ValueError, match=message):
        KernelPLS(Features.of(features), 3).fit(np.arange(50), targets)
    # Products of all stimuli are shared: what the fit does not see would reach it too.
    with pytest.raises(ValueError, match=message):
        KernelPLS(Features.of(features), 3).fit(np.arange(10, 50), targets[10:])


def test_many_faulty_features_are_counted_and_the_first_are_named():
    values = np.ones((9, 12), np.float32)
    values[1:8, 2:11] = np.inf
    words = not_finite_in_words(values, [f"image{i}" for i in range(9)], first_feature=100)
    assert words.startswith("NaN or infinite in 7 stimuli and 9 features: image1 (feature 102, 103, 104, 105, 106, ..)")
    assert words.endswith("image5 (feature 102, 103, 104, 105, 106, ..), ..")
    # Sums of finite numbers may leave the range of their type.
    assert finite_rows(np.full((2, 4), 6e4, np.float16)).all()
    assert finite_rows(np.full((2, 4), 1e308)).all()


def test_stimuli_without_features_are_counted():
    features, targets = problem(40, 10, 3)
    features[[2, 7, 35], 4] = np.nan
    with pytest.raises(ValueError, match="2 of 30 training rows"):
        KernelPLS(Gram.of(features), 3).fit(np.arange(30), targets[:30])
