"""The lock of a driver that was killed, and of one that lives: real processes in one folder."""

import atexit
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.lease_holders import this_process
from neuroscaling.core.leases import holder_in, lock_of
from neuroscaling.study import driver_lock
from neuroscaling.study.session import LOCKS

DRIVER = """
import pathlib, sys, time
from neuroscaling.study.driver_lock import LOCKS, take_folder
told = take_folder()
LOCKS.mkdir(parents=True, exist_ok=True)
(LOCKS / "0.input.lock").write_text("store")
print(told, flush=True)
if sys.argv[1] == "ends":
    (LOCKS / "0.input.lock").unlink()
else:
    time.sleep(600)
"""


def driver(folder, *arguments):
    """A driver that works in `folder`, once it has its place there; and what it told."""
    command = [sys.executable, "-c", DRIVER, *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def killed(process):
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_the_lock_of_a_killed_driver_is_removed_and_told(tmp_path):
    first, told = driver(tmp_path, "works")
    assert told == "None"
    killed(first)
    assert list((tmp_path / LOCKS).iterdir())
    second, told = driver(tmp_path, "ends")
    assert "is removed" in told and f"is dead (process {first.pid} of" in second.communicate()[1]
    assert not lock_of(tmp_path / driver_lock.DRIVER).exists()


def test_a_living_driver_keeps_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, _ = driver(tmp_path, "works")
    try:
        with pytest.raises(DataError, match=f"another driver is at work in this folder(.|\n)*process {first.pid} of"):
            driver_lock.take_folder()
        assert list(LOCKS.iterdir())
    finally:
        killed(first)


def test_a_lock_that_came_without_a_lease_is_left_to_snakemake(tmp_path):
    (tmp_path / LOCKS).mkdir(parents=True)
    (tmp_path / LOCKS / "1.output.lock").write_text("store")
    process, told = driver(tmp_path, "ends")
    process.communicate()
    assert told == "None" and [path.name for path in (tmp_path / LOCKS).iterdir()] == ["1.output.lock"]


def test_a_driver_of_another_host_is_dead_when_it_is_silent(tmp_path, monkeypatch, capsys):
    at_the_end = []
    monkeypatch.setattr(atexit, "register", at_the_end.append)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neuroscaling.core.leases.LEASE", 0.2)  # `SILENCE` stays: a slow look must not end the waiting
    lock = lock_of(driver_lock.DRIVER)
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps(asdict(replace(this_process(flocked=False), host="login2", boot="another"))))
    LOCKS.mkdir()
    (LOCKS / "0.input.lock").write_text("store")
    assert "is removed" in driver_lock.take_folder()
    assert not LOCKS.exists() and "on login2" in capsys.readouterr().err
    assert holder_in(lock).pid == os.getpid()
    monkeypatch.chdir("/")  # a process may end in another folder than it took
    for end in at_the_end:
        end()
    assert not (tmp_path / lock).exists()
