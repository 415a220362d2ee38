"""`neuroscaling resolution`, `plan --scores` and `next-runs` of several fits: what benchmarks can tell, in advance."""

import csv
import io
import json

import pytest

from neuroscaling.cli.main import main
from neuroscaling.laws.benchmark_file import benchmark_file, write_benchmark_file
from tests.cli.test_planning_cli import CANDIDATES, write
from tests.support.planted_networks import Planted, planted_table
from tests.support.small_plan import write_small

TRUTH = Planted(networks=30)


@pytest.fixture
def table(tmp_path):
    """A score table of 30 simulated networks with three seeds at three scales, on a benchmark of no study here."""
    planted_table(TRUTH).to_parquet(tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    return (status, *capsys.readouterr())


def test_resolution_prints_what_the_table_and_its_file_tell(table, capsys, tmp_path):
    status, out, _ = run(capsys, "resolution", table, "--format", "json")
    (row,) = json.loads(out)
    content = benchmark_file(planted_table(TRUTH))
    assert status == 0 and row["benchmark"] == "V1-pls" and row["networks"] == "30 x 3.0 seeds"
    assert float(row["seeds"]) == pytest.approx(content.resolutions[0].noise, abs=1e-4)
    write_benchmark_file(table, tmp_path / "resolution.json")
    assert run(capsys, "resolution", tmp_path / "resolution.json", "--format", "json")[1] == out
    _, out, _ = run(capsys, "resolution", table, "--part", "luck", "--format", "csv")
    assert [row["layers"] for row in csv.DictReader(io.StringIO(out))] == ["chosen here", "control", "control"]
    _, out, _ = run(capsys, "resolution", table, "--part", "decisions")
    assert out.split()[:1] == ["benchmark"] and len(out.splitlines()) == 3
    status, _, error = run(capsys, "resolution", tmp_path / "score.parquet")
    assert status == 1 and "file is missing" in error


def test_resolution_writes_a_page(table, capsys, tmp_path):
    status, out, _ = run(capsys, "resolution", table, "--page", tmp_path / "page.md", "--title", "Planted")
    text = (tmp_path / "page.md").read_text()
    assert status == 0 and out.strip() == str(tmp_path / "page.md") and text.startswith("# Planted\n")
    assert "SIMULATED" in text and "## The luck of layers" in text and "| V1-pls | 100 | 30 x 3.0 seeds |" in text


def test_plan_says_what_the_seeds_of_a_study_can_see(table, capsys, tmp_path):
    small = write_small(tmp_path)
    status, out, notes = run(capsys, "plan", small, "--stage", "extraction", "--scores", table, "--format", "json")
    (row,) = json.loads(out)["benchmarks"]
    own = benchmark_file(planted_table(TRUTH)).resolutions[0]
    assert status == 0 and row["networks"] == 3 and row["seeds"] == 1 and row["scale"] == "10" and row["simulated"]
    assert row["smallest_difference"] == pytest.approx(own.smallest_difference(1), rel=0.01)
    assert row["pairs_ranked"] == pytest.approx(own.decisions[0].seen, abs=0.001)
    assert row["in_study"] is False and "none of the table's is one of this study's" in notes
    status, _, error = run(capsys, "plan", small, "--stage", "extraction", "--scores")
    assert status == 1 and "file is missing" in error and "results/small/scores.parquet" in error


def test_next_runs_of_several_fits_counts_what_their_benchmarks_tell(table, capsys, tmp_path):
    (tmp_path / "fits").mkdir()
    fit = write(tmp_path / "fits", filters={"region": "V1"})
    runs = tmp_path / "runs.csv"
    runs.write_text(CANDIDATES)
    write_benchmark_file(table, tmp_path / "resolution.json")
    _, _, notes = run(capsys, "next-runs", fit, "--candidates", runs)
    assert "weight of the benchmark, by what it can tell: 0.9" in notes
    other = fit.with_name("other.json")
    other.write_text(fit.read_text().replace('"name": "planted"', '"name": "other"'))
    fit.with_name("other.bootstraps.parquet").write_bytes(fit.with_name("planted.bootstraps.parquet").read_bytes())
    status, out, notes = run(capsys, "next-runs", fit, other, "--candidates", runs, "--top", 2, "--format", "json")
    rows = json.loads(out)
    assert status == 0 and len(rows) == 2 and rows[0]["label"] == "three" and "2 of 3 candidates" in notes
    assert {"reduction planted", "reduction other", "weighted_reduction"} <= set(rows[0])
    assert "planted: weight 0.9" in notes
    status, _, error = run(capsys, "next-runs", fit, other, "--candidates", runs, "--budget", 1e20)
    assert status == 1 and "a budget is for one fit" in error
