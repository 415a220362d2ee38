"""The leaderboard against pandas' pivot tables, and what a network's page needs. All scores here are simulated."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.records import HISTORY_FILE
from neuroscaling.report import leaderboard as module
from neuroscaling.report.leaderboard import leaderboard
from neuroscaling.report.network_pages import MOST_POINTS, pages_content, read_curves, thinned
from neuroscaling.report.sections import TEMPLATES
from neuroscaling.training.run_folder import EpochRow, write_history
from tests.report.test_report import simulated_choice, simulated_page, simulated_study


def subjects(sizes=(10, 30), metrics=("pls", "ridge")):
    """fMRI of three subjects on networks of `simulated_study`, one score missing, one subject with more images."""
    table, _ = simulated_study()
    base = table[table["region"] == "IT"].head(8)
    rng = np.random.default_rng(1)
    parts = [
        base.assign(data="brain", benchmark="fmri", subject=subject, metric=metric, n_mapping=size, layer=f"layer{n}",
                    score=rng.uniform(0, 1, len(base)), region=region)
        for n, subject in enumerate(("a", "b", "c"))
        for metric in metrics
        for size in (*sizes, 90 if subject == "c" else 60)
        for region in ("V1v", "all-vertices")
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    rows.loc[0, ["score", "reason"]] = [np.nan, "no ceiling"]
    return table, rows


def pivot(rows, **kwargs):
    return rows.pivot_table(index="run", columns="region", values="score", **kwargs)


def test_scores_errors_and_counts_are_those_of_pandas():
    _, rows = subjects()
    board = leaderboard(rows)
    assert [(view.metric, view.mapping) for view in board.views] == [
        (metric, size) for size in (None, 30, 10) for metric in ("pls", "ridge")
    ]
    for view in board.views:
        own = rows[rows["metric"] == view.metric]
        most = own["subject"].map({"a": 60, "b": 60, "c": 90})
        own = own[own["n_mapping"] == (most if view.mapping is None else view.mapping)]
        expected = {name: pivot(own, aggfunc=name) for name in ("mean", "sem", "count")}
        for series in (board.series[i] for i in view.series):
            found = pd.DataFrame(
                {"mean": series.scores, "sem": series.errors}, index=board.networks["run"].astype("object"), dtype=float
            )
            for name, digits in (("mean", 5e-4), ("sem", 0.06)):
                wanted = expected[name][series.region].reindex(found.index)
                np.testing.assert_allclose(found[name], wanted.astype(float), rtol=digits)
            counts = expected["count"][series.region].reindex(found.index).tolist()
            assert (series.counts or [3] * len(counts)) == counts and series.averaged == 3
            assert series.units == "subjects" and series.metric == view.metric and series.simulated
    assert board.series[0].mapping == (60, 90) and board.left_out == 0
    assert sum(series.counts is not None for series in board.series) == 1


def test_behaviour_with_one_metric_is_in_all_views_and_in_no_mean():
    table, rows = subjects(sizes=())
    monkeys = table[table["run"].isin(rows["run"])]
    behaviour = monkeys[monkeys["region"] == "IT"].assign(
        region="Behavioral", metric="i2n", benchmark="x-i2n", scale="r/sqrt(c)"
    )
    board = leaderboard(pd.concat([behaviour, monkeys, rows]))
    assert {view.metric for view in board.views} == {"pls", "ridge"}
    for view in board.views:
        shown = [board.series[i] for i in view.series]
        assert [one.region for one in shown] == ["V1", "IT", "Behavioral", "V1v", "all-vertices"]
        assert [one.benchmark for one in shown[:3]] == ["x.V1", "x.IT", "x"]
        # ridge has V1v alone beside whole cortex, so that the mean is over the monkeys' pls
        over = {board.series[i].region for i in view.mean_of}
        assert over == ({"V1", "IT", "V1v"} if view.metric == "pls" else {"V1", "IT"})


def test_mean_is_over_regions_and_ranks_leave_out_baselines():
    table, _ = simulated_study()
    twice = table[table["region"] == "V1"].assign(benchmark="y.V1-pls", score=lambda rows: rows["score"] + 0.2)
    board = leaderboard(pd.concat([table, twice]))
    view = board.views[0]
    regions = pivot(pd.concat([table, twice]), aggfunc="mean").mean(axis=1).reindex(board.networks["run"])
    np.testing.assert_allclose(view.means, regions, rtol=1e-3)
    trained = (board.networks["kind"] == "trained").to_numpy()
    assert [rank is not None for rank in view.ranks] == trained.tolist()
    best = pd.Series(view.means)[trained].idxmax()
    assert view.ranks[best] == 1 and board.networks["kind"][best] == "trained"
    lacking = table[(table["region"] != "IT") | (table["run"] != board.networks["run"][best])]
    assert leaderboard(lacking).views[0].means[best] is None


def test_earlier_epochs_of_a_training_have_no_rank():
    table, _ = simulated_study()
    epochs = table.assign(trajectory=None, epoch=100.0)
    first, second = epochs["run"].drop_duplicates()[:2]
    epochs.loc[epochs["run"].isin([first, second]), "trajectory"] = second
    epochs.loc[epochs["run"] == first, "epoch"] = 1.0
    board, before = leaderboard(epochs), leaderboard(table)
    assert [one.scores for one in board.series] == [one.scores for one in before.series]
    place = board.networks["run"].tolist().index(first)
    ranks = [view.ranks for view in board.views]
    assert all(rank[place] is None for rank in ranks)
    assert all(
        max(filter(None, rank)) <= max(filter(None, old.ranks)) - 1
        for rank, old in zip(ranks, before.views, strict=True)
    )


def test_sessions_that_are_benchmarks_are_one_column_and_losses_rank_from_below():
    table, _ = simulated_study()
    base = table[table["region"] == "IT"]
    sessions = [base.assign(data="v4", benchmark=day, subject=day, region="V4", metric="ridge") for day in ("01", "02")]
    (series,) = leaderboard(pd.concat(sessions)).series
    assert (series.benchmark, series.averaged, series.units) == ("v4", 2, "sessions")
    losses = leaderboard(base[base["kind"] == "trained"].assign(scale="loss"))
    assert losses.views[0].ranks[int(np.nanargmin(losses.series[0].scores))] == 1


def test_tables_without_columns_scores_or_rows(monkeypatch):
    table, rows = subjects()
    assert leaderboard(table.head(0)).content()["views"] == []
    assert leaderboard(table.assign(score=np.nan)).series == []
    bare = leaderboard(table[["run", "region", "score"]])
    assert [one.region for one in bare.series] == ["V1", "IT"] and bare.views[0].ranks[0] is not None
    # As parquet files of own tables have it: a region that pandas calls missing.
    nowhere = table.assign(region=pd.array([pd.NA] * len(table), dtype="string"))
    assert {one["region"] for one in leaderboard(nowhere).content()["series"]} == {None}
    monkeypatch.setattr(module, "MOST_CELLS", 40)
    few = leaderboard(rows)
    assert len(few.views) == 2 and few.left_out == 4 and len(few.series) == 4
    json.dumps(few.content(), allow_nan=False)


def test_curves_are_thinned_with_their_ends(tmp_path):
    losses = [None, float("nan"), *np.linspace(2, 1, 200)]
    write_history(
        tmp_path / HISTORY_FILE,
        [
            EpochRow(i, i, i, train_loss=loss, val_accuracy=0.1 if i % 100 == 0 else None)
            for i, loss in enumerate(losses)
        ],
    )
    curves = read_curves(tmp_path / HISTORY_FILE)
    epochs, values = curves["train_loss"]
    assert len(epochs) == len(values) == MOST_POINTS and (epochs[0], epochs[-1]) == (2, 201)
    assert values[0] == 2 and values[-1] == 1 and epochs == sorted(set(epochs))
    assert curves["val_accuracy"] == ([0, 100, 200], [0.1] * 3) and "val_loss" not in curves
    assert read_curves(tmp_path / "none.parquet") == {} and thinned([1, 2]) == [1, 2]


def test_settings_that_networks_share_stand_once():
    _, runs = simulated_study()
    content = pages_content({run["run"]: simulated_page(run) for run in runs}, [simulated_choice("a")])
    assert len(content["runs"]) == 42 and len(content["shared"]) == 3
    assert content["shared"][content["runs"][runs[0]["run"]]["recipe"]]["optimizer"] == "sgd"
    assert content["runs"][runs[-1]["run"]]["recipe"] is None
    chosen = {"benchmark": "x.IT-pls", "region": "IT", "layers": ["layer2", "layer10"], "scores": [0.2, 0.4]}
    assert content["layers"] == {"a": [{**chosen, "chosen": "layer10"}]}


@pytest.mark.parametrize(
    "line", [line for line in (TEMPLATES / "vendor" / "SOURCES.txt").read_text().splitlines() if "dist/" in line]
)
def test_libraries_in_the_page_are_as_published(line):
    checksum, name, _ = line.split()
    assert hashlib.sha256((TEMPLATES / "vendor" / name).read_bytes()).hexdigest() == checksum
