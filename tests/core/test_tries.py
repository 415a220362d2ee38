"""Each try of a job leaves its seconds and how it ended, also where it was killed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from neuroscaling.core import machine
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.logs import script_logging
from neuroscaling.core.machine import GRANTED
from neuroscaling.core.tries import CUT_OFF, DONE, FAILED, STOPPED, begin_try, log_of, moment, read_tries, tries_file


def failing(log: Path, error: BaseException) -> None:
    with pytest.raises(BaseException), script_logging(str(log), ["vit-0a1b2c3d"], 1):  # noqa: B017
        raise error


def test_tries_are_told_with_their_end_and_the_log_has_the_last(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    log = tmp_path / "train" / "vit.w8-0a1b2c3d.log"
    log.parent.mkdir()
    failing(log, DataError([Problem(what="images are damaged", where="digits", value=3)] * 2))
    failing(log, ZeroDivisionError("division by zero"))
    failing(log, KeyboardInterrupt())
    failing(log, SystemExit(128 + signal.SIGTERM))
    with script_logging(str(log), ["vit-0a1b2c3d", "vit-0a1b2c3d"], 2):
        pass
    found = read_tries(tries_file(log))
    assert [(one.outcome, one.reason) for one in found] == [
        (FAILED, "images are damaged: digits (1 more)"),
        (FAILED, "ZeroDivisionError: division by zero"),
        (STOPPED, None),
        (CUT_OFF, "it was told to end (SIGTERM)"),
        (DONE, None),
    ]
    assert found[-1].runs == ("vit-0a1b2c3d",) and found[-1].gpus == 2 and found[-1].pid == os.getpid()
    assert all(one.seconds is not None and one.seconds < 60 and not one.is_alive() for one in found)
    assert log_of(tries_file(log)) == log


def test_the_end_of_a_try_is_recorded_wherever_the_script_has_gone(tmp_path: Path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with script_logging("vit.log"):
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert [one.outcome for one in read_tries(tmp_path / "vit.tries.jsonl")] == [DONE]
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("said, gpus", [({"CUDA_VISIBLE_DEVICES": ""}, 0), ({"SLURM_JOB_GPUS": "3"}, 2), ({}, 0)])
def test_a_job_that_has_no_gpu_takes_hours_of_its_cores(tmp_path: Path, monkeypatch, said, gpus):
    for key in GRANTED:
        monkeypatch.delenv(key, raising=False)
    for key, value in said.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(machine, "DRIVERS", (tmp_path / "nvidiactl",))
    log = tmp_path / "vit.log"
    with script_logging(str(log), ["vit"], 2, 3):
        pass
    (one,) = read_tries(tries_file(log))
    hour = replace(one, seconds=3600.0)
    assert (one.gpus, hour.gpu_seconds, hour.cpu_seconds) == (gpus, 3600 * gpus, 0 if gpus else 3 * 3600)
    (tmp_path / "nvidiactl").touch()
    assert machine.has_gpu() is (said.get("CUDA_VISIBLE_DEVICES") != "")


def test_a_try_that_was_killed_ends_with_its_log_when_the_next_begins(tmp_path: Path):
    log = tmp_path / "vit.log"
    code = (
        "import os, signal, sys\nfrom neuroscaling.core.logs import script_logging\n"
        "with script_logging(sys.argv[1], ['vit'], 1) as logger:\n"
        "    logger.info('epoch 1')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": "0"}
    subprocess.run([sys.executable, "-c", code, str(log)], env=environment, capture_output=True)
    (killed,) = read_tries(tries_file(log))
    assert killed.outcome == "" and killed.is_alive() is False and killed.gpu_seconds >= 0
    last = moment(killed.began) + timedelta(seconds=90)
    os.utime(log, (last.timestamp(),) * 2)
    begin_try(log)
    ended, now = read_tries(tries_file(log))
    assert (ended.outcome, ended.seconds, ended.gpu_seconds, ended.reason) == (CUT_OFF, 90, 90, None)
    assert now.is_alive() is True and replace(now, boot="another").is_alive() is None


def test_damaged_lines_and_folders_that_cannot_be_written_to_harm_nothing(tmp_path: Path):
    log = tmp_path / "vit.log"
    begin_try(log)
    with open(tries_file(log), "a") as file:
        file.write('{"ended": 3}\nhalf a li\n[]\n{"began": "yesterday"}\n{"began": "2026-11-29T10:00:00+00:00"}\n')
    assert len(read_tries(tries_file(log))) == 1
    (tmp_path / "file").touch()
    begin_try(tmp_path / "file" / "vit.log")
    assert read_tries(tmp_path / "nowhere.tries.jsonl") == []
    assert datetime.now(UTC) - moment(begin_try(log).began) < timedelta(minutes=5)
