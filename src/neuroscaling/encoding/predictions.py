"""Predictions of the test images are written as the challenge's arrays, and averaged over networks.

Predictions are averaged as they are, in units of the response. Ridge shrinks the predictions of a model that explains
little, so that a plain mean already gives it little weight; z-scores would take that away, and would use the moments of
the test images.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuroscaling.core.array_files import read_npy
from neuroscaling.core.encoding_scores import TARGETS
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.score_files import DELETE_SCORE, ScoreFile, checked_file, file_beside, read_score
from neuroscaling.core.table_files import read_parquet_columns
from neuroscaling.encoding.accuracy_files import subject_of
from neuroscaling.recordings.recording import Recording
from neuroscaling.study.recording_folders import HEMISPHERES


def prediction_kind(hemisphere: str) -> str:
    """The kind of file, beside the score file of a subject, that the predictions of one hemisphere are."""
    return f"{hemisphere}_pred_test.npy"


def write_predictions(score: Path, recording: Recording, predictions: np.ndarray) -> list[str]:
    """Write predictions (test images, V) as one float32 array a hemisphere; masked vertices are 0. Returns the kinds
    of the files beside the score file."""
    for hemisphere, masked in recording.masked.items():
        mine = recording.hemisphere == hemisphere
        columns = recording.vertex[mine]
        whole = np.zeros((len(predictions), len(columns) + len(masked)), np.float32)
        whole[:, columns] = predictions[:, mine]
        with atomic_path(file_beside(score, prediction_kind(hemisphere))) as temporary, open(temporary, "wb") as file:
            np.save(file, whole)
    return [prediction_kind(hemisphere) for hemisphere in recording.masked]


Average = Literal["plain", "weighted"]
AVERAGES = ("plain", "weighted")


def average_predictions(score_files: Sequence[str | Path], average: Average) -> dict[str, np.ndarray]:
    """Mean over the runs of one subject: {hemisphere: (test images, vertices) float32}.

    score_files: one a run; beside each lie `<run>.{lh,rh}_pred_test.npy` and, for weights, `<run>.targets.parquet`.
    weighted: a vertex's runs count by max(cv, 0), their cross-validated accuracy there with the most mapping images;
    where all are 0, equally. The weights touch no test image. The order of the files doesn't matter.
    Raises DataError with all files that are missing, altered, or don't fit each other.
    """
    if average not in AVERAGES:
        raise DataError(
            Problem(what="no such average", where="submission: average", value=average, allowed=", ".join(AVERAGES))
        )
    contents = sorted(
        ((file, read_score(file)) for file in map(Path, score_files)), key=lambda pair: (pair[1].run, pair[0])
    )
    problems = list(_problems(contents))
    if problems:
        raise DataError(problems)
    averaged = {}
    for side in HEMISPHERES:
        predictions = [read_npy(file_beside(file, prediction_kind(side)), mapped=True) for file, _ in contents]
        width = predictions[0].shape[1]
        weights = np.stack([_weights(file, content, side, width, average) for file, content in contents])
        averaged[side] = weighted_mean(predictions, weights)
    return averaged


def weighted_mean(predictions: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean of arrays (images, vertices) by weights (arrays, vertices), float32; vertices without any weight: plain.

    Sums are in float64, and one array is held at a time.
    """
    weights = np.where(weights.sum(0) > 0, weights, 1.0)
    total = np.zeros(predictions[0].shape)
    for array, weight in zip(predictions, weights, strict=True):
        total += np.asarray(array, np.float64) * weight
    return (total / weights.sum(0)).astype(np.float32)


def _weights(score_file: Path, content: ScoreFile, side: str, width: int, average: Average) -> np.ndarray:
    """max(cv, 0) of each vertex (width,); 0 for vertices that were left out."""
    if average == "plain":
        return np.ones(width)
    table = _targets(score_file, content)
    # Of several test sets each has the rows; what was chosen inside the mapping images is the same.
    final = (table["hemisphere"] == side) & (table["n_mapping"] == table["n_mapping"].max(initial=0))
    final &= table["metric"] == "ridge"
    weights = np.zeros(width)
    weights[table["vertex"][final]] = np.maximum(np.nan_to_num(table["cv"][final], nan=0.0), 0.0)
    return weights


def _targets(score_file: Path, content: ScoreFile) -> dict[str, Any]:
    return read_parquet_columns(
        checked_file(score_file, content.files, TARGETS),
        ("metric", "hemisphere", "vertex", "n_mapping", "cv"),
        DELETE_SCORE,
    )


def _problems(contents: Sequence[tuple[Path, ScoreFile]]) -> Iterator[Problem]:
    """Predictions that are missing or altered, of several subjects, or of unequal shape."""
    if not contents:
        yield Problem(what="no predictions to average", where="submission")
        return
    runs = [content.run for _, content in contents]
    for file, content in contents:
        if subject_of(file, content) != subject_of(*contents[0]):
            yield Problem(what="predictions of another subject", where=str(file), value=subject_of(file, content))
        if runs.count(content.run) > 1:
            yield Problem(what="a run is given twice", where=str(file), value=content.run, allowed="each run once")
    for side in HEMISPHERES:
        yield from _array_problems(contents, prediction_kind(side))


def _array_problems(contents: Sequence[tuple[Path, ScoreFile]], kind: str) -> Iterator[Problem]:
    shapes: dict[Path, tuple[int, ...]] = {}
    for score_file, content in contents:
        try:
            file = checked_file(score_file, content.files, kind)
            shapes[file] = read_npy(file, mapped=True, fix="score the run on the subject again").shape
        except DataError as error:
            yield from error.problems
    for file, shape in shapes.items():
        first = next(iter(shapes))
        if shape != shapes[first] or len(shape) != 2:
            yield Problem(
                what="predictions differ in shape",
                where=str(file),
                value=shape,
                allowed=f"{shapes[first]}, as in {first}",
            )
