"""`neuroscaling run` starts Snakemake with the right options, passes Ctrl-C on, and says what failed and why."""

import argparse
import contextlib
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from neuroscaling.campaign.driver_log import DriverLog, Failure, driver_log
from neuroscaling.cli.main import _parser as parser
from neuroscaling.cli.main import main, parsed
from neuroscaling.cli.run import profile_named, snakemake_command, supervised
from neuroscaling.core.errors import StudyError
from neuroscaling.core.installation import DRIVER, PIPELINE, SNAKEFILE, with_library
from neuroscaling.core.progress import in_time

STUDY = "config/studies/demo.yaml"
LOG = """Job stats:
job      count
Error in rule train:
    message: None
    jobid: 4
    output: made/train/vit
    log: logs/train/vit_w32-0a1b2c3d.log (check log file(s) for error details)
Trying to restart job 4.
Error in rule encoding:
    message: SLURM-job '17' failed, state: 'OUT_OF_MEMORY'
    jobid: 5
    log: logs/encoding/resnet_w8/mine-anna.log (check log file(s) for error details)
Finished jobid: 4 (Rule: train)
Error in rule fit:
    message: None
    jobid: 6
    log: results/demo/logs/fit/samples.IT.log (check log file(s) for error details)
Error in rule report:
    message: None
    jobid: 7
    log: results/demo/logs/report.log (check log file(s) for error details)
"""


def options(*arguments: str) -> argparse.Namespace:
    return parsed(parser(), ["run", STUDY, *arguments])


def test_the_command_line_has_the_study_the_cores_and_what_else_is_asked_for():
    start = [sys.executable, str(DRIVER), "--snakefile", str(SNAKEFILE)]
    assert snakemake_command(options()) == [*start, "--cores", "all", "--config", f"study={STUDY}"]
    asked = options("--cores", "2", "-n", "--until", "train", "--config", "planning=true", "--rerun-triggers", "mtime")
    rest = ["--cores", "2", "--dry-run", "--until", "train", "--rerun-triggers", "mtime"]
    assert snakemake_command(asked) == [*start, *rest, "--config", f"study={STUDY}", "planning=true"]
    with pytest.raises(StudyError, match="a second study"):
        snakemake_command(options("--config", "study=other.yaml"))


