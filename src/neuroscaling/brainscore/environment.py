"""What must be set before Brain-Score is imported; it reads these variables once, some while it is imported."""

import logging
import os
import sys
import warnings
from pathlib import Path

from neuroscaling.core.netcdf import without_locks

UPSTREAM_WARNINGS = (
    "xarray subclass .* should explicitly define __slots__",
    "'multi_class' was deprecated",
    "SelectableGroups dict interface is deprecated",
    "Mean of empty slice",  # i2n leaves the cells of object against itself empty
)


def prepare(scratch: Path) -> None:
    """Point Brain-Score's caches below `scratch` and switch off what reaches outside this process.

    BS_INSTALL_DEPENDENCIES=no: otherwise loading a plugin runs `pip install` in this interpreter. The result cache is
    off: its keys don't know which activations they were computed from. Raises RuntimeError when Brain-Score was
    imported before.
    """
    if "brainscore_core" in sys.modules or "result_caching" in sys.modules:
        raise RuntimeError("neuroscaling.brainscore.environment.prepare must run before brainscore_vision is imported")
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
