"""What a job of Snakemake asks Slurm for, without a cluster: requests, cuts, a site's own partitions, what was made."""

import os
import time
from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_slurm.partitions import read_partition_file

from neuroscaling.study.slurm_partitions import Asked, Choice, Nodes, Partition, choose
from snakemake_executor_plugin_neuroscaling_slurm.executor import is_made
from snakemake_executor_plugin_neuroscaling_slurm.requests import Resources, asked_by, cut, limited, wanted_by

from .lab import ROOT


def job(rule="train", threads=1, is_local=False, output=(), **resources):
    """A job as far as executors look at it."""
    return SimpleNamespace(
        name=rule,
        threads=threads,
        resources=Resources(resources),
        is_local=is_local,
        wildcards=["net"],
        output=output,
        is_group=lambda: False,
    )


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        (job(mem_mb=4000, runtime=60), Asked(memory=4000, minutes=60)),
        (job(mem_mb="<TBD>", gpu=1, gpu_model="a100"), Asked(gpus=1, model="a100")),
        (job(gres="gpu:h100:2", threads=8), Asked(gpus=2, model="h100", cpus=8)),
        (job(gpu=8, nodes=2, cpus_per_gpu=4), Asked(gpus=8, nodes=2, cpus=16)),
        (job(mem_mb_per_cpu=2000, cpus_per_task=4), Asked(memory=8000, cpus=4)),
        (job(constraint="ib&nvlink", slurm_account="lab"), Asked(features=frozenset({"ib", "nvlink"}), account="lab")),
        (job(constraint="[rack1|rack2]", slurm_account="a,b", slurm_partition="gpu"), Asked(partition="gpu")),
        (job(constraint=""), Asked()),
    ],
)
def test_what_a_job_asks_for(of, asked):
    assert asked_by(of) == asked


def test_jobs_of_a_rule_that_ask_for_the_same_are_one_and_others_are_left_out():
    jobs = [job(mem_mb=1), job(mem_mb=1), job(mem_mb=2), job("table", is_local=True), job(slurm_cluster="b")]
    assert [(one.rule, one.count, one.asked.memory) for one in wanted_by(jobs)] == [("train", 2, 1), ("train", 1, 2)]


def test_a_job_is_cut_to_its_partition_and_is_otherwise_itself():
    whole = job(mem_mb=9000, runtime=900, gpu=1)
    short = cut(whole, Choice("gpu", 600, 8000))
    assert (short.resources.runtime, short.resources.get("mem_mb"), short.resources.gpu) == (600, 8000, 1)
    assert short.name == "train" and whole.resources.runtime == 900
    assert cut(job(mem_mb_per_cpu=5), Choice("gpu", 0, 5)).resources == {"mem_mb_per_cpu": 5}


def test_a_sites_own_partitions_hold_within_what_slurm_tells(tmp_path):
    file = tmp_path / "partitions.yaml"
    file.write_text("partitions: {gpu: {max_runtime: 1d, max_mem_mb: 100000, max_gpu: 2}}")
    of_slurm = [
        Partition("cpu", (Nodes(9, 64, 192000),), is_default=True),
        Partition("gpu", (Nodes(4, 32, 64000, 4),), minutes=600),
    ]
    (gpu,) = limited(of_slurm, read_partition_file(file))
    assert choose([gpu], Asked(gpus=2, minutes=1000)) == Choice("gpu", 600, 0)
    assert choose([gpu], Asked(gpus=4)) is None and choose([gpu], Asked(memory=70000)) is None
    (alone,) = limited([], read_partition_file(file))
    assert choose([alone], Asked(gpus=2, memory=90000)) and choose([alone], Asked(gpus=3)) is None


def test_the_shipped_file_names_no_partition():
    assert read_partition_file(ROOT / "profiles/slurm/partitions.yaml") == []


def test_what_is_made_is_there_and_newer_than_the_submission(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    files[0].touch()
    assert not is_made(job(output=files), time.time())
    files[1].touch()
    assert is_made(job(output=files), time.time())
    os.utime(files[1], (1e9, 1e9))
    assert not is_made(job(output=files), time.time()) and not is_made(job(output=[]), 0)
