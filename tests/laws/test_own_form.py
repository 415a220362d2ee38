"""A form of law from outside the package: a fits file names it, and fit, record, figure and forecast know it."""

import numpy as np
import pytest

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.forecast.targets_and_budgets import plan_for_x
from neuroscaling.laws.finished_law import read_fit
from neuroscaling.laws.study_fit import write_fit
from neuroscaling.report.law_figures import draw_group, panel_of
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file
from tests.laws.test_fit_job import score_table

# score = a + b sqrt(x): two parameters, linear in sqrt(x).
MODULE = """
import numpy as np
from neuroscaling.laws.parametrisation import Form
from neuroscaling.laws.parametrisation import Parameter

def inner(theta, log_x):
    root = np.exp(log_x / 2)
    return theta[:, 0, None] + theta[:, 1, None] * root, (np.ones_like(root), root)

def rescale(natural, ratio):
    a, b = natural.T
    return np.stack([a, b * np.sqrt(ratio)], -1)

ROOT = Form(
    name="root", expression="score = a + b sqrt(x)",
    parameters=(
        Parameter("a", "score at x = 0", "score", (-50.0, 50.0)),
        Parameter("b", "gain for sqrt(x)", "score per root", (-10.0, 10.0)),
    ),
    space="score", loss="least_squares", inner=inner, rescale=rescale,
    curve=lambda x, a, b: a + b * np.sqrt(x),
    starts=lambda log_x, target: np.array([[np.mean(target), 0.0]]),
)
NUMBER = 3
"""
FITS = "fits:\n- {name: own, forms: ['FORM', power_law], x: n_samples, filters: {region: IT}, bootstraps: 20}\n"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with the module, which Python imports from; the module has another name in each test."""
    name = f"lab_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def fits_file(folder, form):
    (folder / "fits.yaml").write_text(FITS.replace("FORM", form))
    return folder / "fits.yaml"


def test_a_form_from_outside_is_fitted_read_drawn_and_predicted(lab, tmp_path):
    form = f"{lab}:ROOT"
    (job,) = expand_fits(load_fit_file(fits_file(tmp_path, form)))
    table = score_table()
    table["score"] = 0.1 + 0.3 * np.sqrt(table["n_samples"] / table["n_samples"].max())
    table.to_parquet(tmp_path / "scores.parquet")
    path = tmp_path / "own.json"
    write_fit(tmp_path / "scores.parquet", job.settings, path, tmp_path / "own.bootstraps.parquet")
    law = read_fit(path)
    assert law.form_name == form and law.compared[0].form == form
    assert law.params["a"] == pytest.approx(0.1, abs=1e-6)
    largest = float(table["n_samples"].max())
    assert plan_for_x(law, 4 * largest).score.value == pytest.approx(0.1 + 0.3 * 2, abs=1e-5)
    assert "a + b sqrt(x)" in law.expression and len(draw_group([panel_of(law)], "Root").axes) == 1


def test_an_edited_form_changes_the_settings_of_its_fit(lab, tmp_path):
    path = fits_file(tmp_path, f"{lab}:ROOT")
    before = expand_fits(load_fit_file(path))[0].settings
    (tmp_path / f"{lab}.py").write_text(MODULE + "# edited\n")
    assert expand_fits(load_fit_file(path))[0].settings != before
    (tmp_path / "fits.yaml").write_text(FITS.replace("'FORM', ", ""))
    assert "own_forms" not in expand_fits(load_fit_file(path))[0].settings


def test_what_is_no_form_is_named(lab, tmp_path):
    with pytest.raises(StudyError, match="no module `nowhere`"):
        load_fit_file(fits_file(tmp_path, "nowhere:ROOT"))
    with pytest.raises(StudyError, match="no form `ROUT` in this module"):
        load_fit_file(fits_file(tmp_path, f"{lab}:ROUT"))
    with pytest.raises(StudyError, match="nearest:  power_law"):
        load_fit_file(fits_file(tmp_path, "power_lw"))
    (job,) = expand_fits(load_fit_file(fits_file(tmp_path, f"{lab}:NUMBER")))
    score_table().to_parquet(tmp_path / "scores.parquet")
    with pytest.raises((StudyError, DataError), match="no form of law but `int`"):
        write_fit(tmp_path / "scores.parquet", job.settings, tmp_path / "own.json", tmp_path / "own.parquet")