def test_a_profile_is_a_name_or_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    slurm = str(PIPELINE / "profiles/slurm")
    assert snakemake_command(options("--profile", "slurm"))[4:6] == ["--profile", slurm]
    assert "--cores" not in snakemake_command(options("--profile", "slurm"))
    for folder in ("profiles/slurm", "ours"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.yaml").touch()
    assert (profile_named("slurm"), profile_named("ours")) == ("profiles/slurm", "ours")
    both = ["--profile", "profiles/slurm", "--profile", "ours", "--config"]
    assert snakemake_command(options("--profile", "slurm", "--profile", "ours"))[4:9] == both
    with pytest.raises(StudyError, match="nearest:  local"):
        profile_named("locl")


def test_what_is_wrong_is_told_before_snakemake_is_started(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", None)
    for wrong in ("config/studies/dmo.yaml", "demo", "dmo.yaml"):
        assert main(["run", wrong]) == 1
        assert "nearest:  config/studies/demo.yaml" in capfd.readouterr().err
    assert main(["run", STUDY, "--profile", "slrm"]) == 1
    assert "nearest:  slurm" in capfd.readouterr().err and not list(tmp_path.iterdir())
    with pytest.raises(SystemExit) as refused:
        main(["runs", STUDY, "--until", "train"])
    assert refused.value.code == 2 and "--until" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main(["rum", STUDY])
    assert "no command 'rum'; nearest: run" in capfd.readouterr().err


def test_an_option_that_snakemake_has_not_is_told_in_a_line_with_the_nearest(tmp_path: Path):
    command = [sys.executable, str(DRIVER), "--cores", "1", "x", "--untl", "train"]
    done = subprocess.run(command, cwd=tmp_path, env=with_library(), capture_output=True, text=True)
    told = "neither `neuroscaling run` nor Snakemake has the option --untl; nearest: --until\nnothing was started.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


@pytest.mark.parametrize(
    ("command", "imported"),
    [(["-m", "neuroscaling.cli", "runs", STUDY], "pydantic"), ([str(DRIVER), "--cores", "1"], "snakemake")],
    ids=["the command", "Snakemake"],
)
def test_ctrl_c_during_an_import_leaves_no_traceback(command: list[str], imported: str, tmp_path: Path):
    """A module that is imported on the way, here one that gets Ctrl-C when it is."""
    (tmp_path / f"{imported}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"
    )
    paths = os.pathsep.join([str(tmp_path), with_library()["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        # Tests that a shell starts in the background ignore Ctrl-C, and what they start would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_signals_reach_the_driver_and_all_it_started_once(tmp_path: Path):
    """A child and its child, which both write down each signal; the second outlives what it would end without it."""
    noted = tmp_path / "noted"
    code = (
        "import os, signal, subprocess, sys, time\n"
        "def note(number, frame):\n"
        f"    open({str(noted)!r}, 'a').write(f'{{len(sys.argv)}} {{number}}\\n'); sys.exit(1)\n"
        "signal.signal(signal.SIGINT, note)\n"
        "inner = len(sys.argv) > 1 or subprocess.Popen([sys.executable, __file__, 'inner'])\n"
        "try:\n"
        "    print('ready', file=open(sys.argv[0] + '.ready', 'a'))\n"
        "    time.sleep(600)\n"
        "finally: inner is True or inner.wait()\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)

    def press() -> None:
        ready = Path(f"{script}.ready")
        while not (ready.is_file() and ready.read_text().count("ready") == 2):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    # Tests that a shell starts in the background ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=press, daemon=True).start()
        assert supervised([sys.executable, str(script)]) == 130
        assert sorted(noted.read_text().split("\n")) == ["", "1 2", "2 2"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert supervised([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_a_signal_at_any_line_is_passed_on_once_at_most(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while each line of `supervised` is about to run, from where the command is started."""
    first, *_ = [line for line, text in source_lines(supervised) if "subprocess.Popen" in text]
    sent: dict[int, int] = {}
    for line, _ in source_lines(supervised):
        if line < first:
            continue
        sent[line], left = 0, [signal.SIGINT]

        def counted(group: int, number: int, line: int = line) -> None:
            sent[line] += 1

        def pressed(frame: FrameType, event: str, _: object, line: int = line, left: list[int] = left) -> object:
            if frame.f_code is not supervised.__code__:
                return None
            if event == "line" and frame.f_lineno == line and left:
                os.kill(os.getpid(), left.pop())
            return pressed

        monkeypatch.setattr(os, "killpg", counted)
        before, traced = signal.signal(signal.SIGINT, signal.default_int_handler), sys.gettrace()
        sys.settrace(pressed)
        try:
            with contextlib.suppress(KeyboardInterrupt):  # where it is no longer handled here
                supervised(["true"])
        finally:
            sys.settrace(traced)
            signal.signal(signal.SIGINT, before)
    assert set(sent.values()) == {0, 1} and sent[first] == 1


def source_lines(function: Callable) -> list[tuple[int, str]]:
    """The lines of a function, each with its number in its file."""
    lines, first = inspect.getsourcelines(function)
    return list(enumerate(lines, first))


def test_failures_have_their_name_their_reason_and_their_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for log, text in {
        "results/demo/logs/fit/samples.IT.log": "2026-01-01 10:00:00,000 INFO neuroscaling: 5 points\n"
        "2026-01-01 10:00:01,000 ERROR neuroscaling: too few points\n    found:    2\n",
        "results/demo/logs/report.log": "2026-01-01 10:00:01,000 ERROR neuroscaling: Traceback (most recent call "
        "last):\n"
        '  File "x.py", line 1, in <module>\nZeroDivisionError: division by zero\n\n',
    }.items():
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        Path(log).write_text(text)
    log = DriverLog(LOG)
    assert log.planned and log.finished == 1
    assert [(one.name, one.reason) for one in log.failures()] == [
        ("encoding resnet_w8/mine-anna", "SLURM-job '17' failed, state: 'OUT_OF_MEMORY'"),
        ("fit samples.IT", "too few points"),
        ("report", "ZeroDivisionError: division by zero"),
    ]
    path = "results/demo/logs/fit/samples.IT.log"
    assert log.failures()[1] == Failure("fit samples.IT", "too few points", path) and path in str(log.failures()[1])


def test_the_log_of_a_start_is_the_one_that_it_wrote(tmp_path: Path):
    for name, date in (("old", 1000), ("new", 2000)):
        (tmp_path / f"{name}.snakemake.log").write_text(name)
        os.utime(tmp_path / f"{name}.snakemake.log", (date, date))
    found = driver_log(tmp_path, since=1500)
    assert found is not None and found.text == "new" and not found.planned
    assert driver_log(tmp_path, since=3000) is None


def test_times_are_told_in_two_units():
    assert [in_time(seconds) for seconds in (4.4, 200, 7500, 3e5)] == ["4 s", "3 min 20 s", "2 h 5 min", "3 d 11 h"]
