"""Activations and their Gram matrices are written, verified, and sealed by a manifest."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from neuroscaling.activations.layout import (
    ACTIVATIONS_FORMAT,
    DTYPES,
    GRAM,
    ROW_SUMS,
    STIMULUS_ID,
    Layout,
    feature_dimension,
    group_path,
    not_finite,
    shard_path,
)
from neuroscaling.activations.manifest import ShardRecord, StoredArray, StoredLayer, write_manifest
from neuroscaling.activations.shards import ShardWriter, column_blocks, compressors, verify_layer
from neuroscaling.core.counting import counted
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import Lease
from neuroscaling.regression.gram import Gram

Batch = dict[str, np.ndarray]
RESERVED = ("", STIMULUS_ID, GRAM, ROW_SUMS, "zarr.json")


class LayerShards:
    """One shard of each of several layers, written side by side; `folder` is the group's."""

    def __init__(self, folder: Path, layouts: dict[str, Layout], shard: int, where: Path):
        self._shard, self._layouts, self._where = shard, layouts, where
        self._writers = {
            layer: ShardWriter(shard_path(folder, layer, shard), layout, shard) for layer, layout in layouts.items()
        }

    def append(self, layer: str, values: np.ndarray) -> None:
        """Add rows of a layer. Raises DataError for NaN and infinity, with the layer and their count."""
        values = np.asarray(values, self._layouts[layer].dtype)
        if bad := not_finite(values):
            what = f"layer {layer}: {bad} of {values.size} activations are NaN or infinite"
            raise DataError(Problem(what=what, where=str(self._where), value=f"shard {self._shard}"))
        self._writers[layer].append(values)

    def close(self) -> dict[str, ShardRecord]:
        """Complete the files; their records by layer."""
        return {layer: writer.close() for layer, writer in self._writers.items()}

    def abandon(self) -> None:
        """Drop what was written of this shard."""
        for writer in self._writers.values():
            writer.abandon()


def write_store(
    json_path: str | Path,
    stimulus_ids: Sequence[str],
    batches: Iterable[Batch],
    *,
    reduction: dict[str, Any],
    facts: dict[str, Any] | None = None,
    provenance: Callable[[], dict[str, Any]] = dict,
    codec: str = "zstd",
    keep: str = "features",
    lease: Lease | None = None,
) -> None:
    """Write activations batch by batch, and their manifest; memory is that of one batch.

    batches: each a dictionary of layer -> (rows, features) in float32, float16 or float64, together in the order of
    `stimulus_ids`; all but the last of the same number of rows. facts: what else the manifest says (run, set,
    made_from, definition, ...). keep: `features`, `gram` or `both`. lease: of the store, where several processes could
    write it. The group is written under a temporary name, verified and renamed; then the manifest. Raises DataError for
    NaN (layer and count), a layer that comes and goes, and too many or too few rows.
    """
    path, stimulus_ids = Path(json_path), [str(stimulus) for stimulus in stimulus_ids]
    check_ids(stimulus_ids, path)
    with atomic_path(group_path(path)) as folder:
        layers = _write_layers(folder, len(stimulus_ids), batches, codec, path)
        if keep != "features":
            layers = [write_gram(folder, layer) for layer in layers]
            layers = layers if keep == "both" else [replace(layer, files=None) for layer in layers]
            drop_features(folder, layers)
        complete_group(folder, stimulus_ids, layers, reduction)
        if lease is not None:
            lease.check()
        path.unlink(missing_ok=True)  # a manifest never stands beside another group's values
    files = metadata_sha256(group_path(path))
    write_manifest(path, stimulus_ids, layers, files, reduction, facts or {}, provenance())


