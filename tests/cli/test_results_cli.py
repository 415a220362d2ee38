"""`neuroscaling results` prints a finished study's laws and scores, and keeps tables of documents in step."""

import json

import pandas as pd
import pytest

from neuroscaling.cli.main import main
from neuroscaling.core.files import write_json
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.reproductions.gokce2025.published_scores import published_table
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file
from tests.conftest import ROOT
from tests.forecast.test_next_runs import planted_two
from tests.support.finished_fits import completed
from tests.support.planted_networks import Planted, planted_table

PAGE = "# Mine\n\nBefore.\n\n<!-- table: {command} -->\nold\n<!-- end of table -->\n\nAfter.\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of a study with scores and two laws that are made up."""
    folder = tmp_path_factory.mktemp("of study") / "mine"
    fit, _ = planted_two()
    fit = fit | {"ci95": {name: [value, value] for name, value in fit["params"].items()}}
    for name in ("samples.IT", "samples.V1"):
        write_json(folder / f"fits/{name}.json", completed(fit | {"name": name}))
    table = planted_table(Planted(networks=3))
    # A second region, of another benchmark and scale.
    other = table.assign(region="behavior", benchmark="other-i2n", metric="i2n", scale="(r/c)2")
    pd.concat([table, other.assign(score=other["score"] / 2)]).to_parquet(folder / "scores.parquet")
    return folder


def rows_of(capsys, *words):
    assert main(["results", *map(str, words), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_scores_are_means_over_seeds_as_pandas_has_them(results, capsys):
    rows = rows_of(capsys, "scores", results)
    table = pd.read_parquet(results / "scores.parquet")
    means = table.groupby(["arch", "samples_per_class", "region"])["score"].mean()
    trained = [row for row in rows if "of each class" in row["weights"]]
    assert len(rows) == len(means.groupby(["arch", "samples_per_class"]).size()) and trained
    for row in trained:
        images = int(row["weights"].split(", ")[1].split()[0])
        for region in table["region"].unique():
            assert row[region] == pytest.approx(means[row["network"], images, region])
    assert not any("mean" in row for row in rows)  # of numbers on two scales
    assert {row["seeds"] for row in rows} == {table["seed"].nunique()}
    assert {row.get("notes") for row in rows} == ({"SIMULATED"} if table["simulated"].any() else {None})


def session_rows():
    """One network on two sessions that are benchmarks of their own, by two metrics, at two numbers of images."""
    common = {
        "run": "a", "arch": "a", "kind": "untrained", "dataset": None, "samples_per_class": 0, "seed": 0, "data": "d",
        "region": "V4", "scale": "r2", "acc": None, "protocol": "corrected", "ceiling": None,
    }  # fmt: skip
    return pd.DataFrame(
        [
            common
            | {"benchmark": session, "subject": session, "metric": metric, "n_mapping": images, "raw": value}
            | {"score": value**2, "test_set": None}
            for session, metric, images, value in [
                ("s1", "pls", 10, 0.1),
                ("s1", "pls", 20, 0.2),
                ("s1", "ridge", 20, 0.3),
                ("s2", "pls", 10, 0.4),
                ("s2", "ridge", 10, 0.5),
            ]
        ]
    )


def test_sessions_are_averaged_at_their_most_mapping_images_and_metrics_never(tmp_path, capsys):
    table = session_rows()
    table.to_parquet(tmp_path / "scores.parquet")
    (row,) = rows_of(capsys, "scores", tmp_path, "--columns", "metric", "--value", "raw")
    assert (row["pls"], row["ridge"]) == (pytest.approx(0.3), pytest.approx(0.4)) and "mean" not in row
    (row,) = rows_of(capsys, "scores", tmp_path, "--columns", "subject", "--where", "metric=ridge", "--value", "raw")
    assert (row["s1"], row["s2"], row["mean"]) == (0.3, 0.5, pytest.approx(0.4))
    assert main(["results", "scores", str(tmp_path)]) == 1
    assert "several kinds would be averaged: metric" in capsys.readouterr().err
    # Runs that nothing tells apart are rows of their own.
    pd.concat([table, table.assign(run="b")]).to_parquet(tmp_path / "scores.parquet")
    rows = rows_of(capsys, "scores", tmp_path, "--columns", "metric", "--value", "raw")
    assert [row["weights"] for row in rows] == ["untrained, a", "untrained, b"]


def test_laws_are_chosen_by_name(results, capsys):
    assert [row["fit"] for row in rows_of(capsys, "laws", results)] == ["samples.IT", "samples.V1"]
    (row,) = rows_of(capsys, "laws", results, "--fits", "*.V1")
    assert row["fit"] == "samples.V1" and row["form"] == "chinchilla"


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["scores", "nowhere"], "the study has no score table"),
        (["scores", "{}", "--where", "regionn=V1"], "nearest:  region"),
        (["scores", "{}", "--where", "region=V9"], "no row has this value"),
        (["scores", "{}", "--where", "region"], "COLUMN=VALUE"),
        (["laws", "{}", "--fits", "samples.V9"], "samples.V1"),
    ],
)
def test_what_is_not_there_is_named(results, capsys, words, phrase):
    assert main(["results", *(word.format(results) for word in words)]) == 1
    assert phrase in capsys.readouterr().err


