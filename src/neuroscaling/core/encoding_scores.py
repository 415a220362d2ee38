"""Score files of encoding have rows by region, and values by target beside them (docs/formats.md).

pyarrow is imported where a file is written: a study is parsed without it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.files import atomic_path
from neuroscaling.core.leases import Lease
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_files import ScoreFile, ScoreRow, file_beside, write_score_file

TARGETS = "targets.parquet"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "zarr")


@dataclass(frozen=True)
class ScoreHeader:
    """Of which run, on which data, and how."""

    run: str
    data: str
    simulated: bool
    benchmark: str
    metrics: tuple[str, ...]
    protocol: str = "corrected"
    engine: str = "exact"


@dataclass(frozen=True)
class Origin:
    """definition: what the name of the score's folder is a hash of; made_from: checksums of what was read, by name;
    lease: of the score file, where it is made under one."""

    definition: Mapping[str, Any]
    made_from: Mapping[str, str]
    lease: Lease | None = None


def write_scores(
    path: Path,
    header: ScoreHeader,
    rows: Sequence[ScoreRow],
    targets: dict[str, Any],
    details: dict[str, Any],
    seconds: float,
    origin: Origin,
    kinds: Sequence[str] = (),
) -> None:
    """Write `<run>.targets.parquet` and then the record `path` beside it; numbers that don't exist become null.

    targets: a row a voxel, vertex or neuron; kinds: of other files beside it, which are there already.
    """
    write_parquet(file_beside(path, TARGETS), targets)
    scores = ScoreFile(
        run=header.run,
        data=header.data,
        simulated=header.simulated,
        benchmark=header.benchmark,
        metric="+".join(header.metrics),
        engine=header.engine,
        protocol=header.protocol,
        rows=json_plain(rows),
        definition=dict(origin.definition),
        made_from=dict(origin.made_from),
        provenance=provenance(PACKAGES, seconds),
        details=json_plain(details),
    )
    if origin.lease:
        origin.lease.check()
    write_score_file(path, scores, [TARGETS, *kinds])


def json_plain(value: Any) -> Any:
    """`value` as JSON holds it: NumPy numbers as Python's, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): json_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [json_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def scale_of(ceiling: np.ndarray | None) -> str:
    """Scale of the mean signed r^2 over targets, which the mean ceiling divides where there is one."""
    return "r2" if ceiling is None else "r2/c"


def most_frequent(layers: Sequence[str]) -> str | None:
    """The layer that was chosen most often (the first of equals in the alphabet); None of none."""
    names, counts = np.unique(np.asarray(layers, dtype=str), return_counts=True)
    return str(names[counts.argmax()]) if len(names) else None


def write_parquet(path: Path, columns: dict[str, Any], types: dict[str, str] | None = None) -> None:
    """Write columns of equal length as a parquet file, whole or not at all. types: of each column, by pyarrow's names;
    else from the values."""
    import pyarrow  # where it is used: it takes long to import
    import pyarrow.parquet

    schema = types and pyarrow.schema([(name, pyarrow.type_for_alias(types[name])) for name in columns])
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), temporary)


ALL_VERTICES = "all-vertices"