def complete_group(
    folder: Path, stimulus_ids: list[str], layers: Sequence[StoredLayer], reduction: dict[str, Any]
) -> None:
    """Write Zarr's metadata for the arrays of `layers`, and the stimulus ids; verify every file.

    Raises DataError for a file that is not what was written.
    """
    group = zarr.open_group(folder, mode="a", zarr_format=3)
    group.attrs.update({"format": ACTIVATIONS_FORMAT, "reduction": reduction})
    _write_ids(group, stimulus_ids)
    if any(layer.gram is not None for layer in layers):
        group.require_group(GRAM).require_group(ROW_SUMS)
    for layer in layers:
        dimensions = {
            layer.name: (STIMULUS_ID, feature_dimension(layer.name)),
            f"{GRAM}/{layer.name}": (STIMULUS_ID, f"{STIMULUS_ID}_2"),
            f"{GRAM}/{ROW_SUMS}/{layer.name}": (STIMULUS_ID, "sum"),
        }
        for array, stored in layer.arrays().items():
            _create(group, array, stored.layout, dimensions[array])
        verify_layer(folder, layer)


def metadata_sha256(group: Path) -> dict[str, str]:
    """sha256 of each file of a group that is no shard, by its path there: Zarr's metadata and the stimulus ids."""
    files = {*group.rglob("zarr.json"), *(file for file in (group / STIMULUS_ID).rglob("*") if file.is_file())}
    return {file.relative_to(group).as_posix(): file_sha256(file) for file in sorted(files)}


def check_ids(stimulus_ids: list[str], path: Path) -> None:
    """Raise DataError where there are no stimuli, or one comes twice."""
    repeated = len(stimulus_ids) - len(set(stimulus_ids))
    if repeated or not stimulus_ids:
        what = f"{repeated} stimulus ids come twice" if repeated else "there are no stimuli"
        raise DataError(Problem(what=what, where=str(path)))


def check_layer(layer: str, shape: Sequence[int]) -> None:
    """Raise DataError for a name that Zarr can't hold, and for values that are no matrix."""
    if len(shape) != 2 or "/" in layer or layer in RESERVED:
        allowed = f"(stimuli, features), no '/' in the name, not {', '.join(RESERVED[1:])}"
        raise DataError(Problem(what="can't be stored", where=f"layer {layer!r}", value=tuple(shape), allowed=allowed))


def _write_layers(folder: Path, n: int, batches: Iterable[Batch], codec: str, path: Path) -> list[StoredLayer]:
    batches = iter(batches)
    first = next(batches, None)
    if not first:
        raise DataError(Problem(what="there are no activations to write", where=str(path)))
    layouts = {layer: _layout(layer, values, n, codec) for layer, values in first.items()}
    shards: LayerShards | None = None
    row, records = 0, []
    try:
        for batch in chain([first], batches):
            for start, stop, shard in _pieces(batch, layouts, row, n, path):
                shards = shards or LayerShards(folder, layouts, shard, path)
                for layer, values in batch.items():
                    shards.append(layer, values[start - row : stop - row])
                if stop == next(iter(layouts.values())).rows(shard)[1]:
                    records.append(shards.close())
                    shards = None
            row = stop
    finally:
        if shards:
            shards.abandon()
    if row != n:
        raise DataError(Problem(what="fewer activations than stimuli", where=str(path), value=row, allowed=str(n)))
    return [StoredLayer(layer, layout, tuple(record[layer] for record in records)) for layer, layout in layouts.items()]


