"""The manifest of activations states what is stored of each layer, with the checksum of each file.

It is written last, beside a complete Zarr group, so that a store which was cut short or altered is refused when it is
read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.layout import ACTIVATIONS_FORMAT, GRAM, METADATA, ROW_SUMS, Layout, ids_sha256
from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.files import reading, write_json
from neuroscaling.core.records import CHECKSUM, DEFINITION, read_record, require_name, sealed

EXTRACT_AGAIN = "delete the manifest and run again: the activations are extracted anew"
FEATURES = "features"


@dataclass(frozen=True)
class ShardRecord:
    """Size of a shard's file in bytes, and the CRC-32C of the checksums of all its chunks and of its index."""

    bytes: int
    crc32c: str


@dataclass(frozen=True)
class StoredArray:
    """An array on the disk: its layout, and the record of each shard in their order."""

    layout: Layout
    files: tuple[ShardRecord, ...]

    def content(self) -> dict[str, Any]:
        """Return the array as the manifest holds it."""
        return {**self.layout.entry(), "files": [asdict(file) for file in self.files]}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "StoredArray":
        """Return the array of a manifest. Raises KeyError or TypeError for what is none."""
        return cls(Layout.from_entry(content), tuple(ShardRecord(**file) for file in content["files"]))


@dataclass(frozen=True)
class StoredLayer:
    """What is stored of a layer: its features, their inner products (n, n) with the sums of their rows (n, 1), or both.

    layout: of the features, also where they are not kept; files: their shards; None where they are not kept.
    """

    name: str
    layout: Layout
    files: tuple[ShardRecord, ...] | None
    gram: StoredArray | None = None
    row_sums: StoredArray | None = None

    @property
    def kept(self) -> list[str]:
        """Which of `features` and `gram` are stored."""
        return [what for what, stored in ((FEATURES, self.files), (GRAM, self.gram)) if stored is not None]

    @property
    def features(self) -> StoredArray | None:
        """The array of the features; None where they are not kept."""
        return None if self.files is None else StoredArray(self.layout, self.files)

    def arrays(self) -> dict[str, StoredArray]:
        """Return the arrays that are stored, by their paths in the group."""
        found = {
            self.name: self.features,
            f"{GRAM}/{self.name}": self.gram,
            f"{GRAM}/{ROW_SUMS}/{self.name}": self.row_sums,
        }
        return {path: array for path, array in found.items() if array is not None}

    def content(self) -> dict[str, Any]:
        """Return the layer as the manifest holds it."""
        content: dict[str, Any] = {"name": self.name, "kept": self.kept, **self.layout.entry()}
        if self.files is not None:
            content["files"] = [asdict(file) for file in self.files]
        if self.gram is not None and self.row_sums is not None:
            content[GRAM] = {**self.gram.content(), ROW_SUMS: self.row_sums.content()}
        return content

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "StoredLayer":
        """Return the layer of a manifest. Raises KeyError or TypeError for what is none."""
        kept, gram = content["kept"], None
        row_sums = files = None
        if FEATURES in kept:
            files = tuple(ShardRecord(**file) for file in content["files"])
        if GRAM in kept:
            gram, row_sums = StoredArray.of(content[GRAM]), StoredArray.of(content[GRAM][ROW_SUMS])
        return cls(content["name"], Layout.from_entry(content), files, gram, row_sums)


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and checked.

    layers: by their names, early to late; files: sha256 of each file of the group that is no shard, by its path there;
    record: all that it states.
    """

    path: Path
    checksum: str
    reduction: dict[str, Any]
    layers: dict[str, StoredLayer]
    files: dict[str, str]
    stimulus_ids_sha256: str
    record: dict[str, Any]

    def layer(self, name: str) -> StoredLayer:
        """Return what is stored of a layer. Raises DataError, naming those that there are, for an unknown one."""
        if name not in self.layers:
            raise DataError(
                Problem(
                    what="no such layer",
                    where=str(self.path),
                    value=name,
                    allowed=", ".join(self.layers),
                    nearest=nearest(name, self.layers),
                )
            )
        return self.layers[name]


def read_manifest(path: Path) -> Manifest:
    """Return the manifest at `path`.

    Raises DataError when it is missing, altered, of another format, or of other activations than it is named after.
    """
    record = read_record(path, ACTIVATIONS_FORMAT, EXTRACT_AGAIN)
    if record.get(DEFINITION) is not None:
        require_name(record, path, path.stem, EXTRACT_AGAIN)
    with reading(path, "a manifest of activations", EXTRACT_AGAIN):
        layers = [StoredLayer.of(content) for content in record["layers"]]
        return Manifest(
            path,
            record[CHECKSUM],
            record["reduction"],
            {layer.name: layer for layer in layers},
            dict(record[METADATA]),
            record["stimulus_ids_sha256"],
            record,
        )


def write_manifest(
    path: Path,
    stimulus_ids: Sequence[str],
    layers: Sequence[StoredLayer],
    files: Mapping[str, str],
    reduction: dict[str, Any],
    facts: Mapping[str, Any],
    provenance: dict[str, Any],
) -> None:
    """Write the manifest, a sealed record, beside a complete group.

    files: sha256 of each file of the group that is no shard: Zarr's metadata and the stimulus ids; facts: what else it
    states, such as the run and the set.
    """
    record = {
        DEFINITION: None,
        "made_from": {},
        **facts,
        "format": ACTIVATIONS_FORMAT,
        "reduction": reduction,
        "layers": [layer.content() for layer in layers],
        "n_stimuli": len(stimulus_ids),
        "stimulus_ids_sha256": ids_sha256(stimulus_ids),
        METADATA: dict(files),
        "provenance": provenance,
    }
    write_json(path, sealed(record))
