"""A subset file says which images a run is trained on, with checksums of its rows."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import DELETE_AND_RERUN, atomic_path, reading
from neuroscaling.core.leases import held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import DEFINITION, require_checksum, require_name, sealed
from neuroscaling.core.table_files import parquet_metadata, read_parquet
from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.datasets.subset_sampling import parse_token

METADATA = b"neuroscaling"
COLUMNS = ("index", "image_id", "label", "class_name")
FORMAT = "subset/3"
ROWS = "rows_sha256"


def write_subset(
    path: str | Path,
    index: DatasetIndex,
    rows: np.ndarray,
    token: int | str,
    seed: int,
    definition: Mapping[str, Any] | None = None,
) -> None:
    """Write the images of `rows`, which were drawn for `token` and `seed`, to a parquet file with its record.

    A file that is there is left as it is; of several processes one writes it. Labels are positions in the index's class
    names; where the token chooses classes (`c100`) they are positions among the chosen ones, whose names are in the
    record. definition: what the file's name is a hash of, where it is one.
    """
    path = Path(path)
    if path.exists():
        return
    with held(path, f"the subset {path}"):
        if not path.exists():  # another process may have written it meanwhile
            _write(path, index, rows, token, seed, definition)


def _write(
    path: Path, index: DatasetIndex, rows: np.ndarray, token: int | str, seed: int, definition: Mapping | None
) -> None:
    # It takes a third of a second, and who only reads subsets does without.
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = parse_token(token)
    image_ids = list(index.image_ids) if len(rows) == len(index) else [index.image_ids[row] for row in rows]
    labels, chosen = index.labels[rows], None
    classes = pa.array(index.class_names).take(pa.array(labels))
    if wanted.strategy == "sample_classes":
        present, labels = np.unique(labels, return_inverse=True)
        chosen = [index.class_names[label] for label in present]
    columns = (pa.array(rows, pa.int64()), pa.array(image_ids, pa.string()), pa.array(labels, pa.int64()), classes)
    table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
    record = {
        "format": FORMAT,
        DEFINITION: None if definition is None else dict(definition),
        "dataset": index.name,
        "fingerprint": index.fingerprint,
        "subset": str(token),
        "strategy": wanted.strategy,
        "samples_per_class": wanted.samples_per_class,
        "seed": seed,
        "n_images": len(rows),
        "n_classes": len(index.class_names if chosen is None else chosen),
        "class_names": chosen,
        ROWS: rows_sha256({name: table[name].to_numpy(zero_copy_only=False) for name in COLUMNS}),
        # Machine and revision are left out: two who draw the same subset write the same bytes.
        "provenance": {"versions": provenance(("numpy", "pyarrow"))["versions"]},
    }
    table = table.replace_schema_metadata({METADATA: json.dumps(sealed(record), sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_subset(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns (`index` and `label` int64, `image_id` and `class_name` str, each (n,)) and the record of a subset file.

    Record: dataset, fingerprint, subset (token), strategy, samples_per_class, seed, n_images, n_classes, class_names
    (of a class subset; else None), definition and checksums. Raises DataError when the file is missing, damaged or of
    another format, and, naming both, when its rows, its record or its name are not those that it states.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(Problem(what="subset is missing", where=str(path)))
    table = read_parquet(path, COLUMNS)
    record = parquet_metadata(table, METADATA, path)
    found = record.get("format") if isinstance(record, dict) else record
    if found != FORMAT:
        raise DataError(
            Problem(
                what="a subset of another format", where=str(path), value=found, allowed=FORMAT, fix=DELETE_AND_RERUN
            )
        )
    require_checksum(record, path, DELETE_AND_RERUN)
    if record[DEFINITION] is not None:
        require_name(record, path, path.stem, DELETE_AND_RERUN)
    with reading(path, "a subset file", DELETE_AND_RERUN):
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in COLUMNS}
        rows = rows_sha256(columns)
    if rows != record[ROWS]:
        what = "the file was altered: its images are not those of the checksum that it states"
        raise DataError(
            Problem(what=what, where=f"{path}: {ROWS}", value=record[ROWS], allowed=rows, fix=DELETE_AND_RERUN)
        )
    return columns, record


def rows_sha256(columns: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 over the rows of a subset in their order; texts by their lengths and characters."""
    digest = hashlib.sha256()
    for name in COLUMNS:
        values = columns[name]
        digest.update(f"{name} {values.dtype.str}\n".encode())
        if values.dtype == object:
            digest.update(np.fromiter(map(len, values), "<i8", len(values)).tobytes())
            digest.update("".join(values).encode())
        else:
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
