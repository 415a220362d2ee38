"""Who belongs to a group of processes: those that torchrun started, whatever else the environment says."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import TCPStore

from neuroscaling.core.errors import DataError
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training import launch
from neuroscaling.training.launch import on_each_node

ALONE = """
import json, logging, os, sys, torch
from neuroscaling.training import distributed
from neuroscaling.training import launch
from neuroscaling.training import setup
logging.basicConfig(stream=sys.stderr, format="%(message)s")
for left in json.loads(sys.argv[1]):
    os.environ.update(left)
    with distributed.joined(torch.device("cpu")):
        numbers = launch.processes(), distributed.world(), launch.local_rank(), launch.processes_of_host()
        print(*numbers, setup.chosen_device("cpu"))
    for name in left:
        del os.environ[name]
"""
# As exported by a shell, by a batch script, by a container's operator, and by a launcher of several hosts.
LEFT = [
    {"WORLD_SIZE": "4"},
    {"WORLD_SIZE": "4", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"},
    {"WORLD_SIZE": "8", "RANK": "3", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "8", "MASTER_ADDR": "10.255.255.1"},
    {"WORLD_SIZE": "", "RANK": "none"},
    {"TORCHELASTIC_RUN_ID": "old", "WORLD_SIZE": "two"},
]


@pytest.fixture(autouse=True)
def no_group(monkeypatch):
    for name in (*launch.OF_A_GROUP, launch.BY_TORCHRUN, launch.BESIDE):
        monkeypatch.delenv(name, raising=False)


def test_a_job_with_another_groups_variables_trains_alone_and_says_what_it_found():
    command = [sys.executable, "-c", ALONE, json.dumps(LEFT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.splitlines() == ["1 1 0 1 cpu"] * len(LEFT)
    told = [line for line in done.stderr.splitlines() if "which trains alone" in line]
    assert len(told) == len(LEFT) and "WORLD_SIZE=4, RANK=0 is not heeded" in told[1] and "RANK=none" in told[3]


def test_torchrun_tells_a_process_its_place(monkeypatch):
    assert launch.processes() == launch.processes_of_host() == 1 and launch.left_over() is None
    of_torchrun = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "6", "RANK": "4"}
    for name, value in (of_torchrun | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "3"}).items():
        monkeypatch.setenv(name, value)
    assert (launch.processes(), launch.local_rank(), launch.processes_of_host()) == (6, 1, 3)
    assert launch.left_over() is None


@pytest.mark.parametrize("told", [None, {launch.BESIDE: "2"}])
def test_a_launcher_passes_nothing_of_other_groups_on(told, monkeypatch, tmp_path):
    """torchrun takes PET_NNODES for its own option, and would wait for other hosts."""
    others = {"PET_NNODES": "2", "PET_RDZV_ENDPOINT": "far:1", "TORCHELASTIC_RUN_ID": "x", "GROUP_RANK": "1"}
    for left in (*LEFT[:3], others):
        for name, value in left.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("NEUROSCALING_STORE", "kept")
    file = tmp_path / "environment.json"
    code = f"import json, os; open({str(file)!r}, 'w').write(json.dumps(dict(os.environ)))"
    launch._all_end([[sys.executable, "-c", code]], "it failed", told)
    found = json.loads(file.read_text())
    expected = set(os.environ) - {name for left in (*LEFT, others) for name in left} | set(told or {})
    assert expected <= set(found) and found["NEUROSCALING_STORE"] == "kept"
    assert not set(found) & {name for left in (*LEFT, others) for name in left}


def test_processes_side_by_side_share_the_memory_of_their_host(monkeypatch):
    monkeypatch.setenv(launch.BESIDE, "2")
    assert launch.processes_of_host() == 2 and launch.processes() == 1 and launch.left_over() is None


@pytest.mark.parametrize("job", ["", "77"])
def test_launchers_of_several_nodes_meet_under_the_name_of_their_job(job, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", job)
    with launch._meeting(2) as options:
        assert options[-1] == f"--rdzv-id={job or 'neuroscaling'}"
    with launch._meeting(1) as options:
        assert options == ["--standalone"]


def store_at(options):
    """The store where the launchers of a job meet, as they reach it."""
    (end,) = (option for option in options if option.startswith("--rdzv-endpoint="))
    host, port = end.partition("=")[2].split(":")
    return TCPStore(host, int(port), is_master=False, timeout=timedelta(minutes=10))


def test_two_jobs_on_one_host_meet_apart_and_the_end_of_one_leaves_the_other():
    with launch._meeting(2) as options:
        with launch._meeting(2) as others:
            first, second = store_at(options), store_at(others)
            first.set("job", "first")
            second.set("job", "second")
            assert first.get("job") == b"first"
        first.set("after", "the end of the other")
        assert store_at(options).get("after") == b"the end of the other"


def program(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_launchers_on_several_nodes_get_the_cpus_of_the_job(monkeypatch, tmp_path):
    program(tmp_path, "srun", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert on_each_node(TrainingOptions()) == []
    two = TrainingOptions(nodes=2)
    assert on_each_node(two) == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=8"]
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert on_each_node(two)[-1] == "--ntasks-per-node=1"


def test_a_launcher_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for launcher, missing in ((None, "srun"), ("mpiexec -n {nodes}", "mpiexec")):
        with pytest.raises(DataError, match=f"(?s)training.launcher.*{missing}.*on PATH"):
            on_each_node(TrainingOptions(nodes=2, launcher=launcher))


# With this machine for all nodes: as Slurm's srun, and as one of another site, which passes no environment on.
SRUN = """#!/bin/sh
nodes=${1#--nodes=}; shift 3
"""
MPIEXEC = """#!/bin/sh
nodes=$2; shift 2; unset PYTHONPATH
"""
EACH = """while [ $nodes -gt 0 ]; do "$@" & all="$all $!"; nodes=$((nodes - 1)); done
for one in $all; do wait $one || status=$?; done
exit ${status:-0}
"""
WORKER = """
import os, sys, time
from pathlib import Path
folder = Path(Path(sys.argv[1]).read_text())
(folder / f"rank{os.environ['RANK']}-of-{os.environ['WORLD_SIZE']}").touch()
while not (folder / "end").exists():
    time.sleep(0.1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher, name, text", [(None, "srun", SRUN), ("mpiexec -n {nodes}", "mpiexec", MPIEXEC)])
def test_a_group_on_two_nodes_ends_well_though_another_job_ends_before_it(monkeypatch, tmp_path, launcher, name, text):
    program(tmp_path, name, text + EACH)
    (tmp_path / "worker_of_two_nodes.py").write_text(WORKER)
    monkeypatch.setattr(launch, "WORKER", "worker_of_two_nodes")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with ThreadPoolExecutor(1) as thread:
        with launch._meeting(2):
            group = thread.submit(
                launch.on_many_gpus, str(tmp_path), TrainingOptions(nodes=2, launcher=launcher), tmp_path
            )
            while not group.done() and len([*tmp_path.glob("rank*")]) < 2:
                time.sleep(0.1)
        (tmp_path / "end").touch()
        group.result()
    assert sorted(path.name for path in tmp_path.glob("rank*")) == ["rank0-of-2", "rank1-of-2"]
