"""Forward passes load, compute and write side by side, and resume after a preemption.

`.<set>.zarr.partial/<hash of the facts>/` holds `facts.json`, the group as it grows, and `done/`: a JSON for each
finished step with the records of its files. Every file is written whole under a temporary name and renamed, by one
process only, so that several processes can share the folder. Other facts have another folder. `making` sees to it that
nobody writes where another process does.
"""

import functools
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.activations.layout import Layout, group_path, partial_path, shard_path, split_entry
from neuroscaling.activations.manifest import ShardRecord, StoredLayer
from neuroscaling.activations.shards import ShardReader
from neuroscaling.activations.stimulus_images import load
from neuroscaling.activations.zarr_writing import LayerShards, drop_features, write_gram
from neuroscaling.core.counting import Tally, counted
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import read_json, write_json
from neuroscaling.core.hashing import content_hash
from neuroscaling.core.images import ImageFile
from neuroscaling.core.leases import Held, Lease, held, lock_of, sweep
from neuroscaling.core.watching import Watch
from neuroscaling.study.sections.extraction import ExtractionOptions

if TYPE_CHECKING:
    from neuroscaling.activations.networks import Extractor, Sink


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
    """Return a slice that a living process writes, and that shares shards with `part`, or with the whole."""
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
    """Return what the lease of a slice is named after; no such file is made."""
    return partial_path(path) / f"slice-{part[0]}-{part[1]}"


def _slices(path: Path) -> list[tuple[int, int]]:
    """Return the slices that processes hold, or held when they died."""
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
        """Return the record of a finished step, or None."""
        file = self.folder / "done" / f"{step}.json"
        try:
            return read_json(file) if file.is_file() else None
        except DataError:
            return None

    def finish(self, step: str, record: Any) -> None:
        """Say that a step is finished. Raises LeaseLost where another process took over."""
        self.lease.check()
        write_json(self.folder / "done" / f"{step}.json", record)

    def shard_records(self, step: str, layouts: dict[str, Layout], shard: int) -> dict[str, ShardRecord] | None:
        """Return records by layer of a shard that is finished and whose files are there; None where one is not."""
        found = self.done(step)
        if found is None or found.keys() != layouts.keys():
            return None
        records = {layer: ShardRecord(**record) for layer, record in found.items()}
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


WAITING_BYTES = 256 * 2**20


class BackgroundWriter:
    """Runs tasks one after the other in a thread; `put` waits while more than `limit` bytes are waiting.

    Leaving the `with` block waits for all tasks, and raises what one of them raised; when the block itself raised,
    tasks that have not begun are dropped.
    """

    def __init__(self, limit: int = WAITING_BYTES):
        self._limit, self._bytes = limit, 0
        self._error: BaseException | None = None
        self._tasks: deque[tuple[int, Callable[[], None]]] = deque()
        self._changed, self._closed = Condition(), False
        self._thread = Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> "BackgroundWriter":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._closed = True
            if kind is not None:
                self._tasks.clear()
            self._changed.notify_all()
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, size: int, task: Callable[[], None]) -> None:
        """Queue a task that holds `size` bytes. Raises what an earlier task raised."""
        with self._changed:
            while self._bytes and self._bytes + size > self._limit and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._tasks.append((size, task))
            self._bytes += size
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._tasks and not self._closed:
                    self._changed.wait()
                if not self._tasks:
                    return
                size, task = self._tasks.popleft()
            try:
                task()
            except BaseException as error:
                self._error = error
                with self._changed:
                    self._tasks.clear()
                    self._changed.notify_all()
                return
            del task
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pass:
    """Which layers go into a forward pass: `layouts` by layer; number: which of the passes over the set it is."""

    number: int
    layouts: dict[str, Layout]

    def step(self, shard: int) -> str:
        """Return the name of the step that a finished shard is."""
        return f"pass{self.number}-shard{shard}"


def plan_passes(layouts: dict[str, Layout], scratch_bytes: float | None) -> list[Pass]:
    """Layers in groups whose features take at most `scratch_bytes` (one layer may take more); one group for None."""
    groups: list[dict[str, Layout]] = []
    room = 0.0
    for layer, layout in layouts.items():
        size = feature_bytes(layout)
        if not groups or (scratch_bytes is not None and size > room):
            groups.append({})
            room = scratch_bytes or 0
        groups[-1][layer] = layout
        room -= size
    return [Pass(number, group) for number, group in enumerate(groups)]


def feature_bytes(layout: Layout) -> int:
    """Return bytes of an array before compression."""
    return layout.shape[0] * layout.shape[1] * int(layout.dtype[-2:]) // 8


