"""Layers chosen on training images: noise gains nothing from the choice, ties are told, regions keep their order."""

from itertools import product

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from neuroscaling.regression.cross_validation import choose_in_order, inner_scores, near_ties, shuffled_folds
from neuroscaling.regression.scores import prediction_correlation


class RidgeOfRows:
    """scikit-learn's ridge on the rows of a layer."""

    def __init__(self, features: np.ndarray):
        self.features, self.ridge = features, Ridge(alpha=100.0)

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> "RidgeOfRows":
        self.ridge.fit(self.features[rows], targets)
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.ridge.predict(self.features[rows])


def score_of(features: np.ndarray, targets: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    predictions = RidgeOfRows(features).fit(train, targets[train]).predict(test)
    return float(np.median(prediction_correlation(predictions, targets[test])))


def chosen_scores(layers: dict[str, np.ndarray], targets: np.ndarray, seed: int) -> tuple[float, float]:
    """Reported score of the layer that is best on the report itself, and of the one chosen inside the training rows."""
    rows = np.arange(len(targets))
    outer = shuffled_folds(len(targets), 5, seed)
    reported = {name: np.mean([score_of(x, targets, *fold) for fold in outer]) for name, x in layers.items()}
    nested = []
    for train, test in outer:
        folds = [(train[a], train[b]) for a, b in shuffled_folds(len(train), 3, seed)]
        estimators = {name: RidgeOfRows(x) for name, x in layers.items()}
        best = list(layers)[int(inner_scores(estimators, rows, targets, folds).mean(1).argmax())]
        nested.append(score_of(layers[best], targets, train, test))
    return max(reported.values()), float(np.mean(nested))


def test_planted_noise_layers_gain_from_a_choice_on_the_report_and_not_from_a_nested_one():
    best, nested, single = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        targets = rng.standard_normal((60, 6))
        noise = {f"noise{i}": rng.standard_normal((60, 8)) for i in range(15)}
        parity, corrected = chosen_scores(noise, targets, seed)
        best.append(parity)
        nested.append(corrected)
        single.append(np.mean([score_of(noise["noise0"], targets, *fold) for fold in shuffled_folds(60, 5, seed)]))
    error = np.std(nested, ddof=1) / np.sqrt(len(nested))
    assert np.mean(best) > 0.1  # what a selection on the report makes of nothing
    assert abs(np.mean(nested) - np.mean(single)) < 3 * np.hypot(error, np.std(single, ddof=1) / np.sqrt(12))
    assert np.mean(nested) < np.mean(best) - 3 * error


def test_a_layer_that_carries_the_signal_is_found_among_noise():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((80, 8))
    targets = signal @ rng.standard_normal((8, 5)) + rng.standard_normal((80, 5))
    layers = {"noise": rng.standard_normal((80, 8)), "signal": signal, "weak": signal[:, :2]}
    estimators = {name: RidgeOfRows(x) for name, x in layers.items()}
    found = inner_scores(estimators, np.arange(80), targets, shuffled_folds(80, 3, 0))
    assert found.mean(1).argmax() == 1 and found[1].mean() > 0.6
    assert near_ties(list(layers), found, 1) == ()


def test_groups_are_averaged_after_their_medians():
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((40, 3)), rng.standard_normal((40, 4))
    fold = shuffled_folds(40, 4, 0)[:1]
    whole = [inner_scores({"x": RidgeOfRows(x)}, np.arange(40), targets[:, columns], fold) for columns in ([0], [1, 2])]
    groups = [np.array([0]), np.array([1, 2])]
    grouped = inner_scores({"x": RidgeOfRows(x)}, np.arange(40), targets, fold, groups)
    assert grouped == pytest.approx((whole[0] + whole[1]) / 2)


def test_layers_that_the_folds_do_not_tell_apart_are_near_ties():
    scores = np.array([[0.50, 0.52, 0.51], [0.51, 0.50, 0.515], [0.30, 0.31, 0.29]])
    assert near_ties(["a", "b", "c"], scores, 0) == ("b",)
    assert near_ties(["a", "b"], np.array([[0.5], [0.4]]), 0) == ()
    assert near_ties(["a", "b"], np.array([[0.5], [0.5]]), 0) == ("b",)


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_in_order_is_the_best_of_all_in_order(seed: int):
    rng = np.random.default_rng(seed)
    scores = [np.round(rng.random(5), 1) for _ in range(4)]
    chosen = choose_in_order(scores)
    allowed = [c for c in product(range(5), repeat=4) if list(c) == sorted(c)]
    best = max(sum(s[i] for s, i in zip(scores, c, strict=True)) for c in allowed)
    assert chosen == sorted(chosen)
    assert sum(s[i] for s, i in zip(scores, chosen, strict=True)) == pytest.approx(best)
