"""Which images a data set has: the index that subsets, training and evaluation share."""

from pathlib import Path
from typing import Any

from neuroscaling.datasets.catalogue import listing
from neuroscaling.datasets.fingerprint import fingerprint
from neuroscaling.datasets.split import DatasetIndex, Split

__all__ = ["DatasetIndex", "index_of", "load_index"]


def load_index(
    name: str, settings: dict[str, Any], split: str, known_fingerprint: str | None = None, cache_dir: Path | None = None
) -> DatasetIndex:
    """The index of one split ("train" or "validation") of the data set `name`.

    settings: e.g. `{"format": "imagefolder", "root": folder}` (docs/datasets.md has all formats); known_fingerprint:
    where the caller has it, so that the training images need not be read for it; cache_dir: where the listings of
    large data sets are kept. Raises DataError when images are missing or the format is unknown.
    """
    return index_of(name, settings, split, listing(name, settings, split, cache_dir), known_fingerprint, cache_dir)


def index_of(
    name: str,
    settings: dict[str, Any],
    split: str,
    found: Split,
    known_fingerprint: str | None = None,
    cache_dir: Path | None = None,
) -> DatasetIndex:
    """The index of what was listed."""
    hashed = known_fingerprint or fingerprint(name, settings, cache_dir)
    return DatasetIndex(name, split, found.names, found.labels, found.class_names, hashed)
