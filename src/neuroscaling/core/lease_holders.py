"""A holder of a lease is a process; the kernel and Slurm know whether it lives."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIVE_STATES = ("RUNNING", "SUSPENDED", "COMPLETING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "CONFIGURING")
"""States of a Slurm job whose processes may live."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease. boot: the kernel's boot id; start: when the process began, by that kernel; since: UTC.

    flocked: does the holder hold a lock (flock) on the file too? job, cluster, restarts: of its Slurm job, if any.
    """

    token: str
    host: str
    boot: str
    pid: int
    namespace: str
    start: str
    user: str
    job: str
    cluster: str
    restarts: int
    since: str
    flocked: bool

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {self.pid} of {self.user} on {self.host}{job}, since {self.since} UTC"


def job_has_ended(job: str, cluster: str, restarts: int = 0) -> bool:
    """Does Slurm say that a job, or its start number `restarts`, is over? False where it doesn't answer.

    A job that goes on says nothing: the tasks of one allocation share its number.
    """
    if not cluster or cluster != own_cluster():
        return False
    code, answer = _asked("scontrol", "--oneliner", "show", "job", job)
    if code:
        return "invalid job id" in answer.lower()
    state = re.search(r"\bJobState=(\w+)", answer)
    again = re.search(r"\bRestarts=(\d+)", answer)
    begun_again = again is not None and int(again[1]) > restarts
    return state is not None and (state[1] not in LIVE_STATES or begun_again)


@cache
def own_cluster() -> str:
    """The name of the Slurm cluster that this machine belongs to; empty for none."""
    if name := os.environ.get("SLURM_CLUSTER_NAME"):
        return name
    found = re.search(r"^ClusterName\s*=\s*(\S+)", _asked("scontrol", "show", "config")[1], re.MULTILINE)
    return found[1] if found else ""


def _asked(*command: str) -> tuple[int, str]:
    """Exit status and output of a command; 127 where there is no such command, or no answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 127, ""
    return done.returncode, done.stdout + done.stderr


def holder_from(content: bytes) -> Holder | None:
    """The holder that the content of a lock file names; None for an empty or damaged one."""
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def this_process(flocked: bool) -> Holder:
    """This process as a holder, with a new token."""
    job = slurm_job() or ""
    return Holder(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        boot=boot(),
        pid=os.getpid(),
        namespace=namespace(),
        start=started(os.getpid()) or "",
        user=user_name(),
        job=job,
        cluster=own_cluster() if job else "",
        restarts=int(os.environ.get("SLURM_RESTART_COUNT") or 0),
        since=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        flocked=flocked,
    )


def slurm_job() -> str | None:
    """The number of the Slurm job that this process is of; None for none."""
    return os.environ.get("SLURM_JOB_ID") or None


def user_name() -> str:
    """Who this process works for, by name where the system knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a list of users
        return str(os.getuid())


@cache
def boot() -> str:
    """What tells this start of this kernel from all others; empty where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        code, answer = _asked("sysctl", "-n", "kern.bootsessionuuid")
        return "" if code else answer.strip()


def namespace() -> str:
    """The namespace in which numbers of processes are those of this process."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return sys.platform


def lives(pid: int, start: str, unseen: bool = True) -> bool:
    """Does the process `pid` live, and is it the one that began at `start`?

    unseen: the answer where there is one, of another user, whose start the kernel hides (/proc with hidepid).
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    found = started(pid)
    return unseen if found is None else found == start


def started(pid: int) -> str | None:
    """When the process `pid` began, by the kernel's clock; empty for a dead one, None where that can't be seen."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        if Path("/proc/self").exists():
            return None
        return _asked("ps", "-o", "lstart=", "-p", str(pid))[1].strip() or None
