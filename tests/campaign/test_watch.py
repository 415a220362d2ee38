"""A campaign half done is seen as it is, on a store made by hand: done, running, held, waiting, failed, left."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from neuroscaling.campaign import watch
from neuroscaling.campaign.driver_log import DriverLog
from neuroscaling.campaign.job_artefacts import name_in_log
from neuroscaling.campaign.look import DONE, FAILED, LEFT, look
from neuroscaling.campaign.pace import Pace, seconds_left
from neuroscaling.campaign.watch import KILLED, Watch
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.leases import held
from neuroscaling.core.logs import FOLLOWS, script_logging
from neuroscaling.core.tries import begin_try
from neuroscaling.study.slurm_queue import Job
from tests.support.campaign import Campaign, campaign, half_done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def half(folder):
    """The half-done campaign, looked at once: looks change nothing."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with half_done() as made:
            files = made.dates()
            yield made, look(made.study)
            assert made.dates() == files
    finally:
        os.chdir(before)


@pytest.fixture
def fresh(tmp_path, monkeypatch) -> Campaign:
    monkeypatch.chdir(tmp_path)
    return campaign()


def train(made: Campaign):
    return Watch(made.study).stages[0]


def test_each_run_is_one_of_done_running_held_failed_left(half):
    _, seen = half
    row = seen.rows()[0]
    told = {key: row[key] for key in ("stage", "wanted", "done", "running", "held", "waiting", "failed", "left")}
    assert told == {"stage": "train", "wanted": 8, "done": 2, "running": 1, "held": 1, "waiting": 0, "failed": 3,
                    "left": 3}  # fmt: skip
    assert seen.exit_status == FAILED


def test_what_follows_from_a_run_that_was_given_up_is_not_left(half):
    _, seen = half
    rows = {row["stage"]: (row["done"], row["failed"], row["left"]) for row in seen.rows()}
    assert rows["activations"] == (1, 1, 6) and rows["scores"] == (0, 1, 7) and rows["stimuli"] == (1, 0, 0)


def test_failures_have_their_reason_their_log_and_their_tries(half):
    made, seen = half
    given_up, crashed, killed = seen.failed
    assert (given_up.name, given_up.reason, given_up.lasting) == (made.runs[2], "the loss is no longer finite", True)
    assert (crashed.reason, crashed.tries) == ("images are damaged: digits", 2)
    assert crashed.log == str(made.log(made.runs[3])) and Path(crashed.log).is_file()
    assert (killed.name, killed.reason, killed.tries) == (made.runs[4], KILLED, 1)


def test_what_runs_says_where_and_how_far_and_what_others_make_is_theirs(half):
    made, seen = half
    (own,), (other,) = seen.running, seen.held
    assert own.name == made.runs[5] and own.progress is not None and own.progress.epoch == 3 and not own.silent
    assert (other.name, other.user, other.where) == (made.runs[6], "bert", "node7, Slurm job 17")


def test_hours_count_all_tries_and_runs_that_others_finished(half):
    _, seen = half
    # Two hours of the try that was killed; 300 s of the three runs that left a record.
    assert seen.rows()[0]["gpu_hours"] == pytest.approx(2 + 300 / 3600, abs=0.02)
    assert seen.planned_hours is not None
    (family, everything) = seen.finished_rows()
    assert (family["family"], family["finished"], everything["hours"]) == ("ResNet", 2, pytest.approx(200 / 3600))


def test_a_training_on_a_cpu_is_given_no_time_by_the_plan_of_a_gpu(fresh):
    with fresh.made_here(fresh.runs[0]):
        assert look(fresh.study).seconds_left is not None
        fresh.progress(fresh.runs[0], device="cpu")
        seen = look(fresh.study)
    assert seen.seconds_left is None and seen.planned_hours is None


def test_the_rate_of_the_last_day_tells_when_trainings_are_done(half):
    _, seen = half
    left = seen.paces[0].left
    # One run in the three hours since the first was done, five are left of which one is 30 % done here and one there.
    assert left is not None and 2 * 3600 < left < 20 * 3600
    assert seen.seconds_left == left


def test_a_study_without_anything_is_left_and_its_time_unknown(fresh):
    seen = look(fresh.study)
    assert seen.exit_status == LEFT and seen.seconds_left is None and not seen.failed
    assert seen.rows()[0]["left"] == 8 and seen.gpu_hours == 0


