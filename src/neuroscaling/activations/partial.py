"""An unfinished extraction on the disk: what was finished is kept, so that a preempted job goes on from there.

`.<set>.zarr.partial/<hash of the facts>/` holds `facts.json`, the group as it grows, and `done/`: a JSON for each
finished step with the records of its files. Every file is written whole under a temporary name and renamed, by one
process only, so that several processes can share the folder. Other facts have another folder.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.layout import Layout, group_path, partial_path, shard_path
from neuroscaling.activations.shards import ShardReader
from neuroscaling.errors import DataError
from neuroscaling.files import read_json, write_json
from neuroscaling.hashing import content_hash


@dataclass(frozen=True)
class Partial:
    """The folder of one unfinished extraction."""

    path: Path
    folder: Path

    @classmethod
    def begin(cls, path: Path, facts: dict[str, Any], alone: bool) -> "Partial":
        """Open the folder for `facts`, new or begun earlier; `alone` drops those that were begun for other facts."""
        root = partial_path(path)
        folder = root / content_hash(json.loads(json.dumps(facts)), 16)
        (folder / "done").mkdir(parents=True, exist_ok=True)
        for other in root.iterdir() if alone else ():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        write_json(folder / "facts.json", facts)
        return cls(path, folder)

    @property
    def group(self) -> Path:
        """The Zarr group as it grows."""
        return self.folder / "group.zarr"

    def done(self, step: str) -> Any:
        """The record of a finished step, or None."""
        file = self.folder / "done" / f"{step}.json"
        try:
            return read_json(file) if file.is_file() else None
        except DataError:
            return None

    def finish(self, step: str, record: Any) -> None:
        """Say that a step is finished."""
        write_json(self.folder / "done" / f"{step}.json", record)

    def shard_records(self, step: str, layouts: dict[str, Layout], shard: int) -> dict[str, Any] | None:
        """Records by layer of a shard that is finished and whose files are there; None where one is not."""
        records = self.done(step)
        if records is None or records.keys() != layouts.keys():
            return None
        readers = [
            ShardReader(shard_path(self.group, layer, shard), layout, shard, records[layer])
            for layer, layout in layouts.items()
        ]
        return None if any(reader.problem() for reader in readers) else records

    def clean(self, layouts: dict[str, Layout], shard: int) -> None:
        """Remove what a killed process left of an unfinished shard."""
        for layer in layouts:
            for file in shard_path(self.group, layer, shard).parent.glob(".*.partial"):
                file.unlink(missing_ok=True)

    def publish(self) -> None:
        """Put the group, which is complete, in the place of whatever stands there, and remove the folder."""
        target = group_path(self.path)
        self.path.unlink(missing_ok=True)  # a manifest never stands beside another group's values
        if target.exists():
            old = self.folder / "old.zarr"
            os.replace(target, old)
        os.replace(self.group, target)
        self.drop()

    def drop(self) -> None:
        """Remove the folder, and those that were begun for other facts."""
        shutil.rmtree(partial_path(self.path), ignore_errors=True)
