"""Choice of the next runs: planted laws, the normal case in closed form, brute force by refitting, bad candidates."""

import dataclasses
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.forecast.expected_width import Outlook, after_run, residual_noise, widths
from neuroscaling.forecast.next_runs import Candidate, candidates_from_table, choose_runs, rank_candidates
from neuroscaling.laws.finished_law import require_law
from neuroscaling.laws.fitting import fit as fit_law
from neuroscaling.laws.forms import FORMS
from tests.support.finished_fits import finished

X = np.repeat(np.geomspace(1e14, 1e18, 12), 3)
TRUE = np.array([0.45, 0.3, 0.25])
MIDDLE, FAR = 1e16, 1e21


def content(form, params, x, y, **changes):
    """A fit's file with the points (n,) or (n, v) and the law `form`, as far as planning reads it."""
    names = FORMS[form].names
    variables = ["total_flops"] if x.ndim == 1 else ["n_params", "n_samples_seen"]
    columns = {"x": x.tolist()} if x.ndim == 1 else dict(zip(variables, x.T.tolist(), strict=True))
    return {
        "name": "planted", "mode": "corrected", "status": "fitted", "form": form, "y": "score", "invert_y": True,
        "x": variables[0] if x.ndim == 1 else variables, "x_scale": 1e13 if x.ndim == 1 else [1e5, 1e4],
        "loss_name": FORMS[form].loss, "params": dict(zip(names, map(float, params), strict=True)),
        "identified": {name: {"identified": True, "reasons": []} for name in names},
        "points": {**columns, "y": y.tolist()},
    } | changes  # fmt: skip


def posterior(gradient, params, sigma, count=1000, seed=3):
    """Normal resamples of positive parameters: the inverse Fisher information of the design, in ln of each."""
    information = gradient.T @ gradient / sigma**2
    steps = np.random.default_rng(seed).multivariate_normal(np.zeros(len(params)), np.linalg.inv(information), count)
    return params * np.exp(steps)


def planted(sigma=0.01, **changes):
    """A power law of compute with its resamples, made without a fit."""
    power = TRUE[1] * (X / 1e13) ** -TRUE[2]
    total = TRUE[0] + power
    gradient = np.stack([TRUE[0] / total, power / total, -power / total * TRUE[2] * np.log(X / 1e13)], -1)
    y = 1 - total * np.exp(np.random.default_rng(0).normal(0, sigma, X.size))
    samples = pd.DataFrame(posterior(gradient, TRUE, sigma), columns=["E", "A", "alpha"])
    return content("power_law", TRUE, X, y, **changes), samples


def planted_two():
    """A law of N and D with its resamples and a cost of C = 6 N D."""
    rng = np.random.default_rng(5)
    x, params = 10 ** rng.uniform([5.5, 5], [8, 8], (80, 2)), np.array([0.45, 0.3, 0.5, 0.4, 0.25])
    E, A, alpha, B, beta = params
    n, d = A * (x[:, 0] / 1e5) ** -alpha, B * (x[:, 1] / 1e4) ** -beta
    total = E + n + d
    slopes = [np.full(80, E), n, -n * alpha * np.log(x[:, 0] / 1e5), d, -d * beta * np.log(x[:, 1] / 1e4)]
    samples = posterior(np.stack(slopes, -1) / total[:, None], params, 0.01)
    y = 1 - total * np.exp(rng.normal(0, 0.01, 80))
    cost = {"cost": {"exponent": 1.0, "factor": 6.0}}
    return content("chinchilla", params, x, y, allocation=cost), pd.DataFrame(
        samples, columns=FORMS["chinchilla"].names
    )


def widths_by_size(choice):
    return {(row["total_flops"], row["seeds"]): row["expected_width"] for row in choice.rows}


def test_a_far_run_beats_one_in_the_middle_and_the_middle_tells_little():
    choice = rank_candidates(finished(*planted()), [Candidate((x,)) for x in (MIDDLE, FAR, 1e18, 1e14)])
    assert [row["total_flops"] for row in choice.rows][:2] == [FAR, 1e18]
    assert [row["rank"] for row in choice.rows] == [1, 2, 3, 4]
    by_size = {row["total_flops"]: row["reduction"] for row in choice.rows}
    assert by_size[FAR] > 0.15 and 0 <= by_size[MIDDLE] < 0.05


def test_more_seeds_never_make_the_interval_wider():
    candidates = [Candidate((x,), seeds) for x in (1e14, MIDDLE, 1e18, FAR) for seeds in (1, 2, 3, 10, 100)]
    choice = rank_candidates(finished(*planted()), candidates)
    found = widths_by_size(choice)
    for x in (1e14, MIDDLE, 1e18, FAR):
        series = [found[x, seeds] for seeds in (1, 2, 3, 10, 100)]
        assert max(series) <= choice.width and (np.diff(series) <= 0).all()


