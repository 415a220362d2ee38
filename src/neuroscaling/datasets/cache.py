"""What is kept of a data set, so that its files are looked at once and not at each start.

Nothing needs it: where it can't be read or written to, or was altered, what it would hold is found anew.
"""

from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.npy import read_npz
from neuroscaling.core.reading import reading
from neuroscaling.core.records import read_record, write_record
from neuroscaling.datasets.names import Names, pack_names
from neuroscaling.datasets.split import Split
from neuroscaling.errors import DataError
from neuroscaling.files import atomic_path
from neuroscaling.hashing import content_hash

FORMAT = "cache/2"


def cache_file(cache_dir: Path | None, kind: str, place: Any, suffix: str = ".json") -> Path | None:
    """File of the cache for what is at `place` (JSON: folders, files); None where there is no cache."""
    return cache_dir and Path(cache_dir) / f"{kind}-{content_hash(place, 16)}{suffix}"


def read_cache(path: Path | None, key: str) -> Any:
    """What was kept under `key` in `path`; None where there is nothing, or nothing that is as it was written."""
    if path is None:
        return None
    try:
        record = read_record(path, FORMAT)
    except DataError:
        return None
    return record.get("value") if record.get("key") == key else None


def write_cache(path: Path | None, key: str, value: Any) -> None:
    """Keep `value` under `key`; a cache that can't be written to is no error."""
    if path is None:
        return
    try:
        write_record(path, {"format": FORMAT, "key": key, "value": value})
    except (OSError, DataError):
        return


def read_split(path: Path | None, key: str) -> Split | None:
    """The split that was kept under `key`; None where there is none, or none readable."""
    if path is None:
        return None
    try:
        file = read_npz(path)
        with reading(path, "a kept data set"):
            if str(file["key"]) != key:
                return None
            columns = {name.removeprefix("column_"): values for name, values in file.items() if "column_" in name[:7]}
            classes = list(Names(file["class_text"], file["class_ends"]))
            return Split(Names(file["text"], file["ends"]), file["labels"].astype(np.int64), classes, columns)
    except DataError:
        return None


def write_split(path: Path | None, key: str, split: Split) -> None:
    """Keep `split` (whose names are `Names`) under `key`; a cache that can't be written to is no error."""
    if path is None:
        return
    names, classes = pack_names(split.names), pack_names(split.class_names)
    arrays = {
        "key": np.array(key),
        "text": names.text,
        "ends": names.ends,
        "labels": split.labels.astype(np.int32),
        "class_text": classes.text,
        "class_ends": classes.ends,
        **{f"column_{name}": column for name, column in split.columns.items()},
    }
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    except (OSError, DataError):
        return
