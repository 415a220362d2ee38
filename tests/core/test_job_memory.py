"""Memory of a job: what Slurm and control groups say, in whatever form it is said."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroscaling.brainscore.environment import limit_mb
from neuroscaling.core.machine import job_memory, slurm_count, slurm_memory
from neuroscaling.datasets import pack_reading
from neuroscaling.training.feeding import decoded_images

GIB = 1 << 30
NO_AMOUNT = [None, "", " ", "0", "0G", "4 apples", "-1", "nan", "inf", "1e3", "max", "4GG", "٤"]


@pytest.fixture(autouse=True)
def no_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Neither this machine's job nor its container counts."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("neuroscaling.core.machine.GROUPS", tmp_path / "none")
    monkeypatch.setattr(decoded_images, "_available", lambda: 7 * GIB)
    monkeypatch.setattr(pack_reading.shutil, "disk_usage", lambda _: SimpleNamespace(free=9 * GIB))


@pytest.mark.parametrize(
    "text, expected",
    {"4096": 4 * GIB, "4096M": 4 * GIB, "4G": 4 * GIB, " 4g ": 4 * GIB, "4GB": 4 * GIB, "1.5G": 1.5 * GIB}.items(),
)
def test_amounts_come_in_mebibytes_or_with_a_unit(text, expected):
    assert slurm_memory(text) == expected
    assert slurm_memory("2T") == 2048 * GIB and slurm_memory("512K") == 512 << 10


@pytest.mark.parametrize("text", NO_AMOUNT)
def test_zero_and_nonsense_are_no_limit_in_any_of_the_three_places(text, monkeypatch):
    """0 is all memory of the node: no reason to decode images again and again, or to refuse a job."""
    limit = limit_mb()
    if text is not None:
        for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_GPU", "SLURM_CPUS_ON_NODE"):
            monkeypatch.setenv(name, text)
    assert slurm_memory(text) is None and slurm_count("SLURM_CPUS_ON_NODE") is None and job_memory() is None
    assert (
        pack_reading._free_bytes(pack_reading.MEMORY_FOLDER) == 9 * GIB
        and decoded_images._limit(None, 0) == decoded_images.HOST_SHARE * 7 * GIB
    )
    assert limit_mb() == limit


@pytest.mark.parametrize("text", ["50", "50M", "51200K"])
def test_a_limit_counts_in_all_three_places(text, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", text)
    assert pack_reading._free_bytes(pack_reading.MEMORY_FOLDER) == (50 << 20) - pack_reading.PROCESS_BYTES
    assert (
        decoded_images._limit(None, 0) == decoded_images.HOST_SHARE * (50 << 20)
        and limit_mb() == (50 << 20) // 1_000_000
    )


def test_memory_of_each_processor_and_gpu_is_multiplied(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "2G")
    assert job_memory() == 2 * GIB * len(os.sched_getaffinity(0))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert job_memory() == 6 * GIB
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "")
    assert job_memory() == 6 * GIB
    monkeypatch.setenv("SLURM_MEM_PER_GPU", "1G")
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "4")
    assert job_memory() == 4 * GIB


def test_a_container_limits_the_images_that_a_process_keeps_and_copies_to_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("neuroscaling.core.machine.GROUPS", tmp_path)
    (tmp_path / "memory.max").write_text(f"{50 << 20}\n")
    assert decoded_images._limit(None, 0) == decoded_images.HOST_SHARE * (50 << 20)
    assert pack_reading._free_bytes(pack_reading.MEMORY_FOLDER) == (50 << 20) - pack_reading.PROCESS_BYTES
