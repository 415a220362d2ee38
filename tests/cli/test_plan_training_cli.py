"""`neuroscaling plan` states trainings in tables, refuses options that mean nothing, and calibrates."""

import json

import pytest
import torch

from neuroscaling.cli.main import main
from neuroscaling.planning import benchmark
from neuroscaling.planning.training_throughput import read_training_rates
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.networks import calibrated_devices
from tests.support.small_plan import write_small


@pytest.fixture
def small(tmp_path):
    return write_small(tmp_path)


def plan(capsys, *arguments):
    status = main(["plan", *map(str, arguments)])
    return (status, *capsys.readouterr())


def test_the_plan_ends_with_what_jobs_ask_for_and_the_network_that_asks_most(small, capsys):
    _, out, error = plan(capsys, small, "--stage", "jobs", "--format", "json")
    (row,) = json.loads(out)
    assert row["jobs_of"] == "trained" and row["most"] and row["mem_mb"] >= 2000 and row["gpu_memory_mb"] > 1500
    assert row["jobs"] > 0 and "asks for most memory" in error
    _, out, _ = plan(capsys, small, "--stage", "jobs", "--by", "arch", "--format", "json")
    rows = json.loads(out)
    assert len(rows) > 1 and max(each["mem_mb"] for each in rows) == row["mem_mb"]
    assert all(each["arch"] == each["most"] for each in rows)


def test_the_plan_begins_with_training_and_its_rows_add_up(small, capsys):
    status, out, error = plan(capsys, small, "--format", "json", "--gpu", "h100", "--gpus", "2")
    sections = json.loads(out)
    assert status == 0 and list(sections) == ["training", "extraction", "jobs", "submissions"] and "an H100" in error
    *rows, total = sections["training"]
    assert [(row["objective"], row["family"], row["runs"]) for row in rows] == [
        ("supervised", "ResNet", 6), ("supervised", "ViT", 6), ("simclr", "ResNet", 1)
    ]  # fmt: skip
    assert total["runs"] == 13 and total["rate"] == "stated"
    for key in ("images_seen", "evaluated"):
        assert total[key] == sum(row[key] for row in rows)
    for key in ("flops", "hours", "weights_gb"):
        assert total[key] == pytest.approx(sum(row[key] for row in rows), rel=0.02)
    assert total["wall_hours"] < total["hours"]


def test_packed_data_sets_are_told_with_their_size(small, capsys):
    pack = "training:\n  packs: {digits: {size: 32, form: decoded}}\n"
    small.write_text(small.read_text().replace("training: {runs_per_job: 4}\n", pack))
    _, _, error = plan(capsys, small, "--stage", "training")
    assert f"Packed data sets, about: digits {1797 * 32**2 * 3e-9:.3g} GB." in error


def test_sections_and_rows_can_be_chosen(small, capsys):
    _, out, _ = plan(capsys, small, "--stage", "training", "--by", "run", "--format", "json")
    rows = json.loads(out)
    assert len(rows) == 14 and set(load_study(small).runs) == {row["run"] for row in rows[:-1]}
    _, out, error = plan(capsys, small, "--stage", "extraction", "--format", "json")
    assert [row["arch"] for row in json.loads(out)] == ["all"] and error == ""
    _, out, _ = plan(capsys, small, "--format", "csv", "--by", "arch")
    lines = out.splitlines()
    assert lines[0].startswith("stage,objective,arch,") and lines[1].startswith("training,supervised,resnet_w8,")
    _, out, _ = plan(capsys, small)
    assert out.startswith("training\n") and "\n\nextraction\n" in out


def test_a_study_that_trains_nothing_has_no_training_to_plan(tmp_path, capsys):
    path = tmp_path / "none.yaml"
    path.write_text(f"study: none\nstore: {tmp_path}/store\nruns: [{{untrained: [resnet_w8]}}]\n")
    status, out, error = plan(capsys, path, "--format", "json")
    assert status == 0 and list(json.loads(out)) == ["extraction", "jobs", "submissions"] and "training" not in error


def test_options_that_mean_nothing_are_named(small, capsys):
    status, _, error = plan(capsys, small, "--gpus", "0")
    assert status == 1 and "--gpus" in error
    status, _, error = plan(capsys, small, "--gpu", "h10")
    assert status == 1 and "h100" in error and "--calibrate" in error
    for stage, option in (("extraction", ["--calibrate"]), ("brainscore", ["--gpu", "a100"])):
        status, _, error = plan(capsys, small, "--stage", stage, *option)
        assert status == 1 and f"{option[0]}: says nothing to the stage {stage}" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures what a machine without a GPU has")
def test_a_calibration_is_kept_and_not_made_again(small, capsys, monkeypatch):
    # Few steps of few images: what is measured is not how fast this machine is.
    monkeypatch.setattr(benchmark, "WARM_UP", 1)
    monkeypatch.setattr(benchmark, "SECONDS", 0.0)
    monkeypatch.setattr(benchmark, "TRAINING_BATCH", {"cpu": 0.1})
    whole, arguments = small.read_text(), (small, "--stage", "training", "--by", "arch", "--format", "json")
    small.write_text(whole.replace("[resnet_w8, vit_w16]", "[resnet_w8]"))
    status, out, error = plan(capsys, *arguments, "--calibrate")
    assert status == 0 and {row["rate"] for row in json.loads(out)} == {"measured"}
    assert "resnet_w8: " in error and "1 calibrated network on" in error
    store = load_study(small).store.root
    (folder,) = calibrated_devices(store)
    (kept,) = read_training_rates(store, folder).values()
    assert (kept.arch, kept.precision) == ("resnet_w8", "fp32") and "CPU" in kept.device
    status, again, error = plan(capsys, *arguments, "--calibrate")
    assert status == 0 and json.loads(again) == json.loads(out) and "resnet_w8: " not in error
    small.write_text(whole)
    _, out, _ = plan(capsys, *arguments)
    rates = {(row["objective"], row["arch"]): row["rate"] for row in json.loads(out)}
    assert rates["simclr", "resnet_w8"] == "measured" and rates["supervised", "vit_w16"].startswith("35 %")
    assert rates["all", "all"] == "measured 7 of 13"


def test_the_plan_tells_what_a_cluster_would_be_sent(small, capsys):
    _, out, error = plan(capsys, small, "--stage", "submissions", "--format", "json")
    *rows, total = json.loads(out)
    assert [(row["rule"], row["submissions"]) for row in rows] == [("train", 4)]
    assert (total["rule"], total["submissions"], total["a_network"]) == ("all", 4, round(4 / 13, 3))
    assert "a start on a cluster" in error
    _, out, _ = plan(capsys, small, "--stage", "submissions")
    assert out.splitlines()[0].split() == ["rule", "submissions", "a_network"]
