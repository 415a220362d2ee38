"""The splits of a Brain-Score metric as row numbers, aligned and sorted as its own code aligns and sorts them.

Import after `neuroscaling.brainscore.environment.prepare`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


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
