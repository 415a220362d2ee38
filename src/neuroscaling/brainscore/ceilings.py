"""Ceilings, computed once for each benchmark and data set by Brain-Score's own ceiling and kept on disk.

A ceiling depends on the recordings alone, and computing it takes half of the time of a small score.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.files import atomic_path


def keep_ceiling(benchmark: Any, path: Path) -> None:
    """Let `benchmark` take its ceiling from `path`, or compute it as it would and write it there.

    path: named after everything that the ceiling depends on (data, benchmark, version of Brain-Score).
    """
    compute = benchmark._ceiling_func
    benchmark._ceiling_func = lambda: _read(path) if path.is_file() else _computed(compute, path)


def _computed(compute: Callable[[], Any], path: Path) -> Any:
    ceiling = compute()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **_to_arrays(ceiling))
    return ceiling


def _to_arrays(ceiling: Any) -> dict[str, np.ndarray]:
    raw = ceiling.raw
    arrays = {"value": ceiling.values, "split": raw["split"].values}
    if "neuroid" not in raw.dims:
        return arrays | {"raw": raw.values}
    raw = raw.transpose("split", "neuroid")
    return arrays | {"raw": raw.values, "neuroid_id": raw["neuroid_id"].values.astype(str)}


def _read(path: Path) -> Any:
    """The ceiling as a Score with `raw` over splits (and neuroids)."""
    from brainscore_core import Score

    with np.load(path) as arrays:
        coords = {name: arrays[name] for name in ("split", "neuroid_id") if name in arrays}
        raw = Score(arrays["raw"], coords=coords, dims=list(coords))
        ceiling = Score(arrays["value"])
    ceiling.attrs["raw"] = raw.stack(neuroid=["neuroid_id"]) if "neuroid_id" in coords else raw
    return ceiling
