"""A real Slurm for one session: started on this machine, stopped whatever happens."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import LIMIT, wait_for

from .lab import HERE, Driver, drive, kill_node, kill_processes, slurm

# Ends the cluster also where the test session is killed: waits for the session's process, then stops what is left.
WATCH = 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; [ ! -d "$2" ] || "$3" "$2"'


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Path]:
    """The folder of a running cluster: nodes gpu1 and gpu2 with two fake GPUs each, node cpu1."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm") / "neuroscaling-slurm"
    start, stop = HERE / "cluster/start.sh", HERE / "cluster/stop.sh"
    watch = subprocess.Popen(
        ["sh", "-c", WATCH, "watch", str(os.getpid()), str(folder), str(stop)], start_new_session=True
    )
    try:
        started = subprocess.run(
            [start, folder], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT
        )
        if started.returncode:
            pytest.skip(f"Slurm can't be started here: {started.stdout[-800:]}")
        yield folder
    finally:
        subprocess.run([stop, folder], timeout=LIMIT, check=True)
        for node in ("gpu1", "gpu2", "cpu1"):
            kill_processes(node)
        watch.terminate()
        watch.wait()


@pytest.fixture(scope="module")
def start(cluster) -> Iterator[Callable[..., Driver]]:
    """Start Snakemake on the cluster; ends it and its jobs after the tests of the module."""
    drivers = []

    def start_one(folder: Path, *arguments: str, **options) -> Driver:
        drivers.append(drive(folder, *arguments, **options))
        return drivers[-1]

    yield start_one
    for driver in drivers:
        driver.kill()
    slurm("scancel", "--user=root")
    wait_for(lambda: not slurm("squeue", "--noheader", "--states=running,completing,pending"), lambda: slurm("squeue"))


@pytest.fixture(scope="module")
def kill(cluster) -> Iterator[Callable[[str], None]]:
    """Let a node die; it is brought back after the tests of the module."""
    killed = []

    def kill_one(node: str) -> None:
        killed.append(node)
        kill_node(node, cluster)

    yield kill_one
    for node in killed:
        subprocess.run(["slurmd", "-N", node], check=True, timeout=LIMIT)
        state = ("sinfo", "-h", "-n", node, "-o", "%T")
        wait_for(lambda state=state: slurm(*state).strip() == "idle", lambda: slurm("sinfo", "-N"))


def why_not() -> str:
    """Why no cluster can be started here, or an empty string."""
    if not all(shutil.which(command) for command in ("slurmctld", "slurmd", "munged", "sbatch")):
        return "no Slurm: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "the test cluster is started by root only"
    configuration = Path("/etc/slurm/slurm.conf")
    left = configuration.is_symlink() and configuration.readlink().parent.name == "neuroscaling-slurm" and not _alive()
    if (configuration.exists() or configuration.is_symlink()) and not left:
        return "this machine has a Slurm of its own (/etc/slurm/slurm.conf)"
    return ""


def _alive() -> bool:
    """Whether the controller of a test cluster answers at its port."""
    with socket.socket() as connection:
        connection.settimeout(30)
        return connection.connect_ex(("127.0.0.1", 16817)) == 0
