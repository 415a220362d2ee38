"""From the score table to a fit: filters, groups, what falls away and is counted, comparison, two variables."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.laws import comparison
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.study_fit import fit_table


def job(**changes):
    return {
        "name": "f", "forms": ["power_law"], "x": "n_samples", "x_scale": None, "y": "score", "filters": {},
        "merge_families": True, "group_by": ["run"], "cluster": [], "loss": None, "bootstraps": 20, "seed": 42,
        "holdout": "top_decade", "mode": "corrected", "fit": "f", "invert_y": True, "samples_per_class_of": {},
        "hierarchy": [], "compute": None,
    } | changes  # fmt: skip


def score_table():
    """Two regions of 30 simulated runs."""
    x = np.repeat(np.geomspace(10, 1000, 10), 3)
    y = FORMS["power_law"].curve(x / 10, 0.5, 0.3, 0.4) + np.random.default_rng(1).normal(0, 0.005, 30)
    rows = [
        {"run": f"run{i:02d}", "arch": "a", "arch_family": "ResNetFlex", "dataset": "d",
         "samples_per_class": int(x[i]), "seed": i % 3, "kind": "trained", "data": "simulated-x",
         "simulated": True, "region": region, "n_samples": x[i],
         "score": y[i] - shift}
        for i in range(30) for region, shift in (("V1", 0.1), ("IT", 0.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_held_out_points():
    x = np.array([1, 5, 10, 50, 100.0])
    assert comparison.held_out(x, "top_decade").tolist() == [False, False, True, True, True]
    assert comparison.held_out(x, "largest").tolist() == [False, False, False, False, True]
    of_cluster = comparison.held_out(x, "largest_of_cluster", ["a", "a", "b", "a", "b"])
    assert of_cluster.tolist() == [False, False, False, True, True]
    assert comparison.held_out(np.array([3, 1, 3, 2.0]), {"last": 2}).tolist() == [True, False, True, True]
    # Clusters matter to their own rule alone, and that rule without clusters is the largest x.
    clusters = ["a", "a", "b", "a", "b"]
    for rule in ("top_decade", "largest"):
        np.testing.assert_array_equal(comparison.held_out(x, rule, clusters), comparison.held_out(x, rule))
    np.testing.assert_array_equal(comparison.held_out(x, "largest_of_cluster"), comparison.held_out(x, "largest"))


def test_an_unknown_rule_of_holding_out_gets_the_nearest():
    with pytest.raises(DataError) as caught:
        comparison.held_out(np.array([1.0, 2.0]), "top_decades")
    assert caught.value.problems[0].nearest == "top_decade"


def test_errors_of_a_prediction():
    found = comparison.prediction_errors(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0]))
    assert found == pytest.approx({"mae": 1.0, "rmse": (5 / 3) ** 0.5, "bias": -1 / 3})


def test_forms_are_ranked_by_aicc_and_those_without_come_last():
    rows = [{"form": name, "aicc": value} for name, value in (("a", None), ("b", 3.0), ("c", -2.0), ("d", 0.0))]
    assert [(row["form"], row["delta_aicc"]) for row in comparison.ranked_by_aicc(rows)] == [
        ("c", 0.0), ("d", 2.0), ("b", 5.0), ("a", None),
    ]  # fmt: skip
    assert [row["delta_aicc"] for row in comparison.ranked_by_aicc(rows[:1])] == [None]


def test_fit_of_a_table_says_what_it_used():
    content, bootstraps = fit_table(score_table(), job(filters={"region": "IT"}))
    assert content["status"] == "fitted" and content["simulated"] and content["data"] == ["simulated-x"]
    assert content["n"] == 30 and content["dropped"] == {}
    assert "[[Note]] SIMULATED data" in content["report"]
    real = fit_table(score_table().assign(simulated=False), job(filters={"region": "IT"}))[0]
    assert "SIMULATED" not in real["report"] and not real["simulated"]
    assert len(bootstraps) == 20 and list(bootstraps) == ["E", "A", "alpha", "loss"]
    assert content["holdout"]["n_held_out"] > 0 and content["holdout"]["mae"] < 0.05


def test_group_mean_over_regions():
    both = fit_table(score_table(), job())[0]
    one = fit_table(score_table(), job(filters={"region": "IT"}))[0]
    np.testing.assert_allclose(np.array(one["points"]["y"]) - 0.05, both["points"]["y"])


def test_incomplete_groups_are_counted_and_parity_averages_what_is_there():
    table = score_table()
    table.loc[0, "score"] = np.nan
    table = table.drop(index=5)
    corrected = fit_table(table, job())[0]
    assert corrected["n"] == 28
    assert corrected["dropped"] == {
        "points with an empty score among their rows": 1, "points with fewer rows than the others": 1,
    }  # fmt: skip
    assert fit_table(table, job(mode="parity"))[0]["n"] == 30


def test_filters():
    table = score_table()
    for condition, n in (({"min": 100}, 15), ({"max": 10}, 3), ({"not": [10]}, 27), (10, 3)):
        content = fit_table(table, job(filters={"region": "IT", "samples_per_class": condition}))[0]
        assert len(content["points"]["x"]) == n
    merged = fit_table(table, job(filters={"arch_family": "ResNet"}))[0]
    assert set(merged["points"]["arch_family"]) == {"ResNet"}


def test_too_few_points_are_a_result_and_no_crash():
    table = score_table().assign(score=np.nan)
    content, bootstraps = fit_table(table, job(filters={"region": "IT"}))
    assert content["status"] == "not testable" and "30 points with an empty score" in content["reason"]
    assert bootstraps.empty
    content, _ = fit_table(score_table(), job(filters={"region": "V44"}))
    assert content["status"] == "not testable" and "no row passes this filter" in content["reason"]


def test_unknown_column_is_an_error():
    with pytest.raises(DataError) as caught:
        fit_table(score_table(), job(x="n_sample"))
    assert caught.value.problems[0].nearest == "n_samples"


def test_column_that_varies_within_a_group_is_an_error():
    table = score_table()
    table["n_samples"] += (table["region"] == "V1").astype(float)
    with pytest.raises(DataError, match="differ within a group"):
        fit_table(table, job())


def test_comparison_ranks_forms():
    forms = ["log_linear", "power_law_ceiling", "sqrt_saturating"]
    content = fit_table(score_table(), job(forms=forms, filters={"region": "IT"}))[0]
    assert content["form"] == "log_linear"
    assert content["compared"][0]["form"] == "power_law_ceiling"
    assert content["compared"][0]["delta_aicc"] == 0


def test_some_families_only_at_some_samples_per_class():
    table = score_table()
    table["arch_family"] = np.where(table["seed"] == 0, "ViT", "ResNet")
    content = fit_table(table, job(samples_per_class_of={"ViT": [10, 1000]}))[0]
    points = pd.DataFrame(content["points"])
    assert sorted(points[points["arch_family"] == "ViT"]["samples_per_class"]) == [10, 1000] and len(points) == 22
    with pytest.raises(DataError, match="arch_family and samples_per_class"):
        fit_table(table.drop(columns="arch_family"), job(samples_per_class_of={"ViT": [10]}, merge_families=False))


def test_errors_of_a_mean_weigh_the_fit():
    table = score_table().assign(error=0.02)
    table.loc[table["run"] == "run00", "error"] = 5.0
    table.loc[table["run"] == "run00", "score"] = 0.9
    content = fit_table(table, job(forms=["log_linear"], loss="weighted"))[0]
    without = fit_table(table[table["run"] != "run00"], job(forms=["log_linear"], loss="weighted"))[0]
    assert content["params"]["b"] == pytest.approx(without["params"]["b"], rel=1e-3)
    # The mean of two regions has an error of sqrt(2) 0.02 / 2: the loss counts in its units.
    residuals = np.array(without["points"]["y"]) - np.interp(
        np.log(without["points"]["x"]), np.log(without["curve"]["x"]), without["curve"]["fit"]
    )
    assert without["loss"] == pytest.approx(0.5 * np.sum(residuals**2) / (0.02**2 / 2), rel=1e-3)


def test_subjects_are_resampled_before_their_points():
    table = score_table().assign(subject=lambda t: "s" + t["seed"].astype(str))
    content, bootstraps = fit_table(table, job(hierarchy=["subject"], filters={"region": "IT"}))
    assert content["bootstraps"]["of"] == "hierarchy" and content["bootstraps"]["units"] == 3
    assert len(bootstraps) == 20


def two_variable_table():
    """40 simulated runs of four sizes whose compute is 6 N D."""
    rng = np.random.default_rng(0)
    n, d = np.repeat([1e6, 3e6, 1e7, 1e8], 10), np.tile(np.geomspace(1e5, 1e8, 10), 4)
    y = FORMS["chinchilla"].curve(np.stack([n / 1e5, d / 1e4], -1), 0.3, 0.1, 0.4, 0.9, 0.3)
    facts = {"arch": "a", "arch_family": "ResNet", "dataset": "d", "samples_per_class": 0, "kind": "trained"}
    runs = [f"run{i:02d}" for i in range(40)]
    columns = {"run": runs, "n_params": n, "n_samples_seen": d, "total_flops": 6 * n * d, "region": "IT", "seed": 0}
    return pd.DataFrame(columns).assign(score=y + rng.normal(0, 0.002, 40), simulated=True, data="simulated", **facts)


@pytest.mark.parametrize("mode", ["parity", "corrected"])
def test_a_law_of_two_variables_gives_an_allocation(mode):
    settings = job(
        forms=["chinchilla"], x=["n_params", "n_samples_seen"], x_scale=[1e5, 1e4], compute="total_flops", mode=mode
    )
    content, bootstraps = fit_table(two_variable_table(), settings)
    allocation = content["allocation"]
    assert allocation["cost"]["exponent"] == pytest.approx(1.0, abs=1e-6)
    assert allocation["exponents"]["n_params"]["value"] == pytest.approx(0.3 / 0.7, abs=0.08)
    assert np.allclose(bootstraps["cost_exponent"], 1.0) and len(content["points"]["x"][0]) == 2
    sizes = {key: allocation["curve"][key]["fit"][50] for key in ("n_params", "n_samples_seen")}
    left = 0.4 * 0.1 * (sizes["n_params"] / 1e5) ** -0.4
    right = 0.3 * 0.9 * (sizes["n_samples_seen"] / 1e4) ** -0.3
    assert (abs(left / right - 1) < 0.5) == (mode == "corrected")
    assert content["holdout"]["mae"] < 0.02


def test_a_quantity_that_falls_is_fitted_as_it_is():
    table = score_table().assign(score=lambda t: 1 - t["score"])
    content = fit_table(table, job(invert_y=False, filters={"region": "IT"}))[0]
    straight = fit_table(score_table(), job(filters={"region": "IT"}))[0]
    assert content["params"] == pytest.approx(straight["params"], rel=1e-6)
    np.testing.assert_allclose(content["curve"]["fit"], 1 - np.array(straight["curve"]["fit"]), rtol=1e-6)


def test_compared_forms_share_the_loss_of_the_first():
    content = fit_table(score_table(), job(forms=["power_law", "log_linear"], filters={"region": "IT"}))[0]
    by_form = {row["form"]: row for row in content["compared"]}
    assert content["loss_name"] == "huber" and by_form["power_law"]["loss"] == content["loss"]
    assert by_form["log_linear"]["loss"] > content["loss"]


def test_rows_left_out_are_named():
    table = score_table()
    table.loc[table["run"] == "run07", "score"] = np.nan
    content = fit_table(table, job())[0]
    assert content["left_out"] == {"points with an empty score among their rows": ["run07"]}


def test_duplicate_rows_are_an_error():
    table = score_table()
    twice = pd.concat([table, table.iloc[[3, 5]]], ignore_index=True)
    with pytest.raises(DataError, match=r"duplicate rows: 4 of 62.*") as caught:
        fit_table(twice, job())
    assert "3, 5, 60, 61" in str(caught.value)


def test_a_number_that_stands_twice_with_two_values_is_an_error():
    table = score_table().assign(benchmark="b", metric="m", subject="", n_mapping=np.nan, protocol="corrected")
    other = table.iloc[[3]].assign(score=0.01)
    with pytest.raises(DataError, match="duplicate rows: 2 of 61"):
        fit_table(pd.concat([table, other], ignore_index=True), job())


def with_scales(table, first, second, by="run"):
    """The scales take turns: run by run, or region by region."""
    turns = table.groupby(by, sort=False).ngroup() % 2
    return table.assign(scale=np.where(turns == 0, first, second))


@pytest.mark.parametrize(
    ("first", "second"),
    [("r2/c", "r2"), ("r2/c", "(r/c)2"), ("r2/c", "r/sqrt(c)"), ("r/c", "r"), ("r", "r2"), ("r2/c", "none")],
)
@pytest.mark.parametrize("group_by", [["run"], []])
def test_a_fit_over_points_on_two_scales_is_refused(first, second, group_by):
    table = with_scales(score_table(), first, second)
    for allowed in (False, True):  # which lets a point be a mean over scales, and never points differ
        with pytest.raises(DataError, match="scores on 2 scales in one fit") as caught:
            fit_table(table, job(filters={"region": "IT"}, group_by=group_by, mean_over_scales=allowed))
    text = str(caught.value)
    assert f"{first} in 15 (run00, run02, ...)" in text and f"{second} in 15 (run01, run03, ...)" in text
    assert "filter the fit by `scale`" in text and "`y: raw`" in text
    one = fit_table(table, job(filters={"region": "IT", "scale": second}, group_by=group_by))[0]
    assert one["n"] == 15 and one["scale"] == second
    raw = fit_table(table.assign(raw=table["score"]), job(filters={"region": "IT"}, group_by=group_by, y="raw"))[0]
    assert raw["n"] == 30 and raw["scale"] == "r"


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [("protocol", "corrected", "parity"), ("engine", "kernel", "stock"), ("test_set", "near", "far")],
)
def test_rows_of_two_settings_in_one_fit_are_refused_and_both_are_named(column, first, second):
    table = score_table().assign(protocol="corrected", engine="kernel", benchmark="a")
    odd = table["run"].str[-1].astype(int) % 2 == 1
    mixed = table.assign(**{column: np.where(odd, second, first)})
    with pytest.raises(DataError, match=f"scores of 2 values of `{column}` in one fit") as caught:
        fit_table(mixed, job())
    text = str(caught.value)
    assert f"{first} in run00" in text and f"{second} in run01" in text and f"filter the fit by `{column}`" in text
    assert fit_table(mixed, job(filters={column: first}))[0]["n"] == 15
    assert fit_table(mixed, job(group_by=["run", column]))[0]["n"] == 30


def test_engines_of_two_stages_stand_side_by_side_but_not_within_a_benchmark():
    table = score_table().assign(engine="kernel", benchmark="a-pls")
    ours = table["region"] == "IT"
    table = table.assign(engine=np.where(ours, "exact", "kernel"), benchmark=np.where(ours, "fmri", "a-pls"))
    assert fit_table(table, job())[0]["n"] == 30
    table.loc[table.index[ours][0], "engine"] = "himalaya"
    with pytest.raises(DataError, match="table: engine, benchmark fmri") as caught:
        fit_table(table, job())
    assert "exact in" in str(caught.value) and "himalaya in" in str(caught.value)


def test_a_score_that_lacks_the_ceiling_of_its_scale_is_refused_where_others_have_it():
    table = score_table().assign(scale="r2/c", ceiling=0.7)
    some = table.assign(ceiling=table["ceiling"].where(table["run"] != "run07"))
    with pytest.raises(DataError, match="without the ceiling that their scale names") as caught:
        fit_table(some, job())
    assert "r2/c in 2 (run07)" in str(caught.value)
    assert fit_table(table.assign(ceiling=np.nan), job())[0]["n"] == 30  # as in the published tables


def test_a_mean_over_scales_is_refused_unless_it_is_meant():
    table = with_scales(score_table(), "r2/c", "r/sqrt(c)", by="region")
    with pytest.raises(DataError, match="each point is a mean of scores on 2 scales") as caught:
        fit_table(table, job())
    assert "r/sqrt(c) and r2/c" in str(caught.value) and "mean_over_scales: true" in str(caught.value)
    content = fit_table(table, job(mean_over_scales=True))[0]
    assert content["status"] == "fitted" and content["n"] == 30 and content["scale"] == "r/sqrt(c) and r2/c"
    assert fit_table(table, job(filters={"region": "IT"}))[0]["scale"] == "r/sqrt(c)"


def test_what_is_left_out_for_a_ceiling_is_counted_by_the_reason():
    table = score_table().assign(scale="r2/c", reason=None)
    table.loc[[0, 4], ["score", "reason"]] = [np.nan, "the ceiling is not above 0: -0.035"]
    table.loc[2, ["score", "reason"]] = [np.nan, "the ceiling is not significantly above 0: 0.05, standard error 0.04"]
    table = table.astype({"score": float})
    not_above, not_sure = "the ceiling is not above 0", "the ceiling is not significantly above 0"
    means = fit_table(table, job())[0]
    among = "points with an empty score among their rows"
    assert means["dropped"] == {f"{among}: {not_above}": 2, f"{among}: {not_sure}": 1} and means["n"] == 27
    single = fit_table(table, job(group_by=[], filters={"region": "V1"}))[0]
    assert single["dropped"] == {f"points without score: {not_above}": 2, f"points without score: {not_sure}": 1}
    parity = fit_table(table, job(mode="parity"))[0]
    partly = "points whose mean leaves out an empty score (parity: as published)"
    assert parity["n"] == 30 and parity["dropped"] == {f"{partly}: {not_above}": 2, f"{partly}: {not_sure}": 1}
    raw = fit_table(table.assign(raw=0.4), job(y="raw"))[0]
    assert raw["dropped"] == {}
    nothing = table.assign(score=np.nan, reason="the ceiling is not above 0: -0.1")
    assert "30 points with an empty score among their rows: the ceiling" in fit_table(nothing, job())[0]["reason"]