def test_the_order_of_candidates_does_not_matter():
    candidates = [Candidate((x,), seeds) for x in (1e15, MIDDLE, 1e18, FAR) for seeds in (1, 3)]
    fit, bootstraps = planted()
    assert (
        rank_candidates(finished(fit, bootstraps), candidates).rows
        == rank_candidates(finished(fit, bootstraps), candidates[::-1]).rows
    )
    chosen = choose_runs(finished(fit, bootstraps), candidates, 5e18).rows
    assert chosen == choose_runs(finished(fit, bootstraps), candidates[::-1], 5e18).rows


def test_the_order_of_resamples_does_not_matter():
    fit, bootstraps = planted()
    candidates = [Candidate((x,)) for x in (MIDDLE, FAR)]
    assert (
        rank_candidates(finished(fit, bootstraps), candidates).rows
        == rank_candidates(finished(fit, bootstraps[::-1]), candidates).rows
    )


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_normal_resamples_have_the_width_of_the_closed_form(correlation):
    rng = np.random.default_rng(1)
    level, other = np.sort(rng.normal(size=4000)), rng.normal(size=4000)
    predicted = correlation * level + np.sqrt(1 - correlation**2) * other
    spread = 0.5
    view = Outlook(level, predicted[None], np.array([spread]), np.arange(7, 4000, 15), 4000)
    assert view.width == pytest.approx(2 * 1.96, rel=0.03)
    after = after_run(view, view.nothing, 0, 0)
    assert after.width == pytest.approx(view.width * np.sqrt(1 - correlation**2 / (1 + spread**2)), rel=0.05)


def test_two_runs_together_have_the_width_of_the_closed_form():
    level = np.sort(np.random.default_rng(1).normal(size=4000))
    view = Outlook(level, np.stack([level, level]), np.array([1.0, 0.5]), np.arange(7, 4000, 15), 4000)
    first = after_run(view, view.nothing, 0, 0)
    both = after_run(view, first.log_likelihood, 1, 1)
    assert both.width == pytest.approx(view.width / np.sqrt(1 + 1 + 4), rel=0.06)


def test_widths_are_those_of_repeated_values():
    rng = np.random.default_rng(2)
    level, weights = np.sort(rng.gamma(2, size=400)), rng.integers(0, 5, (6, 400))
    for row, width in zip(weights, widths(level, weights.astype(float)), strict=True):
        values = np.repeat(level, row)
        edges = np.linspace(0, 1, 200_001)[1:] - 0.5 / 200_000
        fine = values[np.minimum((edges * values.size).astype(int), values.size - 1)]
        tails = fine[-5000:].mean() - fine[:5000].mean()
        z = NormalDist().inv_cdf(0.975)
        assert width == pytest.approx(tails * 0.025 * z / NormalDist().pdf(z), rel=1e-3)
    assert widths(level[:1], np.ones((3, 1))).tolist() == [0, 0, 0]


def test_refitting_with_the_new_run_agrees():
    """Brute force: new points are drawn about the true law, and the law fitted to all points again.

    Many seeds, since resamples that miss all points of a run (with three seeds, one in twenty) know nothing of it.
    """
    rng = np.random.default_rng(0)
    candidates = [Candidate((MIDDLE,), 30), Candidate((FAR,), 30)]

    def drawn(x):
        return 1 - (TRUE[0] + TRUE[1] * (x / 1e13) ** -TRUE[2]) * np.exp(rng.normal(0, 0.01, x.size))

    expected, refitted = [], []
    for _ in range(3):
        y = drawn(X)
        law = fit_law(X, y, x_scale=1e13, bootstraps=400)
        samples = pd.DataFrame(law.samples, columns=law.form.names)
        choice = rank_candidates(finished(content("power_law", law.params.values(), X, y), samples), candidates)
        by_size = {row["total_flops"]: 1 - row["reduction"] for row in choice.rows}
        new = [np.full(candidate.seeds, candidate.x[0]) for candidate in candidates]
        again = [fit_law(np.append(X, x), np.append(y, drawn(x)), x_scale=1e13, bootstraps=200) for x in new]
        expected.append([by_size[MIDDLE], by_size[FAR]])
        refitted.append([np.ptp(other.ci["E"]) / np.ptp(law.ci["E"]) for other in again])
    (middle, far), found = np.mean(refitted, axis=0), np.mean(expected, axis=0)
    assert far < 0.6 * middle and found[1] < 0.6 * found[0]
    # Of three drawings the ends of the refitted intervals say no more: they differ by 0.19.
    assert found[1] == pytest.approx(far, abs=0.3)