def test_a_study_that_is_done_is_done(fresh):
    for run in fresh.runs:
        fresh.done(run)
    stages = Watch(fresh.study).stages
    for stage in stages:
        for path in stage.left:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    assert look(fresh.study).exit_status == DONE


def test_what_runs_again_or_waits_again_has_not_failed(fresh, monkeypatch):
    run, other = fresh.runs[:2]
    fresh.crashed(run)
    fresh.crashed(other)
    assert [one.name for one in train(fresh).failed] == [run, other]
    begin_try(fresh.log(run), [run], 1)
    with held(fresh.folder(run), "run"):
        stage = train(fresh)
        assert [one.name for one in stage.failed] == [other] and [one.name for one in stage.running] == [run]
    queue = [Job("7", "PENDING", f"train {other}", "Priority"), Job("8", "PENDING", "table", "Resources")]
    monkeypatch.setattr(watch, "earlier_jobs", lambda folder, tries: queue)
    stages = {stage.name: stage for stage in Watch(fresh.study).stages}
    (waiting,) = stages["train"].waiting
    assert (waiting.name, waiting.job, waiting.why) == (other, "7", "behind jobs of a higher priority (Priority)")
    assert stages["table"].waiting[0].why.startswith("for free nodes")
    assert [one.name for one in stages["train"].failed] == []


def test_a_try_of_another_machine_lives_as_long_as_slurm_says(fresh, monkeypatch):
    run = fresh.runs[0]
    begun = begin_try(fresh.log(run), [run], 1)
    tries = fresh.log(run).with_name(f"{run}.tries.jsonl")
    there = replace(begun, boot="another", host="gpu1", slurm_job_id="7")
    tries.write_text(
        json.dumps({key: value for key, value in vars(there).items() if value is not None and key != "outcome"})
    )
    monkeypatch.setattr(watch, "earlier_jobs", lambda folder, tries: [Job("7", "RUNNING", f"train {run}")])
    (running,) = train(fresh).running
    assert (running.name, running.where) == (run, "gpu1, Slurm job 7")
    monkeypatch.setattr(watch, "earlier_jobs", lambda folder, tries: [Job("9", "RUNNING", "train other")])
    assert [one.reason for one in train(fresh).failed] == [KILLED]


def test_slurms_own_reason_stands_in_the_place_of_silence(fresh):
    run, early = fresh.runs[:2]
    fresh.killed(run)
    log = Path(".snakemake/log/1.snakemake.log")
    log.parent.mkdir(parents=True)
    message = "message: SLURM-job '17' failed, SLURM status is: 'OUT_OF_MEMORY'"
    (log.parent / "2.snakemake.log").write_text("Job stats:\nThis was a dry-run (flag -n).\n")
    advice = "(check log file(s) for error details)"
    log.write_text(
        f"Job stats:\nError in rule train:\n    {message}\n    jobid: 4\n    log: {fresh.log(run)} {advice}\n"
        f"Error in rule train:\n    message: no such partition\n    jobid: 5\n    log: {fresh.log(early)} {advice}\n"
    )
    killed, refused = (one for one in look(fresh.study).failed)
    assert "OUT_OF_MEMORY" in killed.reason and killed.name == run
    assert (refused.name, refused.reason, refused.tries) == (early, "no such partition", 0)


def test_jobs_of_another_study_in_the_folder_are_no_matter(fresh):
    log = Path("logs/train/other_net-00000000.log")
    log.parent.mkdir(parents=True)
    begin_try(log, ["other_net-00000000"], 1)
    Path("logs/activations/other").mkdir(parents=True)
    begin_try(Path("logs/activations/other/set.log"))
    assert Watch(fresh.study).tries == []


def test_stages_that_are_done_tell_nothing_of_those_that_are_not():
    done, unknown, slow = Pace(left=0.0), Pace(left=None), Pace(left=7.0)
    assert seconds_left([done, unknown]) is None and seconds_left([done, done]) == 0.0
    assert seconds_left([done, unknown, slow]) == 7.0


def test_a_job_of_extraction_or_scoring_that_failed_is_told_with_all_that_it_lacks(fresh):
    run = fresh.runs[0]
    fresh.done(run)
    for rule in ("activations", "brainscore"):
        log = Path(f"logs/{rule}/{run}/all.log")
        log.parent.mkdir(parents=True)
        with pytest.raises(ZeroDivisionError), script_logging(str(log), [run], 1):
            raise ZeroDivisionError
    stages = {stage.name: stage for stage in Watch(fresh.study).stages}
    for name, called in (("activations", f"{run}/all"), ("scores", f"brainscore {run}/all")):
        (failed,) = stages[name].failed
        assert (failed.name, failed.reason, failed.artefacts) == (called, "ZeroDivisionError", 1)
        assert stages[name].n_left == 7


