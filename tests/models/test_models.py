"""Architectures by name, how they are built and loaded, their layers and their cost."""

import hashlib

import pytest
import safetensors.torch
import torch
from tools import network_tables

from neuroscaling.brainscore.scoring_job import region_layers
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.models import weights
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.checkpoints import build_pretrained, build_with
from neuroscaling.models.cost import count
from neuroscaling.models.heads import head_names
from neuroscaling.models.layers import before_classifier, candidate_layers, check_layers, readout_layer
from neuroscaling.models.weights import load_weights, read_weights, save_weights
from neuroscaling.study import architectures

SMALL = [name for name in architectures.architecture_names() if architectures.architecture(name).input_size == 32]
# One of each kind: that the layers of all the others are there too, test_zoo.py says.
KINDS = ["resnet18", "resnet50", "vit_small_patch16_224", "convnext_tiny", "one_peace_vision", "efficientnet_b0"]
KINDS += ["deit_tiny", "alexnet", "cornet_s", "resnetflexfilters-f-1-16-20-19", "convnextflex-l-3", "deitflex-l-3"]


@pytest.mark.parametrize("name", [*SMALL, *KINDS])
def test_layers_and_readout_of_the_zoo_exist(name):
    model = skeleton(name, 10)
    entry = architectures.architecture(name)
    assert check_layers(name, [*entry.layers, entry.readout], model) == []
    assert (
        candidate_layers(name) == list(entry.layers) == architectures.candidate_layers(name) and len(entry.layers) >= 4
    )
    assert architectures.family_of(name) == entry.family
    with torch.no_grad():
        readout = {}
        hook = model.get_submodule(readout_layer(name)).register_forward_hook(lambda *a: readout.update(out=a[2]))
        outputs = model(torch.empty(2, 3, entry.input_size, entry.input_size, device="meta"))
        hook.remove()
    assert outputs.shape == (2, 10) and readout["out"].ndim == 2
    (head,) = head_names(name, model)
    assert readout["out"].shape[1] == model.get_submodule(head).in_features


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_alone_decides_the_initial_weights(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = build(name, 10, 0), build(name, 10, 0), build(name, 10, 1)
    assert torch.equal(torch.get_rng_state(), before)
    pairs = [(a, b, c) for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True)]
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


def test_untrained_blocks_are_not_the_identity():
    model = build("resnet_w8", 10, 0)
    assert all(
        block[0].bn2.weight.abs().min() > 0 for block in (model.layer1, model.layer2, model.layer3, model.layer4)
    )


def test_wider_networks_have_more_parameters_and_cost_more():
    for family in ("ResNet", "ViT"):
        costs = [count(name) for name in SMALL if architectures.family_of(name) == family]
        assert [c["n_params"] for c in costs] == sorted({c["n_params"] for c in costs})
        assert [c["macs"] for c in costs] == sorted({c["macs"] for c in costs})


@pytest.mark.parametrize(
    "name, n_params, gmacs",
    [("resnet18", 11_689_512, 1.8141), ("resnet50", 25_557_032, 4.0892), ("vit_small_patch16_224", 22_050_664, 4.5989)],
)
def test_counts_are_the_known_ones(name, n_params, gmacs):
    found = count(name)
    assert found["n_params"] == n_params
    assert found["macs"] / 1e9 == pytest.approx(gmacs, abs=5e-5)


def test_the_head_of_1000_classes_is_counted_whatever_the_dataset():
    assert count("resnet_w8")["n_params"] == sum(p.numel() for p in skeleton("resnet_w8", 1000).parameters())
    assert count("resnet_w8")["n_params"] > count("resnet_w8", 10)["n_params"]


def test_the_list_of_timm_names_is_in_step_with_timm():
    assert architectures.TIMM_NAMES.read_text(encoding="utf-8") == network_tables.timm_models()


def test_names_of_timm_are_known_with_and_without_tag():
    assert architectures.is_architecture("efficientnet_b0") and architectures.is_architecture("resnet18.a1_in1k")
    assert not architectures.is_architecture("resnet18.a1_in2k") and not architectures.is_architecture("resnet_w9")
    assert (
        architectures.family_of("deit3_small_patch16_224") == "ViT"
        and architectures.family_of("resnet18.a1_in1k") == "ResNet"
    )
    assert architectures.architecture("vit_base_patch16_clip_384.laion2b_ft_in12k_in1k").input_size == 384
    assert (
        architectures.candidate_layers("resnet18.a1_in1k") == architectures.candidate_layers("resnet18")
        and architectures.candidate_layers("vgg11") == []
    )


@pytest.mark.parametrize(
    "wrong, near", [("resnet_w9", "resnet_w8"), ("resnt50", "resnet50"), ("resnet18.a1_in2k", "resnet18.a1_in1k")]
)
def test_an_unknown_name_gets_the_nearest(wrong, near):
    assert architectures.nearest_architecture(wrong) == near
    with pytest.raises(StudyError, match=f"nearest: +{near}"):
        architectures.architecture(wrong)


def test_a_definition_is_what_determines_the_network():
    assert architectures.architecture_definition("resnet_w8") != architectures.architecture_definition("resnet_w16")
    assert set(architectures.architecture_definition("vit_w32")) == {"timm_name", "kwargs", "input_size"}


