"""Commands for a controller that is away: given again until it answers, told once, and nothing sent twice."""

import threading

import pytest

from neuroscaling.study.slurm_commands import Answer, Controller, Stopped, run

AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


@pytest.fixture
def told():
    return []


@pytest.fixture
def controller(told):
    return Controller(told.append, pause=0.01)


def away_for(tmp_path, times: int, error: str, then: str = "echo 17") -> str:
    """A command that fails so many times with an error, and notes each time that it is given."""
    script = tmp_path / "command"
    script.write_text(
        f'#!/bin/sh\necho x >>{tmp_path}/given\n[ "$(wc -l <{tmp_path}/given)" -gt {times} ] && {{ {then}; exit; }}\n'
        f'echo "{error}" >&2\nexit 1\n'
    )
    script.chmod(0o755)
    return str(script)


def given(tmp_path) -> int:
    return len((tmp_path / "given").read_text().splitlines())


def test_a_command_is_given_until_the_controller_answers_and_that_is_told_once(tmp_path, controller, told):
    answer = controller.ask(away_for(tmp_path, 3, AWAY))
    assert (answer.status, answer.out, given(tmp_path)) == (0, "17\n", 4)
    assert len(told) == 2 and "does not answer (slurm_load_jobs error" in told[0] and "answers again" in told[1]


def test_its_input_is_given_each_time(tmp_path, controller):
    assert controller.ask(away_for(tmp_path, 2, AWAY, then="cat"), text="a script").out == "a script"


def test_a_refusal_is_an_answer(tmp_path, controller, told):
    answer = controller.ask(away_for(tmp_path, 9, "sbatch: error: Invalid qos specification"))
    assert answer.status == 1 and given(tmp_path) == 1 and told == []


def test_a_full_queue_is_waited_for(tmp_path, controller, told):
    error = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
    assert controller.ask(away_for(tmp_path, 2, error)).status == 0 and given(tmp_path) == 3
    assert len(told) == 1 and "allows no more jobs in the queue (sbatch: error: QOSMaxSubmit" in told[0]
    too_large = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    assert not Answer(1, "", f"sbatch: error: {too_large}").is_full


def test_a_submission_that_arrived_without_an_answer_is_not_sent_again(tmp_path, controller):
    answers = iter([None, None, "", "4711"])
    assert controller.ask(away_for(tmp_path, 9, "Socket timed out"), arrived=lambda: next(answers)).out == "4711"
    assert given(tmp_path) == 1, "while Slurm does not tell whether it arrived, nothing is sent"


def test_one_that_did_not_arrive_is_sent_again(tmp_path, controller):
    assert controller.ask(away_for(tmp_path, 1, "Socket timed out"), arrived=lambda: "").out == "17\n"
    assert given(tmp_path) == 2


def test_a_driver_that_ends_asks_no_more(tmp_path, controller):
    controller.pause = 60
    threading.Timer(0.3, controller.ended.set).start()
    with pytest.raises(Stopped):
        controller.ask(away_for(tmp_path, 9, AWAY))


def test_a_command_that_hangs_is_ended_and_counts_as_no_answer():
    assert run("sleep 300", seconds=0.3).is_away
    assert run(["no-such-command-of-slurm"]).status == 127
