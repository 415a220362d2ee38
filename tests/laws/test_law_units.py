"""A quantity in any unit: losses, per cent, scores. The unit of y changes no law, no flag and no answer."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.forecast.next_runs import Candidate, rank_candidates
from neuroscaling.forecast.targets_and_budgets import plan_for_compute, plan_for_score, plan_for_x
from neuroscaling.laws.finished_law import fit_record
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.study_fit import fit_table
from tests.laws.test_fit_job import job
from tests.support.planted import PLANTED, SCALE, planted, sizes

# A law of a loss, by form: what is left for large x is set by `floor`, the rest in proportion to it.
FALLING = {
    "power_law": lambda floor: {"E": floor, "A": 4 * floor, "alpha": 0.3},
    "power_law_shift": lambda floor: {"E": floor, "A": 20 * floor, "alpha": 0.5, "shift": 20.0},
    "chinchilla": lambda floor: {"E": floor, "A": 2 * floor, "alpha": 0.5, "B": 3 * floor, "beta": 0.35},
}
CHINCHILLA = {"E": 1.8172, "A": 477.8, "alpha": 0.3473, "B": 2143.0, "beta": 0.3672}
X = np.geomspace(10, 1e6, 24)


def falling(form, floor):
    """x, and y of a loss with this floor, without noise; and its parameters."""
    x, params = sizes(form, 40) * SCALE, FALLING[form](floor)
    return x, 1.0 - FORMS[form].curve(x / SCALE, *params.values()), params


def in_y(form, factor, params):
    """Parameters of the law of `factor` y."""
    units = {p.name: factor if p.unit.startswith("score") else 1.0 for p in FORMS[form].parameters}
    return {name: value * units[name] for name, value in params.items()}


@pytest.mark.parametrize("mode", ["corrected", "parity"])
@pytest.mark.parametrize("floor", [0.02, 2.6, 21.0])
@pytest.mark.parametrize("form", FALLING)
def test_a_planted_law_of_a_loss_comes_back(form, floor, mode):
    x, y, params = falling(form, floor)
    law = fit(x, y, form=form, invert_y=False, x_scale=np.full(x.shape[1:], SCALE), bootstraps=0, mode=mode)
    assert law.params == pytest.approx(params, rel=0.01)
    np.testing.assert_allclose(law.predict(x), y, rtol=1e-5)


@pytest.mark.parametrize("invert_y", [True, False])
@pytest.mark.parametrize("level", [0.02, 2.6, 21.0, 100.0])
@pytest.mark.parametrize("form", sorted(set(PLANTED) - set(FALLING)))
def test_a_planted_law_of_a_rising_quantity_comes_back(form, level, invert_y):
    """`level` is what a score of 1 stands for; 100: per cent. Forms of y describe y with either `invert_y`."""
    x, y = planted(form, 30, 0.0)
    law = fit(x, level * y, form=form, x_scale=SCALE, bootstraps=0, invert_y=invert_y)
    assert law.params == pytest.approx(in_y(form, level, PLANTED[form][1]), rel=0.01)
    np.testing.assert_allclose(law.predict(x), level * y, rtol=1e-5)


@pytest.mark.parametrize("loss", ["huber", "least_squares", "weighted"])
@pytest.mark.parametrize("form", PLANTED)
def test_the_unit_of_y_changes_nothing(form, loss):
    """The fit of c y is that of y times c: law, interval, loss, flags, profile and criterion, under every loss."""
    x, y = planted(form, 40, 0.003)
    y = 1.0 - y if form in FALLING else y
    factor, invert_y = 37.0, loss != "huber" and form not in FALLING
    options = {"form": form, "loss": loss, "x_scale": SCALE if x.ndim == 1 else [SCALE] * 2, "bootstraps": 20}
    options |= {"invert_y": invert_y}
    errors = np.full(40, 0.003) if loss == "weighted" else None
    one = fit(x, y, y_error=errors, **options)
    other = fit(x, factor * y, y_error=None if errors is None else factor * errors, **options)
    assert other.params == pytest.approx(in_y(form, factor, one.params), rel=1e-5)
    np.testing.assert_allclose(other.predict(x), factor * one.predict(x), rtol=1e-7)
    np.testing.assert_allclose(other.band(x), factor * one.band(x), rtol=1e-5)
    power = {"huber": 0, "least_squares": 2, "weighted": 0}[loss]
    assert other.loss_value == pytest.approx(one.loss_value * factor**power, rel=1e-7)
    assert {k: v["identified"] for k, v in other.flags.items()} == {k: v["identified"] for k, v in one.flags.items()}
    assert other.saturation_statement == one.saturation_statement and other.notes == one.notes


def test_losses_of_compared_forms_are_in_the_unit_of_y():
    """A power law of 1 - y is fitted as it is and a logistic in a unit of its own: under squares their sums compare."""
    x, y = planted("power_law", 40, 0.01)
    for form in ("power_law", "logistic", "log_linear"):
        law = fit(x, y, form=form, loss="least_squares", bootstraps=5)
        assert law.loss_value == pytest.approx(0.5 * np.sum((law.predict(x) - y) ** 2), rel=1e-9)
        rows = np.random.default_rng(42).integers(0, 40, (5, 40))[2]
        drawn = law.form.curve(x[rows] / law.x_scale, *law.samples[2])
        assert law.resampled_loss[2] == pytest.approx(0.5 * np.sum((drawn - y[rows]) ** 2), rel=1e-6)


def chinchilla_points(noise=0.002):
    """Losses of 60 models, of sizes like those of Hoffmann and others 2022, by the law of Besiroglu and others 2024."""
    n, d = np.repeat(np.geomspace(5e7, 1.6e10, 10), 6), np.tile(np.geomspace(1e9, 3e11, 6), 10)
    left = 1.0 - FORMS["chinchilla"].curve(np.stack([n, d], -1), *CHINCHILLA.values())
    return n, d, left * np.exp(np.random.default_rng(0).normal(0, noise, n.size))


def test_the_chinchilla_law_is_found_and_its_floor_identified():
    """A, B and the exponents trade off, E hardly: its error is that of the noise, .2 %, the exponents' some 3 %."""
    n, d, y = chinchilla_points()
    law = fit(np.stack([n, d], -1), y, form="chinchilla", invert_y=False, x_scale=[1.0, 1.0], bootstraps=60)
    assert law.params["E"] == pytest.approx(CHINCHILLA["E"], rel=0.01)
    for exponent in ("alpha", "beta"):
        assert law.params[exponent] == pytest.approx(CHINCHILLA[exponent], rel=0.04)
    for amplitude in ("A", "B"):
        assert law.params[amplitude] == pytest.approx(CHINCHILLA[amplitude], rel=0.6)
    assert law.flags["E"]["identified"] and law.saturation == pytest.approx(CHINCHILLA["E"], rel=0.01)
    low, high = law.ci["E"]
    assert low < CHINCHILLA["E"] < high
    exact = fit(np.stack([n, d], -1), chinchilla_points(0)[2], form="chinchilla", invert_y=False, x_scale=[1.0, 1.0],
                bootstraps=0)  # fmt: skip
    assert exact.params == pytest.approx(CHINCHILLA, rel=0.01)


