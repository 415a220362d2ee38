"""A pack stores a data set in few large files, which are read in place or from a copy on the node.

A folder has a manifest for each split, which names its index and its shards with their sizes and checksums. A shard
`jpeg` is the bytes of image files, one after another; `decoded` is an .npy array uint8 (n, size, size, 3).
"""

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import UnsupportedOperation
from pathlib import Path
from typing import Any, Literal

import google_crc32c
import numpy as np

from neuroscaling.core.array_files import read_npy
from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.files import atomic_path, reading, write_json
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.images import rgb_pixels
from neuroscaling.core.machine import job_memory
from neuroscaling.core.records import read_record
from neuroscaling.core.table_files import read_parquet
from neuroscaling.datasets.packed_names import pack_names
from neuroscaling.datasets.split import DatasetIndex

PACK_FORMAT, SHARD_FORMAT = "pack/2", "pack-shard/1"
PACK_AGAIN = "pack again"
FORMS = ("jpeg", "decoded")
# Columns of a split's index, in the order of the data set. offset: in bytes, or rows of a decoded shard; length: in
# bytes, or 1; 0 where an image is corrupt. crc32c: of what is stored of the image.
COLUMNS = ("image_id", "label", "shard", "offset", "length", "crc32c")


def manifest_file(folder: Path, split: str) -> Path:
    """Return the manifest of a split, a record, in the folder of a pack."""
    return Path(folder) / f"{split}.json"


def pack_facts(folder: Path, split: str) -> dict[str, Any]:
    """Return what the manifest of a split says.

    dataset, fingerprint, split, class_names, n_images; form, size (None: files as they were), quality; corrupt: ids of
    images that are missing; index and shards: file, bytes and sha256 of each. Raises DataError when it is missing,
    altered or of another format.
    """
    manifest = manifest_file(folder, split)
    facts = read_record(manifest, PACK_FORMAT, PACK_AGAIN)
    with reading(manifest, "the manifest of a pack", PACK_AGAIN):
        for file in pack_files(facts):
            file["file"], file["bytes"], file["sha256"]
        facts["dataset"], facts["class_names"], facts["fingerprint"], facts["form"]
    return facts


