"""Prepared recordings of one subject (`recording/3`): every source is converted to this folder once, and read from it.

training.npy, <test set>.npy   float32 (rows, targets), the targets of all parts side by side
targets.parquet                a row a target: hemisphere, vertex, index, usable, ncsnr, fsaverage, ceiling:<test set>,
                               region:<name>
manifest.json                  stimulus ids and repetitions of the rows, what was left out, sha256s of the files
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.encoding_scores import write_parquet
from neuroscaling.core.errors import DataError, Place, Problem
from neuroscaling.core.files import atomic_path, new_memmap
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.json_records import from_json
from neuroscaling.core.leases import Lease, held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import CHECKSUM, FORMAT_KEY, read_record, require_name, write_record
from neuroscaling.core.table_files import read_parquet_columns
from neuroscaling.recordings.recording import Recording, Responses, Split

FORMAT = "recording/3"
MANIFEST, TARGETS = "manifest.json", "targets.parquet"
TRAINING = "training"
REGION, CEILING = "region:", "ceiling:"
FIX = "prepare the subject again"


@dataclass(frozen=True)
class SplitRows:
    """The rows of one split: the image of each, and how many repetitions were averaged into it."""

    stimulus_ids: list[str]
    repetitions: list[int]


@dataclass(frozen=True)
class About:
    """What a recording is. definition: what the key in the name of the folder above is a hash of, or None; dataset: the
    source's name; simulated: never recorded from anybody; settings: how it was prepared, as JSON."""

    definition: dict[str, Any] | None
    dataset: str
    subject: str
    simulated: bool
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetColumns:
    """What is known of each target (T,), unusable ones included.

    hemisphere: `lh`, `rh` or `both`; vertex: column within its part; usable: whether it is predicted; regions: boolean
    by name; ceilings: of a test set's rows in 0..1, by its name, where there is one; ncsnr: signal-to-noise
    ratio of single repetitions, or None; index: number in the volume or on the surface, vertex without it; fsaverage:
    vertex of fsaverage, or None.
    """

    hemisphere: np.ndarray
    vertex: np.ndarray
    usable: np.ndarray
    regions: Mapping[str, np.ndarray]
    ceilings: Mapping[str, np.ndarray] = field(default_factory=dict)
    ncsnr: np.ndarray | None = None
    index: np.ndarray | None = None
    fsaverage: np.ndarray | None = None

    def table(self) -> dict[str, np.ndarray]:
        """The columns of the file."""
        nothing = np.full(len(self.usable), np.nan, np.float32)
        return {
            "hemisphere": self.hemisphere.astype(str),
            "vertex": self.vertex,
            "index": self.vertex if self.index is None else self.index,
            "usable": self.usable,
            "ncsnr": nothing if self.ncsnr is None else self.ncsnr.astype(np.float32),
            "fsaverage": np.full(len(self.usable), -1) if self.fsaverage is None else self.fsaverage,
            **{f"{CEILING}{name}": values.astype(np.float32) for name, values in self.ceilings.items()},
            **{f"{REGION}{name}": mask.astype(bool) for name, mask in self.regions.items()},
        }

    def masked(self) -> dict[str, list[int]]:
        """Columns that the reader leaves out, by part."""
        parts = dict.fromkeys(self.hemisphere.astype(str).tolist())
        return {part: self.vertex[~self.usable & (self.hemisphere == part)].tolist() for part in parts}


@dataclass(frozen=True)
class RecordingManifest:
    """What a prepared folder holds.

    splits: the rows of `training` and of each test set, by name; test_sets: names of the latter, the main one first
    (JSON keeps no order of names); targets: their number, unusable ones included; masked: columns that are left out, by
    part; sha256: of the files beside it; checksum: of the record, empty before it is written. The others as of `About`.
    """

    definition: dict[str, Any] | None
    dataset: str
    subject: str
    simulated: bool
    settings: dict[str, Any]
    splits: dict[str, SplitRows]
    test_sets: list[str]
    targets: int
    masked: dict[str, list[int]]
    sha256: dict[str, str]
    provenance: dict[str, Any]
    checksum: str = ""