def chinchilla_fit():
    n, d, y = chinchilla_points()
    facts = {"kind": "trained", "simulated": False, "data": "d"}
    table = pd.DataFrame({"run": [f"m{i}" for i in range(60)], "n_params": n, "n_samples_seen": d, "score": y, **facts})
    settings = job(
        forms=["chinchilla"], x=["n_params", "n_samples_seen"], x_scale=[1.0, 1.0], compute="total_flops",
        invert_y=False, bootstraps=40,
    )  # fmt: skip
    return fit_table(table.assign(total_flops=6 * n * d), settings)


def test_questions_to_a_law_of_a_loss_are_answered_in_the_unit_of_the_loss():
    fitted, bootstraps = chinchilla_fit()
    plan = plan_for_score(fit_record(fitted, bootstraps), 2.2)
    best = [plan.run[name].value for name in ("n_params", "n_samples_seen")]
    assert plan_for_x(fit_record(fitted, bootstraps), best).score.value == pytest.approx(2.2, rel=1e-6)
    budget = plan_for_compute(fit_record(fitted, bootstraps), plan.run["total_flops"].value)
    assert budget.score.value == pytest.approx(2.2, rel=1e-6)
    assert budget.asymptote.value == pytest.approx(CHINCHILLA["E"], rel=0.01)
    assert "lies beyond the asymptote 1.8" in plan_for_score(fit_record(fitted, bootstraps), 1.7).describe()
    curve = fitted["allocation"]["curve"]
    assert np.all(np.diff(curve["score"]["fit"]) < 0) and min(curve["score"]["p2.5"]) > 1.7


