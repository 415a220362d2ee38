"""Finished runs correct the estimates of those that are left, and the plan says so."""

import json

import pytest

from neuroscaling.cli.main import main
from neuroscaling.planning.recorded_speed import MOST_RATIO, Recorded, compared, corrected, recorded_runs
from neuroscaling.planning.training_throughput import RECORDED, Speeds
from neuroscaling.planning.training_time import run_estimates
from tests.support.campaign import Campaign, campaign

SPEEDS = Speeds("a100")


@pytest.fixture
def fresh(tmp_path, monkeypatch) -> Campaign:
    monkeypatch.chdir(tmp_path)
    return campaign()


@pytest.fixture
def slow(fresh, monkeypatch) -> Campaign:
    """The same, where each run is expected to take a minute."""
    monkeypatch.setattr("neuroscaling.planning.training_time.run_seconds", lambda work, speed, feed=None: 60.0)
    return fresh


def estimates(made: Campaign) -> dict[str, tuple[float, str]]:
    found = recorded_runs(made.study, SPEEDS)
    return {one.run.run: (one.seconds, one.speed.source) for one in corrected(run_estimates(made.study, SPEEDS), found)}


def test_runs_of_one_architecture_take_what_finished_ones_took(slow):
    first, second, third = slow.runs[:3]
    slow.done(first, seconds=90)
    slow.done(second, seconds=210)
    found = estimates(slow)
    assert found[third] == (150.0, RECORDED) and found[slow.runs[4]] == (60.0, "35 % of A100")
    family, everything = compared(recorded_runs(slow.study, SPEEDS))
    assert (family.family, family.finished, family.forecast, family.seconds, family.ratio) == (
        "ResNet",
        2,
        120,
        300,
        2.5,
    )
    assert everything.finished == 2


def test_what_no_speed_explains_is_added_to_each_run(slow):
    slow.done(slow.runs[0], seconds=60 * (MOST_RATIO + 1))
    found = estimates(slow)
    assert found[slow.runs[1]][0] == 60 + 60 * MOST_RATIO
    assert found[slow.runs[4]][0] == 60 + 60 * MOST_RATIO, "networks of another family take it too"


def test_short_runs_failed_ones_and_cpus_beside_gpus_correct_nothing(slow):
    assert recorded_runs(slow.study, SPEEDS) == Recorded()
    slow.done(slow.runs[0], seconds=20)
    slow.given_up(slow.runs[1])
    path = slow.done(slow.runs[2], seconds=5000)
    path.write_text(path.read_text().replace('"cuda"', '"cpu"'))
    found = recorded_runs(slow.study, SPEEDS)
    assert (len(found.runs), found.device, found.known) == (1, "cuda", 0)
    assert estimates(slow)[slow.runs[3]][0] == 60


def test_the_plan_shows_forecast_against_actual_and_uses_it_unless_a_device_is_named(fresh, capsys):
    for run in fresh.runs[:2]:
        fresh.done(run, seconds=1800)
    assert main(["plan", "half.yaml", "--stage", "training", "--format", "json"]) == 0
    out, said = capsys.readouterr()
    content = json.loads(out)
    *_, everything = content["training"]
    assert everything["rate"] == "recorded" and everything["hours"] > 2
    assert [(row["family"], row["finished"], row["hours"]) for row in content["finished"]] == [
        ("ResNet", 2, 1.0), ("all", 2, 1.0)
    ]  # fmt: skip
    assert "corrected by what finished trainings of this study took on GPUs" in said
    assert main(["plan", "half.yaml", "--stage", "training", "--format", "json", "--gpu", "h100"]) == 0
    out, said = capsys.readouterr()
    assert json.loads(out)[-1]["rate"] == "stated" and "finished" not in said
