"""Published layers, read from a file in the form of layer_commitments.json."""

import json
from pathlib import Path

import pytest

from neuroscaling.errors import DataError
from neuroscaling.models.commitments import published


@pytest.fixture()
def file(tmp_path: Path) -> Path:
    def entry(layer: str) -> dict:
        return {"seed-0": {"region2layer": {"V1": layer, "IT": "layer4"}, "behavioral_readout_layer": "avgpool"}}

    content = {
        "ResNet18": {"imagenet_full": entry("layer1"), "ecoset_full": entry("layer2")},
        "resnet18.a1_in1k": {"unknown_pretrained": entry("layer3")},
        "ConvNeXt_Tiny": {"imagenet_full": entry("features.4.0")},
        "DeiT_Small": {"imagenet_full": entry("blocks.2.norm1")},
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
    commitment = published(file, arch, kind, dataset)
    assert (commitment.regions["V1"], commitment.readout) == (layer, "avgpool")


def test_what_was_not_published_is_named(file: Path):
    with pytest.raises(DataError, match="nearest:  resnet18"):
        published(file, "resnet118", "trained", "imagenet")
    with pytest.raises(DataError, match="found:    places_full") as caught:
        published(file, "resnet18", "trained", "places")
    assert "ecoset_full, imagenet_full" in str(caught.value)


def test_another_file_is_refused(tmp_path: Path):
    path = tmp_path / "other.json"
    path.write_text("[1]")
    with pytest.raises(DataError, match="not a file of layer commitments"):
        published(path, "resnet18", "trained", "imagenet")
