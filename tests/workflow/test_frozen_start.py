"""A job on a cluster runs the code and the settings of its start, whatever was edited since.

The executor writes the command that a cluster would be given; it is run here. tests/slurm does so on a real Slurm.
"""

import re
from pathlib import Path

import pytest

from neuroscaling.study import start_records
from tests.workflow.conftest import EDITED, ROOT, Workdir, make_workdir, run

pytestmark = pytest.mark.workflow
OTHER = "simulated-brain-00000000"


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> tuple[Workdir, str]:
    """A working directory in which a driver was about to submit its first job, since then broken, and the command."""
    workdir = make_workdir(tmp_path_factory.mktemp("start") / "work")
    executor = ("--executor", "first-command", "--jobs", "1", "--until", "simulate", "--nolock")
    command = ["env", f"PYTHONPATH={ROOT / 'perf/executors'}", str(workdir.python), "-m", "snakemake", *executor]
    run([*command, "--config", "study=small.yaml"], workdir.path, check=True)
    for name in (*EDITED, "src/neuroscaling/simulate/brain.py", "src/neuroscaling/core/installation.py"):
        (workdir.path / name).write_text("edited while a start runs: no job may read this")
    _, command = (workdir.path / "first_command.txt").read_text().splitlines()
    return workdir, command


def test_a_job_reads_neither_the_study_nor_the_checkout(begun):
    workdir, command = begun
    done = run(["sh", "-c", command], workdir.path, check=True)
    assert "Make the SIMULATED brain" in done.stdout
    made = workdir.path / ".snakemake/neuroscaling/small/made"
    assert list(made.glob("simulated/*/manifest.json")) and list(workdir.path.glob("store/simulated/*/manifest.json"))


def test_a_job_that_the_start_does_not_have_is_named(begun):
    workdir, command = begun
    other = re.sub(r"simulated-brain-[0-9a-f]{8}", OTHER, command)
    refused = run(["sh", "-c", other], workdir.path, check=False)
    assert refused.returncode != 0
    assert f"the present start of this folder has no job `simulate brain={OTHER}`" in refused.stdout


def test_a_job_of_a_start_with_other_code_says_so(begun, monkeypatch):
    workdir, command = begun
    monkeypatch.chdir(workdir.path)
    start_records.write_start("/other/Snakefile", Path("/other"), "small.yaml", {}, "", [])
    refused = run(["sh", "-c", command], workdir.path, check=False)
    assert refused.returncode != 0 and "This job is of a former start, with the code at" in refused.stdout
    assert not re.search(r"no job|Traceback", refused.stdout)
