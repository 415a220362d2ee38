"""The luck of layers: planted and found again, taken off a fit's points or left out with them."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.laws.layer_luck import layer_luck
from neuroscaling.laws.network_scores import benchmark_scores
from neuroscaling.laws.points import select_points
from neuroscaling.laws.study_fit import fit_table
from tests.laws.test_fit_job import job
from tests.support.planted_networks import Planted, planted_table

# What pandas will drop is noticed here.
pytestmark = pytest.mark.filterwarnings("error::DeprecationWarning", "error::FutureWarning")
LUCKY = Planted(networks=60, luck=0.02, region="V1")


@pytest.fixture(scope="module")
def table():
    """V1, whose layers were lucky, and a readout that was not chosen."""
    behavior = planted_table(Planted(networks=60, region="Behavioral"), seed=1)
    behavior[["layers_from", "layer_choice"]] = None
    return pd.concat([planted_table(LUCKY), behavior], ignore_index=True)


def test_planted_luck_is_found_and_the_readout_is_a_control(table):
    found = {(luck.key["region"], luck.scale): luck for luck in layer_luck(benchmark_scores(table))}
    lucky, error = found["V1", "all"], LUCKY.noise * (1 + 1 / 2) ** 0.5 / 60**0.5
    assert lucky.chosen and lucky.networks == 60 and lucky.simulated
    assert abs(lucky.difference - 0.02) < 3 * error and lucky.error == pytest.approx(error, rel=0.3)
    for place in (("V1", "10"), ("V1", "100"), ("Behavioral", "all")):
        assert not found[place].chosen and abs(found[place].difference) < 3 * found[place].error


def test_no_luck_where_each_run_has_layers_of_its_own(table):
    assert layer_luck(benchmark_scores(table.assign(layers_from=table["run"]))) == []
    assert layer_luck(benchmark_scores(table.drop(columns="layers_from"))) == []


def test_a_fit_leaves_out_or_corrects_the_scores_that_layers_were_chosen_on(table):
    own = table[table["region"] == "V1"]
    points = {how: select_points(own, job(chosen_on=how)) for how in ("keep", "leave_out", "correct")}
    chosen = own["layers_from"] == own["run"]
    assert len(points["keep"].points) == len(own) and len(points["leave_out"].points) == (~chosen).sum()
    assert [len(names) for names in points["leave_out"].dropped.values()] == [60]
    kept, corrected = (points[how].points.set_index("run")["y"] for how in ("keep", "correct"))
    taken_off = kept - corrected
    luck = next(own for own in layer_luck(benchmark_scores(table)) if own.chosen)
    np.testing.assert_allclose(taken_off[own["run"][chosen]], luck.difference, atol=1e-12)
    assert (taken_off[own["run"][~chosen]] == 0).all() and len(points["correct"].corrected) == 60
    assert points["keep"].corrected == []


def test_a_network_without_other_seeds_is_corrected_by_the_luck_of_the_others(table):
    own = table[table["region"] == "V1"]
    alone = own[(own["arch"] != "a0") | (own["seed"] == 0)]
    kept, corrected = (select_points(alone, job(chosen_on=how)).points for how in ("keep", "correct"))
    difference = (kept.set_index("run")["y"] - corrected.set_index("run")["y"])["a0_d_all_s0"]
    assert difference == pytest.approx(0.02, abs=0.006)


def test_a_correction_that_nothing_tells_is_not_testable(table):
    first = table[(table["seed"] == 0) & (table["region"] == "V1")]
    content, _ = fit_table(first, job(chosen_on="correct"))
    assert content["status"] == "not testable" and "no other seeds" in content["reason"]
    content, _ = fit_table(first.drop(columns="layer_choice"), job(chosen_on="leave_out"))
    assert "does not say on which runs layers were chosen" in content["reason"]


def test_a_fit_says_that_its_scores_were_corrected(table):
    own = table[(table["region"] == "V1") & table["arch"].isin([f"a{i}" for i in range(10)])]
    content, _ = fit_table(own, job(chosen_on="correct", bootstraps=0))
    assert content["chosen_on"] == "correct"
    assert any("luck of layers is taken off the scores of 10 runs" in note for note in content["notes"])


def test_layers_that_were_chosen_by_other_images_hold_no_luck(table):
    nested = table[table["region"] == "V1"].assign(layer_choice="nested")
    assert len(select_points(nested, job(chosen_on="leave_out")).points) == len(nested)
