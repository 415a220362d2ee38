"""The prepared folder of one subject (`recording/2`) as the encoding reads it."""

from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.table_files import read_parquet_columns
from neuroscaling.recordings.nsd_manifest import FIX, TARGETS, SplitRows, read_manifest
from neuroscaling.recordings.nsd_preparation import REGION
from neuroscaling.recordings.recording import Recording, Responses, Split


def open_recording(folder: str | Path) -> Recording:
    """The subject of a prepared folder; responses stay on the disk until they are asked for.

    Raises DataError where the folder is of another format, has another name than what determines it gives, or where
    one of its files is not what was written: every byte is read once.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if altered := damaged_files(folder):
        raise DataError(altered)
    table = read_parquet_columns(folder / TARGETS, fix=FIX)
    usable = table["usable"]
    fsaverage = table["fsaverage"][usable]
    return Recording(
        name=manifest.subject,
        training=_split(folder, "training", manifest.training, usable),
        test=_split(folder, "test", manifest.test, usable),
        hemisphere=table["hemisphere"][usable].astype(str),
        vertex=table["vertex"][usable],
        regions={name.removeprefix(REGION): table[name][usable] for name in table if name.startswith(REGION)},
        ceiling=table["ceiling"][usable],
        ncsnr=table["ncsnr"][usable],
        fsaverage=None if (fsaverage < 0).any() else fsaverage,
        masked={part: list(columns) for part, columns in manifest.masked.items()},
        simulated=manifest.simulated,
    )


def damaged_files(folder: str | Path) -> list[Problem]:
    """Files whose content isn't what was written, with both sha256: every byte is read."""
    folder = Path(folder)
    recorded = read_manifest(folder).sha256
    found = {name: file_sha256(folder / name) if (folder / name).is_file() else "missing" for name in recorded}
    return [
        Problem(
            what="changed since it was written, or missing",
            where=str(folder / name),
            value=sha256,
            allowed=recorded[name],
            fix=FIX,
        )
        for name, sha256 in found.items()
        if sha256 != recorded[name]
    ]


def _split(folder: Path, name: str, rows: SplitRows, usable: np.ndarray) -> Split:
    responses = Responses((folder / f"{name}.npy",), (np.flatnonzero(usable),))
    return Split(rows.stimulus_ids, np.asarray(rows.repetitions), responses)
