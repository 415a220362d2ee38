"""Neuroids that answer equally to every stimulus: left out of recordings of one's own, named and counted.

Nothing can be predicted of them: their correlation is undefined, and a median over neuroids would pass over them
without a word. (Brain-Score's official files are taken as Brain-Score takes them.)
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.regression.scores import varies

logger = logging.getLogger("neuroscaling")


def without_constant(recorded: Any, path: Path) -> tuple[np.ndarray, list[str]]:
    """Positions of the neuroids that vary over presentations (in some time bin), and the ids of the others.

    recorded: an assembly with the dimensions presentation and neuroid, from the file `path`; gaps (NaN) don't count.
    What is left out is logged. Raises DataError where no neuroid varies.
    """
    values = recorded.transpose("presentation", "neuroid", ...).values
    varying = varies(values).reshape(values.shape[1], -1).any(1)
    left_out = [str(name) for name in recorded["neuroid_id"].values[~varying]]
    if not varying.any():
        what = f"all {len(varying)} neuroids answer equally to every stimulus"
        raise DataError(Problem(what, str(path), listing(left_out, 8), fix="nothing can be predicted of them"))
    if left_out:
        what = "%s: %d of %d neuroids answer equally to every stimulus and are left out: %s"
        logger.warning(what, path, len(left_out), len(varying), listing(left_out, 8))
    return np.flatnonzero(varying), left_out