@pytest.mark.parametrize("form", ["log_linear", "power_law_ceiling", "logistic", "sqrt_saturating"])
def test_every_target_that_a_law_of_y_reaches_is_accepted(form):
    x, y = planted(form, 30, 0.001)
    table = pd.DataFrame({"run": [f"m{i}" for i in range(30)], "n_samples": x, "score": 100 * y})
    for invert_y in (True, False):
        fitted, bootstraps = fit_table(table, job(forms=[form], invert_y=invert_y, loss="least_squares"))
        plan = plan_for_score(fit_record(fitted, bootstraps), 40.0)
        assert plan.score.value == pytest.approx(40.0, rel=1e-6)


def test_a_target_that_no_law_of_misalignment_reaches_is_refused_and_an_endless_one_always():
    table = pd.DataFrame({"run": [f"m{i}" for i in range(24)], "n_samples": X, "score": 1 - (0.4 + X**-0.3)})
    fitted, bootstraps = fit_table(table, job())
    with pytest.raises(DataError, match="a number below 1"):
        plan_for_score(fit_record(fitted, bootstraps), 1.0)
    loss, bootstraps = fit_table(table.assign(score=2.6 + 40 * X**-0.3), job(invert_y=False))
    with pytest.raises(DataError, match="a finite number"):
        plan_for_score(fit_record(loss, bootstraps), float("inf"))
    plan = plan_for_score(fit_record(loss, bootstraps), 3.0)
    assert plan.run["n_samples"].value == pytest.approx(100 ** (1 / 0.3), rel=0.01)


def test_next_runs_of_a_loss_do_not_depend_on_its_unit():
    found = []
    for factor in (1.0, 50.0):
        y = factor * (2.6 + 40 * X**-0.3) * np.exp(np.random.default_rng(0).normal(0, 0.01, X.size))
        table = pd.DataFrame({"run": [f"m{i}" for i in range(24)], "n_samples": X, "score": y})
        fitted, bootstraps = fit_table(table, job(invert_y=False, bootstraps=40))
        found.append(rank_candidates(fit_record(fitted, bootstraps), [Candidate((1e7,)), Candidate((1e9,))]))
    one, other = found
    assert other.width == pytest.approx(50 * one.width, rel=1e-4)
    assert [row["reduction"] for row in other.rows] == pytest.approx([row["reduction"] for row in one.rows], rel=1e-3)


def test_an_outlier_and_runs_that_score_nothing_do_not_set_the_unit():
    x, y = planted("logistic", 30, 0.0)
    one = fit(x, y, form="logistic", bootstraps=0)
    wild = y.copy()
    wild[np.argmax(x)] = 1e6
    assert fit(x, wild, form="log_linear", bootstraps=0).y_unit == pytest.approx(one.y_unit, rel=0.1)
    assert fit(x, np.where(x < np.quantile(x, 0.7), 0.0, y), form="log_linear", bootstraps=0).y_unit > 0.1
    assert fit(x, np.zeros(30), form="log_linear", bootstraps=0).y_unit == 1.0
    assert fit(x, y, form="power_law", bootstraps=0).y_unit == 1.0
    assert fit(x, y, form="logistic", loss="huber", bootstraps=0).y_unit == 1.0


def test_lmfit_sees_the_law_in_the_unit_of_y():
    x, y = planted("power_law", 30, 0.001)
    law = fit(x, 50 * (1 - y), form="power_law", invert_y=False, x_scale=SCALE, bootstraps=20)
    assert law.parameters()["E"].max == pytest.approx(2 * law.y_unit)
    for form, values in (("power_law", 50 * (1 - y)), ("logistic", 50 * y)):
        law = fit(x, values, form=form, loss="least_squares", invert_y=False, x_scale=SCALE, bootstraps=0)
        check = law.least_squares()
        assert check.params[law.form.asymptote].value == pytest.approx(law.params[law.form.asymptote], rel=1e-3)


def test_a_bound_that_is_reached_is_named_in_the_unit_of_y():
    """A loss that falls as a pure power law has no floor: E lies at its lower bound, .0001 of the unit."""
    law = fit(X, 300 * (X / 10) ** -0.1, invert_y=False, bootstraps=20)
    reasons = " ".join(law.flags["E"]["reasons"])
    assert f"lower bound {1e-4 * law.y_unit:.3g}" in reasons and "upper bound" not in reasons and law.y_unit > 100
