"""Layers by name, time and pattern; torchvision's models; what an image goes through; planned bytes."""

import numpy as np
import pytest
import torch
from PIL import Image
from tools import network_tables

from neuroscaling.activations.networks import Extractor, network_extractor, normalise
from neuroscaling.activations.stimulus_images import Preprocessing, load, preprocessing
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.images import ImageFile
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.capture import capturing, probe
from neuroscaling.models.heads import head_names
from neuroscaling.models.layers import PATTERNS, candidate_layers, check_layers, readout_layer
from neuroscaling.planning.extraction import peak_scratch, planned_layers
from neuroscaling.study import architectures
from neuroscaling.study.sections.extraction import ExtractionOptions
from tests.support.prepared import features_of

RESNET, CPU = "torchvision.resnet18", torch.device("cpu")


@pytest.fixture(scope="module")
def resnet():
    return build(RESNET, 10, 0).eval()


def extractor(model, arch, layers=None, reduction=None, **options):
    return network_extractor(model, arch, "untrained", features_of(layers, reduction, **options), CPU)


def outputs_of(one: Extractor, images: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    one.forward(images, one.layers, lambda layer, size, ready: found.update({layer: ready}))
    return {layer: ready() for layer, ready in found.items()}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def test_a_shared_relu_has_a_layer_for_each_time_and_its_name_means_the_last(resnet, images):
    names_ = ["layer1.0.bn1", "layer1.0.relu:1", "layer1.0.relu:2", "layer1.0.relu", "layer1.0"]
    found = outputs_of(extractor(resnet, RESNET, names_), images)
    first = np.maximum(found["layer1.0.bn1"], 0)
    np.testing.assert_array_equal(found["layer1.0.relu:1"], first)
    np.testing.assert_array_equal(found["layer1.0.relu"], found["layer1.0.relu:2"])
    np.testing.assert_array_equal(found["layer1.0.relu"], found["layer1.0"])
    assert np.abs(found["layer1.0.relu:1"] - found["layer1.0.relu:2"]).max() > 0


def test_values_are_those_of_the_module_although_later_ones_compute_in_place(resnet, images):
    """The ReLU after bn1, and the sum after bn2, write into what they are given."""
    found = outputs_of(extractor(resnet, RESNET, ["layer1.0.bn1", "layer1.0.bn2"]), images)
    with torch.no_grad():
        x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(normalise(images, CPU)))))
        block = resnet.layer1[0]
        before = block.bn1(block.conv1(x)).clone()
        after = block.bn2(block.conv2(torch.relu(before)))
    np.testing.assert_allclose(found["layer1.0.bn1"], before.flatten(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(found["layer1.0.bn2"], after.flatten(1).numpy(), atol=1e-5)
    assert found["layer1.0.bn1"].min() < 0


def test_an_unknown_time_is_refused_with_those_there_are():
    (problem,) = check_layers(RESNET, ["layer1.0.relu:3", "layer1.0.relu:2"])
    assert problem.value == "layer1.0.relu:3" and "layer1.0.relu:2" in problem.allowed
    assert check_layers(RESNET, ["fc:input"]) == []


def test_published_layers_of_torchvision_exist():
    wanted = {
        "torchvision.convnext_tiny": ["features.6.0", "features.5.4.block.0", "features.4.0", "classifier.1"],
        "torchvision.resnet18": ["layer1.0.bn1", "layer3.0.conv2", "layer4.0.bn1", "avgpool"],
        "torchvision.alexnet": ["features.4", "features.7", "avgpool"],
    }
    for arch, layers in wanted.items():
        model = skeleton(arch)
        assert check_layers(arch, layers, model) == []
        family = candidate_layers(arch, model, "family")
        assert set(layers[:-1]) <= set(family), arch
        assert len(probe(model, layers, architectures.architecture(arch).input_size)) == len(layers)


@pytest.mark.parametrize("arch", ["resnet_w8", "vit_w32", RESNET])
def test_every_layer_of_every_pattern_gives_a_row_an_image_early_to_late(arch):
    model = skeleton(arch)
    found = {pattern: candidate_layers(arch, model, pattern) for pattern in PATTERNS}
    for layers in found.values():
        reached = probe(model, layers, architectures.architecture(arch).input_size)
        assert list(reached) == sorted(reached, key=lambda layer: reached[layer].last)
        assert set(reached) == set(layers)
    assert all(found[pattern] for pattern in ("default", "block", "norm", "all", "family"))
    assert {layer.partition(":")[0] for layer in found["norm"]} < {layer.partition(":")[0] for layer in found["all"]}
    with pytest.raises(DataError, match=r"no such pattern[\s\S]*nearest: +conv"):
        candidate_layers(arch, model, "convs")


@pytest.mark.parametrize(
    "arch, readout",
    [(RESNET, "avgpool"), ("torchvision.convnext_tiny", "classifier.1"), ("torchvision.vit_b_16", "heads.head:input")],
)
def test_the_readout_of_torchvision_is_what_its_classifier_is_given(arch, readout):
    model = skeleton(arch).eval()
    (head,) = head_names(arch, model)
    assert readout_layer(arch, model) == readout
    reached = probe(model, [readout, f"{head}:input"], architectures.architecture(arch).input_size)
    assert torch.Size(reached[readout].shape[1:]).numel() == reached[f"{head}:input"].shape[1]


def test_the_list_of_torchvision_names_is_in_step_with_torchvision():
    assert architectures.TORCHVISION_NAMES.read_text(encoding="utf-8") == network_tables.torchvision_models()


def test_names_of_torchvision():
    assert architectures.is_architecture("torchvision.resnet50") and architectures.is_architecture(
        "torchvision.resnet50.IMAGENET1K_V2"
    )
    assert not architectures.is_architecture(
        "torchvision.resnet50.IMAGENET1K_V3"
    ) and not architectures.is_architecture("torchvision.resnet51")
    assert architectures.family_of("torchvision.convnext_tiny") == "ConvNeXt"
    assert (
        architectures.architecture_definition(RESNET)["timm_name"]
        == RESNET
        != architectures.architecture_definition("resnet18")["timm_name"]
    )
    with pytest.raises(StudyError, match=r"nearest: +torchvision\.convnext_tiny"):
        architectures.architecture("torchvision.convnext_tny")


def test_tokens_of_a_network(images):
    model = build("vit_w32", 10, 0)
    small = images[:, :32, :32].copy()
    whole, one, patch, mean = (
        outputs_of(extractor(model, "vit_w32", ["blocks.1"], tokens=tokens), small)["blocks.1"].reshape(2, -1, 32)
        for tokens in ("all", "class", "patch", "mean")
    )
    np.testing.assert_array_equal(one[:, 0], whole[:, 0])
    np.testing.assert_array_equal(patch, whole[:, 1:])
    np.testing.assert_allclose(mean[:, 0], whole[:, 1:].mean(1), atol=1e-6)


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_mixed_precision_is_close_and_stored_in_the_type_asked_for(autocast, images):
    model, small = build("resnet_w8", 10, 0), images[:, :32, :32].copy()
    exact = outputs_of(extractor(model, "resnet_w8"), small)
    mixed = outputs_of(extractor(model, "resnet_w8", autocast=autocast, dtype="float16"), small)
    for layer, values in exact.items():
        assert values.dtype == np.float32 and mixed[layer].dtype == np.float16
        assert 0 < np.abs(mixed[layer] - values).max() < 0.1 * np.abs(values).max()


def test_the_readout_comes_last_whatever_else_is_asked_for():
    one = extractor(build("resnet_w8", 10, 0), "resnet_w8", {"candidates": "all", "regions": {"IT": "global_pool"}})
    assert one.layers[-1] == "global_pool" and one.layers.count("global_pool") == 1
    with pytest.raises(DataError, match=r"unknown layer[\s\S]*conv9"):
        extractor(build("resnet_w8", 10, 0), "resnet_w8", {"candidates": ["conv9", "relu"]})


def test_published_weights_get_the_images_that_they_were_published_with():
    trained = preprocessing("vit_base_patch16_clip_224.openai", "trained")
    published = preprocessing("vit_base_patch16_clip_224.openai", "pretrained")
    assert trained == Preprocessing(224) and trained.facts()["interpolation"] == "bilinear, antialiased"
    assert published.interpolation == "bicubic" and published.mean[0] == pytest.approx(0.4815, abs=1e-3)
    other = preprocessing("torchvision.resnet50.IMAGENET1K_V2", "pretrained")
    assert other.crop == pytest.approx(224 / 232) and other.facts()["crop"] == other.crop


def test_the_middle_is_cut_out(tmp_path):
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "ramp.png")
    found = Preprocessing(32, crop=0.5).load(ImageFile(tmp_path / "ramp.png"))
    assert found.shape == (32, 32, 3) and found[0, 0, 0] == 16 and found[-1, 0, 0] == 47


@pytest.mark.parametrize("workers", [0, 1])
def test_images_come_in_order_from_threads_and_processes_and_faults_are_named(workers, tmp_path):
    for i in range(12):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / f"{i:02}.png")
    paths = sorted(tmp_path.iterdir())
    paths[11].write_bytes(b"no image")
    files = [ImageFile(path) for path in paths]
    images = load([files[start : start + 5] for start in range(0, 12, 5)], Preprocessing(8), workers)
    assert [next(images)[:, 0, 0, 0].tolist() for _ in range(2)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    with pytest.raises(DataError, match=r"11\.png: image can't be decoded"):
        next(images)


@pytest.mark.parametrize("keep", ["features", "gram", "both"])
def test_planned_bytes_are_those_that_an_extraction_writes(keep, images):
    layers, reduction = ["layer2.0", "layer4.0", "global_pool"], {"kind": "grid", "size": 2}
    asked = features_of(layers, reduction, keep=keep, dtype="float16")
    rows = planned_layers("resnet_w8", asked, 50, ExtractionOptions(scratch_gb=1e-6))
    widths = extractor(build("resnet_w8", 10, 0), "resnet_w8", layers, reduction).widths()
    assert [(row["layer"], row["features"]) for row in rows] == list(widths.items())
    kept = [0, 0, 64] if keep == "gram" else widths.values()
    assert [row["bytes"] for row in rows] == [2 * 50 * width for width in kept]
    assert {row["gram_bytes"] for row in rows} == {0 if keep == "features" else 8 * 50 * 51}
    assert (peak_scratch(rows) > 0) == (keep == "gram") and (rows[-1]["pass"] > 0) == (keep == "gram")


def test_plans_of_large_networks_compute_nothing():
    rows = planned_layers("torchvision.vit_b_16", features_of({"candidates": "family"}, keep="gram"), 22_248)
    assert len(rows) == 37 and peak_scratch(rows) > 1e10


def test_hooks_are_gone_afterwards(resnet, images):
    outputs_of(extractor(resnet, RESNET, ["layer1.0"]), images)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in resnet.modules())
    with capturing(resnet, ["layer1.0"], {"layer1.0": 1}, lambda *found: None):
        assert len(resnet.layer1[0]._forward_hooks) == 1
