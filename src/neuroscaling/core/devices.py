"""The device that computes: the one that is named, or the GPU where there is one."""

import os

import torch

from neuroscaling.core.errors import DataError, Problem, StudyError, nearest

# What a scheduler sets for a job that has GPUs.
GRANTED = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")


def device_of(name: str | None) -> torch.device:
    """The device of torch's name, such as `cpu`, `cuda` or `cuda:1`; None: the GPU, or the CPU where there is none.

    Raises StudyError for a name that torch doesn't know, DataError for a GPU that it doesn't find.
    """
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
    if torch.cuda.is_available():
        return None
    told = ((key, os.environ.get(key, "")) for key in GRANTED)
    return next((f"{key}={value}" for key, value in told if value not in ("", "-1", "NoDevFiles")), None)
