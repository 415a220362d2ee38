"""Bytes of packed data sets, before they are packed. Light: no torch."""

from neuroscaling.calibration.sizes import DatasetSize, size_of
from neuroscaling.config.training import DatasetPack
from neuroscaling.study import LoadedStudy

COLOURS = 3
JPEG_BYTES = 0.28
"""Of a pixel of a photograph at quality 90, measured at 256 pixels; FFCV has .19 for all of ImageNet."""
JPEG_ASPECT = 4 / 3
"""Long by short side of a photograph."""
ORIGINAL_BYTES = 110_000
"""Of an image of ImageNet as it is."""


def pack_bytes(pack: DatasetPack, size: DatasetSize) -> float:
    """Bytes of a data set's training and validation images in a pack: exact if decoded, else an estimate."""
    return (size.images + size.validation) * _image_bytes(pack)


def packs_of(study: LoadedStudy) -> dict[str, float]:
    """Bytes of the packs that the study's trainings read, by data set.

    Raises DataError for a data set that is neither there nor declared.
    """
    packs, cache_dir = study.config.training.packs, study.store.cache()
    trained = {run.dataset: run for run in study.runs.values() if run.kind == "trained" and run.dataset in packs}
    return {name: pack_bytes(packs[name], size_of(run, cache_dir)) for name, run in trained.items()}


def _image_bytes(pack: DatasetPack) -> float:
    if pack.size is None:
        return ORIGINAL_BYTES
    return pack.size**2 * (COLOURS if pack.form == "decoded" else JPEG_BYTES * JPEG_ASPECT)
