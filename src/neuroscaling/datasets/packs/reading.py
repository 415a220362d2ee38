"""Images out of a pack, with the interface of any other source."""

from dataclasses import dataclass, field
from io import UnsupportedOperation
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from neuroscaling.core.npy import read_npy
from neuroscaling.core.parquet import read_parquet
from neuroscaling.core.reading import reading
from neuroscaling.datasets.names import pack_names
from neuroscaling.datasets.packs.format import AGAIN, COLUMNS, pack_facts, pack_files
from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.errors import DataError, Problem
from neuroscaling.hashing import file_sha256
from neuroscaling.images import rgb_pixels


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
        """The image's place, for messages."""
        return f"{self.shards[self.shard[row]]}: {self.index.image_ids[row]}"

    def encoded(self, row: int) -> bytes:
        """The image's file. Raises DataError when it was corrupt, or altered in the pack.

        Raises UnsupportedOperation where pixels were packed.
        """
        if not self.is_encoded:
            raise UnsupportedOperation(f"{self.shards[0].parent} has pixels and no files")
        start, length = int(self.offset[row]), self._length(row)
        content = self._map(int(self.shard[row]))[start : start + length].tobytes()
        self._check(row, content)
        return content

    def decoded(self, row: int) -> np.ndarray:
        """Pixels, uint8 (h, w, 3) RGB. Raises DataError when the image was corrupt, or altered in the pack."""
        if self.is_encoded:
            return rgb_pixels(self.encoded(row), self.where(row))
        self._length(row)
        shard = int(self.shard[row])
        with reading(self.shards[shard], "a shard of a pack", AGAIN, self.where(row)):
            pixels = self._map(shard)[int(self.offset[row])]
        self._check(row, pixels)
        return pixels

    def _check(self, row: int, content: bytes | np.ndarray) -> None:
        found = google_crc32c.value(content)
        if found != self.crc32c[row]:
            what, stated = "image was altered in the pack, by its CRC-32C", f"{int(self.crc32c[row]):08x}"
            raise DataError(Problem(what, self.where(row), f"{found:08x}", stated, fix=AGAIN))

    def _length(self, row: int) -> int:
        if not self.length[row]:
            what = "image could not be decoded when it was packed"
            raise DataError(Problem(what, self.where(row), fix="replace the original and pack again"))
        return int(self.length[row])

    def _map(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            path = self.shards[shard]
            self._maps[shard] = _bytes(path) if self.is_encoded else read_npy(path, mapped=True)
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
        raise DataError(Problem(what, str(file), found, facts["index"]["sha256"], fix=AGAIN))
    table = read_parquet(file, COLUMNS, AGAIN)
    columns = {name: table[name].to_numpy() for name in COLUMNS[1:]}
    names = pack_names(table["image_id"].to_pylist())
    index = DatasetIndex(
        facts["dataset"], split, names, columns.pop("label"), facts["class_names"], facts["fingerprint"]
    )
    shards = [folder / shard["file"] for shard in facts["shards"]]
    return PackSource(index, facts["form"] == "jpeg", shards, **columns)


def _bytes(path: Path) -> np.ndarray:
    with reading(path, "a shard of a pack", AGAIN):
        return np.memmap(path, np.uint8, "r")


def _check_files(folder: Path, files: list[dict[str, Any]]) -> None:
    problems = []
    for file in files:
        path = folder / file["file"]
        found = path.stat().st_size if path.is_file() else None
        if found != file["bytes"]:
            what = "file of a pack is missing" if found is None else "file of a pack is cut short"
            problems.append(Problem(what, str(path), found, f"{file['bytes']} bytes", fix="pack again"))
    if problems:
        raise DataError(problems)
