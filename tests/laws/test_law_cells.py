"""What counts as one observation: cells, not points; and how many different x a law needs to be determined."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import percent
from neuroscaling.laws import comparison
from neuroscaling.laws.bootstrap import resample_weights, undetermined
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.identifiability import NOT_DETERMINED
from neuroscaling.laws.loss import LOSSES
from neuroscaling.laws.point_checks import NotTestable
from neuroscaling.laws.points import select_points
from neuroscaling.laws.study_fit import fit_table
from tests.laws.test_fit_job import job, score_table
from tests.support.planted import planted


@pytest.mark.parametrize("loss", ["huber", "least_squares"])
@pytest.mark.parametrize("form", ["power_law", "log_linear", "logistic"])
def test_seeds_that_agree_add_nothing_to_aicc(form, loss):
    x, y = planted("power_law", 12, 0.01)
    once = fit(x, y, form=form, loss=loss, bootstraps=0)
    thrice = fit(
        np.repeat(x, 3), np.repeat(y, 3), form=form, loss=loss, bootstraps=0, clusters=np.repeat(x, 3).tolist()
    )
    assert thrice.units == 12 and thrice.aicc() == pytest.approx(once.aicc(), rel=1e-9)


def test_aicc_of_cells_by_hand():
    found = comparison.aicc(LOSSES["least_squares"], 0.5 * 0.36, 36, 3, units=12)
    assert found == pytest.approx(12 * np.log(0.36 / 36) + 8 + 40 / 7)
    assert comparison.aicc(LOSSES["huber"], 0.36, 36, 3, units=5) is None
    assert comparison.aicc(LOSSES["huber"], 0.36, 36, 3, units=6) is not None


def test_compared_forms_of_a_study_count_the_same_cells():
    """Ten cells of three seeds: every form, also those that are fitted without resamples, is judged by ten."""
    settings = job(forms=["log_linear", "power_law_ceiling"], cluster=["samples_per_class"], filters={"region": "IT"})
    content = fit_table(score_table(), settings)[0]
    assert content["bootstraps"]["units"] == 10
    for row in content["compared"]:
        loss, p = LOSSES["least_squares"], len(FORMS[row["form"]].parameters)
        assert row["aicc"] == pytest.approx(comparison.aicc(loss, row["loss"], 30, p, 10))
        assert row["holdout"]["n_held_out"] > 0
    subjects = score_table().assign(subject=lambda t: "s" + (t["seed"] % 3).astype(str))
    settings = job(forms=["log_linear", "sqrt_saturating"], hierarchy=["subject"], filters={"region": "IT"})
    assert [row["aicc"] for row in fit_table(subjects, settings)[0]["compared"]] == [None, None]


def test_one_cell_alone_leaves_its_points_as_observations():
    """A hierarchy over one subject draws its points; without resamples one cluster is no hindrance."""
    x, y = planted("log_linear", 12, 0.01)
    one = fit(x, y, form="log_linear", bootstraps=0)
    for labels in ({"hierarchy": [["s"] * 12]}, {"clusters": ["c"] * 12}):
        law = fit(x, y, form="log_linear", bootstraps=0, **labels)
        assert law.units == 12 and law.aicc() == one.aicc()
    below = fit(x, y, form="log_linear", bootstraps=0, hierarchy=[["s"] * 12, list("abcdef") * 2])
    assert below.units == 6
    with pytest.raises(NotTestable, match="all points are of one cluster"):
        fit(x, y, form="log_linear", bootstraps=5, clusters=["c"] * 12)


def share_of_few(n, least):
    """How many of the n^n resamples of n points hold fewer than `least` different ones."""
    surjections = [sum((-1) ** i * comb(d, i) * (d - i) ** n for i in range(d)) for d in range(1, least)]
    return sum(comb(n, d) * s for d, s in enumerate(surjections, 1)) / n**n


@pytest.mark.parametrize(("n", "parameters"), [(4, 3), (5, 3), (5, 4), (6, 3), (8, 2)])
def test_the_share_of_resamples_with_a_continuum_of_laws(n, parameters):
    x = np.geomspace(1, 100, n)
    expected = share_of_few(n, parameters)
    assert undetermined(x, resample_weights(n, 4000), parameters) == pytest.approx(expected, abs=0.03)


def test_points_of_one_x_and_of_one_cell_count_once(monkeypatch):
    weights = np.array([[1, 1, 1, 0, 0, 0], [3, 0, 0, 2, 0, 1], [0, 0, 1, 0, 1, 1]], dtype=np.uint16)
    x = np.array([1.0, 1, 2, 2, 3, 3])
    assert undetermined(x, weights, 3) == pytest.approx(2 / 3)
    monkeypatch.setattr("neuroscaling.laws.bootstrap.DRAWN", 7)
    assert undetermined(x, weights, 3) == pytest.approx(2 / 3)
    assert undetermined(x, weights[:0], 3) == 0.0 and undetermined(x, weights[:0], 4) == 1.0


def test_each_variable_needs_values_of_its_own():
    n, d = np.repeat([1.0, 2, 3], 3), np.tile([1.0, 2, 3], 3)
    everything, two_sizes = np.ones((1, 9), np.uint16), np.array([[1, 1, 1, 1, 1, 1, 0, 0, 0]], np.uint16)
    assert undetermined(np.stack([n, d], -1), everything, 5, (3, 3)) == 0.0
    assert undetermined(np.stack([n, d], -1), two_sizes, 5, (3, 3)) == 1.0


@pytest.mark.parametrize("n", [4, 5])
def test_nothing_is_identified_by_four_or_five_points(n):
    x = np.geomspace(10, 1e4, n)
    law = fit(x, 1 - (0.4 + 0.9 * x**-0.35), bootstraps=100)
    content, share = law.to_dict(), percent(law.undetermined)
    assert content["bootstraps"]["undetermined"] == law.undetermined > 0.05
    for flag in content["identified"].values():
        assert not flag["identified"] and f"in {share} of the resamples too few different x" in flag["reasons"][0]
    assert content["saturation"] is None and content["saturation_statement"] == NOT_DETERMINED
    assert any(f"in {share} of the resamples" in note for note in content["notes"])
    assert f"[[Note]] in {share} of the resamples" in law.fit_report()


def test_many_points_are_not_doubted_for_their_number():
    x, y = planted("power_law", 40, 0.005)
    law = fit(x, y, bootstraps=60)
    assert law.undetermined == 0.0 and law.notes == [] and law.flags["E"]["identified"]


def test_three_different_x_determine_no_law_of_four_parameters():
    x = np.repeat([10.0, 100.0, 1000.0], 5)
    law = fit(x, 1 - (0.4 + 0.9 * x**-0.35), form="power_law_shift", bootstraps=0)
    assert law.undetermined == 1.0 and not any(flag["identified"] for flag in law.flags.values())
    assert "too few different x: a continuum of laws fits them equally well" in law.notes


def epochs_of_runs():
    """The scores of ten cells of three seeds at three epochs each, every epoch a run, those of seed 2 at the last."""
    table = score_table()
    every = [table.assign(trajectory=table["run"], epoch=float(e), run=table["run"] + f"_ep{e}") for e in (1, 2, 3)]
    return pd.concat(every, ignore_index=True).query("seed < 2 or epoch == 3")


@pytest.mark.parametrize(
    ("labels", "clusters", "levels"),
    [
        ({}, 30, None),
        ({"cluster": ["run"]}, 30, None),
        ({"cluster": ["arch", "epoch"]}, 30, None),
        ({"cluster": ["samples_per_class"]}, 10, None),
        ({"hierarchy": ["arch_family"]}, None, [["arch_family"], ["trajectory"]]),
        ({"hierarchy": ["samples_per_class", "run"]}, None, [["samples_per_class"], ["trajectory"]]),
    ],
)
def test_epochs_of_one_training_are_resampled_together(labels, clusters, levels):
    table = epochs_of_runs()
    settings = job(forms=["log_linear"], filters={"region": "IT"}, **labels)
    found = select_points(table, settings)
    assert len(found.points) == 70 and (found.clusters is None or len(set(found.clusters)) == clusters)
    assert (found.hierarchy and [len(set(level)) for level in found.hierarchy]) == (
        levels and [table[column].nunique() for (column,) in levels]
    )
    apart = {
        label: set(own) for label, own in found.points["trajectory"].groupby(found.clusters or found.hierarchy[-1])
    }
    assert sum(map(len, apart.values())) == 30, "no training is in two clusters"
    ends = select_points(table.query("epoch == 3"), settings)
    assert (ends.clusters is None) == (not settings["cluster"]) and len(ends.hierarchy or []) == len(
        settings["hierarchy"]
    )


def test_points_over_several_epochs_or_of_tables_without_trainings_are_resampled_as_asked():
    settings = job(forms=["log_linear"], filters={"region": "IT"}, group_by=["arch", "samples_per_class"])
    found = select_points(epochs_of_runs().query("epoch == 3"), settings)
    assert found.clusters is None
    assert select_points(score_table(), settings | {"group_by": ["run"]}).clusters is None
