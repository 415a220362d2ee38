"""Checkpoints that others trained: their tables, what is selected of them, and the names of their runs."""

import csv
import json

import pytest

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.study.checkpoint_tables import Selection, table_checkpoints
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.published_checkpoints import published_checkpoints
from neuroscaling.study.run_table import expand_runs
from neuroscaling.study.sections.whole_study import Study

URL = "https://example.org/a/ep5.pt"


def table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def runs_of(*groups):
    return expand_runs(Study.model_validate({"study": "a", "runs": list(groups)}), {})


def test_a_table_says_what_is_known_and_leaves_the_rest_unknown(tmp_path):
    (tmp_path / "one.pt").write_bytes(b"weights")
    known = {"id": "a", "url": URL, "arch": "resnet18", "samples_per_class": "0", "seed": 1, "epoch": 5}
    known |= {"n_samples": 1000, "n_epochs": 5, "total_flops": "3e12", "acc": 0.5, "ema": "True", "dataset": "imagenet"}
    rows = [known, {"id": "b", "path": "one.pt", "arch": "vit_w16"}]
    a, b = table_checkpoints(table(tmp_path / "t.csv", rows), {})
    assert (a.place, a.samples_per_class, a.n_samples_seen, a.total_flops, a.ema) == (URL, "all", 5000, 3e12, True)
    assert b.place == str(tmp_path / "one.pt")
    unknown = ("n_samples", "n_samples_seen", "total_flops", "acc", "epoch", "seed", "dataset", "samples_per_class")
    assert [getattr(b, name) for name in unknown] == [None] * len(unknown)


def test_columns_may_be_called_otherwise(tmp_path):
    path = table(tmp_path / "t.csv", [{"model_id": "a", "where": URL, "network": "resnet18", "id": "another"}])
    (one,) = table_checkpoints(path, {"id": "model_id", "url": "where", "arch": "network"})
    assert (one.id, one.place, one.arch) == ("a", URL, "resnet18")
    with pytest.raises(DataError, match=r"column is missing[\s\S]*wher[\s\S]*nearest:  where"):
        table_checkpoints(path, {"id": "model_id", "url": "wher", "arch": "network"})


def test_all_rows_that_are_wrong_are_told_with_their_lines(tmp_path):
    rows = [
        {"id": "", "url": URL, "arch": "resnet18", "acc": "", "epoch": "", "series": ""},
        {"id": "b", "url": "ftp://a", "arch": "resnet81", "acc": "76", "epoch": "1.5", "series": "simclrr"},
        {"id": "c", "url": "", "arch": "resnet18", "acc": "", "epoch": "", "series": ""},
    ]
    with pytest.raises(DataError) as caught:
        table_checkpoints(table(tmp_path / "t.csv", rows), {})
    text = str(caught.value)
    for said in (
        "line 2: an id is missing",
        "line 3: arch: unknown architecture",
        "line 3: url: not a URL",
        "line 3: acc: not a value of acc",
        "line 3: epoch: not a value of epoch",
        "nearest:  simclr",
        "line 4: neither a path nor a URL",
    ):
        assert said in text
    twice = [{"id": "a", "url": URL, "arch": "resnet18", "epoch": 5}] * 2
    with pytest.raises(DataError, match=r"line 2, line 3: a network is there twice"):
        table_checkpoints(table(tmp_path / "t.csv", twice), {})


def test_the_published_table_is_the_public_one(published_dir):
    found = {(one.id, one.epoch): one for one in published_checkpoints()}
    with open(published_dir / "benchmark_scores.csv", newline="", encoding="utf-8") as file:
        facts = {row["model_id"]: row for row in csv.DictReader(file)}
    with open(published_dir / "model_checkpoints.csv", newline="", encoding="utf-8") as file:
        public = [row for row in csv.DictReader(file) if row["model_id"] in facts]
    assert len(public) == len(found) == 10_221
    for row in public:
        one, fact = found[row["model_id"], int(row["epoch"])], facts[row["model_id"]]
        assert (one.place, one.arch) == (row["checkpoint_url"], fact["arch"])
        assert one.n_samples_seen == int(fact["n_samples"]) * one.epoch
        if one.epoch == int(fact["n_epochs"]) and fact["total_flops"]:
            assert one.total_flops == pytest.approx(float(fact["total_flops"]), rel=1e-12)
            assert one.n_samples_seen == int(fact["n_samples_seen"])


