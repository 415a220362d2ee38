"""A chain of two laws: planted laws are found, errors of both add up, and a fit compares it with laws of y itself."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.laws.chain import fit_chain
from neuroscaling.laws.loss import LOSSES
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file

X = np.repeat(np.geomspace(1e14, 1e18, 20), 3)


def planted(noise=0.004, seed=0):
    """Simulated accuracy 1 - .2 - .5 (x / 1e14)^-.3 and score .1 + .6 accuracy, each with noise of its own."""
    rng = np.random.default_rng(seed)
    accuracy = 0.8 - 0.5 * (X / 1e14) ** -0.3
    seen = accuracy + rng.normal(0, noise, X.size)
    return seen, 0.1 + 0.6 * seen + rng.normal(0, noise, X.size)


def test_both_laws_are_found_and_composed():
    accuracy, score = planted()
    chain = fit_chain(X, accuracy, score, x_scale=1e14, bootstraps=50)
    expected = {"first.E": 0.2, "first.A": 0.5, "first.alpha": 0.3, "second.a": 0.1, "second.b": 0.6}
    assert chain.parameters == pytest.approx(expected, rel=0.1)
    np.testing.assert_allclose(chain.predict([1e16]), 0.1 + 0.6 * (0.8 - 0.5 * 100**-0.3), atol=0.005)
    np.testing.assert_array_equal(chain.predict(X), chain.second.predict(chain.first.predict(X)))


def test_the_errors_of_both_laws_are_in_the_band():
    chain = fit_chain(X, *planted(0.02), x_scale=1e14, bootstraps=300)
    spread = chain.spread([1e15, 1e17])
    # The noise of the two steps is independent here, so that their variances add up, as far as 300 resamples tell.
    np.testing.assert_allclose(spread["both"] ** 2, spread["first"] ** 2 + spread["second"] ** 2, rtol=0.35)
    low, *_, high = chain.band([1e17])[:, 0]
    assert low < chain.predict([1e17])[0] < high


def test_the_resamples_of_both_laws_are_the_same():
    accuracy, score = planted()
    clusters = [f"{x:.3g}" for x in X]
    chain = fit_chain(X, accuracy, score, x_scale=1e14, bootstraps=5, clusters=clusters)
    assert (chain.first.seed, chain.first.units) == (chain.second.seed, chain.second.units) == (42, 20)
    again = fit_chain(X, accuracy, 2 * accuracy, x_scale=1e14, bootstraps=5, clusters=clusters)
    np.testing.assert_array_equal(chain.first.resampled, again.first.resampled)


def test_a_chain_counts_the_parameters_of_both():
    accuracy, score = planted()
    chain = fit_chain(X, accuracy, score, x_scale=1e14, bootstraps=0)
    measure, n, k = LOSSES["huber"], X.size, 5 + 1
    expected = float(measure.deviance(chain.loss(measure), n)) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert chain.aicc(measure) == pytest.approx(expected)


def test_lengths_that_differ_are_refused():
    with pytest.raises(DataError, match="x, middle and y of each point"):
        fit_chain(X, X[:-1], X)


FITS = """
fits:
- {name: chained, forms: [power_law], x: total_flops, x_scale: 1.0e+14, loss: huber, bootstraps: 20,
   through: {acc: [power_law, linear]}}
"""


def score_table():
    accuracy, score = planted()
    return pd.DataFrame({"run": [f"r{i}" for i in range(X.size)], "total_flops": X, "acc": accuracy, "score": score})


def job_of(tmp_path, text=FITS):
    (tmp_path / "fits.yaml").write_text(text)
    (job,) = expand_fits(load_fit_file(tmp_path / "fits.yaml"))
    return job


def test_a_fit_compares_its_law_with_the_chain(tmp_path):
    content, _ = fit_table(score_table(), job_of(tmp_path).settings)
    rows = {row["form"]: row for row in content["compared"]}
    assert set(rows) == {"power_law", "power_law, linear of acc"}
    chain = rows["power_law, linear of acc"]
    assert chain["params"]["second.b"] == pytest.approx(0.6, rel=0.1) and chain["delta_aicc"] is not None
    assert (
        chain["holdout"]["n_held_out"] == rows["power_law"]["holdout"]["n_held_out"] and chain["holdout"]["mae"] < 0.02
    )
    assert len(chain["beyond"]["p97.5"]) == len(chain["beyond"]["spread_both"]) == len(chain["beyond"]["x"])


def test_points_without_the_middle_quantity_are_counted(tmp_path):
    table = score_table()
    table.loc[:2, "acc"] = np.nan
    content, _ = fit_table(table, job_of(tmp_path).settings)
    assert [row["reason"] for row in content["compared"] if "of acc" in row["form"]] == ["3 points without acc"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [("{acc: [power_law, chinchilla]}", "laws of one variable"), ("{arch: [power_law, linear]}", "no numbers")],
)
def test_chains_that_can_not_be_are_refused_before_anything_runs(tmp_path, changed, words):
    with pytest.raises(StudyError, match=words):
        job_of(tmp_path, FITS.replace("{acc: [power_law, linear]}", changed))
