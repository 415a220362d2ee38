"""Slurm's word on the job of a lease's holder, on a real Slurm: that of another machine is taken over from at once."""

import json
import os
import subprocess
import sys

import pytest

from neuroscaling.core import leases
from neuroscaling.core.lease_holders import job_has_ended, own_cluster
from neuroscaling.core.leases import Held, held, holder_in, lock_of
from tests.support.processes import LIMIT, wait_for

from .lab import ROOT, slurm, user_environment

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

HOLDER = """
import sys, time
from neuroscaling.core.leases import held
with held(sys.argv[1], "it"):
    time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def asked_anew(cluster):
    """The name of the cluster that this machine belongs to is kept for a process's life."""
    own_cluster.cache_clear()
    yield
    own_cluster.cache_clear()


def begin(folder, code, *arguments):
    """A Slurm job that runs `code`; its number."""
    (folder / "job.py").write_text(code)
    command = [sys.executable, str(folder / "job.py"), *map(str, arguments)]
    environment = user_environment() | {"PYTHONPATH": str(ROOT / "src")}
    submit = ["sbatch", "--parsable", "-D", str(folder), "--wrap", subprocess.list2cmdline(command)]
    return subprocess.run(submit, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_the_lease_of_a_job_on_another_machine_is_free_when_slurm_says_that_the_job_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "LEASE", 1e9)  # its heart says nothing
    monkeypatch.setattr(leases, "ASK_SLURM_EVERY", 0.2)
    path = tmp_path / "runs" / "a"
    job = begin(tmp_path, HOLDER, path)
    wait_for(lambda: holder_in(lock_of(path)) is not None, lambda: slurm("squeue"))
    holder = json.loads(lock_of(path).read_text())
    assert (holder["job"], holder["cluster"]) == (job, own_cluster()) and own_cluster()
    # The nodes of this cluster are one machine; those of others have kernels of their own.
    lock_of(path).write_text(json.dumps(holder | {"boot": "that of another machine"}))
    with pytest.raises(Held, match=f"Slurm job {job}"), held(path, "it", wait=False):
        pass
    slurm("scancel", job)
    with held(path, "it", patience=LIMIT):
        assert holder_in(lock_of(path)).pid == os.getpid()


def test_what_slurm_does_not_know_says_nothing(tmp_path):
    job = begin(tmp_path, "import time; time.sleep(3600)")
    wait_for(lambda: "RUNNING" in slurm("squeue", "--job", job, "--format", "%T"), lambda: slurm("squeue"))
    assert not job_has_ended(job, own_cluster())
    assert job_has_ended(job, own_cluster(), restarts=-1), "a job that was begun again"
    assert job_has_ended("99999999", own_cluster())
    assert not job_has_ended("99999999", "another-cluster") and not job_has_ended("99999999", "")
    slurm("scancel", job)
    wait_for(lambda: job_has_ended(job, own_cluster()), lambda: slurm("squeue"))
