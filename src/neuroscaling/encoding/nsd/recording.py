"""The prepared folder of one subject (`recording/1`) as the encoding reads it."""

from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.json_text import require_keys
from neuroscaling.core.npy import read_npy
from neuroscaling.core.parquet import read_columns
from neuroscaling.encoding.nsd.prepare import FORMAT, MANIFEST, REGION, TARGETS
from neuroscaling.encoding.nsd.rows import SPLITS
from neuroscaling.encoding.recording import Recording, Responses, Split
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import read_json
from neuroscaling.hashing import file_sha256

FIX = "prepare the subject again"


def open_recording(folder: str | Path) -> Recording:
    """The subject of a prepared folder; responses stay on the disk until they are asked for.

    Raises DataError where the folder is of another format, or its files don't belong together.
    """
    folder, folder = Path(folder), Path(folder)
    manifest = read_manifest(folder)
    table = read_columns(folder / TARGETS, fix=FIX)
    problems = [problem for name in SPLITS for problem in _split_problems(folder, name, manifest)]
    if len(table["usable"]) != manifest["targets"]:
        problems.append(Problem("another number of targets", str(folder / TARGETS), len(table["usable"]), fix=FIX))
    if problems:
        raise DataError(problems)
    usable = table["usable"]
    fsaverage = table["fsaverage"][usable]
    return Recording(
        name=manifest["subject"],
        training=_split(folder, "training", manifest, usable),
        test=_split(folder, "test", manifest, usable),
        hemisphere=table["hemisphere"][usable].astype(str),
        vertex=table["vertex"][usable],
        regions={name.removeprefix(REGION): table[name][usable] for name in table if name.startswith(REGION)},
        ceiling=table["ceiling"][usable],
        ncsnr=table["ncsnr"][usable],
        fsaverage=None if (fsaverage < 0).any() else fsaverage,
        masked={part: list(columns) for part, columns in manifest["masked"].items()},
        simulated=bool(manifest["simulated"]),
    )


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a prepared folder. Raises DataError for a missing one, or one of another format."""
    folder = Path(folder)
    path = Path(folder) / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(Problem("not the manifest of a prepared recording", str(path), None, FORMAT, fix=FIX))
    require_keys(manifest, path, ("subject", "training", "test", "targets", "masked", "simulated", "sha256"))
    return manifest


def damaged_files(folder: str | Path) -> list[Problem]:
    """Files whose content isn't what was written, by their sha256: every byte is read."""
    folder = Path(folder)
    recorded = read_manifest(folder)["sha256"]
    files = {name: Path(folder) / name for name in recorded}
    return [
        Problem("changed since it was written, or missing", str(file), fix=FIX)
        for name, file in files.items()
        if not file.is_file() or file_sha256(file) != recorded[name]
    ]


def _split(folder: Path, name: str, manifest: dict[str, Any], usable: np.ndarray) -> Split:
    rows = manifest[name]
    responses = Responses((folder / f"{name}.npy",), (np.flatnonzero(usable),))
    return Split(list(rows["stimulus_ids"]), np.asarray(rows["repetitions"]), responses)


def _split_problems(folder: Path, name: str, manifest: dict[str, Any]) -> list[Problem]:
    file = folder / f"{name}.npy"
    expected = (len(manifest[name]["stimulus_ids"]), manifest["targets"])
    try:
        array = read_npy(file, mapped=True, fix=FIX)
    except DataError as error:
        return error.problems
    if array.shape == expected and array.dtype == np.float32:
        return []
    return [Problem("not what the manifest says", str(file), f"{array.shape} {array.dtype}", f"{expected}", fix=FIX)]
