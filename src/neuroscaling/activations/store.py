"""Writing and reading stored activations; numpy and zarr suffice, so Brain-Score's environment reads them too.

Group: `stimulus_id` (n) and one float32 array a layer (n, features), fill value NaN, sharded by batches of stimuli.
Manifest: JSON beside it, written last; it holds the sha256 of every layer's values, so that a store that was cut short
or altered is refused when it is read.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from neuroscaling.activations.layout import (
    DTYPE,
    FORMAT,
    STIMULUS_ID,
    chunk_and_shard,
    feature_dimension,
    group_path,
    ids_sha256,
    row_bytes,
)
from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.files import atomic_path, read_json, write_json
from neuroscaling.hashing import file_sha256

Batch = dict[str, np.ndarray]
AGAIN = "delete the manifest and run again: the activations are extracted anew"


@dataclass(frozen=True)
class Activations:
    """Stored activations of one run to one stimulus set; values are read, and checked, when asked for."""

    path: Path
    manifest: dict[str, Any]
    stimulus_ids: list[str]

    @property
    def layers(self) -> list[str]:
        """The layers in the order in which they were written, early to late."""
        return [entry["name"] for entry in self.manifest["layers"]]

    @property
    def reduction(self) -> dict[str, Any]:
        """What was kept of each layer."""
        return self.manifest["reduction"]

    def read(self, layer: str) -> np.ndarray:
        """All values of a layer: float32 (stimuli, features).

        Raises DataError for an unknown layer, a missing, cut or altered file (named), and for NaN (counted).
        """
        entry = self._entry(layer)
        # Files first: zarr's own error for a damaged chunk names no file, and leaves unfinished reads behind.
        damaged = list(_damaged_files(group_path(self.path), entry))
        values = None if damaged else _read_values(group_path(self.path), entry)
        if values is None:
            raise DataError(damaged or _unreadable(group_path(self.path), entry))
        _refuse_nan(values, layer, self.path)
        return values

    def read_rows(self, layer: str, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Values of a layer for `stimulus_ids`, in their order. Raises DataError for ids without activations."""
        position = {stimulus: row for row, stimulus in enumerate(self.stimulus_ids)}
        missing = [stimulus for stimulus in stimulus_ids if stimulus not in position]
        if missing:
            raise DataError(
                Problem(f"{len(missing)} stimuli have no stored activations", str(self.path), ", ".join(missing[:5]))
            )
        return self.read(layer)[[position[stimulus] for stimulus in stimulus_ids]]

    def verify(self) -> None:
        """Read everything once. Raises DataError for the first fault."""
        for layer in self.layers:
            self.read(layer)

    def _entry(self, layer: str) -> dict[str, Any]:
        for entry in self.manifest["layers"]:
            if entry["name"] == layer:
                return entry
        raise DataError(
            Problem("no such layer", str(self.path), layer, ", ".join(self.layers), nearest(layer, self.layers))
        )


def open_store(json_path: str | Path) -> Activations:
    """Open stored activations by their manifest.

    Raises DataError when the manifest or the group is missing, of another format, or has other stimuli.
    """
    path = Path(json_path)
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise DataError(Problem("not a manifest of activations", str(path), found, FORMAT, fix=AGAIN))
    if not group_path(path).is_dir():
        raise DataError(Problem("the activations are missing", str(group_path(path)), fix=AGAIN))
    stimulus_ids = _read_ids(group_path(path))
    if ids_sha256(stimulus_ids) != manifest["stimulus_ids_sha256"]:
        raise DataError(Problem("the stimulus ids were altered", str(group_path(path) / STIMULUS_ID), fix=AGAIN))
    return Activations(path, manifest, stimulus_ids)


def write_store(
    json_path: str | Path,
    stimulus_ids: Sequence[str],
    batches: Iterable[Batch],
    *,
    reduction: dict[str, Any],
    facts: dict[str, Any] | None = None,
    provenance: Callable[[], dict[str, Any]] = dict,
) -> dict[str, Any]:
    """Write activations batch by batch and return the manifest; memory is that of one batch.

    batches: each a dictionary of layer -> float32 (rows, features), together in the order of `stimulus_ids`; all but
    the last of the same number of rows. facts: what else the manifest says (run, set, weights_sha256, ...).
    The group is written under a temporary name, read back, and renamed; then the manifest. Raises DataError for NaN
    (layer and count), a layer that comes and goes, and too many or too few rows.
    """
    path, stimulus_ids = Path(json_path), [str(stimulus) for stimulus in stimulus_ids]
    _check_ids(stimulus_ids, path)
    with atomic_path(group_path(path)) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        group.attrs.update({"format": FORMAT, "reduction": reduction})
        layers = _write_layers(group, temporary, len(stimulus_ids), batches, path)
        _write_ids(group, stimulus_ids)
        for entry in layers:
            _read_back(temporary, entry, path)
        path.unlink(missing_ok=True)  # a manifest never stands beside another group's values
    manifest = {
        **(facts or {}),
        "format": FORMAT,
        "reduction": reduction,
        "layers": layers,
        "n_stimuli": len(stimulus_ids),
        "stimulus_ids_sha256": ids_sha256(stimulus_ids),
        "provenance": provenance(),
    }
    write_json(path, manifest)
    return manifest


def is_stored(json_path: str | Path, wanted: dict[str, Any]) -> bool:
    """Whether sound activations stand at `json_path` whose manifest says everything that `wanted` says."""
    try:
        stored = open_store(json_path)
        if any(stored.manifest.get(key) != value for key, value in wanted.items()):
            return False
        stored.verify()
    except DataError:
        return False
    return True


