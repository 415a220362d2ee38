"""`NAME@SIZE`: a network that images of another size are shown to, with the weights that it has at any size."""

import pytest
import torch

from neuroscaling.activations.stimulus_images import preprocessing
from neuroscaling.core.errors import StudyError
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_pretrained
from neuroscaling.models.cost import count
from neuroscaling.models.weights import save_weights
from neuroscaling.study import architectures
from neuroscaling.study.sections.extraction import FeatureOptions
from neuroscaling.training.network_trials import Use, try_network


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet18.a1_in1k", "torchvision.resnet18", "resnetflexfilters-d-1-1-1-1"]
)
def test_all_but_the_size_is_as_without_it(name):
    plain, sized = architectures.architecture(name), architectures.architecture(f"{name}@112")
    assert (sized.input_size, sized.layers, sized.family) == (112, plain.layers, plain.family)
    without, with_size = (architectures.architecture_definition(one) for one in (name, f"{name}@112"))
    assert with_size == without | {"input_size": 112}
    assert architectures.with_tag(f"{name}@112") == architectures.with_tag(name)
    assert architectures.in_library(f"{name}@112") == architectures.in_library(name)


@pytest.mark.parametrize(
    "name", ["resnet18@0", "resnet18@", "resnet18@big", "resnet18@-112", "@112", "resnet18@112@64"]
)
def test_what_is_no_size_is_no_architecture(name):
    assert not architectures.is_architecture(name)


def test_the_nearest_name_keeps_the_size():
    assert architectures.nearest_architecture("resnet81@112") == "resnet18@112"
    assert architectures.nearest_architecture("resnet18@big") == "resnet18"


def test_a_larger_image_takes_more_multiply_adds_and_as_many_parameters():
    large, plain = count("resnet_w4@64"), count("resnet_w4")
    assert large["n_params"] == plain["n_params"] and large["macs"] > 2 * plain["macs"]


def test_networks_of_every_size_begin_with_the_same_weights_and_read_each_others(tmp_path):
    one, other = build("resnet_w8", 10, 3), build("resnet_w8@64", 10, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    save_weights(one, tmp_path / "resnet_w8.safetensors", {"arch": "resnet_w8", "classes": "10"})
    read = build_pretrained("resnet_w8@64", tmp_path / "resnet_w8.safetensors")
    assert torch.equal(read.fc.weight, one.fc.weight)


def test_images_have_the_size_and_published_weights_their_share_of_it():
    assert preprocessing("resnet18@112", "untrained").size == 112
    shown, whole = (preprocessing(f"resnet18.a1_in1k{at}", "pretrained") for at in ("@112", ""))
    assert (shown.size, shown.crop, shown.mean) == (112, whole.crop, whole.mean)


def tried(name):
    use = Use(name, frozenset({"untrained"}), frozenset(), {"candidates": None, "regions": {}, "readout": None})
    return try_network(use, FeatureOptions())


def test_a_network_that_takes_no_other_size_is_found_before_anything_runs():
    assert tried("resnet_w4@64") == []
    with pytest.raises(StudyError, match=r"(?s)doesn't match model.*images \(b, 3, 64, 64\)"):
        tried("vit_w16@64")
