"""The images of one split, without their pixels: as a format lists them, and as the rest of the pipeline knows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Split:
    """What a format finds.

    names: unique ids of the images; labels: int64 (n,), positions in class_names; columns: what else is needed to
    read the images (of tar shards: which shard, where in it), each (n,).
    """

    names: Sequence[str]
    labels: np.ndarray
    class_names: list[str]
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Images of each class."""
        found = np.bincount(self.labels, minlength=len(self.class_names)).tolist()
        return dict(zip(self.class_names, found, strict=True))


@dataclass(frozen=True)
class DatasetIndex:
    """The images of one split, without their pixels.

    image_ids: unique names (docs/datasets.md says which in each format; a lazy sequence, of millions); labels: int64
    (n,), positions in class_names; fingerprint: of the training images, whichever split this is.
    """

    name: str
    split: str
    image_ids: Sequence[str]
    labels: np.ndarray
    class_names: list[str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.image_ids)