def _write_layers(group: zarr.Group, folder: Path, n: int, batches: Iterable[Batch], path: Path) -> list[dict]:
    batches = iter(batches)
    first = next(batches, None)
    if not first:
        raise DataError(Problem("there are no activations to write", str(path)))
    arrays = {layer: _create(group, layer, n, values) for layer, values in first.items()}
    hashes = {layer: hashlib.sha256() for layer in arrays}
    row = 0
    for batch in chain([first], batches):
        row = _write_batch(arrays, hashes, batch, row, n, path)
    if row != n:
        raise DataError(Problem("fewer activations than stimuli", str(path), row, str(n)))
    return [_entry(folder, array, layer, hashes[layer].hexdigest()) for layer, array in arrays.items()]


def _write_batch(arrays: dict, hashes: dict, batch: Batch, row: int, n: int, path: Path) -> int:
    if batch.keys() != arrays.keys():
        raise DataError(
            Problem("a batch has other layers than the first", str(path), sorted(batch), str(sorted(arrays)))
        )
    rows = {len(values) for values in batch.values()}
    if len(rows) != 1 or row + max(rows) > n:
        raise DataError(Problem("a batch doesn't fit the stimuli", str(path), sorted(rows), f"up to {n - row} rows"))
    for layer, values in batch.items():
        _refuse_nan(values, layer, path)
        arrays[layer][row : row + len(values)] = values.astype(DTYPE, copy=False)
        hashes[layer].update(row_bytes(values))
    return row + rows.pop()


def _create(group: zarr.Group, layer: str, n: int, values: np.ndarray) -> zarr.Array:
    if values.ndim != 2 or "/" in layer or layer in ("", STIMULUS_ID):
        raise DataError(
            Problem("can't be stored", f"layer {layer!r}", values.shape, "(stimuli, features), no '/' in the name")
        )
    chunk, shard = chunk_and_shard(len(values), values.shape[1], n)
    return group.create_array(
        layer,
        shape=(n, values.shape[1]),
        dtype=DTYPE,
        chunks=chunk,
        shards=shard,
        compressors=zarr.codecs.ZstdCodec(level=1),
        fill_value=np.nan,
        dimension_names=(STIMULUS_ID, feature_dimension(layer)),
    )


def _write_ids(group: zarr.Group, stimulus_ids: list[str]) -> None:
    array = group.create_array(
        STIMULUS_ID,
        shape=(len(stimulus_ids),),
        dtype="string",
        chunks=(max(len(stimulus_ids), 1),),
        dimension_names=(STIMULUS_ID,),
    )
    array[:] = np.array(stimulus_ids, dtype=object)


def _read_ids(folder: Path) -> list[str]:
    try:
        return [str(stimulus) for stimulus in zarr.open_array(folder / STIMULUS_ID, mode="r")[:]]
    except Exception as error:  # zarr's codecs raise many kinds for a damaged chunk
        raise DataError(
            Problem("the stimulus ids can't be read", str(folder / STIMULUS_ID), str(error), fix=AGAIN)
        ) from error


def _entry(folder: Path, array: zarr.Array, layer: str, digest: str) -> dict[str, Any]:
    files = sorted(file for file in (folder / layer).rglob("*") if file.is_file())
    return {
        "name": layer,
        "shape": list(array.shape),
        "dtype": "float32",
        "chunks": list(array.chunks),
        "shards": list(array.shards),
        "sha256": digest,
        "files": {file.relative_to(folder).as_posix(): file_sha256(file) for file in files},
    }


def _read_back(folder: Path, entry: dict[str, Any], path: Path) -> None:
    array = zarr.open_array(folder / entry["name"], mode="r")
    digest = hashlib.sha256()
    for row in range(0, array.shape[0], array.shards[0]):
        digest.update(row_bytes(array[row : row + array.shards[0]]))
    if digest.hexdigest() != entry["sha256"]:
        raise DataError(Problem("values read back differ from those written", f"{path}, layer {entry['name']}"))


def _read_values(folder: Path, entry: dict[str, Any]) -> np.ndarray | None:
    """The values, or None where they can't be read or have another shape."""
    try:
        values = np.asarray(zarr.open_array(folder / entry["name"], mode="r")[:])
    except Exception:  # zarr's codecs raise many kinds
        return None
    return values if list(values.shape) == entry["shape"] and values.dtype == DTYPE else None


def _unreadable(folder: Path, entry: dict[str, Any]) -> Problem:
    return Problem("the values are not those that were written", f"{folder}, layer {entry['name']}", fix=AGAIN)


def _damaged_files(folder: Path, entry: dict[str, Any]) -> Iterator[Problem]:
    for name, digest in entry["files"].items():
        file = folder / name
        if not file.is_file():
            yield Problem(f"layer {entry['name']}: a file of the activations is missing", str(file), fix=AGAIN)
        elif file_sha256(file) != digest:
            size = f"{file.stat().st_size} bytes"
            yield Problem(f"layer {entry['name']}: a file was cut short or altered", str(file), size, fix=AGAIN)


def _refuse_nan(values: np.ndarray, layer: str, path: Path) -> None:
    bad = int(np.size(values) - np.count_nonzero(np.isfinite(values)))
    if bad:
        raise DataError(
            Problem(f"layer {layer}: {bad} of {np.size(values)} activations are NaN or infinite", str(path))
        )


def _check_ids(stimulus_ids: list[str], path: Path) -> None:
    repeated = len(stimulus_ids) - len(set(stimulus_ids))
    if repeated or not stimulus_ids:
        what = f"{repeated} stimulus ids come twice" if repeated else "there are no stimuli"
        raise DataError(Problem(what, str(path)))
