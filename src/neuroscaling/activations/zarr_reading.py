"""Stored activations are read layer by layer, in both environments.

Group: `stimulus_id` (n), one array a layer (n, features) where features are kept, and a group `gram` where inner
products are. Manifest: JSON beside it, written last; it holds the checksums of every file, so that a store that was
cut short or altered is refused when it is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from neuroscaling.activations.layout import GRAM, ROW_SUMS, STIMULUS_ID, group_path, ids_sha256, not_finite
from neuroscaling.activations.manifest import EXTRACT_AGAIN, Manifest, StoredArray, read_manifest
from neuroscaling.activations.shards import column_blocks, read_array, verify_layer
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading
from neuroscaling.core.hashing import file_sha256
from neuroscaling.regression.features import not_finite_in_words
from neuroscaling.regression.gram import Gram

OPENED = ("zarr.json", STIMULUS_ID)
"""What is read of a group when it is opened: its own metadata and the ids; a layer's are read with the layer."""


@dataclass(frozen=True)
class Activations:
    """Stored activations of one run to one stimulus set; values are read, and checked, when asked for."""

    path: Path
    manifest: Manifest
    stimulus_ids: list[str]

    @property
    def layers(self) -> list[str]:
        """The layers in the order in which they were written, early to late."""
        return list(self.manifest.layers)

    @property
    def reduction(self) -> dict[str, Any]:
        """What was kept of each layer."""
        return self.manifest.reduction

    def shape(self, layer: str) -> tuple[int, int]:
        """Return stimuli and features of a layer, also where only its inner products are kept."""
        return self.manifest.layer(layer).layout.shape

    def keeps(self, layer: str, what: str) -> bool:
        """Return whether the `features` or the `gram` of a layer are stored."""
        return what in self.manifest.layer(layer).kept

    def read(self, layer: str) -> np.ndarray:
        """Return all values of a layer, (stimuli, features), in the type they are stored in.

        Raises DataError for an unknown layer, one whose features are not kept, a missing, cut or altered file (named),
        and for NaN (counted).
        """
        stored = self._features(layer)
        self._check_metadata([layer])
        values = read_array(group_path(self.path), layer, stored)
        self._refuse_nan(values, layer)
        return values

    def rows_of(self, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Return the row of each of `stimulus_ids` (which may repeat). Raises DataError for ids without activations."""
        position = {stimulus: row for row, stimulus in enumerate(self.stimulus_ids)}
        missing = [stimulus for stimulus in stimulus_ids if stimulus not in position]
        if missing:
            raise DataError(
                Problem(
                    what=f"{len(missing)} stimuli have no stored activations",
                    where=str(self.path),
                    value=", ".join(missing[:5]),
                )
            )
        return np.array([position[stimulus] for stimulus in stimulus_ids], dtype=np.intp)

    def read_rows(self, layer: str, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Return values of a layer for `stimulus_ids`, in their order. Raises DataError for ids without activations."""
        return self.read(layer)[self.rows_of(stimulus_ids)]

    def blocks(self, layer: str) -> Iterator[np.ndarray]:
        """Yield the features of all stimuli some columns at a time, (n, up to 4096); memory is that of one block."""
        stored, first = self._features(layer), 0
        self._check_metadata([layer])
        for block in column_blocks(group_path(self.path), layer, stored):
            self._refuse_nan(block, layer, first)
            first += block.shape[1]
            yield block

    def gram(self, layer: str) -> Gram:
        """Inner products of the features of all stimuli, in the order of `stimulus_ids`, and the sums of their rows.

        The stored ones; where only features are kept they are computed block by block. Raises DataError as `read`.
        """
        stored = self.manifest.layer(layer)
        if stored.gram is None or stored.row_sums is None:
            return Gram.of_blocks(self.blocks(layer))
        products, row_sums = f"{GRAM}/{layer}", f"{GRAM}/{ROW_SUMS}/{layer}"
        self._check_metadata([products, row_sums])
        folder = group_path(self.path)
        sums = read_array(folder, row_sums, stored.row_sums)
        return Gram(read_array(folder, products, stored.gram), sums[:, 0], stored.layout.shape[1])

    def verify(self) -> None:
        """Compare every file with its checksum. Raises DataError for the first fault."""
        check_files(group_path(self.path), self.manifest.files)
        for layer in self.manifest.layers.values():
            verify_layer(group_path(self.path), layer)

    def _check_metadata(self, arrays: Sequence[str]) -> None:
        stated = self.manifest.files
        check_files(group_path(self.path), {f"{array}/zarr.json": stated[f"{array}/zarr.json"] for array in arrays})

    def _refuse_nan(self, values: np.ndarray, layer: str, first_feature: int = 0) -> None:
        if bad := not_finite(values):
            what = f"layer {layer}: {bad} of {np.size(values)} activations are NaN or infinite"
            words = not_finite_in_words(values, self.stimulus_ids, first_feature)
            raise DataError(Problem(what=what, where=str(self.path), value=words))

    def _features(self, layer: str) -> StoredArray:
        stored = self.manifest.layer(layer).features
        if stored is None:
            fix = "set `keep: both` (or `features`) in `extraction:` of the study, or name the layer as `readout`"
            raise DataError(
                Problem(what="only inner products are kept of this layer", where=str(self.path), value=layer, fix=fix)
            )
        return stored


def open_store(json_path: str | Path) -> Activations:
    """Open stored activations by their manifest.

    Raises DataError when the manifest or the group is missing or altered, of another format, or has other stimuli, and
    when it is that of other activations than the file is named after.
    """
    path = Path(json_path)
    manifest = read_manifest(path)
    opened = {name: sha for name, sha in manifest.files.items() if name.partition("/")[0] in OPENED}
    if not group_path(path).is_dir():
        raise DataError(Problem(what="the activations are missing", where=str(group_path(path)), fix=EXTRACT_AGAIN))
    check_files(group_path(path), opened)
    stimulus_ids = _read_ids(group_path(path))
    if ids_sha256(stimulus_ids) != manifest.stimulus_ids_sha256:
        raise DataError(
            Problem(what="the stimulus ids were altered", where=str(group_path(path) / STIMULUS_ID), fix=EXTRACT_AGAIN)
        )
    return Activations(path, manifest, stimulus_ids)


def check_files(group: Path, stated: Mapping[str, str]) -> None:
    """Compare files of a group with their sha256, by their paths there. Raises DataError, naming both, for each."""
    problems = []
    for name, sha256 in stated.items():
        found = file_sha256(group / name) if (group / name).is_file() else None
        if found != sha256:
            what = "a file of the activations is missing" if found is None else "a file was altered, by its sha256"
            problems.append(Problem(what=what, where=str(group / name), value=found, allowed=sha256, fix=EXTRACT_AGAIN))
    if problems:
        raise DataError(problems)


def _read_ids(folder: Path) -> list[str]:
    metadata = folder / STIMULUS_ID / "zarr.json"
    with reading(metadata, "readable stimulus ids", EXTRACT_AGAIN):
        return [str(stimulus) for stimulus in np.asarray(zarr.open_array(folder / STIMULUS_ID, mode="r")[:])]
