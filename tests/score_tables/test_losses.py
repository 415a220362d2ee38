"""The law of language models' losses, from a table through a study's own functions: fit, words, forecast."""

import numpy as np
import pytest

from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.score_table import read_score_table
from neuroscaling.forecast.targets_and_budgets import plan_for_compute, plan_for_score
from neuroscaling.laws.finished_law import read_fit
from neuroscaling.laws.study_fit import write_fit
from neuroscaling.report.law_figures import panel_of
from neuroscaling.report.page_content import about, frame_data, group_title, scales
from neuroscaling.score_tables.writing import write_own_table
from neuroscaling.study.loaded_study import load_study
from tests.conftest import ROOT

LAW = {"E": 1.8172, "A": 477.8, "alpha": 0.3473, "B": 2143.0, "beta": 0.3672}
"""Besiroglu and others 2024, on 240 points read off a figure of Hoffmann and others 2022."""


def write_points(path):
    """240 losses MADE BY THE LAW, of sizes and lengths of training like those of the figure, and five outliers."""
    rng = np.random.default_rng(0)
    sizes, tokens = 10 ** rng.uniform(8.0, 10.2, 240), 10 ** rng.uniform(9.5, 11.5, 240)
    loss = LAW["E"] + LAW["A"] * sizes ** -LAW["alpha"] + LAW["B"] * tokens ** -LAW["beta"]
    loss *= np.exp(0.001 * rng.standard_normal(240))
    rows = [*zip(sizes, 6 * sizes * tokens, loss, strict=True), *((3e9, 1e19, 3.45 + i / 3) for i in range(5))]
    path.write_text(
        "Model Size,Training FLOP,loss\n" + "".join(f"{n!r},{c!r},{y!r}\n" for n, c, y in np.array(rows).tolist())
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The study config/studies/chinchilla.yaml with the generated points: its table, its law, and its settings."""
    folder = tmp_path_factory.mktemp("losses")
    write_points(folder / "points.csv")
    patch = pytest.MonkeyPatch()
    patch.setenv("CHINCHILLA_POINTS", str(folder / "points.csv"))
    study = load_study(ROOT / "config/studies/chinchilla.yaml")
    patch.undo()
    table = study.own_table
    digests = [file_sha256(file) for file in table.files]
    write_own_table(folder / "scores.parquet", table.files, table.mapping, table.data, digests)
    fit = study.fits["chinchilla"].settings | {"bootstraps": 100}
    write_fit(folder / "scores.parquet", fit, folder / "law.json", folder / "law.bootstraps.parquet")
    return read_score_table(folder / "scores.parquet").scores, read_fit(folder / "law.json"), fit


def test_the_published_law_is_found_again(fitted):
    table, law, settings = fitted
    assert len(table) == 245 and law.n == 240 and settings["invert_y"] is False
    assert law.params["E"] == pytest.approx(LAW["E"], abs=0.01)
    assert law.params["alpha"] == pytest.approx(LAW["alpha"], abs=0.01)
    assert law.params["beta"] == pytest.approx(LAW["beta"], abs=0.01)
    assert law.allocation.exponents["n_params"].value == pytest.approx(0.514, abs=0.01)
    assert law.identifies("E") and law.asymptote_identified
    low, high = law.ci95["E"]
    assert low < LAW["E"] < high and high - low < 0.05


def test_words_speak_of_losses(fitted):
    table, law, _ = fitted
    assert law.expression == "y = E + A N^-alpha + B D^-beta" and law.quantity == "loss"
    assert panel_of(law).y_label == "Loss" and group_title([law], "total_flops").startswith("Loss against")
    assert scales([law]) == "" and "The loss of each model" in about(table)
    shown = frame_data(table, ["run", "score", "ceiling", "nothing"])
    assert shown["columns"] == ["run", "score"] and shown["total"] == len(shown["rows"]) == 245


def test_forecasts_reach_a_loss_from_above(fitted):
    _, law, _ = fitted
    plan = plan_for_score(law, 2.2)
    assert plan.y == "loss" and "loss of this run" in plan.describe() and plan.never_reached == 0
    assert plan.score.value == pytest.approx(2.2, abs=1e-6)
    best = plan_for_compute(law, plan.run["total_flops"].value)
    assert best.run["n_params"].value == pytest.approx(plan.run["n_params"].value, rel=1e-6)
    assert "never" in plan_for_score(law, 1.5).describe()
