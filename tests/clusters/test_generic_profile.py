"""profiles/generic: what SGE, PBS and LSF are asked for, and jobs that end, are cancelled and are tried again.

The queue is tests/clusters/queue.sh, whose jobs are real. By hand the profile was tried on a real Grid Engine
(docs/clusters.md). The options for PBS and LSF come from their manuals; what is compared here is that they are given.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.run import profile_named
from tests.support.doc_blocks import ROOT, blocks
from tests.support.processes import LIMIT, wait_for
from tests.workflow.test_own_table import write_rows

PROFILE = ROOT / "profiles/generic"
HERE = Path(__file__).parent
ASKED = {"mem_mb": 4001, "runtime": 90, "gpu": 1, "queue": "long", "account": "lab", "extra": "-m a"}
# The commands of each system that a login node has, what is said when a job was submitted, and its number.
SYSTEMS = {
    "sge": (("qsub", "qconf"), "7", "7"),
    "pbs": (("qsub",), "7.server.of.the.site", "7.server.of.the.site"),
    "torque": (("qsub",), "7.server", "7.server"),
    "lsf": (("bsub",), "Job <7> is submitted to queue <long>.", "7"),
}
OPTIONS = {
    "sge": "-l mem_free=2001M,h_rt=0:90:0,gpu=1 -pe smp 2 -q long -P lab -m a",
    "pbs": "-l select=1:ncpus=2:mem=4001mb:ngpus=1 -l walltime=1:30:00 -q long -A lab -m a",
    "torque": "-l nodes=1:ppn=2:gpus=1,mem=4001mb,walltime=1:30:00 -q long -A lab -m a",
    "lsf": "-n 2 -R span[hosts=1] -rn -R rusage[mem=4001] -W 90 -o .snakemake/cluster_logs/neuroscaling.train.%J"
    " -gpu num=1 -q long -P lab -m a",
}
# The same for two nodes with a GPU each: memory is a node's, but for Torque.
ON_TWO_NODES = {
    "sge": "-l mem_free=2001M,h_rt=0:90:0,gpu=1 -pe two_a_host 4 ",
    "pbs": "-l select=2:ncpus=2:mem=4001mb:ngpus=1 -l place=scatter -l walltime=1:30:00 ",
    "torque": "-l nodes=2:ppn=2:gpus=1,mem=8002mb,walltime=1:30:00 ",
    "lsf": "-n 4 -R span[ptile=2] -rn -R rusage[mem=4001] -W 90 -o .snakemake/cluster_logs/neuroscaling.train.%J"
    " -gpu num=1 ",
}
# What each system says of a job that waits or runs, and of one that it has forgotten or keeps as ended.
KNOWN = {"qconf": "job_number: 7", "qsub": "7.server train me 0 Q long", "bjobs": "PEND"}
GONE = [
    ("qconf", "Following jobs do not exist: \n7"),
    ("qsub", "qstat: Unknown Job Id 7.server"),
    ("qsub", "qstat: 7.server Job has finished, use -x or -H to obtain historical job information"),
    ("qsub", "Job ID  Name  User  Time Use S Queue\n7.server  train  me  00:00:01 C long"),
    ("bjobs", "Job <7> is not found"),
    ("bjobs", "EXIT"),
]


def stand_in(folder: Path, name: str, text: str) -> None:
    """A command that prints `text` and, to a file, what it was given."""
    (folder / "bin").mkdir(exist_ok=True)
    path = folder / "bin" / name
    path.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/given"\ncat <<"END"\n{text}\nEND\n')
    path.chmod(0o755)


def on_path(folder: Path) -> dict[str, str]:
    """An environment whose commands are those of `folder` and of the system, none of a queue of this machine."""
    (folder / "bin").mkdir(exist_ok=True)
    for command in ("sh", "cat", "mkdir", "rm", "find", "grep", "echo", "python3"):
        if not (link := folder / "bin" / command).exists():
            link.symlink_to(sys.executable if command == "python3" else shutil.which(command))
    return {"PATH": str(folder / "bin")}


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_job_is_submitted_with_what_it_asks_for(system, nodes, tmp_path):
    commands, said, number = SYSTEMS[system]
    for command in commands:
        stand_in(tmp_path, command, said)
    asked = ASKED | ({"queue_system": "torque"} if system == "torque" else {})
    asked |= {"gpu": nodes, "nodes": nodes, "sge_nodes_environment": "two_a_host"}
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/sh\n# properties = {json.dumps({'rule': 'train', 'threads': 2, 'resources': asked})}\n")
    command = [PROFILE / "submit.py", script]
    done = subprocess.run(command, cwd=tmp_path, env=on_path(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{number}\n"), done.stderr
    options = (OPTIONS, ON_TWO_NODES)[nodes - 1]
    assert options[system] in (given := (tmp_path / "given").read_text()) and given.endswith(f" {script}\n")


@pytest.mark.parametrize(
    "commands, resources, told",
    [
        ((), {}, "is this a login node?"),
        (("qsub",), {}, "not submitted"),
        (("qsub", "qconf"), {"nodes": 2}, "sge_nodes_environment"),
    ],
)
def test_what_can_not_be_submitted_says_so(commands, resources, told, tmp_path):
    for command in commands:
        stand_in(tmp_path, command, "no such queue")
    script = tmp_path / "job.sh"
    asked = {"mem_mb": 1, "runtime": 1} | resources
    script.write_text(f"# properties = {json.dumps({'rule': 'train', 'threads': 1, 'resources': asked})}\n")
    command = [PROFILE / "submit.py", script]
    done = subprocess.run(command, cwd=tmp_path, env=on_path(tmp_path), capture_output=True, text=True)
    assert done.returncode == 1 and told in done.stderr and not done.stdout


def state(folder: Path, number: str = "7", minutes: str = "0") -> str:
    """What status.sh says of a job."""
    environment = on_path(folder) | {"NEUROSCALING_GONE_MINUTES": minutes}
    command = [PROFILE / "status.sh", number]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("command, answer", GONE)
def test_a_job_that_the_queue_has_lost_fails_after_a_while(command, answer, tmp_path):
    for name in {"qstat", command} if command != "bjobs" else {"bjobs"}:
        stand_in(tmp_path, name, answer)
    assert state(tmp_path, minutes="1") == "running", "its file may come late"
    assert state(tmp_path) == "failed"
    (tmp_path / ".snakemake/cluster/7").write_text("0\n")
    assert state(tmp_path) == "success", "the file was late"


@pytest.mark.parametrize("command", KNOWN)
def test_a_job_runs_as_long_as_the_queue_knows_it_or_is_silent(command, tmp_path):
    for answer in (KNOWN[command], "error: commlib error: got select error"):
        for name in {"qstat", command} if command != "bjobs" else {"bjobs"}:
            stand_in(tmp_path, name, answer)
        assert state(tmp_path) == "running"
    (tmp_path / ".snakemake/cluster").mkdir(parents=True)
    (tmp_path / ".snakemake/cluster/7").write_text("143\n")
    assert state(tmp_path) == "failed" and state(tmp_path, "None") == "failed"


def test_a_job_that_ends_between_two_looks_is_heard(tmp_path):
    """The file is looked for first; the job ends, and the queue does not know it any more."""
    stand_in(tmp_path, "qconf", "")
    stand_in(tmp_path, "qstat", "Following jobs do not exist: \n7")
    (tmp_path / ".snakemake/cluster").mkdir(parents=True)
    with (tmp_path / "bin/qstat").open("a") as file:
        file.write("echo 0 > .snakemake/cluster/7\n")
    assert state(tmp_path) == "success"


def test_a_job_that_the_queue_knows_again_has_its_time_anew(tmp_path):
    stand_in(tmp_path, "qconf", "")
    for answer, is_gone in (("Following jobs do not exist: \n7", True), (KNOWN["qconf"], False)):
        stand_in(tmp_path, "qstat", answer)
        assert state(tmp_path, minutes="1") == "running"
        assert (tmp_path / ".snakemake/cluster/7.gone").exists() is is_gone


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., tuple[subprocess.Popen, Path]]]:
    """Start Snakemake in tmp_path/work, with a queue that stands in; gives the process and the file of its output."""
    for name in ("qsub", "qstat", "qdel", "qconf"):
        (tmp_path / name).symlink_to(HERE / "queue.sh")
    site, work = tmp_path / "site", tmp_path / "work"
    site.mkdir(), work.mkdir()
    quick = {"seconds-between-status-checks": 1, "max-status-checks-per-second": 20, "latency-wait": 10}
    (site / "config.yaml").write_text(yaml.safe_dump(quick))
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "QUEUE": str(tmp_path)}
    environment |= {"NEUROSCALING_GONE_MINUTES": "0"}
    drivers = []

    def run(*command: str | Path) -> tuple[subprocess.Popen, Path]:
        output = tmp_path / "driver.txt"
        command = [sys.executable, *command, "--profile", PROFILE, "--profile", site]
        with output.open("w") as file:
            options = {"stdout": file, "stderr": subprocess.STDOUT, "start_new_session": True}
            drivers.append(subprocess.Popen(command, cwd=work, env=environment, **options))
        return drivers[-1], output

    yield run
    for driver in drivers:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    for file in tmp_path.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.killpg(int(file.read_text()), signal.SIGKILL)


def test_a_cancelled_job_is_tried_again_with_more_and_ends_with_the_driver(start, tmp_path):
    """The second try ends with Ctrl-C of the driver."""
    work = tmp_path / "work"
    driver, output = start("-m", "snakemake", "a.made", "--snakefile", HERE / "jobs.smk", "--workflow-profile", "none")
    wait_for(lambda: (work / "a.tries").is_file() and (work / "a.tries").read_text(), output.read_text)
    subprocess.run([tmp_path / "qdel", "1"], env=os.environ | {"QUEUE": str(tmp_path)}, check=True)
    wait_for(lambda: (work / "a.tries").read_text().split() == ["1000", "2000"], output.read_text)
    # It cancels the jobs that it follows.
    wait_for(lambda: "2" in (tmp_path / "asked").read_text().split(), output.read_text)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(LIMIT) != 0
    options = (tmp_path / "submitted").read_text().splitlines()
    assert len(options) == 2 and "mem_free=500M,h_rt=0:90:0,gpu=1 -pe smp 2" in options[0]
    assert "mem_free=1000M,h_rt=0:180:0" in options[1], "the second try asks for more"
    assert (tmp_path / "cancelled").read_text().split() == ["1", "2"], "by hand, and by the driver"


def test_a_job_of_a_study_finds_what_the_driver_wrote_down_for_it(start, tmp_path):
    """The law of a table: the rule has one file as its input, by a name."""
    _, study, fits = blocks(ROOT / "docs/score-tables.md")[:3]
    (tmp_path / "work/mine.yaml").write_text(study.text)
    law = yaml.safe_load(fits.text)["fits"][0] | {"bootstraps": 2}
    (tmp_path / "work/fits.yaml").write_text(yaml.safe_dump({"fits": [law]}))
    write_rows(tmp_path / "work/table.csv")
    made = "results/mine/fits/size.json"
    driver, output = start("-m", "neuroscaling.cli.main", "run", "mine.yaml", made)
    assert driver.wait(LIMIT) == 0, output.read_text()
    assert (tmp_path / "work" / made).is_file() and "neuroscaling.fits" in (tmp_path / "submitted").read_text()


def test_the_profile_is_copied_with_its_scripts(tmp_path, monkeypatch):
    from neuroscaling.cli import main

    monkeypatch.chdir(tmp_path)
    assert main.main(["init", "--profile", "generic"]) == 0 and profile_named("generic") == "profiles/generic"
    assert stat.S_IMODE(Path("profiles/generic/submit.py").stat().st_mode) & stat.S_IXUSR
    assert not stat.S_IMODE(Path("profiles/generic/config.yaml").stat().st_mode) & stat.S_IXUSR
