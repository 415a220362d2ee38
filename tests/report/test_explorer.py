"""The data and the chart of the interactive figures, and what the score table tells beside points. All simulated."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import vl_convert

from neuroscaling.laws.finished_law import fit_record
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.report import explorer, page
from neuroscaling.report.law_figures import panel_of
from neuroscaling.report.measurements import measurements
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from tests.report.test_report import DOT, fits_of, simulated_study


@pytest.fixture(scope="module")
def study():
    table, _ = simulated_study()
    table["layer"] = np.where(table["region"] == "IT", "layer4", "layer1")
    return table, fits_of(table)


def mean_over_regions(table):
    fit = {"name": "mean", "form": "power_law", "x": "n_samples", "group_by": ["run", "n_samples"], "bootstraps": 0}
    (job,) = expand_fits(FitFile(fits=[{**fit, "filters": {"kind": "trained"}}]))
    return fit_record(fit_table(table, job.settings)[0])


def test_points_get_their_error_layer_ceiling_and_baselines(study):
    table, (v1, *_) = study
    beside = measurements(v1, table)
    assert beside.error.tolist() == [0.01] * 40 and set(beside.layer) == {"layer1"} and beside.ceiling == 1.0
    (level,) = beside.levels
    untrained = table[(table["kind"] == "untrained") & (table["region"] == "V1")]["score"]
    assert (level.label, level.n) == ("untrained", 2) and level.y == pytest.approx([untrained.mean()])


def test_a_mean_over_regions_has_the_error_of_a_mean_and_no_single_layer(study):
    table, _ = study
    beside = measurements(mean_over_regions(table), table)
    assert beside.error == pytest.approx(np.full(40, np.sqrt(2) * 0.01 / 2)) and set(beside.layer) == {""}


def test_nothing_is_told_of_points_that_the_table_does_not_have(study):
    table, (v1, *_) = study
    other = measurements(v1, table.assign(score=table["score"] + 1))
    assert np.isnan(other.error).all() and not any(other.layer) and other.levels == ()
    assert np.isnan(measurements(v1, table.drop(columns="region")).error).all()


def test_an_error_is_unknown_where_one_of_its_rows_has_none(study):
    table, _ = study
    table = table.assign(error=table["error"].where(table["region"] == "V1"))
    assert np.isnan(measurements(mean_over_regions(table), table).error).all()


def test_networks_and_points_stand_once_on_the_page(study):
    table, fits = study
    v1, it = (panel_of(fit, table) for fit in fits[:2])
    data = explorer.explorer_data({"a": [v1, it], "b": [v1]}, table)
    assert len(data["networks"]["rows"]) == 40 and len(data["points"]) == 2
    points = data["points"][data["groups"]["b"]["panels"][0]["fits"][0]["points"]]
    assert "x" not in points  # the x axis is the network's number of images
    n_samples = data["networks"]["columns"].index("n_samples")
    assert [data["networks"]["rows"][i][n_samples] for i in points["network"]] == v1.x.tolist()
    assert data["groups"]["a"]["x"] == ["n_samples", "n_samples_seen", "n_params", "total_flops"]
    residual = np.array(data["groups"]["a"]["panels"][0]["fits"][0]["residual"])
    fitted = v1.fit.predict(v1.fit.fitted, v1.x[:, None])
    assert residual == pytest.approx(v1.fit.points.y - fitted, rel=5e-3, abs=1e-6)  # three digits


def test_the_chart_draws_what_its_data_sets_hold():
    point = {"x": 1.0, "y": 0.5, "color": "#123456", "shape": "circle", "size": 40, "order": 1, "low": 0.4, "high": 0.6}
    spec = explorer.chart() | {"width": 200, "datasets": {"points": [point, point | {"x": 2.0}], "errors": [point]}}
    drawn = vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=explorer.VEGA_LITE)
    assert drawn.count('fill="#123456"') == 2 and drawn.count('stroke="#123456"') == 1
    assert explorer.chart() == explorer.chart()


def test_a_page_of_a_thousand_networks_is_below_five_megabytes(tmp_path, monkeypatch):
    table, runs = simulated_study()
    trained = table[table["kind"] == "trained"]
    copies = [trained.assign(run=trained["run"] + f"-{i}", seed=i) for i in range(25)]
    regions = [pd.concat(copies).assign(region=region) for region in ("V1", "V2", "V4", "IT", "behavior")]
    table = pd.concat(regions, ignore_index=True).drop_duplicates(["run", "region"])
    table["score"] += np.random.default_rng(1).normal(0, 0.01, len(table))
    entry = {"name": "a", "form": "log_linear", "x": "n_samples", "by": {"region": ["V1", "IT"]}, "bootstraps": 0}
    fits = [fit_record(fit_table(table, job.settings)[0]) for job in expand_fits(FitFile(fits=[entry]))]
    described = lambda folder, figure: figure.described(figure.name, [f"{figure.name}.svg"], False)  # noqa: E731
    monkeypatch.setattr(page, "write_figure", described)  # files for print are no part of the page
    runs = [{**run, "run": f"{run['run']}-{i}"} for run in runs[:40] for i in range(25)]
    page.build_report(tmp_path / "index.html", table, fits, {"name": "s", "title": ""}, [], DOT, runs)
    text = (tmp_path / "index.html").read_text()
    assert table["run"].nunique() == 1000 and len(re.findall(r'class="plot"', text)) == 2
    assert len(text) < 5e6
