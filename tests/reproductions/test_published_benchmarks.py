"""The public score tables: luck of layers, what each benchmark can tell, and how well that is predicted."""

import numpy as np
import pytest

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
