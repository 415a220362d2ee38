"""Images out of a pack, with the interface of any other source."""

from dataclasses import dataclass, field
from io import UnsupportedOperation
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.npy import read_npy
from neuroscaling.core.parquet import read_parquet
from neuroscaling.core.reading import reading
from neuroscaling.datasets.names import pack_names
from neuroscaling.datasets.packs.format import AGAIN, COLUMNS, pack_facts, pack_files
from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.errors import DataError, Problem
from neuroscaling.images import rgb_pixels


@dataclass
class PackSource:
    """Images of one split of a pack. Shards are mapped when they are first read, in each process anew.

    shards: their files; shard, offset, length: where each image is (see `format.COLUMNS`).
    """

    index: DatasetIndex
    is_encoded: bool
    shards: list[Path]
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    _maps: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": {}}

    def where(self, row: int) -> str:
        """The image's place, for messages."""
        return f"{self.shards[self.shard[row]]}: {self.index.image_ids[row]}"

    def encoded(self, row: int) -> bytes:
        """The image's file. Raises DataError when it was corrupt; UnsupportedOperation where pixels were packed."""
        if not self.is_encoded:
            raise UnsupportedOperation(f"{self.shards[0].parent} has pixels and no files")
        start, length = int(self.offset[row]), self._length(row)
        return self._map(int(self.shard[row]))[start : start + length].tobytes()

    def decoded(self, row: int) -> np.ndarray:
        """Pixels, uint8 (h, w, 3) RGB. Raises DataError when the image was corrupt."""
        if self.is_encoded:
            return rgb_pixels(self.encoded(row), self.where(row))
        self._length(row)
        return self._map(int(self.shard[row]))[int(self.offset[row])]

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
    """The images of one split of the pack in `folder`. Raises DataError with all files missing or cut short."""
    folder = Path(folder)
    facts = pack_facts(folder, split)
    _check_files(folder, pack_files(facts))
    table = read_parquet(folder / facts["index"]["file"], COLUMNS, AGAIN)
    columns = {name: table[name].to_numpy() for name in ("label", "shard", "offset", "length")}
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
