"""A data set is listed once, and the cache keeps the listing while its folders don't change.

Nothing needs it: where it can't be read or written to, or was altered, what it would hold is found anew.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import read_npz
from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.files import atomic_path, reading
from neuroscaling.core.hashing import content_hash
from neuroscaling.core.records import read_record, write_record
from neuroscaling.datasets.formats import format_of, has_root, no_root
from neuroscaling.datasets.packed_names import Names, pack_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import FILES_LOOKED_AT, SPLITS, Split


def list_images(name: str, settings: DatasetSettings, split: str, cache_dir: Path | None = None) -> Split:
    """Return all images of one split ("train" or "validation") of the data set `name`.

    cache_dir: where the listings of large sets are kept; None: no cache. Raises DataError when the images or the
    split are missing, or the format is unknown.
    """
    form = format_of(name, settings)
    if split not in SPLITS:
        raise DataError(
            Problem(
                what="no such split",
                where=f"dataset {name}",
                value=split,
                allowed=", ".join(SPLITS),
                nearest=nearest(split, SPLITS),
            )
        )
    if not has_root(settings):
        raise DataError(no_root(name, settings))
    if cache_dir is None or form.identity(settings):
        return form.read(settings, split, lambda: list_images(name, settings, "train").class_names)
    kept, key = (
        cache_file(cache_dir, f"listing-{split}", location_settings(settings), ".npz"),
        state_key(name, settings, [split]),
    )
    found = read_split(kept, key)
    if found is None:
        found = form.read(settings, split, lambda: list_images(name, settings, "train", cache_dir).class_names)
        if len(found.names) > FILES_LOOKED_AT:
            write_split(kept, key, found)
    return found


def state_key(name: str, settings: DatasetSettings, splits: list[str]) -> str:
    """Changes when images are added, removed or renamed. Raises DataError with all that is missing."""
    form, states, problems = format_of(name, settings), [], []
    for split in splits:
        try:
            states.append(form.state(settings, split))
        except DataError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise DataError(problems)
    return content_hash(states, 32)


def location_settings(settings: DatasetSettings) -> dict[str, Any]:
    """Return the settings that say where and which the images are: what they are kept under in the cache."""
    kept = {
        key: value for key, value in settings.content().items() if key not in ("classes", "images", "corrupt_limit")
    }
    return kept | ({"root": os.path.realpath(kept["root"])} if kept.get("root") else {})


CACHE_FORMAT = "cache/2"


def cache_file(cache_dir: Path | None, kind: str, place: Any, suffix: str = ".json") -> Path | None:
    """Return the file of the cache for what is at `place` (JSON: folders, files); None where there is no cache."""
    return cache_dir and Path(cache_dir) / f"{kind}-{content_hash(place, 16)}{suffix}"


def read_cache(path: Path | None, key: str) -> Any:
    """Return what was kept under `key` in `path`; None where there is nothing, or nothing that is as it was written."""
    if path is None:
        return None
    try:
        record = read_record(path, CACHE_FORMAT)
    except DataError:
        return None
    return record.get("value") if record.get("key") == key else None


def write_cache(path: Path | None, key: str, value: Any) -> None:
    """Keep `value` under `key`; a cache that can't be written to is no error."""
    if path is None:
        return
    try:
        write_record(path, {"format": CACHE_FORMAT, "key": key, "value": value})
    except (OSError, DataError):
        return


def read_split(path: Path | None, key: str) -> Split | None:
    """Return the split that was kept under `key`; None where there is none, or none readable."""
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
    columns = {f"column_{name}": column for name, column in split.columns.items()}
    arrays: dict[str, np.ndarray] = {
        "key": np.array(key),
        "text": names.text,
        "ends": names.ends,
        "labels": split.labels.astype(np.int32),
        "class_text": classes.text,
        "class_ends": classes.ends,
        **columns,
    }
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except (OSError, DataError):
        return
