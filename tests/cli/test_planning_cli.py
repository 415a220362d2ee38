"""`neuroscaling predict` and `neuroscaling next-runs` on the files of a planted fit, and what wrong input gives."""

import json

import numpy as np
import pandas as pd
import pytest

from neuroscaling.cli.main import main
from neuroscaling.core.files import write_json
from neuroscaling.laws.forms import FORMS
from tests.support.finished_fits import completed

PARAMS = (0.45, 0.3, 0.4)
CANDIDATES = "total_flops,label,seeds\n1e16,middle,1\n1e20,far,1\n1e20,three,3\n"


def write(folder, form="power_law", params=PARAMS, spread=0.03, **changes):
    """The two files of a fit of total_flops with 200 resamples; gives the path of the first."""
    law, x = FORMS[form], np.geomspace(1e14, 1e18, 30)
    rng = np.random.default_rng(0)
    y = law.curve(x / 1e13, *params) + rng.normal(0, 0.004, 30)
    fit = {
        "name": "planted", "mode": "corrected", "status": "fitted", "form": form, "x": "total_flops", "x_scale": 1e13,
        "y": "score", "loss_name": law.loss, "params": dict(zip(law.names, params, strict=True)),
        "saturation": 0.55, "saturation_ci95": [0.53, 0.57], "points": {"x": x.tolist(), "y": y.tolist()},
    } | changes  # fmt: skip
    write_json(folder / "planted.json", completed(fit))
    samples = np.array(params) * np.exp(rng.normal(0, spread, (200, len(params))))
    pd.DataFrame(samples, columns=law.names).to_parquet(folder / "planted.bootstraps.parquet")
    return folder / "planted.json"


@pytest.fixture
def fit(tmp_path):
    return write(tmp_path)


