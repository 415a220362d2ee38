"""The manifest of a stimulus set lists its stimuli and names their image files."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.images import ImageFile
from neuroscaling.core.records import DEFINITION, read_record, require_name

STIMULI_FORMAT, MANIFEST = "stimuli/2", "manifest.json"
KEYS = ("stimulus_id", "filename", "sha1")
"""What each row says as text; `width`, `height` and `degrees` beside it."""
PREPARE_AGAIN = "delete this folder and run again"
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
READABLE = 80
"""Characters of an unusual id that the name of its file shows."""


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Return the manifest of a stimulus set; `path` is its folder or the manifest.

    Raises DataError for another format, for a manifest that was altered or belongs to another set than the folder is
    named after, for rows that lack a key, and where two stimuli share an id or a file.
    """
    path = Path(path)
    path = path / MANIFEST if path.is_dir() else path
    manifest = read_record(path, STIMULI_FORMAT, PREPARE_AGAIN)
    if manifest.get(DEFINITION) is not None:
        require_name(manifest, path, path.absolute().parent.name, PREPARE_AGAIN)
    rows = manifest.get("stimuli")
    if not isinstance(rows, list) or not all(map(_is_row, rows)) or not isinstance(manifest.get("set"), str):
        raise DataError(
            Problem(
                what="manifest of a stimulus set that lacks a key",
                where=str(path),
                allowed=listing(KEYS),
                fix=PREPARE_AGAIN,
            )
        )
    for key in ("stimulus_id", "filename"):
        shared = [value for value, count in Counter(row[key] for row in rows).items() if count > 1]
        if shared:
            raise DataError(
                Problem(
                    what=f"several stimuli share one {key}",
                    where=str(path),
                    value=listing(shared, 5),
                    fix=PREPARE_AGAIN,
                )
            )
    return manifest


def image_files(path: str | Path) -> dict[str, ImageFile]:
    """Return the image of each stimulus id, in the order of the manifest. Raises DataError for missing files."""
    path = Path(path)
    return files_in(read_manifest(path), path if path.is_dir() else path.parent)


def files_in(manifest: dict[str, Any], folder: Path) -> dict[str, ImageFile]:
    """Image of each stimulus id of the set whose `manifest` was read in `folder`. Raises DataError as `image_files`."""
    folder, rows = folder / "images", manifest["stimuli"]
    files = {row["stimulus_id"]: ImageFile(folder / row["filename"], row["sha1"]) for row in rows}
    missing = [file.path.name for file in files.values() if not file.path.is_file()]
    if missing:
        what = f"{len(missing)} of {len(files)} images are missing"
        raise DataError(
            Problem(what=what, where=str(folder), value=listing(missing, 5), fix="prepare the stimulus set again")
        )
    return files


def file_stems(stimulus_ids: Sequence[str]) -> dict[str, str]:
    """Return the name of the image file of each id, without its ending: no two are equal, on no file system.

    An ordinary id is its own name. One with other characters than A-Z, a-z, 0-9, `.`, `_` and `-`, a very long one, and
    those that differ from another only by case, show what they can of it and end with a hash of it.
    """
    lower = Counter(stimulus.lower() for stimulus in dict.fromkeys(stimulus_ids))
    return {
        stimulus: stimulus if SAFE.fullmatch(stimulus) and lower[stimulus.lower()] == 1 else _with_hash(stimulus)
        for stimulus in stimulus_ids
    }


def _with_hash(stimulus: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", stimulus).lstrip(".")[:READABLE]
    return f"{readable}-{hashlib.sha1(stimulus.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in KEYS):
        return False
    return Path(row["filename"]).name == row["filename"]
