"""A command of the user's is told of the first failure and of the end; what it does ends nothing."""

import json
import sys
from pathlib import Path

import pytest

from neuroscaling.campaign import notify
from neuroscaling.campaign.driver_log import CTRL_C
from neuroscaling.campaign.notify import Hooks, Notifier, command_of
from neuroscaling.cli.main import main
from neuroscaling.core.errors import StudyError
from tests.support.campaign import campaign
from tests.support.processes import wait_for

ERROR = """Job stats:
Error in rule train:
    message: None
    jobid: 4
    log: logs/train/vit.log (check log file(s) for error details)
"""
NOTE = """import json, os, sys
known = {key: value for key, value in os.environ.items() if key.startswith("NEUROSCALING_")}
open("notes", "a").write(json.dumps([sys.stdin.read(), known]) + "\\n")
"""


@pytest.fixture
def command(tmp_path, monkeypatch) -> str:
    """A command that notes what it is told, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notify, "LOOK_EVERY", 0.05)
    Path("note.py").write_text(NOTE)
    return f"{sys.executable} note.py"


def notes() -> list[tuple[str, dict[str, str]]]:
    return [tuple(json.loads(line)) for line in Path("notes").read_text().splitlines()]


def test_the_first_failure_and_the_end_are_told_once_each(command):
    logs, notes_file = Path(".snakemake/log"), Path("notes")
    logs.mkdir(parents=True)
    with Notifier(command_of(command), "half") as notifier:
        (logs / "1.snakemake.log").write_text(ERROR)
        wait_for(notes_file.is_file)
        (logs / "1.snakemake.log").write_text(ERROR + ERROR.replace("jobid: 4", "jobid: 5"))
    notifier.ended(["", "half: 3 jobs done, 2 failed"], 1, 2)
    (failure, of_failure), (end, of_end) = notes()
    assert failure.startswith("half: the first failure. The rest goes on.\n  train vit: it was ended without a message")
    assert (of_failure["NEUROSCALING_EVENT"], of_failure["NEUROSCALING_STUDY"]) == ("failed", "half")
    assert end == "half: 3 jobs done, 2 failed\n"
    assert (of_end["NEUROSCALING_EVENT"], of_end["NEUROSCALING_STATUS"], of_end["NEUROSCALING_FAILED"]) == (
        "ended", "1", "2",
    )  # fmt: skip


def test_without_a_command_nothing_happens_and_one_that_fails_is_told(command, capsys):
    with Notifier([], "half") as notifier:
        pass
    notifier.ended(["done"], 0, 0)
    assert not Path("notes").exists()
    Notifier([sys.executable, "-c", "raise SystemExit(3)"], "half").ended(["done"], 0, 0)
    assert "exit status 3" in capsys.readouterr().err


def test_of_a_driver_that_ctrl_c_ended_nothing_is_told(command):
    hooks, log = Hooks(command, campaign().study, "half.yaml"), Path("1.snakemake.log")
    for last, told in (("", True), (CTRL_C, False)):
        log.write_text(f"Job stats:\nFinished jobid: 1 (Rule: train)\n{last}")
        Path("notes").write_text("")
        hooks.began([str(log)])
        hooks.ended([str(log)], 1)
        assert bool(notes()) is told
    quiet = Hooks(None, campaign().study, "half.yaml")
    quiet.began([str(log)])
    quiet.ended([str(log)], 0)
    assert not Path("notes").read_text()


def test_a_command_that_is_nowhere_is_refused_before_the_start(command, capsys):
    for wrong in ("no-such-mailer --to me", "'", ""):
        with pytest.raises(StudyError, match="command"):
            command_of(wrong)
    campaign()
    assert main(["run", "half.yaml", "--notify", "no-such-mailer"]) == 1
    assert "there is no such command" in capsys.readouterr().err and not Path(".snakemake/log").exists()


def test_the_folder_is_that_of_the_start_wherever_the_process_goes(command, tmp_path, monkeypatch):
    """The driver's own process goes to another folder for a moment, while it reads its profile."""
    (tmp_path / ".snakemake/log").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    with Notifier([sys.executable, str(tmp_path / "note.py")], "half"):
        monkeypatch.chdir(tmp_path / "elsewhere")
        (tmp_path / ".snakemake/log/1.snakemake.log").write_text(ERROR)
    ((_, told),) = notes()
    assert told["NEUROSCALING_FOLDER"] == str(tmp_path)
