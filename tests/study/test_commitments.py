"""Published layers, read from a file in the form of layer_commitments.json."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from neuroscaling.core.errors import DataError
from neuroscaling.models.build import build
from neuroscaling.study.layer_choice import own_layer, published_commitment


@pytest.fixture()
def file(tmp_path: Path) -> Path:
    def entry(layer: str) -> dict:
        return {"seed-0": {"region2layer": {"V1": layer, "IT": "layer4"}, "behavioral_readout_layer": "avgpool"}}

    content = {
        "ResNet18": {"imagenet_full": entry("layer1"), "ecoset_full": entry("layer2")},
        "resnet18.a1_in1k": {"unknown_pretrained": entry("layer3")},
        "ConvNeXt_Tiny": {"imagenet_full": entry("features.4.0")},
        "DeiT_Small": {"imagenet_full": entry("blocks.2.norm1")},
        "ResNet34": {"simclr_full": entry("layer3.0.bn1"), "adv_full": entry("layer1.0.relu")},
        "simclr_resnet18": {"imagenet_full": entry("backbone.layer1.0.relu")},
    }
    path = tmp_path / "layer_commitments.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("arch", "kind", "dataset", "layer"),
    [
        ("resnet18", "trained", "imagenet", "layer1"),
        ("resnet18", "trained", "ecoset", "layer2"),
        ("resnet18", "untrained", None, "layer1"),
        ("resnet18.a1_in1k", "pretrained", None, "layer3"),
        ("torchvision.convnext_tiny", "trained", "imagenet", "features.4.0"),
        ("deit_small_patch16_224", "trained", "imagenet", "blocks.2.norm1"),
    ],
)
def test_the_choice_of_an_architecture_and_data_set(file: Path, arch: str, kind: str, dataset: str, layer: str):
    commitment = published_commitment(file, arch, kind, dataset)
    assert commitment.regions["V1"] == layer


@pytest.mark.parametrize(
    ("arch", "objective", "layer"),
    [
        ("resnet34", "simclr", "layer3.0.bn1"),
        ("resnet18", "simclr", "layer1.0.act2"),
        ("resnet34", "adversarial", "layer1.0.act2"),
    ],
)
def test_an_objective_has_a_choice_of_its_own_whatever_the_data_set(file: Path, arch: str, objective: str, layer: str):
    assert published_commitment(file, arch, "trained", "ecoset", objective).regions["V1"] == layer


def test_layers_are_named_as_in_the_network_that_is_built_here(file: Path):
    assert published_commitment(file, "resnet18", "trained", "imagenet").readout == "global_pool"
    assert published_commitment(file, "torchvision.resnet18", "trained", "imagenet").readout == "avgpool"
    assert published_commitment(file, "convnext_tiny", "trained", "imagenet").regions["V1"] == "stages.2.downsample.0"
    assert published_commitment(file, "cornet_s", "trained", "ecoset").regions["V4"] == "V4.output"


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "convnext_tiny", "efficientnet_b0"])
def test_a_layer_puts_out_what_the_layer_of_torchvision_does(arch: str):
    theirs, ours = build(f"torchvision.{arch}", 10, 0).eval(), build(arch, 10, 1).eval()
    _copy(theirs, ours, arch)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    existing = {name for name, _ in ours.named_modules()}
    mapped = {name: own_layer(arch, name) for name, _ in theirs.named_modules() if name}
    mapped = {name: layer for name, layer in mapped.items() if layer in existing}
    with _outputs(theirs) as expected, _outputs(ours) as found, torch.no_grad():
        theirs(images), ours(images)
    compared = 0
    for name, layer in mapped.items():
        if name not in expected:  # a part that only holds others
            continue
        one, other = expected[name], found[layer]
        if one.shape != other.shape and one.ndim == other.ndim == 4:  # channels last
            other = other.movedim(-1, 1)
        torch.testing.assert_close(one.flatten(1), other.flatten(1), rtol=1e-4, atol=1e-5, msg=f"{name} {layer}")
        compared += 1
    assert compared > 40


def _copy(theirs: nn.Module, ours: nn.Module, arch: str) -> None:
    """Weights of torchvision's network into timm's, module by module; normalisations get numbers of their own."""
    for name, module in theirs.named_modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(module.weight, 1, 0.2), nn.init.normal_(module.bias, 0, 0.2)
        if hasattr(module, "layer_scale"):
            nn.init.normal_(module.layer_scale)
            ours.get_submodule(own_layer(arch, name)).gamma.data = module.layer_scale.data.flatten()
        if list(module.parameters(recurse=False)) and not hasattr(module, "layer_scale"):
            classifier = list(theirs.named_modules())[-1][0] == name
            layer = (
                ours.get_classifier() if classifier else ours.get_submodule(own_layer(arch, name).removesuffix(".drop"))
            )
            layer.load_state_dict(
                {key: value.view_as(layer.state_dict()[key]) for key, value in module.state_dict().items()}
            )


@contextmanager
def _outputs(model: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """What each module puts out, the last time that it runs, before later ones write into it."""
    found: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.clone()}))
    yield found


def test_what_was_not_published_is_named(file: Path):
    with pytest.raises(DataError, match="nearest:  resnet18"):
        published_commitment(file, "resnet118", "trained", "imagenet")
    with pytest.raises(DataError, match="found:    places_full") as caught:
        published_commitment(file, "resnet18", "trained", "places")
    assert "ecoset_full, imagenet_full" in str(caught.value)


def test_another_file_is_refused(tmp_path: Path):
    path = tmp_path / "other.json"
    path.write_text("[1]")
    with pytest.raises(DataError, match="not a file of layer commitments"):
        published_commitment(path, "resnet18", "trained", "imagenet")
