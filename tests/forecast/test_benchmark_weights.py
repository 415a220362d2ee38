"""Runs are preferred that narrow the laws of benchmarks which can tell networks apart."""

import dataclasses

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.forecast.benchmark_weights import rank_over_fits, weight_of
from neuroscaling.forecast.next_runs import Candidate, rank_candidates
from neuroscaling.laws.benchmark_file import benchmark_file
from tests.forecast.test_next_runs import planted, planted_two
from tests.support.finished_fits import finished
from tests.support.planted_networks import Planted, planted_table

CANDIDATES = [Candidate((1e16,), label="middle"), Candidate((1e21,), label="far"), Candidate((1e14,), label="near")]


def law(region, **changes):
    content, samples = planted(**changes)
    return finished(content | {"name": region, "filters": {"region": region}}, samples)


@pytest.fixture(scope="module")
def told():
    """V1 of mere noise, and IT that tells networks apart."""
    import pandas as pd

    noisy = planted_table(Planted(networks=40, spread=0.002, noise=0.03, scales=(0,), region="V1"))
    clear = planted_table(Planted(networks=40, scales=(0,), region="IT"))
    return benchmark_file(pd.concat([noisy, clear], ignore_index=True))


def test_a_fit_weighs_what_its_benchmark_can_tell(told):
    assert weight_of(law("V1"), told) < 0.2 and weight_of(law("IT"), told) > 0.8
    both = dataclasses.replace(told)
    one = law("V1").model_copy(update={"filters": {"region": ["V1", "IT"]}})
    assert weight_of(one, both) == pytest.approx((weight_of(law("V1"), told) + weight_of(law("IT"), told)) / 2)
    assert weight_of(law("V4"), told) == weight_of(law("V1"), None) == 1.0


def test_reductions_are_weighted_and_the_best_run_comes_first(told):
    fits = [law("V1"), law("IT", sigma=0.03)]
    rows, words = rank_over_fits(fits, CANDIDATES, told)
    weights = {fit.name: weight_of(fit, told) for fit in fits}
    alone = {
        fit.name: {row["label"]: row["reduction"] for row in rank_candidates(fit, CANDIDATES).rows} for fit in fits
    }
    for row in rows:
        own = {name: alone[name][row["label"]] for name in alone}
        assert [row[f"reduction {name}"] for name in own] == list(own.values())
        assert row["weighted_reduction"] == pytest.approx(sum(weights[n] * own[n] for n in own) / 2)
    values = [row["weighted_reduction"] for row in rows]
    assert values == sorted(values, reverse=True) and [row["rank"] for row in rows] == [1, 2, 3]
    assert words[0] == f"V1: weight {weights['V1']:.2f} by what its benchmark can tell"


def test_without_knowledge_all_fits_count_alike():
    rows, words = rank_over_fits([law("V1"), law("IT")], CANDIDATES, None)
    assert words[0] == "what the benchmarks can tell is not known, so all fits count alike"
    for row in rows:
        assert row["weighted_reduction"] == pytest.approx((row["reduction V1"] + row["reduction IT"]) / 2)


def test_laws_of_other_variables_rank_no_common_runs():
    with pytest.raises(DataError, match="laws of different variables"):
        rank_over_fits([law("V1"), finished(*planted_two())], CANDIDATES, None)
    with pytest.raises(DataError, match="fits of one name"):
        rank_over_fits([law("V1"), law("V1")], CANDIDATES, None)