def make_once(manifest: Path, what: str, definition: Mapping[str, Any] | None, make: Callable[[Lease], None]) -> Path:
    """Let `make` write the folder of `manifest` under its lease, unless another process has; returns the manifest.

    what: a name for it in messages; definition: what the key in the name of the folder above is a hash of. Without one
    the name states nothing of the content, and the folder is made anew.
    """
    with held(manifest.parent, what) as lease:
        if definition is None or not manifest.exists():
            make(lease)
    return manifest


Fill = Callable[[Mapping[str, np.memmap]], TargetColumns]


def write_recording(
    folder: Path, about: About, splits: Mapping[str, SplitRows], n_targets: int, fill: Fill, lease: Lease | None = None
) -> Path:
    """Write a prepared folder, whole or not at all; returns its manifest.

    splits: `training` and the test sets, the main one first; fill: is given an array (rows, n_targets) float32 on the
    disk for each split, all NaN, writes the responses there in blocks, and returns what is known of the targets. Raises
    ValueError for columns of another length than n_targets.
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        arrays = {
            name: new_memmap(temporary / f"{name}.npy", np.float32, (len(rows.stimulus_ids), n_targets))
            for name, rows in splits.items()
        }
        columns = fill(arrays)
        for array in arrays.values():
            array.flush()
        table = columns.table()
        if wrong := {name: len(values) for name, values in table.items() if len(values) != n_targets}:
            raise ValueError(f"columns of another length than {n_targets} targets: {wrong}")
        write_parquet(temporary / TARGETS, table)
        files = [f"{name}.npy" for name in splits] + [TARGETS]
        manifest = RecordingManifest(
            **asdict(about),
            splits=dict(splits),
            test_sets=[name for name in splits if name != TRAINING],
            targets=n_targets,
            masked=columns.masked(),
            sha256={name: file_sha256(temporary / name) for name in files},
            provenance=provenance(("numpy", "h5py", "nibabel")),
        )
        if lease:
            lease.check()
        content = {key: value for key, value in asdict(manifest).items() if key != CHECKSUM}
        write_record(temporary / MANIFEST, {**content, FORMAT_KEY: FORMAT})
    return folder / MANIFEST


def read_manifest(folder: str | Path) -> RecordingManifest:
    """The manifest of a prepared folder.

    Raises DataError for a missing one, one of another format or content than was written, and one of another name.
    """
    path = Path(folder) / MANIFEST
    record = read_record(path, FORMAT, FIX)
    content = {key: value for key, value in record.items() if key != FORMAT_KEY}
    manifest = from_json(content, RecordingManifest, Place(path), "a manifest of prepared recordings", FIX)
    if manifest.definition is not None:
        require_name(record, path, path.parents[1].name, FIX)
    return manifest


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
    fsaverage, ncsnr = table["fsaverage"][usable], table["ncsnr"][usable]

    def split(name: str) -> Split:
        rows, ceiling = manifest.splits[name], table.get(f"{CEILING}{name}")
        responses = Responses((folder / f"{name}.npy",), (np.flatnonzero(usable),))
        repeats = np.asarray(rows.repetitions)
        return Split(rows.stimulus_ids, repeats, responses, None if ceiling is None else ceiling[usable])

    return Recording(
        name=manifest.subject,
        training=split(TRAINING),
        tests={name: split(name) for name in manifest.test_sets},
        hemisphere=table["hemisphere"][usable].astype(str),
        vertex=table["vertex"][usable],
        regions={name.removeprefix(REGION): table[name][usable] for name in table if name.startswith(REGION)},
        ncsnr=None if np.isnan(ncsnr).all() else ncsnr,
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
