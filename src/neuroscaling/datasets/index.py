"""The index of a data set names its images, and a fingerprint tells its training images from others."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.formats import declared_fingerprint, format_of, has_declared_size, has_root, no_root
from neuroscaling.datasets.image_listing import (
    cache_file,
    list_images,
    location_settings,
    read_cache,
    state_key,
    write_cache,
)
from neuroscaling.datasets.packed_names import pack_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import (
    FAULTS_SHOWN,
    FILES_LOOKED_AT,
    ArraySource,
    DatasetIndex,
    FileSource,
    Source,
    Split,
)

HASHED_AT_ONCE = 1000  # images of an array


def open_source(
    name: str, settings: DatasetSettings, split: str, fingerprint: str | None = None, cache_dir: Path | None = None
) -> Source:
    """The images of one split ("train" or "validation") of the data set `name`; their order is that of `load_index`.

    fingerprint: where the caller has it; cache_dir: as for `load_index`. Raises DataError when something is missing.
    """
    found = list_images(name, settings, split, cache_dir)
    index = index_of(name, settings, split, found, fingerprint, cache_dir)
    return format_of(name, settings).source(settings, index, found)


def fingerprint(name: str, settings: DatasetSettings, cache_dir: Path | None) -> str:
    """Return the hash of the training images of the data set `name`.

    Of images that a file holds as one array: of classes, labels and pixels. Else up to 20,000 images: of the files'
    relative paths, classes and bytes; it is kept in `cache_dir` and computed anew when any file's size or date has
    changed. Above: of all relative paths and classes, and of the size of each class's
    first file (tells a set from its resized copy); computed anew when a class folder, list or shard has changed.
    A set whose numbers are declared but whose images are not at hand gets `declared_fingerprint`. Raises DataError
    when images are missing.
    """
    if not has_root(settings):
        if has_declared_size(settings):
            return declared_fingerprint(name, settings)
        raise DataError(no_root(name, settings))
    if known := format_of(name, settings).identity(settings):
        return known
    kept, key = cache_file(cache_dir, "fingerprint", location_settings(settings)), state_key(name, settings, ["train"])
    found = read_cache(kept, key)  # small sets are kept under another key
    if found is not None:
        return str(found)
    split = list_images(name, settings, "train", cache_dir)
    source = unnamed_source(name, settings, "train", split)
    if isinstance(source, ArraySource):
        found = _hash_pixels(split, source.arrays())
    elif len(split.names) > FILES_LOOKED_AT:
        found = _hash_names(split, source)
    else:
        key = files_key(key, source)
        found = read_cache(kept, key) or _hash_files(split, source)
    write_cache(kept, key, found)
    return str(found)


def unnamed_source(name: str, settings: DatasetSettings, split: str, found: Split) -> Source:
    """Return a source of images whose fingerprint is not known yet."""
    index = DatasetIndex(name, split, found.names, found.labels, found.class_names, "")
    return format_of(name, settings).source(settings, index, found)


def files_key(state: str, source: Source) -> str:
    """Return `state`, and size and date of each file where images are files."""
    if not isinstance(source, FileSource):
        return state
    return content_hash([state, *(file_state(source.path(row)) for row in range(len(source.index)))], 32)


def file_state(path: Path) -> list[Any]:
    """Name, size and date of a file; its name alone where it can't be looked at."""
    try:
        stat = os.stat(path)
    except OSError:
        return [path.name]  # reading it will say what is wrong
    return [path.name, stat.st_size, stat.st_mtime_ns]


def _hash_pixels(split: Split, arrays: list[np.ndarray]) -> str:
    """Return the hash of classes, labels and pixels; which files hold them, and how, has no part in it."""
    total = hashlib.sha256()
    classes = pack_names(split.class_names)
    total.update(classes.text.tobytes())
    for numbers in (classes.ends, split.labels, np.array(arrays[0].shape[1:])):
        total.update(numbers.astype("<i8").tobytes())
    for pixels in arrays:
        for start in range(0, len(pixels), HASHED_AT_ONCE):
            total.update(pixels[start : start + HASHED_AT_ONCE].tobytes())
    return total.hexdigest()[:8]


def _hash_files(split: Split, source: Source) -> str:
    total, problems = hashlib.sha256(), []
    for row, (image_id, label) in enumerate(zip(split.names, split.labels.tolist(), strict=True)):
        name = split.class_names[label]
        line = image_id if image_id.startswith(f"{name}/") else f"{name}\t{image_id}"
        total.update(f"{line}\0".encode(errors="surrogateescape"))
        try:
            total.update(hashlib.sha256(source.encoded(row)).digest())
        except DataError as error:
            problems += error.problems
    if problems:
        what = f"{len(problems)} of {len(split.names)} images can't be read"
        raise DataError([Problem(what=what, where=f"dataset {source.index.name}"), *problems[:FAULTS_SHOWN]])
    return total.hexdigest()[:8]


def _hash_names(split: Split, source: Source) -> str:
    total = hashlib.sha256()
    names, classes = pack_names(split.names), pack_names(split.class_names)
    for text in (names.text, classes.text):
        total.update(text.tobytes())
    for numbers in (names.ends, classes.ends, split.labels, _sizes(split, source)):
        total.update(numbers.astype("<i8").tobytes())
    return total.hexdigest()[:8]


def _sizes(split: Split, source: Source) -> np.ndarray:
    """Return bytes of the first image of each class; of every image where the listing has them."""
    if "size" in split.columns:
        return split.columns["size"]
    if not isinstance(source, FileSource):
        return np.empty(0, np.int64)
    rows = np.unique(split.labels, return_index=True)[1].tolist()
    return np.array([_size(source, row) for row in rows], np.int64)


def _size(source: FileSource, row: int) -> int:
    try:
        return os.stat(source.path(row)).st_size
    except OSError:
        return len(source.encoded(row))  # says what is wrong


def load_index(
    name: str,
    settings: DatasetSettings,
    split: str,
    known_fingerprint: str | None = None,
    cache_dir: Path | None = None,
) -> DatasetIndex:
    """Return the index of one split ("train" or "validation") of the data set `name`.

    settings: docs/datasets.md has those of all formats; known_fingerprint:
    where the caller has it, so that the training images need not be read for it; cache_dir: where the listings of
    large data sets are kept. Raises DataError when images are missing or the format is unknown.
    """
    return index_of(name, settings, split, list_images(name, settings, split, cache_dir), known_fingerprint, cache_dir)


def index_of(
    name: str,
    settings: DatasetSettings,
    split: str,
    found: Split,
    known_fingerprint: str | None = None,
    cache_dir: Path | None = None,
) -> DatasetIndex:
    """Return the index of what was listed."""
    hashed = known_fingerprint or fingerprint(name, settings, cache_dir)
    return DatasetIndex(name, split, found.names, found.labels, found.class_names, hashed)
