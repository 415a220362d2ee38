"""The file that says which images a run is trained on (docs/formats.md), with a checksum over their ids."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.parquet import FIX, metadata, read_parquet
from neuroscaling.core.reading import reading
from neuroscaling.datasets.draws import draw, draw_token, validation_rows
from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.datasets.tokens import count_problems, parse_token
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path

__all__ = ["count_problems", "draw", "draw_token", "read_subset", "validation_rows", "write_subset"]

METADATA = b"neuroscaling"
COLUMNS = ("index", "image_id", "label", "class_name")
FORMATS = ("subset/1", "subset/2")


def write_subset(path: str | Path, index: DatasetIndex, rows: np.ndarray, token: int | str, seed: int) -> None:
    """Write the images of `rows`, which were drawn for `token` and `seed`, to a parquet file.

    Labels are positions in the index's class names; where the token chooses classes (`c100`) they are positions among
    the chosen ones, whose names are in the facts.
    """
    path = Path(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = parse_token(token)
    image_ids = list(index.image_ids) if len(rows) == len(index) else [index.image_ids[row] for row in rows]
    labels, chosen = index.labels[rows], None
    classes = pa.array(index.class_names).take(pa.array(labels))
    if wanted.strategy == "sample_classes":
        present, labels = np.unique(labels, return_inverse=True)
        chosen = [index.class_names[label] for label in present]
    facts = {
        "format": "subset/2",
        "dataset": index.name,
        "fingerprint": index.fingerprint,
        "subset": str(token),
        "strategy": wanted.strategy,
        "samples_per_class": wanted.samples_per_class,
        "seed": seed,
        "n_images": len(rows),
        "n_classes": len(index.class_names if chosen is None else chosen),
        "class_names": chosen,
        "checksum": checksum(image_ids),
    }
    columns = (pa.array(rows, pa.int64()), pa.array(image_ids, pa.string()), pa.array(labels, pa.int64()), classes)
    table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
    table = table.replace_schema_metadata({METADATA: json.dumps(facts, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_subset(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns (`index` and `label` int64, `image_id` and `class_name` str, each (n,)) and facts of a subset file.

    Facts: dataset, fingerprint, subset (token), strategy, samples_per_class, seed, n_images, n_classes, class_names
    (of a class subset; else None) and checksum. Raises DataError when the file is missing, damaged or of another
    format, or its images are not those of its checksum.
    """
    path = Path(path)
    if not Path(path).exists():
        raise DataError(Problem("subset is missing", str(path)))
    table = read_parquet(path, COLUMNS)
    with reading(path, "a subset file", FIX):
        facts = _facts(metadata(table, METADATA, path), table.num_rows)
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in COLUMNS}
        facts["checksum"], facts["format"]
    if facts["format"] not in FORMATS:
        raise DataError(Problem("of another version", str(path), facts["format"], ", ".join(FORMATS)))
    found = checksum(columns["image_id"].tolist())
    if found != facts["checksum"]:
        raise DataError(
            Problem(
                "images are not those of the checksum",
                str(path),
                found,
                facts["checksum"],
                fix="delete it and run again",
            )
        )
    return columns, facts


def checksum(image_ids: Sequence[str]) -> str:
    """sha256 over the sorted image ids, one a line."""
    return hashlib.sha256("\n".join(sorted(image_ids)).encode(errors="surrogateescape")).hexdigest()


def _facts(facts: dict[str, Any], n_images: int) -> dict[str, Any]:
    """Facts as subset/2 has them: the files of subset/1 have images per class, or all."""
    token = parse_token(facts["samples_per_class"] if facts["format"] == "subset/1" else facts["subset"])
    older = {"subset": str(facts["samples_per_class"]), "strategy": token.strategy, "class_names": None}
    return {**older, "n_images": n_images, **facts}
