"""The manifest of a stimulus set lists its stimuli and names their image files."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.core.images import ImageFile
from neuroscaling.core.records import CHECKSUM, DEFINITION, FORMAT_KEY, read_record, require_name, write_record

STIMULI_FORMAT, MANIFEST = "stimuli/2", "manifest.json"
KEYS = ("stimulus_id", "filename", "sha1")
"""What each row states as text."""
PREPARE_AGAIN = "delete this folder and run again"
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
READABLE = 80
"""Characters of an unusual id that the name of its file shows."""


@dataclass(frozen=True)
class StimulusRow:
    """A stimulus: its id, the name of its image's file and the file's sha1; width and height in pixels.

    degrees: of visual angle that its width takes; None where nobody knows.
    """

    stimulus_id: str
    filename: str
    sha1: str
    width: int | None = None
    height: int | None = None
    degrees: float | None = None


@dataclass(frozen=True, kw_only=True)
class StimuliManifest:
    """What the manifest of a stimulus set states. checksum: of the manifest itself, where it was read from a file."""

    set: str
    """Name of the set in the store."""
    degrees: float | None
    """Degrees of visual angle of the models' field of view."""
    simulated: bool
    """Whether an image or its recordings were made up."""
    stimuli: tuple[StimulusRow, ...]
    source: list[dict[str, Any]] = field(default_factory=list)
    """What the images are, without where they lie."""
    definition: dict[str, Any] | None = None
    """What the set's name is a hash of; None where it is no such name."""
    made_from: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    checksum: str = ""

    def content(self) -> dict[str, Any]:
        """The JSON object that the manifest's file holds, but for its checksum."""
        return {**{key: value for key, value in asdict(self).items() if key != CHECKSUM}, FORMAT_KEY: STIMULI_FORMAT}


def write_manifest(path: str | Path, manifest: StimuliManifest) -> None:
    """Write the manifest of a stimulus set with its checksum, whole or not at all."""
    write_record(path, manifest.content())


def read_manifest(path: str | Path) -> StimuliManifest:
    """Return the manifest of a stimulus set; `path` is its folder or the manifest.

    Raises DataError for another format, for a manifest that was altered or belongs to another set than the folder is
    named after, for rows that lack a key, and where two stimuli share an id or a file.
    """
    path = Path(path)
    path = path / MANIFEST if path.is_dir() else path
    content = read_record(path, STIMULI_FORMAT, PREPARE_AGAIN)
    if content.get(DEFINITION) is not None:
        require_name(content, path, path.absolute().parent.name, PREPARE_AGAIN)
    rows = content.get("stimuli")
    if not isinstance(rows, list) or not all(map(_is_row, rows)) or not isinstance(content.get("set"), str):
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
    with reading(path, "the manifest of a stimulus set", PREPARE_AGAIN):
        stimuli = tuple(StimulusRow(**{key: row[key] for key in ROW_KEYS if key in row}) for row in rows)
        known = {key: content[key] for key in MANIFEST_KEYS if key in content}
        return StimuliManifest(**{"degrees": None, "simulated": False} | known | {"stimuli": stimuli})


def image_files(path: str | Path) -> dict[str, ImageFile]:
    """Return the image of each stimulus id, in the order of the manifest. Raises DataError for missing files."""
    path = Path(path)
    return files_in(read_manifest(path), path if path.is_dir() else path.parent)


def files_in(manifest: StimuliManifest, folder: Path) -> dict[str, ImageFile]:
    """Image of each stimulus id of the set whose `manifest` was read in `folder`. Raises DataError as `image_files`."""
    folder = folder / "images"
    files = {row.stimulus_id: ImageFile(folder / row.filename, row.sha1) for row in manifest.stimuli}
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


ROW_KEYS = tuple(one.name for one in fields(StimulusRow))
MANIFEST_KEYS = tuple(one.name for one in fields(StimuliManifest))
