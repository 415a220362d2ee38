"""Predictions of a final model for the test images, as the challenge's arrays."""

from pathlib import Path

import numpy as np

from neuroscaling.encoding.recording import Recording
from neuroscaling.files import atomic_path


def prediction_file(score: Path, hemisphere: str) -> Path:
    """Where the predictions of one hemisphere lie, beside the score file of the subject."""
    return score.with_name(f"{score.stem}.{hemisphere}_pred_test.npy")


def write_predictions(score: Path, recording: Recording, predictions: np.ndarray) -> None:
    """Write predictions (test images, V) as one float32 array a hemisphere; masked vertices are 0."""
    for hemisphere, masked in recording.masked.items():
        mine = recording.hemisphere == hemisphere
        columns = recording.vertex[mine]
        whole = np.zeros((len(predictions), len(columns) + len(masked)), np.float32)
        whole[:, columns] = predictions[:, mine]
        with atomic_path(prediction_file(score, hemisphere)) as temporary, open(temporary, "wb") as file:
            np.save(file, whole)