@pytest.mark.parametrize("rule, queued", [("brainscore", "2-of-3_a_b-0a"), ("activations", "a_b-0a_2-of-3")])
def test_a_job_in_the_queue_has_the_name_of_its_log(rule, queued):
    assert name_in_log(rule, queued) == "a_b-0a/2-of-3"
    assert name_in_log("train", queued) == queued and name_in_log(rule, "a_all_b-0a") == "a_all_b-0a"


def test_scores_that_failed_stay_told_while_other_scores_of_the_same_runs_are_made(fresh, monkeypatch):
    run = fresh.runs[0]
    fresh.done(run)
    log = Path(f"logs/brainscore/{run}/all.log")
    log.parent.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), script_logging(str(log), [run], 1):
        raise ZeroDivisionError
    other = Job("9", "PENDING", f"encoding all_{run}", "Resources")  # as the executor names it
    monkeypatch.setattr(watch, "earlier_jobs", lambda folder, tries: [other])
    scores = next(stage for stage in Watch(fresh.study).stages if stage.name == "scores")
    assert [one.name for one in scores.failed] == [f"brainscore {run}/all"]
    assert [one.name for one in scores.waiting] == [f"encoding {run}/all"]
    again = replace(other, what=f"brainscore all_{run}")
    monkeypatch.setattr(watch, "earlier_jobs", lambda folder, tries: [again])
    assert next(stage for stage in Watch(fresh.study).stages if stage.name == "scores").failed == []


def test_an_extraction_that_failed_in_the_job_of_a_training_is_told_as_one(fresh):
    """Its tries are beside its own log; a group of trainings is called otherwise than that of scores."""
    first, second = fresh.runs[:2]
    for run in (first, second):
        fresh.done(run)
    log = Path("logs/activations/trained-digits-digits-0a1b2c3d/all.log")
    log.parent.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), script_logging(str(log), [first, second], 1):
        raise ZeroDivisionError
    stages = {stage.name: stage for stage in Watch(fresh.study).stages}
    (failed,) = stages["activations"].failed
    assert (failed.name, failed.artefacts) == ("trained-digits-digits-0a1b2c3d/all", 2)
    assert stages["train"].failed == [] and stages["activations"].n_left == 6
    driver = DriverLog(
        f"Error in rule train:\n    jobid: 4\n    log: {fresh.log(first)} (check log file(s) for error details)\n"
    )
    fresh.log(first).parent.mkdir(parents=True)
    fresh.log(first).write_text(f"2026-11-29 20:47:14,829 INFO neuroscaling: it follows. {FOLLOWS}{log}\n")
    (told,) = driver.failures()
    assert (told.name, told.reason) == ("activations trained-digits-digits-0a1b2c3d/all", "ZeroDivisionError")
    # A later job of the same network takes its place.
    later = Path(f"logs/activations/{first}/all.log")
    later.parent.mkdir(parents=True)
    begin_try(later, [first], 1)
    (left,) = next(stage for stage in Watch(fresh.study).stages if stage.name == "activations").failed
    assert left.artefacts == 1


def test_a_run_that_failed_in_two_groups_is_told_once(fresh):
    run = fresh.runs[0]
    for group in ("trained-digits-digits-0a1b2c3d", run):
        fresh.log(group).parent.mkdir(parents=True, exist_ok=True)
        with pytest.raises(ZeroDivisionError), script_logging(str(fresh.log(group)), [run], 1):
            raise ZeroDivisionError
    (failed,) = train(fresh).failed
    assert (failed.name, failed.tries) == (run, 2)


def test_a_queue_that_does_not_answer_is_told_where_jobs_went_through_it(fresh, monkeypatch):
    def silent(folder, tries):
        raise DataError(Problem(what="Slurm does not tell which jobs run", where="squeue"))

    monkeypatch.setattr(watch, "earlier_jobs", silent)
    assert look(fresh.study).notes == ()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    fresh.crashed(fresh.runs[0])
    assert look(fresh.study).notes == ("Slurm does not tell which jobs run: what waits is not told",)
