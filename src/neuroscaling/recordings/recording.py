"""One subject's fMRI (or a session's neurons) as every source gives it: responses are read in blocks of targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import read_npy
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.regression.scores import ncsnr_ceiling


@dataclass(frozen=True)
class Responses:
    """Responses of one split, on the disk: arrays (rows, columns) side by side, of which some columns are used.

    files: .npy files, one a hemisphere or volume; columns: those that are used of each, ascending.
    """

    files: tuple[Path, ...]
    columns: tuple[np.ndarray, ...]

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return tuple(read_npy(file, mapped=True) for file in self.files)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and used targets."""
        return len(self._arrays[0]), sum(map(len, self.columns))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Targets `start` to `stop` (of those used) of all rows, (rows, stop - start) float32; memory is that of it."""
        parts, first = [], 0
        for array, columns in zip(self._arrays, self.columns, strict=True):
            chosen = columns[max(start - first, 0) : max(stop - first, 0)]
            first += len(columns)
            if len(chosen):
                # A stretch of columns is read at once; picking single ones out of a mapped file is slow.
                stretch = np.asarray(array[:, chosen[0] : chosen[-1] + 1], dtype=np.float32)
                parts.append(stretch[:, chosen - chosen[0]])
        return np.hstack(parts) if parts else np.empty((len(self._arrays[0]), 0), np.float32)


@dataclass(frozen=True)
class ArrayResponses:
    """Responses of one split that are in memory. values: (rows, V)."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and targets."""
        return self.values.shape[0], self.values.shape[1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Targets `start` to `stop` of all rows."""
        return self.values[:, start:stop]


def read_columns(responses: Responses | ArrayResponses, columns: np.ndarray, block: int = 4096) -> np.ndarray:
    """Some targets of all rows, (rows, len(columns)) in the type they are stored in. columns: ascending."""
    parts = [np.empty((responses.shape[0], 0), np.float32)] if not len(columns) else []
    for start in range(0, responses.shape[1], block):
        chosen = columns[(columns >= start) & (columns < start + block)]
        if len(chosen):
            first = int(chosen[0])
            parts.append(responses.read(first, int(chosen[-1]) + 1)[:, chosen - first])
    return np.hstack(parts)


@dataclass(frozen=True)
class Split:
    """The rows of one split. stimulus_ids: of each row (several times where repetitions are kept apart); repeats
    (rows,): repetitions that were averaged into the row, None where it isn't known; responses: None where withheld;
    ceiling (V,): noise ceiling of all its rows in 0..1, or None; ceiling_images: how many images it was estimated from,
    which tells its error (`denominators.repeat_ceiling_error`), or None where it comes as it is."""

    stimulus_ids: list[str]
    repeats: np.ndarray | None
    responses: Responses | ArrayResponses | None
    ceiling: np.ndarray | None = None
    ceiling_images: int | None = None

    @property
    def known_responses(self) -> Responses | ArrayResponses:
        """The responses. Raises DataError where they are withheld."""
        if self.responses is None:
            fix = "evaluate on training images that are held out (`evaluate: validation`), or rebuild them from NSD"
            raise DataError(Problem(what="the responses to the images of this split are withheld", fix=fix))
        return self.responses


@dataclass(frozen=True)
class Recording:
    """One subject or session; targets (vertices, voxels, neurons) of all parts side by side, unusable ones left out.

    tests: the test sets by name, the main one first; none where all images are rows of `training`; hemisphere (V,):
    `lh`, `rh`, or `both` for volumes and neurons; vertex (V,): column in its part's file; regions: boolean (V,) by
    name; ncsnr (V,): signal-to-noise ratio of single trials, from which the ceiling of any rows follows, or None;
    fsaverage (V,): vertex number on fsaverage, or None; masked: the columns left out (NaN, or no variance), by part;
    simulated: never recorded from anybody; details: what a score file says of the recording beside that, as JSON.
    """

    name: str
    training: Split
    tests: dict[str, Split]
    hemisphere: np.ndarray
    vertex: np.ndarray
    regions: dict[str, np.ndarray]
    ncsnr: np.ndarray | None
    fsaverage: np.ndarray | None
    masked: dict[str, list[int]]
    simulated: bool = False
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def test(self) -> Split:
        """The main test set."""
        return next(iter(self.tests.values()))

    @property
    def stimulus_ids(self) -> list[str]:
        """Of all rows: those of the training split, then those of each test set."""
        return [stimulus for split in (self.training, *self.tests.values()) for stimulus in split.stimulus_ids]

    @property
    def n_targets(self) -> int:
        """Targets that are used."""
        return len(self.vertex)

    def ceiling_of(self, split: Split, rows: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """Noise ceiling (V,) in 0..1 of some rows by their numbers of repetitions; None where these aren't known."""
        if self.ncsnr is None or split.repeats is None:
            return None
        repeats, images = np.unique(split.repeats[np.asarray(rows)], return_counts=True)
        return ncsnr_ceiling(self.ncsnr, dict(zip(repeats.tolist(), images.tolist(), strict=True)))
