"""The public score tables: luck of layers, what each benchmark can tell, and how well that is predicted."""

import numpy as np
import pytest

from neuroscaling.laws.benchmark_resolution import resolutions
from neuroscaling.laws.decision_accuracy import agreements
from neuroscaling.laws.layer_luck import layer_luck
from neuroscaling.laws.network_scores import benchmark_scores
from neuroscaling.reproductions.gokce2025.published_scores import published_table

LUCK = {
    "V1": (0.0175, 0.0049), "V2": (0.0128, 0.0023), "V4": (0.0020, 0.0015), "IT": (0.0062, 0.0020),
    "Behavioral": (-0.0018, 0.0014),
}  # fmt: skip


@pytest.fixture(scope="module")
def benchmarks(published_dir):
    return benchmark_scores(published_table(published_dir / "benchmark_scores.csv"))


def test_luck_of_the_published_layers(benchmarks):
    found = {(luck.key["region"], luck.scale): luck for luck in layer_luck(benchmarks)}
    for region, (difference, error) in LUCK.items():
        luck = found[region, "all"]
        np.testing.assert_allclose((luck.difference, luck.error), (difference, error), atol=0.00005)
        assert luck.networks == 36 and luck.chosen == (region != "Behavioral")
        assert abs(found[region, "100"].difference) < 0.005 and not found[region, "100"].chosen


RATIOS = {"V1": 1.5, "V2": 1.5, "V4": 2.5, "IT": 2.0, "Behavioral": 11}
RANKED_AT_10 = {"V1": 0.80, "V2": 0.52, "V4": 0.49, "IT": 0.75, "Behavioral": 0.43}


def test_what_the_published_benchmarks_can_tell(benchmarks):
    found = {own.key["region"]: own for own in resolutions(benchmarks)}
    for region, own in found.items():
        assert own.networks == 36 and own.seeds == 3
        assert own.spread_over_seeds == pytest.approx(RATIOS[region], abs=0.07)
        at_10 = next(decision for decision in own.decisions if decision.scale == "10")
        assert at_10.pairs == 306 and at_10.seen == pytest.approx(RANKED_AT_10[region], abs=0.005)


def test_predicted_decision_accuracy_follows_what_is_seen(benchmarks):
    """The ratio of signal to noise alone, which tells decisions between language models, does not tell these."""
    decisions = [decision for own in resolutions(benchmarks) for decision in own.decisions]
    found = {own.prediction: own for own in agreements(decisions)}
    assert (found["in_advance"].cells, found["other_networks"].cells) == (25, 30)
    assert found["in_advance"].r > 0.79 and found["other_networks"].r > 0.85
    assert found["signal_to_noise"].r < 0.5
