"""Inner products of all pairs of stimuli, from the shards of a layer, in float64."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.arrays import column_blocks
from neuroscaling.activations.layout import GRAM, ROW_SUMS, Layout, shard_path
from neuroscaling.activations.shards import ShardWriter
from neuroscaling.regression.gram import Gram


def write_gram(folder: Path, entry: dict[str, Any], device: str = "cpu") -> dict[str, Any]:
    """Write the Gram matrix and row sums of a layer to the group `gram`, and return the layer's new entry.

    folder: of the group; entry: of the layer, whose features are there. device: torch's name; on a GPU the products
    are summed there, in float64 as well. Raises DataError for a damaged file.
    """
    layer = entry["name"]
    blocks = column_blocks(folder, layer, entry)
    gram = _on_device(blocks, entry["shape"], device) if device.startswith("cuda") else Gram.of_blocks(blocks)
    described = _write(folder, f"{GRAM}/{layer}", gram.products)
    described[ROW_SUMS] = _write(folder, f"{GRAM}/{ROW_SUMS}/{layer}", gram.sums[:, None])
    return {**entry, "kept": ["features", GRAM], GRAM: described}


def without_features(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of a layer of which only the inner products are kept."""
    return {**{key: entry[key] for key in entry if key != "files"}, "kept": [GRAM]}


def drop_features(folder: Path, entries: list[dict[str, Any]]) -> None:
    """Delete the features of those layers whose entries say that they are not kept."""
    for entry in entries:
        if "features" not in entry["kept"]:
            shutil.rmtree(folder / entry["name"], ignore_errors=True)


def _write(folder: Path, array: str, values: np.ndarray) -> dict[str, Any]:
    layout = Layout.of(*values.shape, dtype="float64", codec="none")
    return {**layout.entry(), "files": list(_write_shards(folder, array, layout, values))}


def _write_shards(folder: Path, array: str, layout: Layout, values: np.ndarray) -> Iterator[dict[str, Any]]:
    for shard in range(layout.shards):
        writer = ShardWriter(shard_path(folder, array, shard), layout, shard)
        writer.append(values[slice(*layout.rows(shard))])
        yield writer.close()


def _on_device(blocks: Iterator[np.ndarray], shape: list[int], device: str) -> Gram:
    import torch

    n, features = shape
    products = torch.zeros(n, n, dtype=torch.float64, device=device)
    sums = torch.zeros(n, dtype=torch.float64, device=device)
    for block in blocks:
        values = torch.from_numpy(block).to(device).double()
        products.addmm_(values, values.T)
        sums += values.sum(1)
    return Gram(products.cpu().numpy(), sums.cpu().numpy(), features)
