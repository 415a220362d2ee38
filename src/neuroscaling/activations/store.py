"""Reading stored activations; numpy and zarr suffice, so Brain-Score's environment reads them too.

Group: `stimulus_id` (n), one array a layer (n, features) where features are kept, and a group `gram` where inner
products are. Manifest: JSON beside it, written last; it holds the checksums of every file, so that a store that was
cut short or altered is refused when it is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from neuroscaling.activations.arrays import column_blocks, read_array, verify_layer
from neuroscaling.activations.layout import (
    FORMAT,
    GRAM,
    ROW_SUMS,
    STIMULUS_ID,
    Layout,
    group_path,
    ids_sha256,
    not_finite,
)
from neuroscaling.activations.shards import AGAIN
from neuroscaling.activations.writing import Batch, write_store
from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.files import read_json

if TYPE_CHECKING:
    from neuroscaling.regression.gram import Gram

__all__ = ["Activations", "Batch", "is_stored", "open_store", "write_store"]


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

    def shape(self, layer: str) -> tuple[int, int]:
        """Stimuli and features of a layer, also where only its inner products are kept."""
        n, features = self._entry(layer)["shape"]
        return n, features

    def keeps(self, layer: str, what: str) -> bool:
        """Whether the `features` or the `gram` of a layer are stored."""
        return what in self._entry(layer)["kept"]

    def read(self, layer: str) -> np.ndarray:
        """All values of a layer, (stimuli, features), in the type they are stored in.

        Raises DataError for an unknown layer, one whose features are not kept, a missing, cut or altered file (named),
        and for NaN (counted).
        """
        values = read_array(group_path(self.path), layer, self._features(layer))
        self._refuse_nan(values, layer)
        return values

    def rows_of(self, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Row of each of `stimulus_ids` (which may repeat). Raises DataError for ids without activations."""
        position = {stimulus: row for row, stimulus in enumerate(self.stimulus_ids)}
        missing = [stimulus for stimulus in stimulus_ids if stimulus not in position]
        if missing:
            raise DataError(
                Problem(f"{len(missing)} stimuli have no stored activations", str(self.path), ", ".join(missing[:5]))
            )
        return np.array([position[stimulus] for stimulus in stimulus_ids], dtype=np.intp)

    def read_rows(self, layer: str, stimulus_ids: Sequence[str]) -> np.ndarray:
        """Values of a layer for `stimulus_ids`, in their order. Raises DataError for ids without activations."""
        return self.read(layer)[self.rows_of(stimulus_ids)]

    def blocks(self, layer: str) -> Iterator[np.ndarray]:
        """The features of all stimuli some columns at a time, (n, up to 4096); memory is that of one block."""
        entry = self._features(layer)
        first = 0
        for block in column_blocks(group_path(self.path), layer, entry):
            self._refuse_nan(block, layer, first)
            first += block.shape[1]
            yield block

    def gram(self, layer: str) -> "Gram":
        """Inner products of the features of all stimuli, in the order of `stimulus_ids`, and the sums of their rows.

        The stored ones; where only features are kept they are computed block by block. Raises DataError as `read`.
        """
        from neuroscaling.regression.gram import Gram

        entry = self._entry(layer)
        if GRAM not in entry["kept"]:
            return Gram.of_blocks(self.blocks(layer))
        folder = group_path(self.path)
        sums = read_array(folder, f"{GRAM}/{ROW_SUMS}/{layer}", entry["gram"][ROW_SUMS])
        return Gram(read_array(folder, f"{GRAM}/{layer}", entry["gram"]), sums[:, 0], entry["shape"][1])

    def verify(self) -> None:
        """Compare every file with its checksum. Raises DataError for the first fault."""
        for entry in self.manifest["layers"]:
            verify_layer(group_path(self.path), entry)

    def _refuse_nan(self, values: np.ndarray, layer: str, first_feature: int = 0) -> None:
        if bad := not_finite(values):
            from neuroscaling.regression.finite import not_finite_in_words

            what = f"layer {layer}: {bad} of {np.size(values)} activations are NaN or infinite"
            words = not_finite_in_words(values, self.stimulus_ids, first_feature)
            raise DataError(Problem(what, str(self.path), words))

    def _entry(self, layer: str) -> dict[str, Any]:
        for entry in self.manifest["layers"]:
            if entry["name"] == layer:
                return entry
        raise DataError(
            Problem("no such layer", str(self.path), layer, ", ".join(self.layers), nearest(layer, self.layers))
        )

    def _features(self, layer: str) -> dict[str, Any]:
        entry = self._entry(layer)
        if "features" not in entry["kept"]:
            fix = "set `keep: both` (or `features`) in `extraction:` of the study, or name the layer as `readout`"
            raise DataError(Problem("only inner products are kept of this layer", str(self.path), layer, fix=fix))
        return entry


def open_store(json_path: str | Path) -> Activations:
    """Open stored activations by their manifest.

    Raises DataError when the manifest or the group is missing, of another format, or has other stimuli.
    """
    path = Path(json_path)
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise DataError(Problem("not a manifest of activations", str(path), found, FORMAT, fix=AGAIN))
    with reading(path, "a manifest of activations", AGAIN):
        manifest["stimulus_ids_sha256"], manifest["reduction"]
        for entry in manifest["layers"]:
            entry["name"], entry["kept"], entry["shape"], Layout.from_entry(entry)
    if not group_path(path).is_dir():
        raise DataError(Problem("the activations are missing", str(group_path(path)), fix=AGAIN))
    stimulus_ids = _read_ids(group_path(path))
    if ids_sha256(stimulus_ids) != manifest["stimulus_ids_sha256"]:
        raise DataError(Problem("the stimulus ids were altered", str(group_path(path) / STIMULUS_ID), fix=AGAIN))
    return Activations(path, manifest, stimulus_ids)


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


def _read_ids(folder: Path) -> list[str]:
    metadata = folder / STIMULUS_ID / "zarr.json"
    with reading(metadata, "readable stimulus ids", AGAIN):
        return [str(stimulus) for stimulus in zarr.open_array(folder / STIMULUS_ID, mode="r")[:]]
