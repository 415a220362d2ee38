"""The manifest of a subject's prepared NSD recordings: one typed record, written by preparation, read by encoding."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import Place
from neuroscaling.core.json_records import from_json
from neuroscaling.core.records import CHECKSUM, FORMAT_KEY, read_record, require_name, write_record

FORMAT = "recording/2"
MANIFEST, TARGETS = "manifest.json", "targets.parquet"
FIX = "prepare the subject again"


@dataclass(frozen=True)
class SplitRows:
    """The rows of one split: the image of each, and how many trials were averaged into it."""

    stimulus_ids: list[str]
    repetitions: list[int]


@dataclass(frozen=True)
class NsdManifest:
    """What a prepared folder holds.

    definition: what the key in the name of the folder above is a hash of, or None; sessions: scan sessions, from 1;
    repeats: `average` or `keep`; regions: that targets were taken of; grids: shape of the volume or the hemispheres;
    test_set: `shared1000` or `challenge`; targets: their number, unusable ones included; masked: columns that are left
    out, by hemisphere; sha256: of the files beside it; checksum: of the record, empty before it is written.
    """

    definition: dict[str, Any] | None
    dataset: str
    simulated: bool
    subject: str
    space: str
    sessions: list[int]
    repeats: str
    regions: str | list[str]
    grids: list[list[int]]
    test_set: str
    training: SplitRows
    test: SplitRows
    targets: int
    masked: dict[str, list[int]]
    sha256: dict[str, str]
    provenance: dict[str, Any]
    checksum: str = ""


def write_manifest(folder: Path, manifest: NsdManifest) -> None:
    """Write the manifest of a prepared folder, whole or not at all."""
    content = {key: value for key, value in asdict(manifest).items() if key != CHECKSUM}
    write_record(folder / MANIFEST, {**content, FORMAT_KEY: FORMAT})


def read_manifest(folder: str | Path) -> NsdManifest:
    """The manifest of a prepared folder.

    Raises DataError for a missing one, one of another format or content than was written, and one of another name.
    """
    path = Path(folder) / MANIFEST
    record = read_record(path, FORMAT, FIX)
    content = {key: value for key, value in record.items() if key != FORMAT_KEY}
    manifest = from_json(content, NsdManifest, Place(path), "a manifest of prepared recordings", FIX)
    if manifest.definition is not None:
        require_name(record, path, path.parents[1].name, FIX)
    return manifest
