"""A Slurm cluster on this machine, Snakemake runs on it, and what Slurm says of their jobs."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.support.processes import LIMIT, wait_for

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
UNDER_WAY = ("PENDING", "RUNNING", "COMPLETING")
MARK = "NEUROSCALING_SLURM_TEST"  # in the environment of all processes of the cluster's jobs


@dataclass(frozen=True)
class Job:
    """One job as Slurm tells of it. `rule` and `wildcards` come from the comment that Snakemake's plugin sets."""

    id: int
    rule: str
    wildcards: str
    state: str
    partition: str
    node: str
    memory: str
    minutes: int
    cpus: int
    gpus: int
    start: datetime | None
    end: datetime | None


@dataclass
class Driver:
    """A running Snakemake that submits jobs to the cluster; its output is in a file."""

    process: subprocess.Popen
    output: Path

    @property
    def text(self) -> str:
        """The output so far."""
        return self.output.read_text()

    @property
    def name(self) -> str:
        """The name that all jobs of this driver have."""
        wait_for(lambda: "SLURM run ID: " in self.text or self.process.poll() is not None, self.output.read_text)
        found = re.search(r"SLURM run ID: (\S+)", self.text)
        assert found, f"Snakemake did not begin:\n{self.text}"
        return found.group(1)

    def jobs(self, rule: str | None = None, state: str | None = None) -> list[Job]:
        """The driver's jobs, in the order of submission."""
        found = [
            job_of(line)
            for line in slurm("scontrol", "show", "job", "-o").splitlines()
            if f"JobName={self.name} " in line
        ]
        return [job for job in found if rule in (None, job.rule) and state in (None, job.state)]

    def wait_for(self, count: int, rule: str, state: str = "RUNNING") -> list[Job]:
        """Wait until as many jobs of a rule are in a state; returns them."""

        def enough() -> list[Job]:
            assert self.process.poll() is None, self.describe()
            return found if len(found := self.jobs(rule, state)) >= count else []

        found = wait_for(enough, self.describe)
        assert len(found) == count, self.describe()
        return found

    def ended(self) -> int:
        """Wait for the end of the driver, and of its jobs, of which it may hear before Slurm is through with them."""
        wait_for(lambda: self.process.poll() is not None, self.describe)
        if "SLURM run ID: " in self.text:
            wait_for(lambda: not any(job.state in UNDER_WAY for job in self.jobs()), self.describe)
        return self.process.returncode

    def finish(self) -> str:
        """Wait for the end, which must be a good one; returns the output."""
        assert self.ended() == 0, self.describe()
        return self.text

    def kill(self) -> None:
        """End the driver and its local jobs at once, as a crash of the login node does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def describe(self) -> str:
        """For messages of failed tests."""
        return f"{self.text[-6000:]}\n{slurm('squeue', '--states=all', '-o', '%i %T %P %N %r %k')}"


def drive(folder: Path, *arguments: str, snakefile: Path = HERE / "trials/Snakefile", path: str = "") -> Driver:
    """Start Snakemake in `folder` with profiles/slurm, over it the entries that the test cluster needs.

    path: folder of commands that stand before Slurm's own.
    """
    profiles = ["--profile", str(ROOT / "profiles/slurm"), "--profile", str(HERE / "profile")]
    # The workflow finds this one by itself; the trials have to be told.
    profiles += ["--workflow-profile", str(ROOT / "profiles/default")]
    # It ends with the test session, also where that is killed.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, str(HERE / "driver.py"), "--snakefile", str(snakefile)]
    command += [*profiles, *arguments]
    environment = user_environment()
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    output = folder / f"driver-{len(list(folder.glob('driver-*.txt')))}.txt"
    with open(output, "w") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    return Driver(process, output)


def user_environment() -> dict[str, str]:
    """The environment of a user on the login node: no variables of this test run."""
    dropped = ("NEUROSCALING_STORE", "PYTHONPATH", "SLURM_", "SNAKEMAKE_", "PYTEST_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    python = str(ROOT / ".venv/brainscore/bin/python")
    # The executor is found where the library is installed, which may be another checkout than this one.
    library = {"PYTHONPATH": str(ROOT / "src")}
    return {"NEUROSCALING_BRAINSCORE_PYTHON": python} | environment | {"OMP_NUM_THREADS": "1", MARK: "1"} | library


def slurm(*command: str) -> str:
    """Output of one of Slurm's commands."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT).stdout


def job_of(line: str) -> Job:
    """A job from its line of `scontrol show job -o`."""
    fields = dict(re.findall(r"(\S+?)=(\S*)", line))
    rule, _, wildcards = fields.get("Comment", "").removeprefix("rule_").partition("_wildcards_")
    gpus = re.search(r"gres:gpu:(?:\w+:)?(\d+)", fields.get("TresPerJob", "") + fields.get("TresPerNode", ""))
    memory = re.search(r"mem=(\w+)", fields.get("TRES", ""))
    return Job(
        id=int(fields["JobId"]),
        rule=rule,
        wildcards=wildcards,
        state=fields["JobState"],
        partition=fields["Partition"],
        node=fields.get("NodeList", ""),
        memory=memory.group(1) if memory else "",
        minutes=_minutes(fields["TimeLimit"]),
        cpus=int(fields["CPUs/Task"]),
        gpus=int(gpus.group(1)) if gpus else 0,
        start=_time(fields.get("StartTime")),
        end=_time(fields.get("EndTime")),
    )


def most_at_once(jobs: list[Job]) -> int:
    """The largest number of jobs that ran at the same time (times are whole seconds; ends count first)."""
    changes = sorted([(job.start, 1) for job in jobs if job.start] + [(job.end, -1) for job in jobs if job.start])
    running, most = 0, 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def kill_node(node: str, folder: Path) -> None:
    """Let a node die: its daemon, and all processes of its jobs. Only processes of the test cluster are ended."""
    os.kill(int((folder / f"run/slurmd-{node}.pid").read_text()), signal.SIGKILL)
    kill_processes(node)


def kill_processes(node: str) -> None:
    """End all processes of a node's jobs, also those that Slurm lost when their parents were cancelled (no cgroups)."""
    for pid in processes_of(node):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def processes_of(node: str) -> list[int]:
    """Processes of the jobs on a node of the test cluster; the daemons that look after these jobs first."""
    tasks = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _runs_on(entry, node)]
    parents = {_status(pid, "PPid") for pid in tasks}
    return sorted(int(pid) for pid in parents if pid and _status(int(pid), "Name") == "slurmstepd") + tasks


def command_lines(node: str) -> list[str]:
    """What the processes of the jobs on a node were started as, the daemons of Slurm left out."""
    lines = ((Path("/proc") / str(pid) / "cmdline") for pid in processes_of(node))
    return [line.read_bytes().replace(b"\0", b" ").decode(errors="replace") for line in lines if line.exists()]


def _runs_on(process: Path, node: str) -> bool:
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"SLURMD_NODENAME={node}".encode() in environment and f"{MARK}=1".encode() in environment


def _status(pid: int, field: str) -> str:
    try:
        return re.search(rf"^{field}:\s*(\S+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1)
    except OSError:
        return ""


def _minutes(limit: str) -> int:
    """Of `1-02:30:00` or `02:30:00`."""
    days, _, clock = limit.rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return 60 * (24 * int(days or 0) + hours) + minutes


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text and text[0].isdigit() else None