def write_missing(
    extractor: "Extractor",
    partial: Partial,
    one: Pass,
    files: Sequence[ImageFile],
    shards: Sequence[int],
    options: ExtractionOptions,
    watch: Watch,
    tally: Tally,
) -> None:
    """Extract those of `shards` that are not finished. tally: of images, which `watch` expects to get on."""
    layout = next(iter(one.layouts.values()))
    missing = [shard for shard in shards if partial.shard_records(one.step(shard), one.layouts, shard) is None]
    tally.done += layout.count_rows(set(shards) - set(missing))
    if len(missing) < len(shards):
        log.info("going on: %d of %d shards are there", len(shards) - len(missing), len(shards))
    pieces = [
        (shard, start, min(start + options.batch, layout.rows(shard)[1]))
        for shard in missing
        for start in range(*layout.rows(shard), options.batch)
    ]
    images = load([files[start:stop] for _, start, stop in pieces], extractor.preprocess, options.workers)
    writer, in_parts = _Writer(partial, one), extractor.in_parts()
    try:
        with watch.expecting(options.patience), BackgroundWriter() as background:
            for (shard, start, stop), batch in zip(pieces, images, strict=True):
                if start == layout.rows(shard)[0]:
                    background.put(0, functools.partial(writer.open, shard))
                in_parts.forward(batch, list(one.layouts), writer.sink(background))
                if stop == layout.rows(shard)[1]:
                    background.put(0, writer.close)
                tally.done += stop - start
    finally:
        images.close()
        writer.abandon()


def written_layers(partial: Partial, one: Pass) -> list[StoredLayer]:
    """The layers of a pass with their features. Raises DataError, naming the shards, where some are not finished."""
    layout = next(iter(one.layouts.values()))
    records = [partial.shard_records(one.step(shard), one.layouts, shard) for shard in range(layout.shards)]
    found = [record for record in records if record is not None]
    if len(found) < len(records):
        missing = [str(shard) for shard, record in enumerate(records) if record is None]
        what = f"{len(missing)} of {len(records)} shards are missing"
        raise DataError(
            Problem(
                what=what, where=str(partial.path), value=", ".join(missing), fix="run the slices that hold them again"
            )
        )
    return [
        StoredLayer(layer, layout, tuple(record[layer] for record in found)) for layer, layout in one.layouts.items()
    ]


def add_grams(
    partial: Partial, one: Pass, layers: list[StoredLayer], keep: str, readout: str, device: str
) -> list[StoredLayer]:
    """The layers with Gram matrices beside their features (keep: `both`), or in place of all but the readout's."""
    made = [_with_gram(partial, layer, device) for layer in counted(layers, "Gram matrix")]
    if keep == "gram":
        made = [layer if split_entry(layer.name)[0] == readout else replace(layer, files=None) for layer in made]
    partial.finish(f"pass{one.number}-grams", [layer.content() for layer in made])
    drop_features(partial.group, made)
    return made


def finished_grams(partial: Partial, one: Pass) -> list[StoredLayer] | None:
    """Return what `add_grams` gave, once it has; features that are not kept are deleted only now."""
    made = partial.done(f"pass{one.number}-grams")
    if not made:
        return None
    layers = [StoredLayer.of(content) for content in made]
    drop_features(partial.group, layers)
    return layers


def _with_gram(partial: Partial, layer: StoredLayer, device: str) -> StoredLayer:
    step = f"gram-{layer.name}"
    made = partial.done(step)
    if made is not None:
        return StoredLayer.of(made)
    with_gram = write_gram(partial.group, layer, device)
    partial.finish(step, with_gram.content())
    return with_gram


class _Writer:
    """The shards that are being written; its methods run one after the other in the writer's thread."""

    def __init__(self, partial: Partial, one: Pass):
        self._partial, self._pass = partial, one
        self._shard = -1
        self._open: LayerShards | None = None

    def open(self, shard: int) -> None:
        self._partial.clean(self._pass.layouts, shard)
        self._shard, self._open = shard, LayerShards(self._partial.group, self._pass.layouts, shard, self._partial.path)

    def sink(self, background: BackgroundWriter) -> "Sink":
        """Where the hooks put their values."""

        def put(layer: str, size: int, ready: Callable[[], np.ndarray]) -> None:
            background.put(size, lambda: self._opened().append(layer, ready()))

        return put

    def close(self) -> None:
        records = {layer: asdict(record) for layer, record in self._opened().close().items()}
        self._partial.finish(self._pass.step(self._shard), records)
        self._open = None

    def abandon(self) -> None:
        if self._open is not None:
            self._open.abandon()

    def _opened(self) -> LayerShards:
        assert self._open is not None  # the queue opens a shard ahead of its values
        return self._open
