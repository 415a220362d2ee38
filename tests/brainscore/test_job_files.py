"""Job files: what goes in comes out, what is wrong is named, and no shell sees a path or a name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuroscaling.brainscore.job_files import (
    ChoiceJob,
    ChoiceOutput,
    ChosenSet,
    RunsJob,
    ScoreOutput,
    ScoringJob,
    WayOfChoice,
    read_job,
    write_job,
)
from neuroscaling.core.errors import DataError
from neuroscaling.core.installation import with_library
from neuroscaling.study.paths import brace_problems, quote_problems

AWKWARD = "$(touch pwned) `touch pwned`; touch pwned & 'q' \"d\" \\ * ü"
RULES = Path(__file__).parents[2] / "workflow" / "rules"
START = """
import sys
from neuroscaling.brainscore.job_files import ScoringJob
from neuroscaling.brainscore.job_files import become
job = ScoringJob([], "data", sys.argv[1], readout=sys.argv[1])
become(sys.executable, sys.argv[2], job, sys.argv[3])
"""


def test_a_job_comes_back_as_it_was(tmp_path: Path):
    awkward = Path(AWKWARD)
    outputs = [ScoreOutput(awkward / "a.json", AWKWARD, "b-pls", awkward, {"engine": None}, commitment=awkward)]
    outputs.append(ScoreOutput(awkward, "run", "b-pls", awkward, {}))
    scoring = ScoringJob(outputs, awkward, "data", True, {"IT": AWKWARD}, ceilings=awkward)
    assert read_job(write_job(tmp_path / "job.json", scoring), ScoringJob) == scoring
    sets = [ChosenSet("set", awkward, "data", ["a", "b"])]
    chosen = [ChoiceOutput(awkward, "run", "a", "set", awkward, {"way": ["nested", 3]})]
    choice = ChoiceJob(chosen, sets, WayOfChoice("nested", False, 3), {"own": {"window": [1, 2]}})
    assert read_job(write_job(tmp_path / "job.json", choice), ChoiceJob) == choice
    both = RunsJob([choice], [scoring])
    assert read_job(write_job(tmp_path / "job.json", both), RunsJob) == both


def test_everything_that_is_wrong_with_a_job_file_is_named_at_once(tmp_path: Path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"outputs": [3], "data_name": 1, "simulatd": True, "readout": None}))
    with pytest.raises(DataError) as error:
        read_job(path, ScoringJob)
    text = str(error.value)
    assert len(error.value.problems) == 4 and str(path) in text
    for words in ("outputs[0]", "data_name", "nearest:  simulated", "key is missing", ", data"):
        assert words in text
    path.write_text("[]")
    with pytest.raises(DataError, match="not a job file"):
        read_job(path, ScoringJob)


def test_a_command_gets_its_files_as_they_are_called_and_its_exit_status_is_kept(tmp_path: Path):
    folder = tmp_path / AWKWARD.replace("/", "")
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(
        "import sys, json\nfrom pathlib import Path\nimport neuroscaling\n"
        "Path(sys.argv[2]).write_text(json.loads(Path(sys.argv[1]).read_text())['readout'])\nsys.exit(7)\n"
    )
    command = [sys.executable, "-c", START, AWKWARD, str(script), str(folder / "a.b.log")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=with_library())
    assert done.returncode == 7, done.stderr
    assert (folder / "a.b.log").read_text() == AWKWARD and (folder / "a.b.job.json").is_file()
    assert not list(tmp_path.rglob("pwned"))


def test_no_rule_hands_a_command_to_a_shell():
    """A path or a name that a shell reads is split at spaces and run where it holds `$(...)`."""
    for file in RULES.glob("*.smk"):
        assert not re.search(r"^\s*(shell|run):|\bshell\(", file.read_text(), re.M), file.name


def test_braces_and_on_clusters_single_quotes_in_a_path_are_refused_by_name():
    assert not list(brace_problems({"store": Path("$(a) 'b'")})) and not list(
        quote_problems({"store": Path("$(a) {b}")})
    )
    (brace,) = brace_problems({"store": Path("a/{b}"), "clone": Path("/c")})
    assert "braces" in brace.what and brace.where == "store" and brace.value == "a/{b}"
    (quote,) = quote_problems({"store": Path("a"), "clone": Path("/lab's")})
    assert "single quote" in quote.what and quote.value == "/lab's"
