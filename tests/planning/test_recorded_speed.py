"""Finished runs correct the estimates of those that are left, and the plan says so."""

import json

import pytest

from neuroscaling.cli.main import main
from neuroscaling.planning.recorded_speed import MOST_RATIO, Recorded, compared, corrected, recorded_runs
from neuroscaling.planning.training_throughput import RECORDED, Speeds, TrainingRate
from neuroscaling.planning.training_time import run_estimates
from neuroscaling.planning.workload import definition_of
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


def test_runs_on_a_cpu_correct_no_plan_of_a_gpu_and_are_compared_with_none(fresh, capsys):
    fresh.done(fresh.runs[0], seconds=7200, device="cpu")
    before = {one.run.run: one.seconds for one in run_estimates(fresh.study, SPEEDS)}
    assert {run: seconds for run, (seconds, _) in estimates(fresh).items()} == before
    found = recorded_runs(fresh.study, SPEEDS)
    assert found.all_elsewhere and (found.known, found.unit) == (0, "GPU-hours")
    family, everything = compared(found)
    assert (family.unit, family.forecast, family.ratio, everything.seconds) == ("CPU-hours", None, None, 7200)
    assert main(["plan", "half.yaml", "--stage", "training"]) == 0
    out, said = capsys.readouterr()
    assert "CPU-hours" in out and "GPU-hours" not in out
    assert "1 finished training ran on CPUs: their hours are compared with no forecast of a GPU" in said


def test_a_cpu_that_was_calibrated_has_a_forecast(slow):
    run, other = slow.runs[0], slow.runs[4]
    recipe, arch = slow.study.runs[run].training_recipe, slow.study.runs[run].arch
    rate = TrainingRate(
        device="x86_64 CPU, 2 threads", arch=arch, definition=definition_of(arch), precision=recipe.precision, batch=8,
        train=10.0, evaluate=20.0, torch="2", compiled=False,
    )  # fmt: skip
    speeds = Speeds("a100", {(rate.definition, rate.precision): rate})
    for name in (run, other):
        slow.done(name, seconds=90, device="cpu")
    found = recorded_runs(slow.study, speeds)
    assert found.unit == "CPU-hours" and [one.estimate.run.run for one in found.runs] == [run]
    measured, stated = (recorded for recorded in compared(found) if recorded.family != "all")
    assert (measured.unit, measured.ratio) == ("CPU-hours", 1.5)
    assert (stated.unit, stated.ratio) == ("CPU-hours", None), "a network that was not calibrated on it"


def test_short_runs_failed_ones_and_cpus_beside_gpus_correct_nothing(slow):
    assert recorded_runs(slow.study, SPEEDS) == Recorded()
    slow.done(slow.runs[0], seconds=20)
    slow.given_up(slow.runs[1])
    slow.done(slow.runs[2], seconds=5000, device="cpu")
    found = recorded_runs(slow.study, SPEEDS)
    assert (len(found.runs), len(found.others), found.known) == (1, 1, 0)
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
