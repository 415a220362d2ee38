"""Where a GPU has no room for a batch, it goes through in parts, and the store is that of a smaller batch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from neuroscaling.activations.extraction import extract
from neuroscaling.activations.layout import group_path
from neuroscaling.activations.networks import Extractor, InParts
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.errors import DataError
from neuroscaling.study.sections.extraction import ExtractionOptions
from tests.activations.test_extraction_resume import BATCH, RUN, folder
from tests.support.prepared import extraction_of

__all__ = ["folder"]
LAYERS = ["early", "middle", "late"]


@dataclass
class SmallGpu:
    """In place of a network on a GPU that has room for so many images; larger batches fail behind the first layer."""

    room: int
    device: str = "cuda:0"
    passes: list[int] = field(default_factory=list)

    def forward(self, images: np.ndarray, entries: Any, sink: Any) -> None:
        """Hand over the sum of each image, by layers, until memory does not suffice."""
        self.passes.append(len(images))
        for entry in entries:
            if max(len(images), 2) > self.room and entry != "early":
                raise torch.OutOfMemoryError("CUDA out of memory")
            values = images.sum((1, 2, 3), keepdims=False)[:, None] + LAYERS.index(entry)
            sink(entry, values.nbytes, lambda values=values: values)


def rows_of(room: int, batches: list[np.ndarray]) -> tuple[dict[str, np.ndarray], list[int]]:
    """The rows that the layers' sinks got, and the images of each pass."""
    network, found = SmallGpu(room), {layer: [] for layer in LAYERS}
    in_parts = InParts(network)  # type: ignore[arg-type]
    for images in batches:
        in_parts.forward(images, LAYERS, lambda layer, _, ready: found[layer].append(ready()))
    return {layer: np.concatenate(parts) for layer, parts in found.items()}, network.passes


@pytest.mark.parametrize(("room", "passes"), [(64, [16, 16]), (5, [16, 8, 4, 4, 4, 4, 4, 4, 4, 4])])
def test_every_row_comes_once_and_in_order_and_later_batches_begin_at_the_size_that_fits(room, passes, caplog):
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (16, 2, 2, 3)) for _ in range(2)]
    found, made = rows_of(room, batches)
    sums = np.concatenate(batches).sum((1, 2, 3))[:, None]
    for number, layer in enumerate(LAYERS):
        assert np.array_equal(found[layer], sums + number)
    assert made == passes
    assert ("does not suffice for 16 images at once: 8 go through" in caplog.text) == (room == 5)


def test_a_gpu_without_room_for_two_images_is_named():
    with pytest.raises(DataError) as error:
        rows_of(1, [np.zeros((3, 2, 2, 3))])
    assert all(word in str(error.value) for word in ("memory of cuda:0", "2 images at once", "larger GPU"))


def test_a_store_of_parts_is_that_of_the_whole_batch(folder, tmp_path, monkeypatch):
    forward = Extractor.forward

    def short_of_memory(extractor, images, entries, sink):
        """Half of the layers of a batch above three images, and then no room for the rest."""
        if len(images) <= 3:
            return forward(extractor, images, entries, sink)
        forward(extractor, images, entries[: len(entries) // 2], sink)
        raise torch.OutOfMemoryError("CUDA out of memory")

    stores = []
    for name in ("whole", "parts"):
        if name == "parts":
            monkeypatch.setattr(Extractor, "forward", short_of_memory)
        output = tmp_path / name / "set-00000000.json"
        extract(extraction_of(RUN, folder, output), ExtractionOptions(batch=BATCH), device="cpu")
        stores.append((output, open_store(output)))
    (first, whole), (second, parts) = stores
    assert whole.layers == parts.layers
    files = [sorted(p.relative_to(group_path(one)) for p in group_path(one).rglob("*")) for one in (first, second)]
    assert files[0] == files[1], "the layout is that of the batch that was asked for"
    for layer in whole.layers:
        np.testing.assert_allclose(parts.read(layer), whole.read(layer), rtol=1e-5, atol=1e-6)
