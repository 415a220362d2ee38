"""`fit` from Python: planted laws come out, of any table; what a study fits is fitted alike."""

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest

import neuroscaling as ns
from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.laws.point_checks import NotTestable

matplotlib.use("agg")
TRUTH = {"IT": (0.35, 0.5, 0.3), "V1": (0.5, 0.4, 0.4)}
X = np.geomspace(100, 1e6, 10)
TABLE = pd.concat(
    [
        pd.DataFrame({"region": region, "n_samples": X, "score": 1 - (floor + factor * (X / 100) ** -alpha)})
        for region, (floor, factor, alpha) in TRUTH.items()
    ],
    ignore_index=True,
)
QUICK = {"bootstraps": 20}


@pytest.fixture(scope="module")
def laws():
    return ns.fit(TABLE, x="n_samples", y="score", by="region", **QUICK)


def test_the_planted_law_of_each_region_comes_out(laws):
    assert list(laws) == ["IT", "V1"] and len(laws) == 2
    for region, truth in TRUTH.items():
        law = laws[region]
        assert list(law.params.values()) == pytest.approx(truth, rel=1e-3)
        assert all(law.identified.values()) and law.saturation == pytest.approx(1 - truth[0], abs=1e-3)
    assert laws.to_pandas()["parameter"].tolist() == ["E", "A", "alpha"] * 2


def test_a_law_predicts_with_an_interval(laws):
    law, (floor, factor, alpha) = laws["V1"], TRUTH["V1"]
    expected = 1 - (floor + factor * np.array([10.0, 1e5]) ** -alpha)
    np.testing.assert_allclose(law.predict([1e3, 1e7]), expected, rtol=1e-3)
    assert law.predict(1e3) == pytest.approx(expected[0], rel=1e-3)
    low, high = law.interval([1e3, 1e7])
    assert low.shape == (2,) and (low <= high).all() and abs(high - expected).max() < 0.01


def test_laws_draw_themselves_on_axes_of_their_own_or_given_ones(laws):
    from matplotlib import pyplot as plt

    ax = plt.subplots()[1]
    assert laws.plot(ax) is ax and [text.get_text() for text in ax.get_legend().get_texts()] == ["IT", "V1"]
    alone = laws["V1"].plot()
    assert alone is not ax and alone.get_xscale() == "log" and alone.get_xlabel() == "Training images"
    plt.close("all")


def test_reprs_show_parameters_and_what_to_know(laws):
    assert "0.505" not in repr(laws["IT"]) and "alpha" in repr(laws) and "<table" in laws._repr_html_()
    few = ns.fit(TABLE.query("n_samples < 1000"), x="n_samples", by="region", **QUICK)
    assert not len(few) and "too few points" in repr(few)
    with pytest.raises(NotTestable, match="too few points"):
        few["V1"]
    assert few.get("V1") is None and laws.get("V1") is laws["V1"]
    with pytest.raises(NeuroscalingError, match="no such law"):
        laws["V2"]


@pytest.mark.parametrize("kind", ["polars", "csv", "parquet"])
def test_tables_of_any_kind_give_one_law(laws, tmp_path, kind):
    if kind == "polars":
        given = pl.from_pandas(TABLE)
    else:
        given = tmp_path / f"scores.{kind}"
        TABLE.to_csv(given, index=False) if kind == "csv" else TABLE.to_parquet(given)
    found = ns.fit(given, x="n_samples", filters={"region": "V1"}, **QUICK)
    assert found.params == pytest.approx(laws["V1"].params)


def test_forms_are_compared_and_other_columns_are_fitted_as_they_are_called():
    table = TABLE.rename(columns={"score": "accuracy", "n_samples": "images"})
    found = ns.fit(table, "images", "accuracy", form=["power_law", "log_linear"], filters={"region": "V1"}, **QUICK)
    assert found.form == "power_law" and found.compared["form"].tolist() == ["power_law", "log_linear"]
    assert "accuracy of images" in repr(found)


def test_seeds_of_a_run_are_one_point_where_rows_say_so():
    table = pd.concat([TABLE.assign(seed=seed) for seed in range(2)])
    found = ns.fit(table, "n_samples", group_by=["n_samples"], filters={"region": "V1"}, **QUICK)
    assert found.record.n == len(X)
    assert ns.fit(table, "n_samples", filters={"region": "V1"}, **QUICK).record.n == 2 * len(X)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": "n_sample"}, "unknown column.*nearest: +n_samples"),
        ({"by": "regoin"}, "unknown column.*nearest: +region"),
        ({"form": "powerlaw"}, r"fit\(\): forms.*nearest: +power_law"),
        ({"los": "huber"}, "unknown key.*nearest: +loss"),
        ({"modes": ["parity"]}, "a key of files of fits alone"),
        ({"table": 3}, "not a table"),
        ({"table": "none.csv"}, "file is missing"),
        ({"filters": {"region": "V7"}}, "no row passes this filter"),
    ],
    ids=str,
)
def test_errors_are_those_of_the_command_line(arguments, words):
    with pytest.raises(NeuroscalingError, match=f"(?s){words}"):
        ns.fit(**{"table": TABLE, "x": "n_samples", **QUICK} | arguments)
