"""The files of checkpoints that others trained are counted before one is fetched."""

from collections.abc import Iterable
from dataclasses import dataclass

from neuroscaling.planning.workload import FLOAT_BYTES, MOMENTS, ArchCost, cost_of
from neuroscaling.study.checkpoint_tables import Checkpoint
from neuroscaling.study.run_table import Run

PLAIN_COPIES = 1 + MOMENTS["sgd"]
AVERAGED_COPIES = 2 + MOMENTS["adamw"]
"""Numbers for each parameter in a trainer's state: the weights, what the optimiser keeps, and averaged weights."""


@dataclass(frozen=True)
class CheckpointFile:
    """What one run of a checkpoint takes. fetched: bytes of its file, 0 for one on a disk; is_known: do they stand in
    the table, or are they estimated; kept: bytes of weights that stay.
    """

    run: Run
    cost: ArchCost
    fetched: int
    is_known: bool
    kept: int

    @property
    def flops(self) -> float:
        """FLOPs of the forward pass of one image."""
        return 2.0 * self.cost.macs


def fetched_bytes(one: Checkpoint, n_params: int) -> tuple[int, bool]:
    """Bytes that a download of the checkpoint takes, and whether its table says so (`n_bytes`).

    Else it is taken for a trainer's state: of a network with averaged weights AdamW's, 16 bytes a parameter, of all
    others that of SGD with momentum, 8 bytes. A file of weights alone has 4.
    """
    if not one.is_url:
        return 0, True
    if one.n_bytes is not None:
        return one.n_bytes, True
    return (AVERAGED_COPIES if one.ema else PLAIN_COPIES) * FLOAT_BYTES * n_params, False


def checkpoint_files(runs: Iterable[Run]) -> list[CheckpointFile]:
    """One for each checkpoint that others trained among `runs`, in their order. Nothing is fetched, nothing read."""
    found = []
    for run in runs:
        if run.checkpoint is not None and run.kept_epoch is None:
            cost = cost_of(run.arch)
            fetched, is_known = fetched_bytes(run.checkpoint, cost.n_params)
            kept = FLOAT_BYTES * cost.n_params if run.keep else 0
            found.append(CheckpointFile(run, cost, fetched, is_known, kept))
    return found
