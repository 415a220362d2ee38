"""A campaign in small on a Slurm of this machine, with all that goes wrong in weeks.

    python -m tests.slurm.campaign.run FOLDER

200 networks. The driver is killed several times at random and started again with the same command, jobs are cancelled,
a training hangs, one takes more memory than it has, jobs are preempted, and Slurm's controller is away for a while.
At the end all is there, nothing was trained twice, and nobody did anything but start again.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.slurm.lab import HERE, MARK, job_of, slurm, user_environment
from tests.support.clones import copy_clone
from tests.support.processes import LIMIT

STUDY = "campaign.yaml"
COMMAND = (sys.executable, "-m", "neuroscaling.cli.main")


@dataclass
class Campaign:
    """The campaign in its folder: its drivers, what happened when, and the first sight of each finished run."""

    folder: Path
    lab: Path
    drivers: list[subprocess.Popen] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    finished: dict[str, tuple[int, int]] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        """Note something down, with the seconds since the beginning."""
        self.told.append(f"{time.monotonic() - self.began:6.0f} s  {what}")
        print(self.told[-1], flush=True)

    def start(self) -> subprocess.Popen:
        """Start the driver as a user does, always with the same command."""
        profiles = ["--profile", "profiles/slurm", "--profile", str(HERE / "profile")]
        resources = ["--jobs", "5", "--set-resources", "encoding:slurm_partition=spare"]
        environment = user_environment() | {"PYTHONPATH": str(self.folder / "src")}
        with open(self.folder / f"driver-{len(self.drivers)}.txt", "w") as output:
            driver = subprocess.Popen(
                [*COMMAND, "run", STUDY, *profiles, *resources],
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self.drivers.append(driver)
        return driver

    def kill(self) -> None:
        """End the driver and its local jobs at once, as a crash of the login node does."""
        driver = self.drivers[-1]
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(driver.pid)
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        driver.wait()

    def watch(self, over: threading.Event) -> None:
        """Look which runs are finished; one whose record changes was made twice."""
        while not over.wait(1):
            for record in self.folder.glob("store/runs/*/run.json"):
                try:
                    state = record.stat()
                except OSError:
                    continue
                seen = self.finished.setdefault(record.parent.name, (state.st_ino, state.st_mtime_ns))
                if seen != (state.st_ino, state.st_mtime_ns):
                    self.twice.add(record.parent.name)

    def jobs(self) -> list:
        """All jobs of Slurm that the campaign submitted."""
        lines = slurm("scontrol", "show", "job", "-o").splitlines()
        return [job_of(line) for line in lines if f"WorkDir={self.folder} " in line and "Comment=rule_" in line]


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(1)
    return False


def prepare(folder: Path) -> None:
    """Put the study and the workflow into a folder, as a user's clone is."""
    shutil.copytree(HERE / "campaign", folder, ignore=shutil.ignore_patterns("__pycache__", "run.py", "__init__.py"))
    copy_clone(folder)
    for fault in ("hangs", "swallows"):
        (folder / fault).touch()


def cancel_two(campaign: Campaign) -> bool:
    """Cancel two trainings that run."""
    running = [job for job in campaign.jobs() if (job.rule, job.state) == ("train", "RUNNING")]
    if len(running) < 2:
        return False
    for job in running[:2]:
        slurm("scancel", str(job.id))
    campaign.tell(f"cancelled: {', '.join(f'{job.id} ({job.wildcards})' for job in running[:2])}")
    return True


def preempt(campaign: Campaign) -> bool:
    """Take the node of a job that may be preempted, for a job that is urgent."""
    spare = [job for job in campaign.jobs() if (job.partition, job.state) == ("spare", "RUNNING")]
    if not spare:
        return False
    # More than the node has left, so that it can start only where the other one is taken away.
    node = dict(re.findall(r"(\w+)=(\S+)", slurm("scontrol", "show", "node", "cpu1", "-o")))
    memory = int(node["RealMemory"]) - int(node["AllocMem"]) + 100
    asked = ["--partition=cpu", f"--mem={memory}", "--priority=4000000000", "--output=/dev/null"]
    urgent = slurm("sbatch", "--parsable", *asked, "--wrap", "sleep 300").strip()

    def state() -> str:
        return next((job.state for job in campaign.jobs() if job.id == spare[0].id), "")

    wait_for(lambda: state() != "RUNNING", 60)
    went = state() in ("PREEMPTED", "PENDING")
    slurm("scancel", urgent)
    campaign.tell(f"{'preempted' if went else 'not preempted'}: {spare[0].id} ({spare[0].wildcards})")
    return went


