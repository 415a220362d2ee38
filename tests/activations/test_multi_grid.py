"""Several grids of each layer from one forward pass, and the switches of preprocessing."""

import hashlib
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from neuroscaling.activations.extraction import extract, finish
from neuroscaling.activations.layout import entry_name, group_path, split_entry
from neuroscaling.activations.networks import network_extractor
from neuroscaling.activations.reductions import Reducer, pooled
from neuroscaling.activations.stimulus_images import IMAGENET_MEAN, preprocessing
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.errors import DataError
from neuroscaling.core.images import ImageFile
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from neuroscaling.planning.extraction import planned_layers
from neuroscaling.study.sections.extraction import ExtractionOptions, FeatureOptions, Reduction
from tests.support.prepared import extraction_of, features_of, run_of, write_run, write_set

CPU = torch.device("cpu")
N = 23
LAYERS = ["layer1.0", "layer2.0", "layer3.0", "global_pool"]  # maps of 8, 4 and 2 pixels of side, and a vector
SIZES = {"kind": "max", "sizes": [1, 2, 4]}
ENTRIES = [
    "layer1.0@1", "layer1.0@2", "layer1.0@4", "layer2.0@1", "layer2.0@2", "layer2.0@4", "layer3.0@1", "layer3.0@2",
    "global_pool",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run and a stimulus set of random images."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    rng, rows = np.random.default_rng(0), []
    for i in range(N):
        file = folder / "images" / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
        sha1 = hashlib.sha1(file.read_bytes()).hexdigest()
        rows.append({"stimulus_id": f"s{i}", "filename": file.name, "sha1": sha1})
    write_set(folder, rows)
    save_weights(build("resnet_w8", 10, 3), folder / "weights-ep0.safetensors", {"arch": "resnet_w8"})
    write_run(folder)
    return folder


def written(folder, output, reduction=SIZES, layers=LAYERS, step=extract, part=None, scratch_gb=50, **features):
    options = ExtractionOptions(batch=5, scratch_gb=scratch_gb)
    job = extraction_of(run_of("resnet_w8"), folder, output, layers=layers, reduction=reduction, **features)
    step(job, options, device="cpu", **({} if part is None else {"part": part}))
    return output


@pytest.fixture(scope="module")
def grids(folder, tmp_path_factory):
    return written(folder, tmp_path_factory.mktemp("grids") / "set.json")


def test_each_grid_is_what_an_extraction_of_that_grid_alone_gives(folder, grids, tmp_path):
    store = open_store(grids)
    assert store.layers == ENTRIES and store.reduction == SIZES
    for size in (1, 2, 4):
        alone = open_store(written(folder, tmp_path / f"{size}.json", {"kind": "max", "size": size}))
        for layer in ("layer1.0", "layer2.0"):
            np.testing.assert_array_equal(store.read(entry_name(layer, size)), alone.read(layer))
        np.testing.assert_array_equal(store.read("global_pool"), alone.read("global_pool"))


def test_a_single_size_keeps_plain_names_and_its_manifest(folder, tmp_path):
    manifest = open_store(written(folder, tmp_path / "set.json", {"kind": "max", "size": 2})).manifest.record
    assert manifest["reduction"] == {"kind": "max", "size": 2}
    assert [entry["name"] for entry in manifest["layers"]] == LAYERS
    assert set(manifest["options"]) == {"keep", "dtype", "autocast", "tokens", "candidates"}


def test_a_grid_above_the_map_is_left_out_and_named(caplog):
    caplog.set_level(logging.INFO)
    asked = features_of(["layer3.0", "global_pool"], SIZES)
    extractor = network_extractor(build("resnet_w8", 10, 0), "resnet_w8", "untrained", asked, CPU)
    assert list(extractor.widths()) == ["layer3.0@1", "layer3.0@2", "global_pool"]
    assert "left out, finer than the layer's map: layer3.0@4" in caplog.text


def test_a_layer_without_any_grid_is_refused():
    asked = features_of(["layer3.0"], {"kind": "grid", "sizes": [3, 4]})
    with pytest.raises(DataError, match=r"every grid is finer than the layer's map[\s\S]*layer3\.0"):
        network_extractor(build("resnet_w8", 10, 0), "resnet_w8", "untrained", asked, CPU)


@pytest.mark.parametrize("keep", ["gram", "both"])
def test_inner_products_of_each_grid_in_turns_and_in_one_pass(keep, folder, grids, tmp_path):
    features = open_store(grids)
    # A little scratch makes several passes over the images, which cut the grids of a layer apart.
    store = open_store(written(folder, tmp_path / "a.json", keep=keep, scratch_gb=2e-5))
    assert (store.manifest.record["passes"] > 2) == (keep == "gram") and set(store.layers) == set(ENTRIES)
    for entry in ENTRIES:
        values = features.read(entry).astype(np.float64)
        np.testing.assert_allclose(store.gram(entry).products, values @ values.T, rtol=1e-12)
        assert store.keeps(entry, "features") == (keep == "both" or entry == "global_pool")


def test_slices_write_the_same_files(folder, grids, tmp_path):
    output = tmp_path / "set.json"
    for part in (1, 0):
        written(folder, output, part=(part, 2))
    written(folder, output, step=finish)
    for file in sorted(group_path(grids).rglob("c/*/*")):
        assert file.read_bytes() == (group_path(output) / file.relative_to(group_path(grids))).read_bytes()


def test_an_extraction_that_is_there_is_kept_whatever_the_order_of_its_sizes(folder, grids):
    before = grids.stat().st_mtime_ns
    written(folder, grids, {"kind": "max", "sizes": [4, 1, 2]})
    assert grids.stat().st_mtime_ns == before


@pytest.mark.parametrize("keep", ["features", "gram"])
def test_planned_bytes_are_those_of_the_entries(keep, folder, grids):
    rows = planned_layers("resnet_w8", features_of(LAYERS, SIZES, keep=keep), N)
    stored = open_store(grids)
    assert [(row["layer"], row["features"]) for row in rows] == [(name, stored.shape(name)[1]) for name in ENTRIES]
    kept = [4 * N * row["features"] if keep == "features" or row["layer"] == "global_pool" else 0 for row in rows]
    assert [row["bytes"] for row in rows] == kept


@pytest.mark.parametrize("kind, pool", [("max", nn.AdaptiveMaxPool2d), ("grid", nn.AdaptiveAvgPool2d)])
def test_tokens_are_pooled_as_a_map_of_their_patches(kind, pool):
    tokens = torch.randn(2, 1 + 196, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Identity()
    model.num_prefix_tokens = 1
    patches = tokens[:, 1:].transpose(1, 2).reshape(2, 3, 14, 14)
    sizes = list(range(1, 17))
    found = pooled(tokens, model, kind, sizes)
    assert list(found) == sizes[:14]
    for size, grid in found.items():
        assert torch.equal(grid, pool((size, size))(patches))
    assert torch.equal(found[14], patches)


@pytest.mark.parametrize("tokens", ["all", "patch"])
def test_prefix_tokens_are_taken_out_once(tokens):
    model = nn.Identity()
    model.num_prefix_tokens = 5  # a class token and four registers
    output = torch.randn(2, 5 + 16, 3, generator=torch.Generator().manual_seed(1))
    patches = output[:, 5:].transpose(1, 2).reshape(2, 3, 4, 4)
    expected = functional.adaptive_avg_pool2d(patches, 2).flatten(1)
    assert torch.equal(Reducer(model, Reduction(kind="grid", size=2), tokens)("a", output), expected)
    entries = Reducer(model, Reduction(kind="grid", sizes=[2, 5]), tokens).entries("a", output)
    assert list(entries) == ["a@2"] and torch.equal(entries["a@2"], expected)


def test_names_of_entries():
    assert split_entry(entry_name("blocks.3", 4)) == ("blocks.3", 4)
    assert split_entry("layer1.0.relu:1") == ("layer1.0.relu:1", 0)
    assert split_entry(entry_name("relu:2", 16)) == ("relu:2", 16)


@pytest.mark.parametrize("sizes", [[0], [17], [2, 2], [True], ["2"], 2, [1.0]])
def test_other_sizes_are_refused(sizes):
    with pytest.raises(ValidationError, match="sizes"):
        Reduction(kind="max", sizes=sizes)


def test_without_normalisation_values_stay_between_0_and_1_and_without_crop_the_edges_stay(tmp_path):
    published = ("vit_base_patch16_clip_224.openai", "pretrained")
    cropped = ("eva02_base_patch16_clip_224.merged2b", "pretrained")
    plain = preprocessing(*cropped, normalise=False, crop=False)
    assert (plain.mean, plain.std, plain.crop, plain.interpolation) == ((0, 0, 0), (1, 1, 1), 1.0, "bicubic")
    assert preprocessing(*cropped).crop == 0.9 and preprocessing(*published, normalise=False).crop == 0.9
    ramp = np.broadcast_to(np.arange(224, dtype=np.uint8)[:, None, None], (224, 224, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "ramp.png")
    assert plain.load(ImageFile(tmp_path / "ramp.png"))[:, 0, 0].tolist() == list(range(224))
    assert preprocessing(*cropped).load(ImageFile(tmp_path / "ramp.png"))[0, 0, 0] > 8


def test_the_switches_change_the_values_and_what_the_manifest_says(folder, grids, tmp_path):
    stored = open_store(written(folder, tmp_path / "set.json", normalise=False, crop=False))
    assert stored.manifest.record["preprocessing"]["mean"] == [0, 0, 0]
    assert (
        stored.manifest.record["options"]["normalise"] is False and stored.manifest.record["options"]["crop"] is False
    )
    usual = open_store(grids)
    assert usual.manifest.record["preprocessing"]["mean"] == list(IMAGENET_MEAN)
    assert np.abs(stored.read("layer1.0@1") - usual.read("layer1.0@1")).max() > 0.01


def test_a_switch_that_is_no_truth_value_is_named():
    with pytest.raises(ValidationError, match="normalise"):
        FeatureOptions(normalise="no")