@pytest.mark.parametrize(
    "name, first, readout",
    [
        ("efficientnet_b0", "blocks.0.0", "global_pool"),
        ("swin_tiny_patch4_window7_224", "layers.0.blocks.0", "head.drop"),
        ("vgg11", "features.1", "head.drop"),
    ],
)
def test_models_that_the_zoo_does_not_list_have_layers_too(name, first, readout):
    model = skeleton(name)
    assert candidate_layers(name, model)[0] == first and readout_layer(name, model) == readout
    assert check_layers(name, [*candidate_layers(name, model), readout], model) == []


def test_the_vector_ahead_of_the_classifier_is_found_in_the_zoo_as_well():
    assert before_classifier("resnet_w8", skeleton("resnet_w8")) == architectures.architecture("resnet_w8").readout


def test_an_unknown_layer_gets_the_nearest():
    (problem,) = check_layers("resnet_w8", ["layer4.0", "layer5.0"])
    assert problem.value == "layer5.0" and problem.nearest.startswith("layer")


def test_regions_are_spread_over_depth():
    layers = [f"blocks.{i}" for i in range(12)]
    assert region_layers(layers, ["V1", "V2", "V4", "IT"]) == {
        "V1": "blocks.2", "V2": "blocks.5", "V4": "blocks.8", "IT": "blocks.11"
    }  # fmt: skip
    assert region_layers(["a", "b"], ["IT", "V1"]) == {"IT": "b", "V1": "a"}
    with pytest.raises(DataError, match="unknown region"):
        region_layers(layers, ["V5"])
    with pytest.raises(DataError, match="no candidate layers"):
        region_layers([], ["V1"])


def test_weights_come_back_and_equal_weights_are_equal_files(tmp_path):
    model = build("resnet_w8", 10, 0)
    metadata = {"run": "r", "arch": "resnet_w8", "epoch": "3"}
    digests = set()
    for i in range(12):
        save_weights(model, tmp_path / f"{i}.safetensors", dict(reversed(metadata.items())) if i % 2 else metadata)
        digests.add(hashlib.sha256((tmp_path / f"{i}.safetensors").read_bytes()).hexdigest())
    assert len(digests) == 1
    other = build("resnet_w8", 10, 1)
    load_weights(other, tmp_path / "0.safetensors", "resnet_w8")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert read_weights(tmp_path / "0.safetensors")[1] == metadata


def test_weights_of_another_architecture_name_both(tmp_path):
    path = tmp_path / "weights-ep1.safetensors"
    save_weights(build("vit_w16", 10, 0), path, {"arch": "vit_w16"})
    with pytest.raises(DataError) as caught:
        load_weights(build("resnet_w8", 10, 0), path, "resnet_w8")
    text = str(caught.value)
    assert "found:    vit_w16" in text and "resnet_w8" in text and "conv1.0.weight: nothing instead of 4x3x3x3" in text
    with pytest.raises(DataError, match=r"no `fc\.weight`"):
        build_with("resnet_w8", path)


@pytest.mark.parametrize("run", ["r", "r\u00e9seau"])
def test_weights_are_written_from_the_networks_own_memory_with_sorted_metadata(tmp_path, monkeypatch, run):
    model, metadata = build("vit_w16", 10, 0), {"run": run, "epoch": "3", "arch": "vit_w16", "classes": "10"}
    copied = []
    monkeypatch.setattr(weights, "save", lambda tensors: copied.append(1) or safetensors.torch.save(tensors))
    save_weights(model, tmp_path / "a.safetensors", metadata)
    assert len(copied) == (run != "r"), "all in one piece of memory only where the header has to be longer"
    save_weights(model, tmp_path / "b.safetensors", dict(reversed(metadata.items())))
    first = (tmp_path / "a.safetensors").read_bytes()
    assert first == (tmp_path / "b.safetensors").read_bytes()
    tensors = dict(model.state_dict())
    assert first == weights._with_metadata(safetensors.torch.save(tensors), metadata)
    assert read_weights(tmp_path / "a.safetensors")[1] == metadata


def test_weights_with_other_shapes_or_cut_short(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(build("resnet_w8", 7, 0), path, {})
    with pytest.raises(DataError, match=r"fc.bias: 7 instead of 10"):
        load_weights(build("resnet_w8", 10, 0), path, "resnet_w8")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="cut short"):
        load_weights(build("resnet_w8", 10, 0), path, "resnet_w8")
    with pytest.raises(DataError, match="missing"):
        read_weights(tmp_path / "none.safetensors")


def test_pretrained_weights_from_a_file_or_a_clear_error(tmp_path, monkeypatch):
    path = tmp_path / "resnet_w8.safetensors"
    original = build("resnet_w8", 10, 3)
    save_weights(original, path, {})
    model = build_pretrained("resnet_w8", path)
    assert torch.equal(model.fc.weight, original.fc.weight)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"can't be fetched") as caught:
        build_pretrained("resnet18.a1_in1k")
    assert "resnet18.a1_in1k" in str(caught.value) and "`weights:`" in str(caught.value)
