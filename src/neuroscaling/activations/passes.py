"""Passes of a network over a stimulus set: loading, forward and writing side by side, shard by shard, resumable."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuroscaling.activations.background import Background
from neuroscaling.activations.grams import drop_features, without_features, write_gram
from neuroscaling.activations.images import load
from neuroscaling.activations.layout import Layout, split_entry
from neuroscaling.activations.partial import Partial
from neuroscaling.activations.writing import LayerShards, layer_entry
from neuroscaling.errors import DataError, Problem
from neuroscaling.images import ImageFile

if TYPE_CHECKING:
    from neuroscaling.activations.networks import Extractor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pass:
    """Which layers go into a forward pass: `layouts` by layer; number: which of the passes over the set it is."""

    number: int
    layouts: dict[str, Layout]

    def step(self, shard: int) -> str:
        """Name of the step that a finished shard is."""
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
    """Bytes of an array before compression."""
    return layout.shape[0] * layout.shape[1] * int(layout.dtype[-2:]) // 8


def write_missing(
    extractor: "Extractor",
    partial: Partial,
    one: Pass,
    files: Sequence[ImageFile],
    shards: Sequence[int],
    options: dict,
) -> None:
    """Extract those of `shards` that are not finished."""
    layout = next(iter(one.layouts.values()))
    missing = [shard for shard in shards if partial.shard_records(one.step(shard), one.layouts, shard) is None]
    if len(missing) < len(shards):
        log.info("going on: %d of %d shards are there", len(shards) - len(missing), len(shards))
    pieces = [
        (shard, start, min(start + options["batch"], layout.rows(shard)[1]))
        for shard in missing
        for start in range(*layout.rows(shard), options["batch"])
    ]
    images = load([files[start:stop] for _, start, stop in pieces], extractor.preprocess, options["workers"])
    writer = _Writer(partial, one)
    try:
        with Background() as background:
            for (shard, start, stop), batch in zip(pieces, images, strict=True):
                if start == layout.rows(shard)[0]:
                    background.put(0, lambda shard=shard: writer.open(shard))
                extractor.forward(batch, list(one.layouts), writer.sink(background))
                if stop == layout.rows(shard)[1]:
                    background.put(0, writer.close)
    finally:
        images.close()
        writer.abandon()


def layer_entries(partial: Partial, one: Pass) -> list[dict[str, Any]]:
    """Manifest entries of a pass's layers. Raises DataError, naming the shards, where some are not finished."""
    layout = next(iter(one.layouts.values()))
    records = [partial.shard_records(one.step(shard), one.layouts, shard) for shard in range(layout.shards)]
    missing = [str(shard) for shard, record in enumerate(records) if record is None]
    if missing:
        what = f"{len(missing)} of {len(records)} shards are missing"
        raise DataError(Problem(what, str(partial.path), ", ".join(missing), fix="run the slices that hold them again"))
    return [layer_entry(layer, layout, [record[layer] for record in records]) for layer, layout in one.layouts.items()]


def gram_entries(
    partial: Partial, one: Pass, entries: list[dict[str, Any]], keep: str, readout: str, device: str
) -> list[dict[str, Any]]:
    """Entries with Gram matrices beside, or but for the readout instead of, their features."""
    made = [_with_gram(partial, entry, device) for entry in entries]
    features = {entry["name"] for entry in made if keep == "both" or split_entry(entry["name"])[0] == readout}
    made = [entry if entry["name"] in features else without_features(entry) for entry in made]
    partial.finish(f"pass{one.number}-grams", made)
    return finished_grams(partial, one)


def finished_grams(partial: Partial, one: Pass) -> list[dict[str, Any]] | None:
    """What `gram_entries` gave, once it has; features that are not kept are deleted only now."""
    made = partial.done(f"pass{one.number}-grams")
    if made:
        drop_features(partial.group, made)
    return made


def _with_gram(partial: Partial, entry: dict[str, Any], device: str) -> dict[str, Any]:
    step = f"gram-{entry['name']}"
    made = partial.done(step)
    if made is None:
        made = write_gram(partial.group, entry, device)
        partial.finish(step, made)
    return made


class _Writer:
    """The shards that are being written; its methods run one after the other in the writer's thread."""

    def __init__(self, partial: Partial, one: Pass):
        self._partial, self._pass = partial, one
        self._shard, self._open = -1, None

    def open(self, shard: int) -> None:
        self._partial.clean(self._pass.layouts, shard)
        self._shard, self._open = shard, LayerShards(self._partial.group, self._pass.layouts, shard, self._partial.path)

    def sink(self, background: Background) -> Any:
        """Where the hooks put their values."""
        return lambda layer, size, ready: background.put(size, lambda: self._open.append(layer, ready()))

    def close(self) -> None:
        self._partial.finish(self._pass.step(self._shard), self._open.close())
        self._open = None

    def abandon(self) -> None:
        if self._open is not None:
            self._open.abandon()