def test_the_fitted_networks_of_the_published_study_are_620():
    fitted = Selection(series=("supervised",), dataset=("imagenet", "ecoset")).of(published_checkpoints())
    assert len(fitted) == len({one.id for one in fitted}) == 620
    assert {one.epoch for one in fitted} == {100, 300} and len({one.arch for one in fitted}) == 60
    assert all(one.ema == one.arch.startswith(("convnext", "deit")) for one in fitted)
    few = Selection((1, 100), arch_family=("AlexNet",), seeds=(0,), series=("supervised",)).of(published_checkpoints())
    assert {one.epoch for one in few} == {1, 100} and {one.arch for one in few} == {"alexnet"}


def test_runs_are_named_after_the_sha256_of_the_file_or_after_its_url(tmp_path):
    row = {"id": "a", "arch": "resnet18", "n_samples": 100, "epoch": 5}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pt").write_bytes(b"weights")
    of_file = [{**row, "path": f"{name}/a.pt"} for name in ("one", "two")]
    groups = [{"checkpoints": str(table(tmp_path / f"{i}.csv", [one]))} for i, one in enumerate(of_file)]
    (run,) = runs_of(*groups)
    assert run.run.startswith("a_ep5-") and run.kind == "checkpoint" and run.objective == "supervised"
    assert run.definition["weights"]["sha256"] == run.definition["weights"]["sha256"].lower()
    (fetched,) = runs_of({"checkpoints": str(table(tmp_path / "url.csv", [{**row, "url": URL}]))})
    assert fetched.definition["weights"] == {"url": URL} and fetched.run != run.run
    (known,) = runs_of({"checkpoints": str(table(tmp_path / "k.csv", [{**row, "url": URL, "sha256": "AB" * 32}]))})
    assert known.definition["weights"] == {"sha256": "ab" * 32}
    (tmp_path / "one" / "a.pt").write_bytes(b"others")
    assert len(runs_of(*groups)) == 2


def test_what_is_known_of_the_training_and_which_weights_are_taken_are_in_the_name(tmp_path):
    row = {"id": "a", "arch": "resnet18", "url": URL, "epoch": 5}
    names = set()
    for more in ({}, {"n_samples": 100}, {"n_samples": 200}, {"ema": True}, {"total_flops": 1e9}, {"acc": 0.5}):
        (run,) = runs_of({"checkpoints": str(table(tmp_path / "t.csv", [{**row, **more}]))})
        names.add(run.run)
    (kept,) = runs_of({"checkpoints": str(table(tmp_path / "t.csv", [row]))})
    (gone,) = runs_of({"checkpoints": str(table(tmp_path / "t.csv", [row])), "keep": False})
    assert len(names) == 6 and kept.run == gone.run in names and (kept.keep, gone.keep) == (True, False)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"checkpoints": "none.csv"}, "table or folder is missing"),
        ({"checkpoints": "gokce2025", "archs": ["resnet19"]}, "no checkpoint is selected"),
        ({"checkpoints": "gokce2025", "columns": {"id": "a"}}, "its own columns"),
        ({"checkpoints": "t.csv", "columns": {"ident": "a"}}, "unknown column"),
        ({"checkpoints": "t.csv"}, "1 checkpoints are missing"),
        ({"checkpoints": "runs"}, "no runs in this folder"),
        ({"checkpoints": "gokce2025", "epoch": "latest"}, "epochs"),
        (
            {"recipe": "digits", "epochs": [16, 8]},
            r"epochs\[1\]: the recipe keeps no weights[\s\S]*16 \(`chec[\s\S]*\[8\]",
        ),
        ({"recipe": "digits", "epochs": [0]}, "untrained"),
        ({"recipe": "digits", "epochs": [99]}, "ends after epoch 16"),
        ({"recipe": "digits", "epochs": ["last"]}, r"epochs\[0\]"),
    ],
)
def test_a_study_tells_what_is_wrong_with_its_checkpoints(group, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits = {"archs": ["resnet_w8"], "datasets": ["digits"], "samples_per_class": [1]}
    group = {**digits, **group} if "recipe" in group else group
    (tmp_path / "runs").mkdir()
    table(tmp_path / "t.csv", [{"id": "a", "arch": "resnet18", "path": "a.pt"}])
    (tmp_path / "study.yaml").write_text(
        json.dumps({"study": "a", "datasets": {"digits": {"format": "digits"}}, "runs": [group]}), encoding="utf-8"
    )
    with pytest.raises(StudyError, match=said):
        load_study("study.yaml")
