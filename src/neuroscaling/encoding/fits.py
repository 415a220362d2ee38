"""What a metric is asked, and what it gives: predictions of targets, or similarities of regions.

The rows of a recording are those of its training split, then those of each test set.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.recordings.recording import Recording, read_columns
from neuroscaling.regression.voxelwise.settings import NestedSubsets


@dataclass(frozen=True)
class Task:
    """Nested mapping rows, and the rows that are evaluated: no choice and no fit sees their responses."""

    draw: NestedSubsets
    evaluate: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """A set of images that accuracy is reported on.

    name: the test set, None where the recording has one alone; places: of each task's evaluated rows those that are of
    this set; rows: their rows in the split that `responses` gives targets of; ceiling (V,) in 0..1, or None;
    ceiling_images: as of a `Split`.
    """

    name: str | None
    places: tuple[slice, ...]
    rows: tuple[np.ndarray, ...]
    responses: Callable[[np.ndarray], np.ndarray]
    ceiling: np.ndarray | None
    ceiling_images: int | None = None

    def observed(self, task: int, columns: np.ndarray) -> np.ndarray:
        """Responses (evaluated rows of a task, columns) in the type they are stored in."""
        return self.responses(columns)[self.rows[task]]


@dataclass(frozen=True)
class Question:
    """What every metric is asked: of `regions` of a recording, from layers, for tasks that all metrics share.

    Folds of one order of the images stand together in tasks, n_folds of them (1 without folds). final: of the model
    that predicts the main test set for a submission, where none of the tasks is it; ridge alone answers it.
    """

    recording: Recording
    regions: tuple[str, ...]
    layers: Layers
    tasks: tuple[Task, ...]
    evaluations: tuple[Evaluation, ...]
    settings: EncodingSettings
    n_folds: int = 1
    final: Task | None = None

    def targets(self, start: int, stop: int) -> np.ndarray:
        """Responses (all rows, stop - start); those to test images are NaN: no fit may see them."""
        known = self.recording.training.known_responses.read(start, stop)
        withheld = np.full((self._n_test, stop - start), np.nan, np.float32)
        return np.concatenate([known, withheld]) if self._n_test else known

    def responses(self, columns: np.ndarray) -> np.ndarray:
        """Responses (training rows, len(columns)) of some targets, float64."""
        return read_columns(self.recording.training.known_responses, columns).astype(np.float64)

    def columns(self, region: str) -> np.ndarray:
        """Numbers of the targets of a region; none where the recording lacks it."""
        return np.flatnonzero(self.recording.regions.get(region, np.zeros(self.recording.n_targets, bool)))

    @property
    def present(self) -> list[str]:
        """The regions that have a target."""
        return [region for region in self.regions if len(self.columns(region))]

    @cached_property
    def images(self) -> np.ndarray:
        """Number of the image of each training row: rows of one image stay together."""
        return np.unique(self.recording.training.stimulus_ids, return_inverse=True)[1]

    @property
    def _n_test(self) -> int:
        return sum(len(split.stimulus_ids) for split in self.recording.tests.values())


@dataclass(frozen=True)
class Encoded:
    """One mapping size: of each target (V,) the cross-validated score, the penalty (NaN without one) and the candidate
    (an index) that were chosen, and predictions (evaluated rows, V).

    components: that partial least squares found; effective_layers (V,): how many candidates share a target
    (`bands.effective_number`), of which `candidate` is then the one with most weight.
    """

    n_images: int
    cv: np.ndarray
    alpha: np.ndarray
    candidate: np.ndarray
    predictions: np.ndarray
    components: int | None = None
    effective_layers: np.ndarray | None = None


@dataclass(frozen=True)
class TargetFits:
    """Predictions of single targets by one metric. columns (V,): their numbers in the recording; region: that they were
    fitted for together, None where each is by itself; candidates: what `Encoded.candidate` counts; found: by task,
    then by size; final: of the question's final task, where it has one."""

    metric: str
    region: str | None
    columns: np.ndarray
    candidates: list[str]
    found: list[list[Encoded]]
    final: Encoded | None = None

    @property
    def sizes(self) -> list[int]:
        """Numbers of mapping images; of folds that differ by one the smallest."""
        return [min(task[size].n_images for task in self.found) for size in range(len(self.found[0]))]


@dataclass(frozen=True)
class Similarity:
    """One mapping size: the candidate that the mapping images chose, and by test set how similar it is to the region,
    with the error of that (None where it can't be told). NaN: not defined."""

    n_images: int
    candidate: int
    values: Mapping[str | None, float]
    errors: Mapping[str | None, float | None]


@dataclass(frozen=True)
class RegionFits:
    """Similarities of a region's responses and a layer, without a mapping. found: by task, then by size."""

    metric: str
    region: str
    candidates: list[str]
    found: list[list[Similarity]]

    @property
    def sizes(self) -> list[int]:
        """Numbers of the images that chose the layer; of folds that differ by one the smallest."""
        return [min(task[size].n_images for task in self.found) for size in range(len(self.found[0]))]


Fits = TargetFits | RegionFits
Answer = Callable[[Question], Iterator[Fits]]
