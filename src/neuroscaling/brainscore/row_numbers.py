"""Row numbers go through Brain-Score's splits and sorting in place of activations.

Those then cost nothing, whatever the number of features; the metric's inner part reads the row numbers and computes
from the features or the Gram matrix of the layer.

Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.brainscore.environment import KEPT_BYTES
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram

ROW_NUMBERS = ("neuroscaling.row", "neuroscaling.minus-row")
"""Neuroid ids of an assembly of row numbers: r, and -1 - r, so that no row is constant (RDMs of it are finite)."""


class Layers:
    """The layers of one run's stored activations, each read or multiplied out once and shared by all benchmarks.

    The last used are kept, up to a size that the many layers of a sweep would exceed. Rows are numbered by the sorted
    stimulus ids, so that results don't depend on the order of extraction.
    """

    def __init__(self, activations: Activations):
        self.activations = activations
        ids = activations.stimulus_ids
        self._order = np.array(sorted(range(len(ids)), key=ids.__getitem__))
        self._position = {ids[row]: position for position, row in enumerate(self._order)}
        self._kept: dict[tuple[str, str, bytes], Features | Gram] = {}

    def positions(self, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Row number of each stimulus. Raises DataError for stimuli without activations."""
        stimulus_ids = [str(stimulus) for stimulus in stimulus_ids]  # those that are numbers are stored as text
        missing = [stimulus for stimulus in stimulus_ids if stimulus not in self._position]
        if missing:
            raise DataError(missing_stimuli(missing, len(stimulus_ids), self.activations))
        return np.array([self._position[stimulus] for stimulus in stimulus_ids], dtype=np.int64)

    def inputs(self, layer: str, positions: np.ndarray) -> Features | Gram:
        """What regressions and CKA read of the rows `positions`: features where they are fewer than rows, else a Gram.

        Where features are stored their means are taken out first, which changes no result and keeps digits.
        """
        if not self.activations.keeps(layer, "features"):
            return self.gram(layer, positions)
        few = self.activations.shape(layer)[1] < len(positions)
        return self._once("features" if few else "centred", layer, positions)

    def gram(self, layer: str, positions: np.ndarray) -> Gram:
        """Gram matrix of the raw features of the rows `positions`, which dissimilarities are made of."""
        return self._once("gram", layer, positions)

    def values(self, layer: str, positions: np.ndarray) -> np.ndarray:
        """Raw features of the rows `positions`, as stored. Raises DataError where only the Gram matrix is kept."""
        return self.activations.read(layer)[self._order[positions]]

    def _once(self, kind: str, layer: str, positions: np.ndarray) -> Any:
        key = kind, layer, positions.tobytes()
        if key not in self._kept:
            made_of: dict[str, Callable[[str, np.ndarray], Features | Gram]] = {
                "features": self._features,
                "centred": self._centred,
                "gram": self._gram,
            }
            self._kept[key] = made_of[kind](layer, positions)
        self._kept[key] = self._kept.pop(key)  # the last used comes last
        while len(self._kept) > 1 and sum(_bytes(kept) for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.pop(next(iter(self._kept)))
        return self._kept[key]

    def _features(self, layer: str, positions: np.ndarray) -> Features:
        return Features.of(self.values(layer, positions))

    def _centred(self, layer: str, positions: np.ndarray) -> Gram:
        rows = self._order[positions]
        blocks = (block[rows].astype(np.float64) for block in self.activations.blocks(layer))
        return Gram.of_blocks(block - block.mean(0) for block in blocks)

    def _gram(self, layer: str, positions: np.ndarray) -> Gram:
        rows = self._order[positions]
        if self.activations.keeps(layer, "gram"):
            return self.activations.gram(layer).take(rows)
        return Gram.of_blocks(block[rows] for block in self.activations.blocks(layer))


def _bytes(kept: Features | Gram) -> int:
    return kept.values.nbytes if isinstance(kept, Features) else kept.products.nbytes


class View:
    """The stimuli of one benchmark in a run's layers: those that `look_at` was asked for."""

    def __init__(self, layers: Layers):
        self.layers = layers
        self._seen = np.empty(0, dtype=np.int64)

    def row_numbers(self, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Row numbers (stimuli, 2) of `stimulus_ids`: r and -1 - r, which belong to the view from now on."""
        positions = self.layers.positions(stimulus_ids)
        self._seen = np.union1d(self._seen, positions)
        return np.stack([positions, -1 - positions], 1)

    def focus(self, numbers: np.ndarray) -> None:
        """Let the view be of the stimuli of `numbers` alone; sessions of a benchmark have their own stimuli."""
        self._seen = np.unique(numbers[:, 0])

    @property
    def seen(self) -> bytes:
        """Tells the stimuli of the view from others."""
        return self._seen.tobytes()

    def rows(self, numbers: Any) -> np.ndarray:
        """Row numbers in `inputs` and `features` of `numbers` (rows, 2), as an array or an assembly."""
        return np.searchsorted(self._seen, np.asarray(numbers)[:, 0])

    def inputs(self, layer: str) -> Features | Gram:
        """What estimators of a layer read: `Layers.inputs` of the view's stimuli."""
        return self.layers.inputs(layer, self._seen)

    def gram(self, layer: str) -> Gram:
        """Gram matrix of a layer's raw features for the view's stimuli."""
        return self.layers.gram(layer, self._seen)

    def values(self, layer: str) -> np.ndarray:
        """Raw features (rows, p) of a layer for the view's stimuli, as stored."""
        return self.layers.values(layer, self._seen)


def holds_row_numbers(assembly: Any) -> bool:
    """Whether an assembly holds row numbers."""
    names = assembly["neuroid_id"].values if hasattr(assembly, "neuroid_id") else ()
    return tuple(names) == ROW_NUMBERS


def missing_stimuli(missing: Sequence[str], of: int, activations: Activations) -> Problem:
    """The problem of stimuli that have no activations."""
    what = f"{len(missing)} of {of} stimuli have no activations"
    fix = "prepare the stimuli of this data and extract"
    return Problem(what=what, where=str(activations.path), value=listing(missing, 5), fix=fix)


@dataclass(frozen=True)
class AlignedSplit:
    """Rows of the source and of the target assembly, each sorted by stimulus id, so that they correspond."""

    source_train: np.ndarray
    target_train: np.ndarray
    source_test: np.ndarray
    target_test: np.ndarray


def aligned_splits(cross_validation: Any, source: Any, target: Any) -> Iterator[AlignedSplit]:
    """The splits that Brain-Score's `cross_validation` draws on the rows of `target`, as rows of both assemblies."""
    values, splits = cross_validation._split.build_splits(target)
    coord = cross_validation._split_coord
    codes = _codes(source[coord].values, target[coord].values, values.values)
    preprocess = getattr(cross_validation, "_preprocess_indices", None)
    for train, test in splits:
        if preprocess is not None:
            train, test = preprocess(train, test, source)
        source_train, target_train = (_rows(own, codes[2][train]) for own in codes[:2])
        source_test, target_test = (_rows(own, codes[2][test]) for own in codes[:2])
        yield AlignedSplit(source_train, target_train, source_test, target_test)


def check_equal_stimuli(source: Any, target: Any, coord: str = "stimulus_id") -> None:
    """AssertionError unless both assemblies have the same stimuli, as Brain-Score asserts before it splits."""
    assert np.array_equal(np.sort(source[coord].values), np.sort(target[coord].values))


def _codes(*ids: np.ndarray) -> list[np.ndarray]:
    """Numbers in place of ids, in their order and the same for equal ids of all arrays."""
    _, codes = np.unique(np.concatenate([np.asarray(own).astype(str) for own in ids]), return_inverse=True)
    return np.split(codes, np.cumsum([len(own) for own in ids])[:-1])


def _rows(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(np.isin(codes, wanted))
    return rows[np.argsort(codes[rows], kind="stable")]
