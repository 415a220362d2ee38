"""Partitions as `sinfo` tells of them on several kinds of clusters, and which of them take a job."""

from dataclasses import replace
from math import inf

import pytest

from neuroscaling.study.slurm_partitions import (
    Asked,
    Choice,
    Wanted,
    choose,
    lacking,
    minutes_of,
    read_partitions,
    refusal,
)


def sinfo(*rows: str) -> str:
    """The output of SINFO: a row's cells are written with |."""
    return "".join(row.replace("|", "\x1f") + "\n" for row in rows)


# A cluster of a university: a short partition for trials, GPUs of two kinds, one node that is larger than the others.
UNIVERSITY = sinfo(
    "debug|up|30:00|2|64|192000|(null)|cpu,ib",
    "compute*|up|3-00:00:00|120|64|192000|(null)|cpu,ib",
    "compute*|up|3-00:00:00|4|64|768000|(null)|cpu,ib,bigmem",
    "gpu|up|2-00:00:00|20|48|384000|gpu:a100:4(S:0-1),shard:16|gpu,nvlink",
    "gpu|up|2-00:00:00|6|96|1031000|gpu:h100:8(S:0-1)|gpu,nvlink",
    "preempt|up|7-00:00:00|26|48|384000|gpu:a100:4(S:0-1)|gpu",
    "long|up|14-00:00:00|10|64|192000|(null)|cpu",
    "retired|down|infinite|4|16|64000|gpu:v100:2|gpu",
    "admin|up|infinite|150|64|192000|(null)|cpu",
)
LIMITS = """\
PartitionName=compute AllowGroups=ALL AllowAccounts=ALL MaxNodes=UNLIMITED MaxCPUsPerNode=UNLIMITED PriorityTier=10 PreemptMode=OFF
PartitionName=gpu AllowAccounts=vision,neuro MaxNodes=2 MaxCPUsPerNode=UNLIMITED MaxMemPerNode=512000 PriorityTier=10 PreemptMode=OFF
PartitionName=preempt AllowAccounts=ALL MaxNodes=UNLIMITED PriorityTier=1 PreemptMode=REQUEUE
PartitionName=admin RootOnly=YES PriorityTier=10
"""  # noqa: E501 Slurm writes a partition in one line
# A workstation with Slurm: one partition for everything, GPUs without a name.
WORKSTATION = sinfo("main*|up|infinite|1|32|257000|gpu:2|(null)")
# A cloud: nodes are named by their size, there is no default.
CLOUD = sinfo(
    "c5|up|infinite|50+|16+|30000+|(null)|dynamic",
    "p4d|up|infinite|8|96|1100000|gpu:a100:8|dynamic",
)


@pytest.fixture
def university():
    return read_partitions(UNIVERSITY, LIMITS)


def where(partitions, attempt=1, **asked) -> str | None:
    choice = choose(partitions, Asked(**asked), attempt)
    return choice and choice.partition


def test_what_is_read(university):
    assert [one.name for one in university] == ["debug", "compute", "gpu", "preempt", "long", "retired"]
    compute, gpu = university[1], university[2]
    assert compute.is_default and compute.minutes == 3 * 1440 and [kind.count for kind in compute.nodes] == [120, 4]
    assert [kind.gpus for kind in gpu.nodes] == [4, 8] and gpu.nodes[1].models == {"h100"}
    assert (gpu.most_nodes, gpu.most_memory) == (2, 512000) and university[3].is_preempted and not university[5].is_up
    (main,) = read_partitions(WORKSTATION)
    assert (main.gpus, main.minutes, main.nodes[0].features) == (2, inf, frozenset())
    assert read_partitions(CLOUD)[0].nodes[0].memory == 30000 and read_partitions("slurm_load_partitions: no") == []


def test_jobs_go_where_they_belong(university):
    assert where(university, memory=4000, minutes=20) == "compute", "not to debug, which would do"
    assert where(university, memory=500000, minutes=60) == "compute"
    assert where(university, gpus=1, minutes=60) == "gpu", "not to the one that is preempted"
    assert where(university, gpus=1, minutes=60, account="history") == "preempt"
    assert where(university, gpus=8) == "gpu" and where(university, gpus=12, nodes=3) == "preempt"
    assert where(university, minutes=10 * 1440) == "long"
    assert where(university, gpus=1, model="A100") == "gpu" and where(university, gpus=1, model="v100") is None
    assert where(university, features=frozenset({"bigmem"})) == "compute"
    assert where(university, partition="long", memory=1000) == "long"
    assert where(read_partitions(WORKSTATION), memory=1000) == "main"
    assert where(read_partitions(CLOUD), memory=20000) == "c5" and where(read_partitions(CLOUD), memory=40000) == "p4d"


def test_a_time_is_cut_to_the_longest_partition_that_can_take_the_job(university):
    assert choose(university, Asked(minutes=30 * 1440)) == Choice("long", 14 * 1440, 0)
    assert choose(university, Asked(minutes=30 * 1440, gpus=8)) == Choice("gpu", 2 * 1440, 0)
    assert choose(read_partitions(WORKSTATION), Asked(minutes=30 * 1440)) == Choice("main", 30 * 1440, 0)


def test_memory_that_grew_with_a_retry_is_cut_and_that_of_a_first_try_is_not(university):
    asked = Asked(memory=1500000)
    assert choose(university, asked) is None
    assert choose(university, asked, attempt=2) == Choice("compute", 0, 768000)
    assert choose(university, replace(asked, gpus=1), attempt=3) == Choice("gpu", 0, 512000)
    assert choose(university, replace(asked, gpus=9), attempt=3) is None


def test_all_jobs_that_fit_nowhere_are_named_with_what_there_is(university):
    wanted = [
        Wanted("train", 12, "vit_huge", Asked(gpus=16, cpus=8, memory=4000)),
        Wanted("table", 1, "", Asked(memory=4000)),
        Wanted("activations", 3, "eva", Asked(memory=2000000)),
    ]
    told = refusal(university, wanted)
    assert "nothing was submitted" in told and "table" not in told
    assert "train: 12 jobs such as vit_huge: 4000 MB, 8 CPUs, 16 GPUs\n    GPUs of a node: at most 8, in gpu" in told
    assert "activations: 3 jobs such as eva: 2000000 MB, 1 CPU\n    memory: at most 768000, in compute" in told
    assert "retired (4 nodes with up to 16 CPUs, 64000 MB, 2 GPUs; no time limit; it is down)" in told
    assert refusal(university, wanted[1:2]) == ""


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked(partition="gpus"), "there is no partition gpus"),
        (Asked(gpus=1, model="h200"), "GPUs h200: there are a100, h100, v100"),
        (Asked(features=frozenset({"skylake"})), "constraint skylake: no node has it"),
        (Asked(cpus=200), "CPUs: at most 96, in gpu"),
        (Asked(nodes=500), "nodes: at most 124, in compute"),
        (Asked(gpus=1, memory=700000), "each of these is there, but not together in one partition that is up"),
    ],
)
def test_what_is_lacking_is_said(university, asked, reason):
    assert choose(university, asked) is None and lacking(university, asked) == [reason]


def test_times_of_slurm():
    texts = {"infinite": inf, "30:00": 30, "12:00:00": 720, "2-00:00:00": 2880, "1-12": 2160, "45": 45, "n/a": inf}
    assert {text: minutes_of(text) for text in texts} == texts
