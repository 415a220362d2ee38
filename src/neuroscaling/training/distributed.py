"""Processes that train one run together know their rank and exchange sums and signals.

The images of a step go through the network in micro batches. Where a micro batch is split over processes, `unit()` is
the group of those that share it: batch statistics and contrasts are taken over the whole of it, so that the number of
processes changes nothing.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from neuroscaling.training.launch import left_over, processes

log = logging.getLogger(__name__)
# A first epoch's decoding, or a compilation, may keep the others waiting.
PATIENCE = timedelta(hours=1)
_words: Any = None  # a group for short words between the hosts, whatever the network speaks
_units: dict[tuple[int, ...], Any] = {}
_unit: tuple[int, ...] = ()


def world() -> int:
    """Processes that train this run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0. Process 0 alone writes files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started, for the length of the block: NCCL between GPUs, gloo on CPUs.

    A process that torchrun did not start is alone, whatever its environment says of a group.
    """
    global _words
    if left_over():
        log.warning("torchrun did not start this process, which trains alone: %s is not heeded", left_over())
    if processes() == 1 or distributed.is_initialized():
        yield
        return
    on_gpu = device.type == "cuda"
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    _words = distributed.new_group(backend="gloo", timeout=PATIENCE) if on_gpu else distributed.group.WORLD
    try:
        yield
    finally:
        _words = None
        _units.clear()
        share_units(())
        distributed.destroy_process_group()


def together() -> None:
    """Wait for the other processes."""
    if world() > 1:
        distributed.barrier(group=_words)


def any_of(*flags: bool) -> tuple[bool, ...]:
    """Which of `flags` are set in any process: what one decides, all do."""
    if world() == 1:
        return flags
    words = torch.tensor(flags, dtype=torch.int32)
    distributed.all_reduce(words, distributed.ReduceOp.MAX, group=_words)
    return tuple(bool(word) for word in words)


def of_all(value: Any) -> list[Any]:
    """What each process has for `value`, in the order of their numbers."""
    if world() == 1:
        return [value]
    found = [None] * world()
    distributed.all_gather_object(found, value, group=_words)
    return found


def summed(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of `tensor` over all processes, without gradients."""
    if world() == 1:
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total


def share_units(groups: tuple[tuple[int, ...], ...]) -> None:
    """Say which processes share a micro batch from here on: `groups` of ranks, each process in one of them.

    A process that has its micro batches to itself has a group of its own: without one, torch's SyncBatchNorm would take
    its statistics over all processes.
    """
    global _unit
    _unit = next((group for group in groups if rank() in group), ())
    for group in groups if world() > 1 else ():  # every process has to make every group, in the same order
        if group not in _units:
            _units[group] = distributed.new_group(list(group), timeout=PATIENCE)


def unit_size() -> int:
    """Processes that share this process's micro batch."""
    return max(1, len(_unit))


def unit_group() -> Any:
    """Those processes, for torch.distributed; None where one process alone trains."""
    return _units.get(_unit)


def unit_sum(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of `tensor` over the processes that share a micro batch; gradients flow back to all of them."""
    return _UnitSum.apply(tensor) if unit_size() > 1 else tensor


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """The rows of all processes that share a micro batch, in their order, with gradients. (b, ...) to (sum of b, ...).

    The parts may have different numbers of rows. Alone, or with a whole micro batch, it is `tensor` itself.
    """
    if unit_size() == 1:
        return tensor
    counts = torch.zeros(unit_size(), dtype=torch.int64, device=tensor.device)
    counts[_unit.index(rank())] = len(tensor)
    distributed.all_reduce(counts, group=unit_group())
    before = int(counts[: _unit.index(rank())].sum())
    after = int(counts.sum()) - before - len(tensor)
    rest = tensor.shape[1:]
    return unit_sum(torch.cat([tensor.new_zeros(before, *rest), tensor, tensor.new_zeros(after, *rest)]))


class _UnitSum(torch.autograd.Function):
    """A sum over processes: each one's share of the loss depends on each one's summand."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.contiguous().clone()
        distributed.all_reduce(total, group=unit_group())
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total, group=unit_group())
        return total