def test_a_page_gets_its_table_and_keeps_its_text(results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(results.parent)
    page = tmp_path / "page.md"
    example = "```text\n<!-- table: neuroscaling no such thing -->\n<!-- end of table -->\n```\n"
    page.write_text(PAGE.format(command="neuroscaling results laws mine --fits *.V1") + example)
    assert main(["results", "page", str(page), "--check"]) == 1
    assert "\nold\n" in page.read_text()
    assert main(["results", "page", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("# Mine\n\nBefore.\n\n<!-- table:")
    assert text.endswith(f"<!-- end of table -->\n\nAfter.\n{example}")
    assert "| samples.V1 | chinchilla |" in text and "old" not in text
    assert "of `samples.V1.json` (sha256 " in text
    assert main(["results", "page", str(page), "--check"]) == 0
    page.write_text(text.replace("| samples.V1 |", "| samples.V2 |"))
    assert main(["results", "page", str(page), "--check"]) == 1


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("nothing here\n", "no table of this page"),
        (PAGE.format(command="neuroscaling reslts laws mine"), "page.md line 5"),
        (PAGE.format(command="rm -r mine"), "the program is `neuroscaling`"),
        (PAGE.format(command="neuroscaling results laws nowhere"), "no such fit"),
        (PAGE.format(command="neuroscaling results laws mine").replace("<!-- end of table -->", ""), "no `<!-- end"),
    ],
)
def test_a_page_with_a_fault_stays_as_it_is(results, tmp_path, monkeypatch, capsys, content, phrase):
    monkeypatch.chdir(results.parent)
    page = tmp_path / "page.md"
    page.write_text(content)
    assert main(["results", "page", str(page)]) == 1
    assert phrase in capsys.readouterr().err and page.read_text() == content


def test_the_page_of_published_laws_has_what_the_public_tables_give(published_dir):
    """Points and losses; intervals take bootstraps, which the page has by hash alone."""
    table = published_table(published_dir / "benchmark_scores.csv", published_dir / "seed_data_scaling.csv")
    jobs = {job.name: job.settings for job in expand_fits(load_fit_file(ROOT / "config/fits/published.yaml"))}
    page = (ROOT / "docs/results/published.md").read_text()
    for name in ("compute_neuro", "region_it_group1"):
        fit = fit_table(table, jobs[name] | {"bootstraps": 0})[0]
        assert f"| {name} | {fit['form']} | {fit['n']} | {fit['loss']:.6g} |" in page
