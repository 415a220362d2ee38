"""Nested subsets: which images a run is trained on.

For one seed the images of k = 10 are among those of k = 100; every class gives k images; and the choice depends on
the images' ids alone, not on the order in which files are found. (In the published study subsets are not nested and
not stored; see the paper's code, `training/src/dataloaders/utils.py`.)
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuroscaling.datasets.index import DatasetIndex
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path

METADATA = b"neuroscaling"
COLUMNS = ("index", "image_id", "label", "class_name")


def draw(index: DatasetIndex, samples_per_class: int | Literal["all"], seed: int) -> np.ndarray:
    """Rows of `index` (int64, sorted) with `samples_per_class` images of each class, or all images.

    Within a class, images are ranked by sha256 of seed and image id. Raises DataError when a class has too few.
    """
    if samples_per_class == "all":
        return np.arange(len(index), dtype=np.int64)
    counts = np.bincount(index.labels, minlength=len(index.class_names))
    problems = count_problems(index.name, dict(zip(index.class_names, counts.tolist(), strict=True)), samples_per_class)
    if problems:
        raise DataError(problems)
    keys = np.array([_key(seed, image_id) for image_id in index.image_ids])
    ranked = np.lexsort((keys, index.labels))
    starts = np.cumsum(counts) - counts
    return np.sort(np.concatenate([ranked[start : start + samples_per_class] for start in starts]))


def count_problems(name: str, counts: dict[str, int], samples_per_class: int) -> list[Problem]:
    """What is wrong with asking for `samples_per_class` images of classes that have `counts` images."""
    where = f"dataset {name}"
    if samples_per_class < 1:
        return [Problem("samples per class must be at least 1", where, samples_per_class, "1, 2, ... or `all`")]
    smallest = min(counts, key=lambda label: (counts[label], label), default=None)
    if smallest is None or counts[smallest] >= samples_per_class:
        return []
    return [
        Problem(
            f"class `{smallest}` has only {counts[smallest]} images",
            where,
            samples_per_class,
            f"1 to {counts[smallest]}, or `all`",
            fix="ask for fewer samples per class",
        )
    ]


def write_subset(
    path: Path, index: DatasetIndex, rows: np.ndarray, samples_per_class: int | Literal["all"], seed: int
) -> None:
    """Write the images of `rows` to a parquet file with a checksum over their sorted ids (docs/formats.md)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    image_ids = [index.image_ids[row] for row in rows]
    labels = index.labels[rows]
    facts = {
        "format": "subset/1",
        "dataset": index.name,
        "fingerprint": index.fingerprint,
        "samples_per_class": samples_per_class,
        "seed": seed,
        "n_classes": len(index.class_names),
        "checksum": checksum(image_ids),
    }
    names = [index.class_names[label] for label in labels]
    table = pa.table(
        dict(zip(COLUMNS, (pa.array(rows, pa.int64()), image_ids, pa.array(labels, pa.int64()), names), strict=True))
    )
    table = table.replace_schema_metadata({METADATA: json.dumps(facts, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_subset(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns (`index` and `label` int64, `image_id` and `class_name` str, each (n,)) and facts of a subset file.

    Raises DataError when the file is missing, damaged, or its images are not those of its checksum.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        facts = json.loads(table.schema.metadata[METADATA])
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in COLUMNS}
    except FileNotFoundError as error:
        raise DataError(Problem("subset is missing", str(path))) from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(Problem("not a subset file, or cut short", str(path), fix="delete it and run again")) from error
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


def checksum(image_ids: list[str]) -> str:
    """sha256 over the sorted image ids, one a line."""
    return hashlib.sha256("\n".join(sorted(image_ids)).encode()).hexdigest()


def _key(seed: int, image_id: str) -> str:
    return hashlib.sha256(f"{seed}\0{image_id}".encode()).hexdigest()
