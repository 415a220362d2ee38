"""The published fits: studies `region_it_group1` and `compute_neuro` of Gokce & Schrimpf 2025 from the public table.

Needs benchmark_scores.csv of github.com/epflneuroailab/scaling-primate-vvs (see `published_dir` in tests/conftest.py).
"""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.laws.config import FitFile, expand
from neuroscaling.laws.fit import fit
from neuroscaling.laws.job import fit_table
from neuroscaling.laws.loss import DELTA

BASE = dict.fromkeys(("is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation"), False) | {
    "dataset": ["imagenet", "ecoset"]
}
K10 = [
    "model_id", "arch", "dataset", "flops", "n_params", "n_samples", "n_samples_seen", "total_flops", "arch_family",
    "samples_per_class",
]  # fmt: skip
STUDIES = {
    "region_it_group1": {
        "filters": BASE | {"arch_family": ["ResNet", "EfficientNet", "CORnet-S", "AlexNet"], "region": "IT"},
        "group_by": K10,
    },
    "compute_neuro": {
        "filters": BASE | {"region": ["V1", "V2", "V4", "IT"]},
        "group_by": [*K10, "acc", "n_epochs"],
    },
}
PUBLISHED = {
    "region_it_group1": (364, 0.02956073088, {"E": 0.38466, "A": 1.14276, "alpha": 0.230024}),
    "compute_neuro": (620, 0.07267738306, {"E": 0.52268, "A": 0.54911, "alpha": 0.156928}),
}


@pytest.fixture(scope="module")
def table(published_dir):
    return pd.read_csv(published_dir / "benchmark_scores.csv")


def settings_of(study, **changes):
    common = {"form": "power_law", "x": "total_flops", "x_scale": 1e13, "mode": "parity", "bootstraps": 0}
    return expand(FitFile(fits=[{"name": study, **common, **STUDIES[study], **changes}]))[0].settings


@pytest.mark.parametrize("study", STUDIES)
def test_published_loss_and_parameters(table, study):
    n, loss, params = PUBLISHED[study]
    content, _ = fit_table(table, settings_of(study))
    assert content["n"] == n
    # The published loss is known to ten digits.
    assert content["loss"]["value"] == pytest.approx(loss, rel=1e-9)
    for name, value in params.items():
        assert content["params"][name] == pytest.approx(value, abs=0.6 * 10 ** -len(str(value).split(".")[1]))


@pytest.mark.parametrize("study", STUDIES)
def test_bounds_change_nothing_where_the_law_is_identified(table, study):
    parity = fit_table(table, settings_of(study))[0]
    corrected = fit_table(table, settings_of(study, mode="corrected"))[0]
    assert corrected["n"] == parity["n"]
    assert corrected["loss"]["value"] == pytest.approx(parity["loss"]["value"], rel=1e-9)


def test_published_intervals(table):
    content, bootstraps = fit_table(table, settings_of("compute_neuro", bootstraps=1000))
    assert len(bootstraps) == 1000
    published = {"E": (0.4716, 0.5535), "A": (0.4875, 0.6301), "alpha": (0.1103, 0.2128)}
    for name, interval in published.items():
        np.testing.assert_allclose(content["ci95"][name], interval, atol=6e-5)


def test_scipy_from_the_published_grid_finds_no_lower_loss(table):
    """Every twelfth of the 150 published starts, by scipy's BFGS with numerical gradients as in the publication."""
    optimize = pytest.importorskip("scipy.optimize")
    content = fit_table(table, settings_of("region_it_group1"))[0]
    x, y = np.array(content["points"]["x"]) / 1e13, np.log1p(-np.array(content["points"]["y"]))

    def loss(theta):
        e, a, alpha = theta
        r = np.abs(np.logaddexp(a - alpha * np.log(x), e) - y)
        return np.where(r <= DELTA, r**2 / 2, DELTA * (r - DELTA / 2)).sum()

    grid = [(e, a, b) for e in (-1, -0.5, 0, 0.5, 1) for a in (0, 5, 10, 15, 20, 25) for b in (0, 0.5, 1, 1.5, 2)]
    with np.errstate(all="ignore"):
        found = min(optimize.minimize(loss, start, method="BFGS").fun for start in grid[::12])
    assert content["loss"]["value"] <= found * (1 + 1e-9)


def test_resamples_are_no_worse_than_scipy_from_the_same_start(table):
    """Ten of the published resamples, each refitted by scipy from the optimum of all points."""
    optimize = pytest.importorskip("scipy.optimize")
    content, bootstraps = fit_table(table, settings_of("region_it_group1", bootstraps=10))
    points = content["points"]
    x, y = np.array(points["x"]) / 1e13, np.log1p(-np.array(points["y"]))
    params = fit(points["x"], points["y"], x_scale=1e13, bootstraps=0, mode="parity").params
    start = [np.log(params["E"]), np.log(params["A"]), params["alpha"]]
    for rows, ours in zip(np.random.default_rng(42).integers(0, 364, (10, 364)), bootstraps["loss"], strict=True):

        def loss(theta, rows=rows):
            r = np.abs(np.logaddexp(theta[1] - theta[2] * np.log(x[rows]), theta[0]) - y[rows])
            return np.where(r <= DELTA, r**2 / 2, DELTA * (r - DELTA / 2)).sum()

        assert ours <= optimize.minimize(loss, start, method="BFGS").fun * (1 + 1e-6)
