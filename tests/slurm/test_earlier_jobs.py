"""A new driver sees the jobs that a dead one left on a real Slurm, and waits for them."""

import subprocess
import sys
import threading
import uuid

import pytest

from neuroscaling.study import slurm_queue
from neuroscaling.study.slurm_queue import earlier_jobs, wait_for_earlier
from tests.support.processes import LIMIT, wait_for

from .lab import ROOT, slurm, user_environment

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SNAKEFILE = f"""
import sys
include: "{ROOT}/workflow/rules/common_slurm.smk"
if workflow.is_main_process:
    print("starts on slurm:", submits_to_slurm())
rule all:
"""


def submit(folder, *options, name=None, comment="rule_train_wildcards_a"):
    """A job as Snakemake's plugin submits them; its number."""
    name = name or f"neuroscaling_{uuid.uuid4()}"
    command = ["sbatch", "--parsable", "--job-name", name, "--comment", comment, "-D", str(folder), *options]
    done = subprocess.run(
        [*command, "--wrap", "sleep 3600"], capture_output=True, text=True, check=True, env=user_environment()
    )
    return done.stdout.strip().partition(";")[0]


def state(job):
    return slurm("squeue", "--noheader", "--states=all", "--jobs", job, "--format", "%T").strip()


def test_jobs_of_an_earlier_driver_are_seen_and_waited_for(cluster, tmp_path, monkeypatch, capfd):
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    assert earlier_jobs(place) == []
    running = submit(place)
    waiting = submit(place, "--hold", comment="rule_table")
    others = [submit(elsewhere), submit(place, name="driver")]
    wait_for(lambda: state(running) == "RUNNING", lambda: slurm("squeue"))
    (tmp_path / "link").symlink_to(place)
    found = {job.id: (job.state, job.what) for job in earlier_jobs(tmp_path / "link")}
    assert found == {running: ("RUNNING", "train a"), waiting: ("PENDING", "table")}
    monkeypatch.setattr(slurm_queue, "PAUSE", 0.2)
    driver = threading.Thread(target=wait_for_earlier, args=(place,))
    driver.start()
    told = ""

    def has_told() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return "scancel" in told

    wait_for(has_told)
    assert "An earlier start in this folder left jobs" in told and f"running: {running} (train a)" in told
    slurm("scancel", running)
    wait_for(lambda: state(running) == "CANCELLED", lambda: slurm("squeue"))
    assert driver.is_alive()
    slurm("scancel", waiting)
    driver.join(LIMIT)
    assert not driver.is_alive()
    slurm("scancel", *others)


@pytest.mark.parametrize(
    "options, expected",
    [([], True), (["-np"], False), (["--unlock"], False), (["--summary"], False), (["--executor", "local"], False)],
)
def test_only_a_start_on_slurm_waits(cluster, tmp_path, options, expected):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles/slurm"), "--cores", "1", *options]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=user_environment() | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert f"starts on slurm: {expected}" in done.stdout, done.stdout + done.stderr
