"""The layers of a run as metrics read them, rows in the order of a recording; what is read is kept in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.voxelwise.blocks import FeatureBlocks, FeatureRows, GramRows, Source

MB = 1e6


@dataclass(frozen=True)
class Candidate:
    """Features of one layer at one grid size; `load` gives those of all rows when they are needed."""

    name: str
    load: Callable[[], Source]


@dataclass(frozen=True)
class Layers:
    """Stored layers for some rows. rows: of the store, for each row of the recording; memory_mb: megabytes for what is
    kept, and for what one layer may take."""

    stored: Activations
    rows: np.ndarray
    memory_mb: int
    _kept: dict[tuple[str, str], Features | Gram] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, stored: Activations, stimulus_ids: Sequence[str], memory_mb: int) -> "Layers":
        """In the order of `stimulus_ids` (which may repeat). Raises DataError for ids without activations."""
        return cls(stored, stored.rows_of(stimulus_ids), memory_mb)

    @property
    def names(self) -> list[str]:
        """The layers, early to late."""
        return self.stored.layers

    @property
    def only_products(self) -> bool:
        """Whether of some layer inner products alone are kept, so that features can't be standardised."""
        return not all(self.stored.keeps(layer, "features") for layer in self.names)

    def candidates(self) -> list[Candidate]:
        """The layers for voxel-wise ridge: features too wide for memory in blocks of columns; where only inner products
        are kept these serve."""
        return [Candidate(layer, partial(self.source, layer)) for layer in self.names]

    def source(self, layer: str) -> Source:
        """One layer for voxel-wise ridge."""
        if not self.stored.keeps(layer, "features"):
            return GramRows(self.stored.gram(layer).products[np.ix_(self.rows, self.rows)])
        if len(self.rows) * self._width(layer) * 4 > self.memory_mb * MB:
            return FeatureBlocks(lambda: (block[self.rows] for block in self.stored.blocks(layer)), len(self.rows))
        return FeatureRows(self.stored.read(layer)[self.rows])

    def features(self, layer: str) -> Features | Gram:
        """One layer for partial least squares: features without their mean, or, where they are more than the rows,
        their inner products. Raises DataError where memory doesn't suffice."""
        return self._once("features", layer, self._features)

    def gram(self, layer: str) -> Gram:
        """Inner products of the raw features of all rows. Raises DataError where memory doesn't suffice."""
        found = self._once("gram", layer, self._gram)
        assert isinstance(found, Gram)
        return found

    def _features(self, layer: str) -> Features | Gram:
        n, width = len(self.rows), self._width(layer)
        if not self.stored.keeps(layer, "features"):
            return self.gram(layer)
        if n * width * 8 > self.memory_mb * MB:
            wide = (block[self.rows].astype(np.float64) for block in self.stored.blocks(layer))
            return Gram.of_blocks(block - block.mean(0) for block in wide)
        features = Features.of(self.stored.read(layer)[self.rows])
        # With more features than rows no fit reads the features themselves.
        return Gram(features.gram, features.values.sum(1), width) if width > n else features

    def _gram(self, layer: str) -> Gram:
        if self.stored.keeps(layer, "gram"):
            return self.stored.gram(layer).take(self.rows)
        return Gram.of_blocks(block[self.rows] for block in self.stored.blocks(layer))

    def _once(self, kind: str, layer: str, make: Callable[[str], Features | Gram]) -> Features | Gram:
        """What `make` gives; the last used stays as long as all fit into memory."""
        needed = 8 * len(self.rows) ** 2 / MB
        if needed > self.memory_mb:
            what = f"inner products of {len(self.rows)} images take {needed:.0f} MB"
            fix = f"`ridge: {{memory_mb: {int(-(-needed // 500)) * 500}}}`"
            where, most = str(self.stored.path), f"{self.memory_mb} MB (`memory_mb`)"
            raise DataError(Problem(what=what, where=where, value=layer, allowed=most, fix=fix))
        if (kind, layer) not in self._kept:
            found = make(layer)
            while self._kept and sum(map(_bytes, [*self._kept.values(), found])) > self.memory_mb * MB:
                self._kept.pop(next(iter(self._kept)))
            self._kept[kind, layer] = found
        return self._kept[kind, layer]

    def _width(self, layer: str) -> int:
        return self.stored.shape(layer)[1]


def _bytes(kept: Features | Gram) -> int:
    return kept.values.nbytes if isinstance(kept, Features) else kept.products.nbytes