def test_a_choice_stays_within_the_budget_and_narrows_at_each_step():
    candidates = [Candidate((x,), seeds) for x in np.geomspace(1e14, 1e20, 7) for seeds in (1, 3)]
    fit, bootstraps = planted()
    choice = choose_runs(finished(fit, bootstraps), candidates, 3e19)
    assert sum(row["cost"] for row in choice.rows) <= 3e19
    series = [choice.width, *(row["expected_width"] for row in choice.rows)]
    assert len(series) > 2 and (np.diff(series) < 0).all()
    alone = min(
        row["expected_width"]
        for row in rank_candidates(finished(fit, bootstraps), candidates).rows
        if row["cost"] <= 3e19
    )
    assert series[-1] < alone
    assert choose_runs(finished(fit, bootstraps), candidates, 1e21).rows[-1]["expected_width"] < series[-1]


def test_a_budget_below_every_cost_chooses_nothing_and_says_so():
    choice = choose_runs(finished(*planted()), [Candidate((FAR,))], 1e15)
    assert choice.rows == [] and "no candidate within the budget" in choice.statements[0]


def test_the_law_of_two_variables_ranks_the_run_that_is_large_in_both():
    fit, bootstraps = planted_two()
    sizes = [(1e7, 1e7), (1e10, 1e7), (1e7, 1e11), (1e10, 1e11)]
    choice = rank_candidates(finished(fit, bootstraps), [Candidate(size) for size in sizes])
    best = choice.rows[0]
    assert (best["n_params"], best["n_samples_seen"]) == sizes[3]
    assert best["cost"] == pytest.approx(6e9 * (1e10 / 1e5) * (1e11 / 1e4))
    assert (choice.rows[-1]["n_params"], choice.rows[-1]["n_samples_seen"]) == sizes[0]


def test_seeds_do_not_average_out_what_a_cell_differs_by():
    rng = np.random.default_rng(0)
    fit, bootstraps = planted()
    x = np.repeat(np.geomspace(1e14, 1e18, 200), 3)
    law = 0.45 + 0.3 * (x / 1e13) ** -0.25
    y = 1 - law * np.exp(np.repeat(rng.normal(0, 0.03, 200), 3) + rng.normal(0, 0.01, 600))
    found = residual_noise(require_law(finished(fit | {"points": {"x": x.tolist(), "y": y.tolist()}}, bootstraps)))
    assert found.total == pytest.approx(np.hypot(0.03, 0.01), rel=0.1)
    assert found.seeds == pytest.approx(0.01, rel=0.1)
    assert found.of_mean(np.array([1.0, 1e9])) == pytest.approx([found.total, 0.03], rel=0.1)


def test_points_of_one_size_but_two_architectures_are_two_cells():
    fit, bootstraps = planted()
    x = np.repeat(np.geomspace(1e14, 1e18, 200), 2)
    apart = np.tile([-0.05, 0.05], 200) + np.random.default_rng(0).normal(0, 0.01, 400)
    y = (1 - (0.45 + 0.3 * (x / 1e13) ** -0.25) * np.exp(apart)).tolist()
    points = {"x": x.tolist(), "y": y, "arch": ["a", "b"] * 200}
    found = residual_noise(require_law(finished(fit | {"points": points}, bootstraps)))
    assert found.seeds == found.total
    without = residual_noise(require_law(finished(fit | {"points": {"x": x.tolist(), "y": y}}, bootstraps)))
    assert without.seeds == pytest.approx(0.05 * 2**0.5, rel=0.1) or without.seeds == without.total


def test_an_asymptote_that_is_not_identified_is_ranked_and_said():
    fit, bootstraps = planted()
    fit["identified"]["E"] = {"identified": False, "reasons": ["no saturation within the data"]}
    choice = rank_candidates(finished(fit, bootstraps), [Candidate((MIDDLE,)), Candidate((FAR,))])
    assert choice.rows[0]["total_flops"] == FAR
    assert any("do not identify E (no saturation within the data)" in words for words in choice.statements)


def test_a_law_of_y_itself_is_ranked_as_that_of_its_complement():
    fit, bootstraps = planted()
    candidates = [Candidate((MIDDLE,)), Candidate((FAR,))]
    points = {"x": X.tolist(), "y": [1 - y for y in fit["points"]["y"]]}
    falling = rank_candidates(finished(fit | {"invert_y": False, "points": points}, bootstraps), candidates)
    for row, other in zip(falling.rows, rank_candidates(finished(fit, bootstraps), candidates).rows, strict=True):
        assert row["expected_width"] == pytest.approx(other["expected_width"], rel=1e-6)
    assert "in ln(score)" in falling.statements[0]


