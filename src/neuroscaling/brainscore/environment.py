"""A scoring process sets variables before Brain-Score is imported, and must have memory enough."""

import logging
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.machine import GROUPS, NO_LIMIT, job_memory
from neuroscaling.core.netcdf import without_locks

UPSTREAM_WARNINGS = (
    "xarray subclass .* should explicitly define __slots__",
    "'multi_class' was deprecated",
    "SelectableGroups dict interface is deprecated",
    "Mean of empty slice",  # i2n leaves the cells of object against itself empty
)


def prepare_environment(scratch: Path) -> None:
    """Point Brain-Score's caches below `scratch` and switch off what reaches outside this process.

    BS_INSTALL_DEPENDENCIES=no: otherwise loading a plugin runs `pip install` in this interpreter. The result cache is
    off: its keys don't know which activations they were computed from. Raises RuntimeError when Brain-Score was
    imported before.
    """
    if "brainscore_core" in sys.modules or "result_caching" in sys.modules:
        raise RuntimeError(
            "neuroscaling.brainscore.environment.prepare_environment must run before brainscore_vision is imported"
        )
    without_locks()
    os.environ.update(
        BS_INSTALL_DEPENDENCIES="no",
        BRAINIO_HOME=str(scratch / "brainio"),
        RESULTCACHING_HOME=str(scratch / "result_caching"),
        RESULTCACHING_DISABLE="1",
        BRAINSCORE_HOME=str(scratch / "brain-score"),
        BRAINSCORE_SKIP_MEMORY_CHECK="1",
        TQDM_DISABLE="1",
    )
    logging.getLogger("result_caching").setLevel(logging.WARNING)
    for message in UPSTREAM_WARNINGS:
        warnings.filterwarnings("ignore", message)


@contextmanager
def prepared() -> Iterator[None]:
    """`prepare_environment` with a temporary folder, for the length of the block; blocks within it share it."""
    if _scratch:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="neuroscaling-brainscore-") as folder:
        prepare_environment(Path(folder))
        _scratch.append(folder)
        try:
            yield
        finally:
            _scratch.clear()


_scratch: list[str] = []
MB = 1_000_000
IMPORTS_MB = 500
"""Of the interpreter with Brain-Score and its libraries imported; 250 MB were measured, 450 with torch."""
KEPT_BYTES = 500 * MB
"""Of what the kernel engine keeps of layers for the next benchmark; more only where one layer is larger."""
BLOCK_FEATURES = 4096
"""Features that are multiplied out at a time."""
SQUARES = {"kernel": 4, "stock": 1}
"""Arrays (stimuli x stimuli) in float64 at the same time: Gram matrix, its training part, factor, workspace."""
COPIES = {"kernel": 3, "stock": 7}
"""Copies of the features in float64 at the same time; of stock PLS measured at seven times float32 activations."""


def estimate_mb(
    n_stimuli: int, n_features: int, n_targets: int, engine: str, kept: tuple[str, ...], few: bool = False
) -> int:
    """MB (10^6 bytes) that one benchmark takes at its peak.

    engine: `kernel` or `stock`; kept: what the store holds of the layer, `features` and/or `gram`. The kernel engine
    takes the features where they are fewer than the stimuli; else it reads the Gram matrix, or makes it block by block.
    few: whether mappings are fitted on few of the images too, by inner products.
    """
    square, features = 8 * n_stimuli**2, 8 * n_stimuli * n_features
    targets = 6 * 8 * n_stimuli * n_targets
    if engine == "stock":
        work = COPIES["stock"] * features // 2 + 8 * n_features * min(n_targets, n_features) + square
    elif n_features < n_stimuli and "features" in kept:
        work = COPIES["kernel"] * features + (SQUARES["kernel"] * square if few else 0)
    else:
        block = 0 if "gram" in kept else 3 * 8 * n_stimuli * min(n_features, BLOCK_FEATURES)
        work = SQUARES["kernel"] * square + block + (KEPT_BYTES if square < KEPT_BYTES else 0)
    return IMPORTS_MB + (work + targets) // MB + 1


def limit_mb(root: Path = GROUPS) -> int:
    """MB that this process may take: the smallest of the job's, the shell's and the machine's limits."""
    limits = [job_memory(root) or NO_LIMIT, resource.getrlimit(resource.RLIMIT_AS)[0], _physical()]
    return min(limit for limit in limits if 0 < limit < NO_LIMIT) // MB


def refuse_above_limit(estimate: int, layer: str, benchmark: str) -> None:
    """Raise DataError when `estimate` (MB) is more than this process may take."""
    limit = limit_mb()
    if estimate > limit:
        what = f"scoring {benchmark} from layer {layer} would take about {estimate} MB; this job has {limit} MB"
        fix = (
            "keep inner products instead of features (`extraction: {keep: gram}`), project the layer "
            "(`reduction: {kind: projection}`), or ask for more (`mem_mb`)"
        )
        raise DataError(Problem(what=what, where="memory", value=estimate, allowed=f"up to {limit}", fix=fix))


def _physical() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