def _pieces(batch: Batch, layouts: dict[str, Layout], row: int, n: int, path: Path) -> Iterator[tuple[int, int, int]]:
    """(first row, one past the last, shard) of a batch that begins at `row`, cut where shards end."""
    if batch.keys() != layouts.keys():
        raise DataError(
            Problem(
                what="a batch has other layers than the first",
                where=str(path),
                value=sorted(batch),
                allowed=str(sorted(layouts)),
            )
        )
    rows = {len(values) for values in batch.values()}
    if len(rows) != 1 or row + max(rows) > n:
        raise DataError(
            Problem(
                what="a batch doesn't fit the stimuli",
                where=str(path),
                value=sorted(rows),
                allowed=f"up to {n - row} rows",
            )
        )
    stop, size = row + rows.pop(), next(iter(layouts.values())).shard_rows
    while row < stop:
        end = min(stop, (row // size + 1) * size)
        yield row, end, row // size
        row = end


def _layout(layer: str, values: np.ndarray, n: int, codec: str) -> Layout:
    check_layer(layer, values.shape)
    dtype = values.dtype.name if values.dtype.name in DTYPES else "float32"
    return Layout.of(n, values.shape[1], dtype, len(values), codec)


def _create(group: zarr.Group, array: str, layout: Layout, dimensions: tuple[str, str]) -> None:
    group.create_array(
        array,
        shape=layout.shape,
        dtype=layout.dtype,
        chunks=layout.chunk,
        shards=layout.shard,
        compressors=compressors(layout.codec),
        fill_value=np.nan,
        dimension_names=dimensions,
    )


def _write_ids(group: zarr.Group, stimulus_ids: list[str]) -> None:
    array = group.create_array(
        STIMULUS_ID,
        shape=(len(stimulus_ids),),
        dtype="string",
        chunks=(max(len(stimulus_ids), 1),),
        dimension_names=(STIMULUS_ID,),
        overwrite=True,
    )
    array[:] = np.array(stimulus_ids, dtype=object)


def write_gram(folder: Path, layer: StoredLayer, device: str = "cpu") -> StoredLayer:
    """Write the Gram matrix and row sums of a layer to the group `gram`, and return the layer with them.

    folder: of the group, which has the layer's features. device: torch's name; on a GPU the products are summed there,
    in float64 as well. Raises DataError for a damaged file, ValueError for a layer whose features are not kept.
    """
    if layer.features is None:
        raise ValueError(f"the features of {layer.name} are not kept")
    shape, n_blocks = layer.layout.shape, layer.features.layout.grid[1]
    blocks = counted(column_blocks(folder, layer.name, layer.features), "block", n_blocks)
    gram = gram_on(device, blocks, shape) if device.startswith("cuda") else Gram.of_blocks(blocks)
    products = _write(folder, f"{GRAM}/{layer.name}", gram.products)
    row_sums = _write(folder, f"{GRAM}/{ROW_SUMS}/{layer.name}", gram.sums[:, None])
    return replace(layer, gram=products, row_sums=row_sums)


def drop_features(folder: Path, layers: Iterable[StoredLayer]) -> None:
    """Delete the features of those layers that keep only their inner products."""
    for layer in layers:
        if layer.features is None:
            shutil.rmtree(folder / layer.name, ignore_errors=True)


def _write(folder: Path, array: str, values: np.ndarray) -> StoredArray:
    layout = Layout.of(len(values), values.shape[1], dtype="float64", codec="none")
    return StoredArray(layout, tuple(_write_shards(folder, array, layout, values)))


def _write_shards(folder: Path, array: str, layout: Layout, values: np.ndarray) -> Iterator[ShardRecord]:
    for shard in range(layout.shards):
        writer = ShardWriter(shard_path(folder, array, shard), layout, shard)
        writer.append(values[slice(*layout.rows(shard))])
        yield writer.close()


def gram_on(device: str, blocks: Iterator[np.ndarray], shape: tuple[int, int]) -> Gram:
    """The Gram matrix of features (n, p) = `shape`, in blocks of columns, summed in float64 on a torch device."""
    import torch  # heavy, and for Gram matrices on a GPU alone

    n, features = shape
    products = torch.zeros(n, n, dtype=torch.float64, device=device)
    sums = torch.zeros(n, dtype=torch.float64, device=device)
    for block in blocks:
        values = torch.from_numpy(block).to(device).double()
        products.addmm_(values, values.T)
        sums += values.sum(1)
    return Gram(products.cpu().numpy(), sums.cpu().numpy(), features)
