"""Torch runs with these number formats, compilation, determinism, transfers and memory settings."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from neuroscaling.study.recipes import Recipe
from neuroscaling.study.sections.training_options import TrainingOptions

FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Shapes that a network is compiled for: whole batches and an epoch's last one, of each kind of view.
RECOMPILATIONS = 16
# A scale this small means that gradients overflow again and again.
SMALLEST_SCALE = 1.0


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Automatic mixed precision for `precision`: fp32 (off), bf16 or fp16."""
    return torch.autocast(device.type, FORMATS.get(precision, torch.bfloat16), enabled=precision in FORMATS)


def make_scaler(recipe: Recipe, device: torch.device) -> torch.amp.GradScaler:
    """The scaler of the loss, without effect unless the precision is fp16."""
    return torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")


def collapsed(scaler: torch.amp.GradScaler) -> bool:
    """Has the scale been halved so often that no gradient can be left? (A step skipped now and then is normal.)"""
    return scaler.is_enabled() and scaler.get_scale() < SMALLEST_SCALE


def compile_in_place(module: nn.Module, options: TrainingOptions) -> None:
    """Compile `module`'s forward where the options ask for it; names of parameters stay as they are.

    What was compiled is kept in the folder `scratch`, or where torch keeps it, for all runs of the machine.
    """
    if not options.compile:
        return
    if options.scratch:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(options.scratch, "compiled"))
    os.environ.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")
    torch._dynamo.config.recompile_limit = max(RECOMPILATIONS, torch._dynamo.config.recompile_limit)
    module.compile(dynamic=False)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of `device`.

    (torch.manual_seed also notes, with a stack trace, what to do for GPUs that are never used: 2 ms a call.)
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """On a CPU, deterministic algorithms for the length of the block; on a GPU, the fastest ones.

    The global random state is put back after it.
    """
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.backends.cudnn.benchmark = device.type == "cuda"
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark


def to_device(
    values: Sequence[float] | np.ndarray | torch.Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """`values` on `device`, as `dtype` if given, without waiting for what a GPU still has to do.

    `torch.tensor(..., device=...)` and `.to(...)` wait for all of it unless they are told not to, so that the GPU has
    nothing to do while the next step is prepared (https://docs.pytorch.org/tutorials/intermediate/pinmem_nonblock.html).
    """
    return torch.as_tensor(values).to(device=device, dtype=dtype, non_blocking=True)
