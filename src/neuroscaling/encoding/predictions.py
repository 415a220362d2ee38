"""Predictions of a final model for the test images, as the challenge's arrays."""

from pathlib import Path

import numpy as np

from neuroscaling.core.score_files import beside
from neuroscaling.encoding.recording import Recording
from neuroscaling.files import atomic_path


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
        with atomic_path(beside(score, prediction_kind(hemisphere))) as temporary, open(temporary, "wb") as file:
            np.save(file, whole)
    return [prediction_kind(hemisphere) for hemisphere in recording.masked]