def pack_files(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the index and all shards."""
    return [facts["index"], *facts["shards"]]


def check_form(form: str, size: int | None) -> None:
    """Raise DataError unless a pack can have this form and size."""
    problems = []
    if form not in FORMS:
        problems.append(
            Problem(
                what="unknown form of a pack",
                where="form",
                value=form,
                allowed=", ".join(FORMS),
                nearest=nearest(form, FORMS),
            )
        )
    if size is not None and size < 1:
        problems.append(Problem(what="size must be at least 1", where="size", value=size))
    if size is None and form == "decoded":
        problems.append(
            Problem(
                what="decoded images all have one size",
                where="size",
                value=size,
                allowed="a number of pixels, such as 256",
            )
        )
    if problems:
        raise DataError(problems)


@dataclass
class PackSource:
    """Images of one split of a pack. Shards are mapped when they are first read, in each process anew.

    shards: their files; shard, offset, length, crc32c: where each image is, and its checksum (see `format.COLUMNS`).
    """

    index: DatasetIndex
    is_encoded: bool
    shards: list[Path]
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    crc32c: np.ndarray
    _maps: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": {}}

    def where(self, row: int) -> str:
        """Return the image's place, for messages."""
        return f"{self.shards[self.shard[row]]}: {self.index.image_ids[row]}"

    def encoded(self, row: int) -> bytes:
        """Return the image's file. Raises DataError when it was corrupt, or altered in the pack.

        Raises UnsupportedOperation where pixels were packed.
        """
        if not self.is_encoded:
            raise UnsupportedOperation(f"{self.shards[0].parent} has pixels and no files")
        start, length = int(self.offset[row]), self._length(row)
        content = self._map(int(self.shard[row]))[start : start + length].tobytes()
        self._check(row, content)
        return content

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3) RGB. Raises DataError when the image was corrupt, or altered in the pack."""
        if self.is_encoded:
            return rgb_pixels(self.encoded(row), self.where(row))
        self._length(row)
        shard = int(self.shard[row])
        with reading(self.shards[shard], "a shard of a pack", PACK_AGAIN, self.where(row)):
            pixels = self._map(shard)[int(self.offset[row])]
        self._check(row, pixels)
        return pixels

    def _check(self, row: int, content: bytes | np.ndarray) -> None:
        found = google_crc32c.value(content)
        if found != self.crc32c[row]:
            what, stated = "image was altered in the pack, by its CRC-32C", f"{int(self.crc32c[row]):08x}"
            raise DataError(
                Problem(what=what, where=self.where(row), value=f"{found:08x}", allowed=stated, fix=PACK_AGAIN)
            )

    def _length(self, row: int) -> int:
        if not self.length[row]:
            what = "image could not be decoded when it was packed"
            raise DataError(Problem(what=what, where=self.where(row), fix="replace the original and pack again"))
        return int(self.length[row])

    def _map(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            path = self.shards[shard]
            self._maps[shard] = _mapped_shard(path) if self.is_encoded else read_npy(path, mapped=True)
        return self._maps[shard]


def open_pack(folder: Path, split: str) -> PackSource:
    """The images of one split of the pack in `folder`, each of which is compared with its checksum when it is read.

    Raises DataError with all files missing or cut short, and for an index that was altered.
    """
    folder = Path(folder)
    facts = pack_facts(folder, split)
    _check_files(folder, pack_files(facts))
    file = folder / facts["index"]["file"]
    if (found := file_sha256(file)) != facts["index"]["sha256"]:
        what = "the index of a pack was altered, by its sha256"
        raise DataError(
            Problem(what=what, where=str(file), value=found, allowed=facts["index"]["sha256"], fix=PACK_AGAIN)
        )
    table = read_parquet(file, COLUMNS, PACK_AGAIN)
    columns = {name: table[name].to_numpy() for name in COLUMNS[1:]}
    names = pack_names(table["image_id"].to_pylist())
    index = DatasetIndex(
        facts["dataset"], split, names, columns.pop("label"), facts["class_names"], facts["fingerprint"]
    )
    shards = [folder / shard["file"] for shard in facts["shards"]]
    return PackSource(index, facts["form"] == "jpeg", shards, **columns)


def _mapped_shard(path: Path) -> np.ndarray:
    with reading(path, "a shard of a pack", PACK_AGAIN):
        return np.memmap(path, np.uint8, "r")


def _check_files(folder: Path, files: list[dict[str, Any]]) -> None:
    problems = []
    for file in files:
        path = folder / file["file"]
        found = path.stat().st_size if path.is_file() else None
        if found != file["bytes"]:
            what = "file of a pack is missing" if found is None else "file of a pack is cut short"
            problems.append(
                Problem(what=what, where=str(path), value=found, allowed=f"{file['bytes']} bytes", fix="pack again")
            )
    if problems:
        raise DataError(problems)


MEMORY_FOLDER = Path("/dev/shm")
BLOCK = 2**24
PROCESS_BYTES = 3e9  # of a process that trains

log = logging.getLogger(__name__)


def staged_pack(folder: Path, split: str, stage: Literal["none", "disk", "memory"], scratch: str | Path | None) -> Path:
    """Return the folder of a copy of one split of a pack, made unless it is there.

    stage: `none`: the pack itself; `memory`: in /dev/shm; `disk`: in the folder `scratch`; both in a folder of the
    user's own. Where there is no room, the pack is read where it is. Raises DataError when a copied file is not
    what the manifest says.
    """
    folder = Path(folder)
    if stage == "none":
        return folder
    if stage == "disk" and not scratch:
        what = "`stage: disk` needs a folder"
        raise DataError(Problem(what=what, where="scratch", fix="set `scratch:` to one on the node's own disk"))
    base = (Path(scratch) if scratch and stage == "disk" else MEMORY_FOLDER) / f"neuroscaling-{os.getuid()}"
    facts = pack_facts(folder, split)
    copy = base / f"pack-{content_hash(facts, 16)}"
    copy.mkdir(parents=True, exist_ok=True)
    with _one_process_at_a_time(base / f"{copy.name}.lock"):
        return copy if _copied(folder, facts, copy) else folder


def _copied(folder: Path, facts: dict[str, Any], copy: Path) -> bool:
    """Copy what is missing; False where there is no room for it."""
    manifest = manifest_file(copy, facts["split"])
    # Whatever clears a node's disk of old files may have taken some and left others.
    missing = [file for file in pack_files(facts) if _bytes_on_disk(copy / file["file"]) != file["bytes"]]
    if manifest.exists() and not missing:
        return True
    for left in copy.glob(".*.partial"):  # by a job that was killed: it would take memory until the node restarts
        left.unlink()
    needed, free = (n / 1e9 for n in (sum(file["bytes"] for file in missing), _free_bytes(copy)))
    if needed > free:
        log.warning("no room for %s in %s (%.1f of %.1f GB): it is read where it is", folder, copy, needed, free)
        return False
    for file in missing:
        _copy(folder / file["file"], copy / file["file"], file["sha256"])
    write_json(manifest, facts)
    return True


def _copy(source: Path, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with atomic_path(target) as temporary:
        with open(source, "rb") as read, open(temporary, "wb") as write:
            while block := read.read(BLOCK):
                digest.update(block)
                write.write(block)
        if digest.hexdigest() != sha256:
            raise DataError(
                Problem(
                    what="file of a pack is damaged",
                    where=str(source),
                    value=digest.hexdigest(),
                    allowed=sha256,
                    fix="pack again",
                )
            )


def _free_bytes(copy: Path) -> float:
    """Bytes that may be written to `copy`; what a job writes to memory is its own, and too much of it is its end."""
    free = float(shutil.disk_usage(copy).free)
    granted = job_memory() if copy.is_relative_to(MEMORY_FOLDER) else None
    return min(free, granted - PROCESS_BYTES) if granted else free


def _bytes_on_disk(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


@contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    """One process of this machine at a time."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
