"""The device that computes, the memory that a job has by Slurm's and the kernel's limits, and what it keeps of it.

Torch is imported where a device is asked for: who asks for memory alone does without it.
"""

import ctypes
import gc
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from neuroscaling.core.errors import DataError, Problem, StudyError, nearest

if TYPE_CHECKING:
    import torch

# What a scheduler sets for a job that has GPUs.
GRANTED = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")
NO_GPU = ("", "-1", "NoDevFiles")
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Files of the drivers of NVIDIA, of AMD, and of Windows' subsystem."""


def device_of(name: str | None) -> "torch.device":
    """The device of torch's name, such as `cpu`, `cuda` or `cuda:1`; None: the GPU, or the CPU where there is none.

    Raises StudyError for a name that torch doesn't know, DataError for a GPU that it doesn't find.
    """
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        what, known = "unknown device", ("cpu", "cuda", "cuda:0")
        raise StudyError(
            Problem(what=what, value=name, allowed=", ".join(known), nearest=nearest(name, known))
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = f"torch finds {torch.cuda.device_count()} of them"
        raise DataError(
            Problem(what="no such GPU", value=name, allowed=found, fix="nvidia-smi tells what the machine has")
        )
    return device


def lost_gpu() -> str | None:
    """What a job has of GPUs, in its environment's words, where torch finds none; None where nothing is amiss."""
    import torch

    if torch.cuda.is_available():
        return None
    told = ((key, os.environ.get(key, "")) for key in GRANTED)
    return next((f"{key}={value}" for key, value in told if value not in NO_GPU), None)


def has_gpu() -> bool:
    """Whether this process was given a GPU, or else is on a machine with one.

    The environment and the drivers' files tell: to load torch takes seconds, and not every job needs it.
    """
    told = [os.environ[key] for key in GRANTED if key in os.environ]
    return any(value not in NO_GPU for value in told) if told else any(file.exists() for file in DRIVERS)


GROUPS = Path("/sys/fs/cgroup")
GROUP_FILES = ("memory.max", "memory/memory.limit_in_bytes")
NO_LIMIT = 1 << 60
"""Control groups of version 1 say that there is no limit by a number near 2^63."""
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
PER_CPU = ("SLURM_CPUS_ON_NODE", "SLURM_CPUS_PER_TASK")


def job_memory(root: Path | None = None) -> int | None:
    """Bytes that the processes of this job may use on this node; None where no limit is known.

    It is the smallest of the limits of Slurm and of the control groups that this process is in. root: the folder where
    control groups are mounted.
    """
    limits = [*_of_groups(root or GROUPS), *_of_slurm()]
    return min((limit for limit in limits if 0 < limit < NO_LIMIT), default=None)


def slurm_memory(text: str | None) -> int | None:
    """Bytes that a variable of Slurm such as SLURM_MEM_PER_NODE stands for: MiB, or a number with K, M, G or T.

    None where it says nothing: it is not set, empty, no amount, or 0, by which Slurm means all memory of the node.
    """
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)([KMGT]?)B?", (text or "").strip().upper())
    return int(float(found[1]) * UNITS[found[2] or "M"]) or None if found else None


def slurm_count(*names: str) -> int | None:
    """The first of Slurm's variables `names` that is a number above 0; None where there is none."""
    found = (os.environ.get(name, "").strip() for name in names)
    return next((int(text) for text in found if re.fullmatch("[0-9]+", text) and int(text)), None)


def _of_slurm() -> Iterator[int]:
    """What Slurm says of a node, of each CPU and of each GPU of the job on it."""
    node, cpu, gpu = (slurm_memory(os.environ.get(f"SLURM_MEM_PER_{unit}")) for unit in ("NODE", "CPU", "GPU"))
    if node:
        yield node
    if cpu:
        yield cpu * (slurm_count(*PER_CPU) or len(os.sched_getaffinity(0)))
    gpus = slurm_count("SLURM_GPUS_ON_NODE")
    if gpu and gpus:
        yield gpu * gpus


def _of_groups(root: Path) -> Iterator[int]:
    """Limits of the process's own control group and of all groups above it, in version 2 and 1."""
    for file in GROUP_FILES:
        folder, _, name = file.rpartition("/")
        for group in _groups(root / folder):
            try:
                yield int((group / name).read_text())
            except (OSError, ValueError):  # absent, or the word `max`
                continue


def _groups(root: Path) -> Iterator[Path]:
    yield root
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for path in {line.split(":", 2)[2].strip("/") for line in lines}:
        group = root / path
        while path and group != root:
            yield group
            group = group.parent


# Numbers of glibc's malloc.h, and what they are set to: bytes that an `int` holds.
TRIM_THRESHOLD, KEPT_BYTES = -1, (1 << 31) - 1
MMAP_THRESHOLD, LARGEST, LARGEST_ONCE = -3, 1 << 30, 32 << 20
"""LARGEST_ONCE: what older versions of glibc allow at most."""


def keep_freed_memory() -> bool:
    """Let glibc keep what this process frees, and use it again; whether it does (other C libraries can't).

    By itself it takes arrays of more than 32 MB from the system and gives them back at once, and what is free at the
    heap's end as well. Each layer of a network on a CPU then takes its memory anew, page by page, and the kernel fills
    every page with zeros: half of the time of a small network. What is asked of it is arrays up to a gigabyte.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    kept = mallopt(MMAP_THRESHOLD, LARGEST) or mallopt(MMAP_THRESHOLD, LARGEST_ONCE)
    return bool(kept and mallopt(TRIM_THRESHOLD, KEPT_BYTES))


FORGET_PEAK = "5"
"""What the kernel is told so that a process's largest memory begins anew (proc(5), clear_refs)."""


def return_freed_memory() -> None:
    """Give what this process has freed back to the system and to its GPU, and measure its largest memory anew.

    For a process that begins another kind of work: records of that work say what it takes (`provenance.peak_memory`).
    What the system does not know stays as it is.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