def test_more_resamples_than_are_used_give_the_same_answer():
    fit, bootstraps = planted()
    many = pd.concat([bootstraps] * 9, ignore_index=True)
    candidates = [Candidate((MIDDLE,)), Candidate((FAR,), 10)]
    few, more = rank_candidates(finished(fit, bootstraps), candidates), rank_candidates(finished(fit, many), candidates)
    assert more.width == pytest.approx(few.width, rel=0.02)
    for row, other in zip(more.rows, few.rows, strict=True):
        assert row["reduction"] == pytest.approx(other["reduction"], abs=0.02)
    assert len(more.statements) == 1


def test_few_resamples_behind_a_width_are_said():
    fit, bootstraps = planted()
    choice = rank_candidates(finished(fit, bootstraps[:60]), [Candidate((FAR,), 1000)])
    assert any("fewer than 30 resamples" in words for words in choice.statements)


def test_forms_of_the_score_itself_have_their_ceiling_narrowed():
    rng = np.random.default_rng(0)
    y = 0.6 - 0.3 * (X / 1e13) ** -0.25 + rng.normal(0, 0.005, X.size)
    samples = np.array([0.6, 0.3, 0.25]) * np.exp(rng.normal(0, 0.02, (300, 3)))
    names = FORMS["power_law_ceiling"].names
    fit = content("power_law_ceiling", (0.6, 0.3, 0.25), X, y)
    choice = rank_candidates(
        finished(fit, pd.DataFrame(samples, columns=names)), [Candidate((MIDDLE,)), Candidate((1e30,))]
    )
    assert choice.parameter == "C" and choice.rows[0]["total_flops"] == 1e30
    assert "in score" in choice.statements[0]


def test_a_form_without_asymptote_is_named():
    fit = content("log_linear", (0.1, 0.05), X, 0.1 + 0.05 * np.log10(X / 1e13))
    samples = pd.DataFrame({"a": [0.1, 0.11], "b": [0.05, 0.04]})
    with pytest.raises(DataError, match=r"no asymptote to narrow[\s\S]*log_linear"):
        rank_candidates(finished(fit, samples), [Candidate((FAR,))])


def test_impossible_candidates_are_named():
    fit, bootstraps = planted()
    with pytest.raises(DataError, match="there are no candidates"):
        rank_candidates(finished(fit, bootstraps), [])
    for wrong in (Candidate((-1.0,)), Candidate((1e5, 1e6)), Candidate((1e15,), 0), Candidate((1e15,), 1, "", np.nan)):
        with pytest.raises(DataError, match="candidate 2: impossible run"):
            rank_candidates(finished(fit, bootstraps), [Candidate((FAR,)), wrong])
    with pytest.raises(DataError, match="budget must be above 0"):
        choose_runs(finished(fit, bootstraps), [Candidate((FAR,))], 0.0)
    with pytest.raises(DataError, match=r"cost of some candidates is not known[\s\S]*large"):
        choose_runs(finished(fit | {"x": "n_params"}, bootstraps), [Candidate((FAR,), label="large")], 1e20)


def test_candidates_from_a_table():
    table = pd.DataFrame({"n_params": [1e6, 1e7], "n_samples_seen": [1e8, 1e9], "seeds": [1, 3],
                          "label": ["small", None], "total_flops": [None, 4e17]})  # fmt: skip
    first, second = candidates_from_table(table, ("n_params", "n_samples_seen"))
    assert first == Candidate((1e6, 1e8), 1, "small", None)
    assert second == Candidate((1e7, 1e9), 3, "row 2", 4e17)
    assert dataclasses.replace(second, seeds=1).seeds == 1


def test_wrong_tables_of_candidates_are_named():
    table = pd.DataFrame({"n_parms": [1e6], "seeds": [1]})
    with pytest.raises(DataError) as error:
        candidates_from_table(table, ("n_params",))
    text = str(error.value)
    assert "no such column" in text and "unknown column" in text and "nearest:  n_params" in text
    table = pd.DataFrame({"n_params": [1e6, -5, np.nan], "seeds": [1, 1.5, 2]})
    with pytest.raises(
        DataError, match=r"candidates, n_params: 2 impossible[\s\S]*rows 2, 3[\s\S]*seeds: 1 impossible"
    ):
        candidates_from_table(table, ("n_params",))
    with pytest.raises(DataError, match="total_flops"):
        candidates_from_table(pd.DataFrame({"n_params": [1e6], "total_flops": ["many"]}), ("n_params",))
