"""One way to the pixels of every format."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neuroscaling.datasets.split import DatasetIndex


class Source(Protocol):
    """Images of one split. Can be pickled, and used by many threads and forked processes: files are opened lazily."""

    @property
    def index(self) -> DatasetIndex:
        """Ids, labels and class names of the images."""

    @property
    def is_encoded(self) -> bool:
        """Whether there are image files; else there are only pixels."""

    def where(self, row: int) -> str:
        """The image's place, for messages."""

    def encoded(self, row: int) -> bytes:
        """Bytes of the file (JPEG, PNG ...). Raises DataError; UnsupportedOperation where there are only pixels."""

    def decoded(self, row: int) -> np.ndarray:
        """Pixels, uint8 (h, w, 3), RGB. Raises DataError that names the image when it can't be decoded."""


def open_source(
    name: str, settings: dict[str, Any], split: str, fingerprint: str | None = None, cache_dir: Path | None = None
) -> Source:
    """The images of one split ("train" or "validation") of the data set `name`; their order is that of `load_index`.

    fingerprint: where the caller has it; cache_dir: as for `load_index`. Raises DataError when something is missing.
    """
    from neuroscaling.datasets.catalogue import listing
    from neuroscaling.datasets.formats import format_of
    from neuroscaling.datasets.index import index_of

    found = listing(name, settings, split, cache_dir)
    index = index_of(name, settings, split, found, fingerprint, cache_dir)
    return format_of(name, settings).source(settings, index, found)