@pytest.fixture
def candidates(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(CANDIDATES)
    return path


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    return (status, *capsys.readouterr())


def test_predict_says_what_a_score_needs(fit, capsys):
    status, out, _ = run(capsys, "predict", fit, "--target-score", 0.5)
    assert status == 0 and out.startswith("planted (corrected), for target score 0.5; 95 % intervals of 200 resamples")
    status, out, _ = run(capsys, "predict", fit, "--target-score", 0.5, "--format", "json")
    plan = json.loads(out)
    assert plan["run"]["total_flops"]["value"] == pytest.approx(1e13 * (0.05 / 0.3) ** (-1 / 0.4))
    status, out, _ = run(capsys, "predict", fit, "--target-score", 0.8)
    assert status == 0 and "the target 0.8 lies beyond the asymptote 0.55 (0.53 to 0.57)" in out
    assert "in 100 % of the resamples the target is never reached" in out


@pytest.mark.parametrize("option", ["--compute", "--x"])
def test_predict_says_which_score_a_run_reaches(fit, capsys, option):
    status, out, _ = run(capsys, "predict", fit, option, "1e20", "--format", "json")
    assert status == 0
    assert json.loads(out)["score"]["value"] == pytest.approx(1 - 0.45 - 0.3 * 1e7**-0.4)


@pytest.mark.parametrize(
    ("questions", "found"), [([], "none of them"), (["--x", "1", "--compute", "1e18"], "--compute and --x")]
)
def test_predict_takes_one_question(fit, capsys, questions, found):
    status, out, error = run(capsys, "predict", fit, *questions)
    assert status == 1 and not out
    assert "one question at a time" in error and found in error and "--target-score, --compute, --x" in error


def test_predict_names_a_score_that_no_law_reaches(fit, capsys):
    status, _, error = run(capsys, "predict", fit, "--target-score", 1)
    assert status == 1 and "no law reaches this score" in error and "a number below 1" in error


def test_files_that_are_not_there_are_named(fit, capsys, tmp_path):
    fit.with_name("plantd.influence.json").write_text("{}")  # a record beside a fit, and no fit
    status, _, error = run(capsys, "predict", tmp_path / "plantd.json", "--x", 1e15)
    assert status == 1 and "no such fit" in error and f"nearest:  {fit}" in error
    assert "plantd.influence.json" not in error
    beside = fit.with_name("planted.bootstraps.parquet")
    beside.write_text("no parquet")
    status, _, error = run(capsys, "predict", fit, "--x", 1e15)
    assert status == 1 and "not a readable parquet file" in error
    beside.unlink()
    status, _, error = run(capsys, "predict", fit, "--x", 1e15)
    assert status == 1 and "the bootstraps of the fit are missing" in error and str(beside) in error
    write_json(tmp_path / "planted.json", {"rows": ["no fit"]})
    beside.touch()
    status, _, error = run(capsys, "predict", fit, "--x", 1e15)
    assert status == 1 and "not the file of a fit" in error


def test_a_fit_that_was_not_testable_is_named_with_its_reason(tmp_path, capsys):
    path = write(tmp_path, status="not testable", reason="too few points")
    status, _, error = run(capsys, "predict", path, "--x", 1e15)
    assert status == 1 and "this fit has no law" in error and "too few points" in error


def test_next_runs_ranks_the_candidates(fit, candidates, capsys):
    status, out, notes = run(capsys, "next-runs", fit, "--candidates", candidates)
    lines = out.splitlines()
    assert status == 0 and lines[0].split()[:5] == ["rank", "label", "total_flops", "seeds", "cost"]
    assert [line.split()[1] for line in lines[1:]] == ["three", "far", "middle"]
    assert "width of the interval of E today" in notes and "noise of one run" in notes
    status, out, notes = run(capsys, "next-runs", fit, "--candidates", candidates, "--top", 1, "--format", "json")
    (row,) = json.loads(out)
    assert "1 of 3 candidates are shown" in notes
    assert (row["label"], row["cost"]) == ("three", 3e20)


def test_next_runs_stays_within_a_budget(fit, candidates, capsys):
    arguments = ("next-runs", fit, "--candidates", candidates, "--budget", 1.5e20, "--format", "json")
    status, out, _ = run(capsys, *arguments)
    assert status == 0 and "far" in [row["label"] for row in json.loads(out)]
    assert sum(row["cost"] for row in json.loads(out)) <= 1.5e20
    status, out, notes = run(capsys, "next-runs", fit, "--candidates", candidates, "--budget", 1e10)
    assert (status, out) == (0, "nothing\n") and "no candidate within the budget" in notes


def test_what_is_said_of_a_simulated_fit_says_so_and_of_a_real_one_not(tmp_path, candidates, capsys):
    """In text, JSON and CSV alike: numbers of a simulated brain must not travel without that word."""
    word = "SIMULATED data: the law says whether the pipeline works, and nothing about brains"
    for simulated in (True, False):
        path = write(tmp_path, simulated=simulated)
        for question in (("--target-score", 0.5), ("--x", 1e20), ("--compute", 1e20)):
            _, out, _ = run(capsys, "predict", path, *question)
            assert (word in out) == simulated and ("SIMULATED" in out.splitlines()[0]) == simulated
            plan = json.loads(run(capsys, "predict", path, *question, "--format", "json")[1])
            assert plan["simulated"] is simulated and (word in plan["statements"]) == simulated
        arguments = ("next-runs", path, "--candidates", candidates)
        for more in ((), ("--budget", 1.5e20)):
            _, out, notes = run(capsys, *arguments, *more)
            assert (f"- {word}" in notes.splitlines()) == simulated
            assert out.splitlines()[0].split()[-1] == "simulated" and f" {simulated}" in out.splitlines()[1]
            rows = json.loads(run(capsys, *arguments, *more, "--format", "json")[1])
            assert rows and all(row["simulated"] is simulated for row in rows)
            table = run(capsys, *arguments, *more, "--format", "csv")[1].splitlines()
            assert table[0].endswith(",simulated") and table[1].endswith(f",{simulated}")


def test_candidates_of_a_spreadsheet_are_those_of_commas(fit, candidates, capsys):
    _, expected, _ = run(capsys, "next-runs", fit, "--candidates", candidates)
    candidates.write_text(CANDIDATES.replace(",", ";"), encoding="utf-8-sig")
    assert run(capsys, "next-runs", fit, "--candidates", candidates)[:2] == (0, expected)


def test_wrong_candidates_are_named(fit, candidates, capsys, tmp_path):
    candidates.write_text(CANDIDATES.replace("total_flops", "total_flop"))
    status, _, error = run(capsys, "next-runs", fit, "--candidates", candidates)
    assert status == 1 and "unknown column" in error and "nearest:  total_flops" in error
    candidates.write_text(CANDIDATES.replace("1e16", "-1"))
    status, _, error = run(capsys, "next-runs", fit, "--candidates", candidates)
    assert status == 1 and "candidates, total_flops: 1 impossible values" in error and "rows 1: -1" in error
    candidates.write_text("")
    status, _, error = run(capsys, "next-runs", fit, "--candidates", candidates)
    assert status == 1 and "runs.csv: the table is empty" in error
    status, _, error = run(capsys, "next-runs", fit, "--candidates", tmp_path / "none.csv")
    assert status == 1 and "file is missing" in error
    candidates.write_text(CANDIDATES)
    status, _, error = run(capsys, "next-runs", fit, "--candidates", candidates, "--top", 0)
    assert status == 1 and "--top" in error


def test_a_form_without_asymptote_can_not_choose_runs(tmp_path, candidates, capsys):
    path = write(tmp_path, "log_linear", (0.1, 0.05), saturation=None, saturation_ci95=None)
    status, _, error = run(capsys, "next-runs", path, "--candidates", candidates)
    assert status == 1 and "this law has no asymptote to narrow" in error and "log_linear" in error