def restart_controller(campaign: Campaign) -> bool:
    """Let Slurm's controller be away for a minute."""
    controller = int((campaign.lab / "run/slurmctld.pid").read_text())
    # It writes down what it knows, as it does where a site restarts it; killed, it would start jobs a second time.
    os.kill(controller, signal.SIGTERM)
    wait_for(lambda: not psutil.pid_exists(controller), 60)
    campaign.tell("slurmctld stopped")
    time.sleep(60)
    subprocess.run(["slurmctld"], check=True)
    campaign.tell("slurmctld started")
    return True


def drive(campaign: Campaign, kills: int, seconds: float, seed: int) -> int:
    """Drive the campaign to its end through all that happens; the exit status of the last driver, or -1 in time."""
    draws = random.Random(seed)
    events = [cancel_two, preempt, restart_controller]
    end, driver = time.monotonic() + seconds, campaign.start()
    next_kill = time.monotonic() + draws.uniform(20, 60)
    while time.monotonic() < end:
        time.sleep(2)
        if driver.poll() is not None:
            campaign.tell(f"driver {len(campaign.drivers)} ended with {driver.returncode}")
            if not (kills or events) or driver.returncode == 0:
                return driver.returncode
            driver = campaign.start()
        elif kills and time.monotonic() > next_kill:
            campaign.kill()
            kills -= 1
            campaign.tell(f"driver {len(campaign.drivers)} killed, {len(campaign.finished)} runs finished")
            driver, next_kill = campaign.start(), time.monotonic() + draws.uniform(20, 60)
        elif len(campaign.finished) > 10 * (4 - len(events)) and events and events[0](campaign):
            events.pop(0)
    return -1


def account(campaign: Campaign, status: int) -> bool:
    """Print what became of it; whether nothing was lost, and nothing made twice."""
    jobs, folder = campaign.jobs(), campaign.folder
    networks = len(campaign.finished)
    left = subprocess.run([*COMMAND, "run", STUDY, "-n", "--cores", "1"], cwd=folder, capture_output=True, text=True)
    told = subprocess.run([*COMMAND, "status", STUDY], cwd=folder, capture_output=True, text=True)
    counts = Counter((job.rule, job.state) for job in jobs)
    whole = "Nothing to be done" in left.stdout + left.stderr and not status and not campaign.twice
    print(*campaign.told, told.stdout, sep="\n")
    print(json.dumps({
        "whole": whole,
        "networks": networks,
        "trained twice": sorted(campaign.twice),
        "drivers": len(campaign.drivers),
        "submissions": len(jobs),
        "submissions a network": round(len(jobs) / max(networks, 1), 2),
        "by rule and state": {f"{rule} {state}": n for (rule, state), n in sorted(counts.items())},
        "report": (folder / "results/campaign/report/index.html").is_file(),
    }, indent=1))  # fmt: skip
    return whole


def main() -> int:
    """Start Slurm, run the campaign, stop Slurm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder for the campaign, its store and logs")
    parser.add_argument("--kills", type=int, default=5, help="how often the driver is killed (5)")
    parser.add_argument("--minutes", type=float, default=60, help="when to give up (60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    options = parser.parse_args()
    folder, lab = options.folder.resolve(), options.folder.resolve().with_name("neuroscaling-slurm")
    prepare(folder)
    os.environ[MARK] = "1"
    subprocess.run([HERE / "cluster/start.sh", lab], check=True, timeout=LIMIT)
    campaign, over = Campaign(folder, lab), threading.Event()
    watcher = threading.Thread(target=campaign.watch, args=(over,), daemon=True)
    try:
        watcher.start()
        status = drive(campaign, options.kills, 60 * options.minutes, options.seed)
        over.set()
        return 0 if account(campaign, status) else 1
    finally:
        over.set()
        if campaign.drivers and campaign.drivers[-1].poll() is None:
            campaign.kill()
        subprocess.run([HERE / "cluster/stop.sh", lab], timeout=LIMIT)


if __name__ == "__main__":
    sys.exit(main())
