"""The checkpoints of the published study fit the networks that are built here, by names, shapes and outputs."""

import csv

import pytest
import torch
from torch import nn

from neuroscaling.models.build import skeleton
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.heads import FIRST
from neuroscaling.models.state import shapes, tensors_of
from neuroscaling.models.torchvision_names import TORCHVISION_MARK, names_from_torchvision
from tests.support.checkpoint_states import composer_state, published_network

FLAGS = ("is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation")
# One of each way in which names differ, small enough to be written and read with numbers.
WRITTEN = [
    ("efficientnet_b0", 10, False),
    ("convnextflex-l-3", 1000, True),
    ("deitflex-l-3", 565, True),
    ("resnetflexfilters-d-1-0-0-1", 565, False),
]


@pytest.fixture(scope="module")
def published_archs(published_dir):
    """The architectures of the 620 supervised networks of the published table."""
    with open(published_dir / "benchmark_scores.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not any(row[flag] == "True" for flag in FLAGS)]
    return sorted({row["arch"] for row in rows if row["dataset"] in ("imagenet", "ecoset")})


def test_tensors_of_all_published_architectures_have_the_names_and_shapes_of_those_built_here(published_archs):
    assert len(published_archs) == 60
    for arch in published_archs:
        with torch.device("meta"):
            theirs = published_network(arch, FIRST).state_dict()
        ours = skeleton(arch, FIRST)
        if TORCHVISION_MARK in theirs:
            theirs = names_from_torchvision(arch, theirs, tensors_of(ours))
        assert shapes(theirs) == shapes(tensors_of(ours)), arch


@pytest.mark.parametrize(("arch", "classes", "has_average"), WRITTEN)
def test_a_published_checkpoint_is_the_network_that_was_trained(arch, classes, has_average, tmp_path):
    torch.manual_seed(0)
    network = published_network(arch, classes)
    average = published_network(arch, classes) if has_average else None
    with torch.no_grad():
        for name, value in (average or network).state_dict().items():
            if name.endswith(("layer_scale", "gamma", "running_mean", "running_var")):
                value.uniform_(0.5, 1.5)  # what no training has changed would hide that it is not read
    torch.save(composer_state(network, average), tmp_path / "ep100.pt")
    read = build_with(arch, tmp_path / "ep100.pt", ema=has_average)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = (average or network).eval()(images)
        found = read.eval()(images)
    assert found.shape == (2, classes)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def parts(arch, series, seed):
    """A network without its classifier, and what is trained of it: a SimCLR with its head, or one half of a DINO."""
    torch.manual_seed(seed)
    network = published_network(arch, 10).eval()
    setattr(network, "head" if arch.startswith("vit") else "fc", nn.Identity())
    own = nn.Sequential(*list(network.children())[:-1]) if series == "numbered simclr" else network
    return network, own, nn.Sequential(nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize(
    ("arch", "series"),
    [("resnet18", "numbered simclr"), ("resnet_w8", "simclr"), ("vit_w32", "simclr"), ("vit_w32", "dino")],
)
def test_the_network_that_learned_without_labels_is_found_in_its_trainers_state(arch, series, tmp_path, caplog):
    (network, own, head), (_, other, _) = parts(arch, series, 0), parts(arch, series, 1)
    names = ("teacher_", "student_") if series == "dino" else ("",)
    trained = {f"{names[0]}backbone": own, f"{names[0]}projection_head": head}
    trained |= {"student_backbone": other, "student_head": head} if series == "dino" else {}
    torch.save(composer_state(nn.ModuleDict(trained)), tmp_path / "ep100.pt")
    with caplog.at_level("INFO"):
        found = build_with(arch, tmp_path / "ep100.pt").state_dict()
    assert f"what begins with `{names[0]}backbone.` is taken" in caplog.text.replace("module.", "")
    expected = network.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_adversarially_trained_network_is_found_beside_what_attacks_it(tmp_path):
    network = published_network("resnet_w8", 10)
    attacked = nn.ModuleDict({"model": network, "attacker": nn.ModuleDict({"model": network})})
    attacked["normalizer"] = nn.BatchNorm2d(3, affine=False)
    torch.save(composer_state(attacked), tmp_path / "ep10.pt")
    found, expected = build_with("resnet_w8", tmp_path / "ep10.pt").state_dict(), network.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
