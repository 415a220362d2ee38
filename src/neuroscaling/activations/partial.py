"""An unfinished extraction on the disk: what was finished is kept, so that a preempted job goes on from there.

`.<set>.zarr.partial/<hash of the facts>/` holds `facts.json`, the group as it grows, and `done/`: a JSON for each
finished step with the records of its files. Every file is written whole under a temporary name and renamed, by one
process only, so that several processes can share the folder. Other facts have another folder. `making` sees to it that
nobody writes where another process does.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.layout import Layout, group_path, partial_path, shard_path
from neuroscaling.activations.shards import ShardReader
from neuroscaling.core.leases import Held, Lease, held, lock_of, sweep
from neuroscaling.errors import DataError
from neuroscaling.files import read_json, write_json
from neuroscaling.hashing import content_hash


@contextmanager
def making(path: Path, part: tuple[int, int] | None) -> Iterator[Lease | None]:
    """Hold the lease of the store `path`, or of its slice `part` (i, parts); None where the store is there.

    Others wait: those who make the whole for all slices, a slice for those that it shares shards with. The lease of the
    store is a gate too: a slice begins only while nobody makes the whole.
    """
    while True:
        with ExitStack() as stack:
            gate = stack.enter_context(ExitStack())
            lease = gate.enter_context(held(path, f"activations {path}"))
            if path.exists():
                with suppress(OSError):  # of slices that others waited for; not where somebody still does
                    partial_path(path).rmdir()
                yield None
                return
            if (busy := _busy(path, part)) is None:
                sweep(group_path(path))
                if part is not None:
                    lease = stack.enter_context(held(_slice(path, part), _named(path, part)))
                    gate.close()
                yield lease
                return
        # Not within the gate: other slices may begin meanwhile.
        with held(_slice(path, busy), _named(path, busy)):
            pass


def _busy(path: Path, part: tuple[int, int] | None) -> tuple[int, int] | None:
    """A slice that a living process writes, and that shares shards with `part`, or with the whole."""
    for other in _slices(path):
        if part is None or _overlap(part, other):
            try:
                with held(_slice(path, other), _named(path, other), wait=False):
                    pass
            except Held:
                return other
    return None


def _named(path: Path, part: tuple[int, int]) -> str:
    return f"slice {part[0] + 1} of {part[1]} of the activations {path}"


def _slice(path: Path, part: tuple[int, int]) -> Path:
    """What the lease of a slice is named after; no such file is made."""
    return partial_path(path) / f"slice-{part[0]}-{part[1]}"


def _slices(path: Path) -> list[tuple[int, int]]:
    """The slices that processes hold, or held when they died."""
    locks = sorted(partial_path(path).glob(lock_of(Path("slice-*-*")).name))
    numbers = [lock.name.removeprefix(".slice-").removesuffix(".lock").split("-") for lock in locks]
    return [(int(i), int(parts)) for i, parts in numbers]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    (i, parts), (j, others) = one, other
    return i * others < (j + 1) * parts and j * parts < (i + 1) * others


@dataclass(frozen=True)
class Partial:
    """The folder of one unfinished extraction, whose lease, or that of a slice, is held."""

    path: Path
    folder: Path
    lease: Lease

    @classmethod
    def begin(cls, path: Path, facts: dict[str, Any], lease: Lease, alone: bool) -> "Partial":
        """Open the folder for `facts`, new or begun earlier; `alone` drops those that were begun for other facts."""
        root = partial_path(path)
        folder = root / content_hash(json.loads(json.dumps(facts)), 16)
        (folder / "done").mkdir(parents=True, exist_ok=True)
        for other in root.iterdir() if alone else ():
            if other != folder and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
        write_json(folder / "facts.json", facts)
        return cls(path, folder, lease)

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
        """Say that a step is finished. Raises LeaseLost where another process took over."""
        self.lease.check()
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
        """Put the group, which is complete, in its place. Raises LeaseLost where another process took over."""
        self.lease.check()
        target = group_path(self.path)
        if target.exists():  # without a manifest, so it is of no use
            os.replace(target, self.folder / "old.zarr")
        os.replace(self.group, target)

    def drop(self) -> None:
        """Remove the folder, and those that were begun for other facts."""
        shutil.rmtree(partial_path(self.path), ignore_errors=True)
