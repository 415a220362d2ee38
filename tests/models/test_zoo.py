"""The architectures of the published study: what they cost, and the names of the flex families."""

import csv

import pytest
import torch
from timm.layers import DropPath

from neuroscaling.cli.main import architecture_rows
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.records import RunRecord
from neuroscaling.core.score_table import published_compute
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.capture import probe
from neuroscaling.models.cost import count, macs_of
from neuroscaling.models.own_convnets import Recurrent
from neuroscaling.study import architectures, layer_choice

FLAGS = ("is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation")
# Multiply-accumulates in full, attention included, in units of 10^9.
KNOWN = {"resnet18": 1.8141, "resnet50": 4.0892, "deit_small": 4.5989, "vit_base": 17.5638, "convnext_tiny": 4.4555}


@pytest.fixture(scope="module")
def published(published_dir):
    """Parameters and multiply-accumulates of each supervised architecture of the published table."""
    with open(published_dir / "benchmark_scores.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not any(row[flag] == "True" for flag in FLAGS)]
    return {
        row["arch"]: {"n_params": int(float(row["n_params"])), "paper_macs": int(float(row["macs"]))}
        for row in rows
        if row["dataset"] in ("imagenet", "ecoset")
    }


@pytest.fixture(scope="module")
def networks():
    """Every architecture of the zoo on the meta device, but those of the demo."""
    return {
        name: skeleton(name)
        for name in architectures.architecture_names()
        if architectures.architecture(name).input_size > 32
    }


def test_every_published_architecture_has_its_published_parameters_and_multiply_accumulates(published, networks):
    assert len(published) == 60
    found = {}
    for name in published:
        n_params = sum(parameter.numel() for parameter in networks[name].parameters())
        macs = macs_of(networks[name], architectures.architecture(name).input_size)
        found[name] = {"n_params": n_params, "paper_macs": macs["paper_macs"]}
    assert found == published


def test_parity_gives_every_published_network_its_published_compute(published_dir, networks):
    """Of each architecture and training: images, passes and FLOPs as the public table states them."""
    with open(published_dir / "benchmark_scores.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["is_pretrained"] == row["is_random"] == "False"]
    wanted = {row["model_id"]: row for row in rows if row["is_ablation"] == "False" and row["arch"] in networks}
    macs = {
        name: macs_of(networks[name], architectures.architecture(name).input_size)["paper_macs"]
        for name in {row["arch"] for row in wanted.values()}
    }
    compared = 0
    for name, row in wanted.items():
        if not row["total_flops"]:
            continue
        objective = row["ssl_method"] or ("adversarial" if row["is_adv"] == "True" else "supervised")
        record = RunRecord(
            run=name, kind="trained", status="done", recipe={"objective": objective}, paper_macs=macs[row["arch"]],
            n_samples_nominal=int(row["n_samples"]) * int(row["n_epochs"]),
        )  # fmt: skip
        found = published_compute(record)
        stated = {key: pytest.approx(float(row[key]), rel=1e-12) for key in found}
        assert found == stated, name
        compared += 1
    assert compared > 700


def test_layers_of_the_zoo_exist(networks):
    for name, network in networks.items():
        entry = architectures.architecture(name)
        assert {*entry.layers, entry.readout} <= {module for module, _ in network.named_modules()}, name
        assert len(set(entry.layers)) == len(entry.layers) >= 2, name


def test_published_layers_exist_in_their_networks(networks, published_dir):
    file, missing, without = published_dir / "layer_commitments.json", {}, set()
    for name, network in networks.items():
        try:
            choices = [
                layer_choice.published_commitment(file, name, "trained", dataset) for dataset in ("imagenet", "ecoset")
            ]
        except DataError:
            without.add(name)
            continue
        wanted = {layer for choice in choices for layer in [*choice.regions.values(), choice.readout]}
        if left := wanted - {module for module, _ in network.named_modules()}:
            missing[name] = left
    assert missing == {}
    # Not of the study, or left out of its file.
    flex = "resnetflexfilters_wr-4-1-2-4-0 resnetflexfilters_wr-4-1-2-4-1 resnetflexfilters-d-1-1-1-2"
    others = "vit_small_patch16_224 vit_small vit_base vit_large deit_huge one_peace_vision"
    packaged = "tf_efficientnet_lite0 tf_efficientnet_lite1 tf_efficientnet_lite2"
    assert without == {*flex.split(), *others.split(), *packaged.split()}


@pytest.mark.parametrize("name", KNOWN)
def test_attention_counts_in_full_and_normalisations_do_not(name):
    assert count(name)["macs"] / 1e9 == pytest.approx(KNOWN[name], abs=5e-5)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("resnetflexfilters-f-1-16-20-4", {"filters": [71, 71, 142, 285, 571], "blocks": [2, 2, 2, 2]}),
        ("resnetflexfilters-f-1-4-3-1", {"filters": [64, 64, 128, 256, 512], "blocks": [2, 2, 2, 2]}),
        ("resnetflexfilters_wr-4-1-2-4-2", {"filters": [160, 160, 320, 648, 1288], "blocks": [2, 2, 2, 2]}),
        ("resnetflexfilters-d-0-3-0-1", {"filters": [64, 64, 128, 256, 512], "blocks": [0, 3, 0, 1]}),
        ("convnextflex-l-1", {"dims": [32, 64, 136, 272]}),
        ("deitflex-l-3", {"embed_dim": 48, "init_values": 1e-4}),
    ],
)
def test_names_of_the_flex_families_are_read_number_by_number(name, kwargs):
    assert architectures.architecture(name).kwargs == kwargs


@pytest.mark.parametrize(
    "name",
    [
        "resnetflexfilters-f-1-16-20-20",
        "resnetflexfilters-f-1-16-20",
        "resnetflexfilters-f-0-16-20-1",
        "resnetflexfilters-f-1-200-2-1",
        "resnetflexfilters-d-0-0-0-0",
        "resnetflexfilters-wr-4-1-2-4-0",
        "convnextflex-l-4",
        "convnextflex-d-1-1-1-1",
        "deitflex",
    ],
)
def test_a_malformed_name_of_a_flex_family_says_what_is_expected(name):
    assert not architectures.is_architecture(name)
    with pytest.raises(StudyError, match=r"resnetflexfilters-d-A-B-C-D \(blocks of the four stages\)") as caught:
        architectures.architecture(name)
    assert caught.value.problems[0].nearest in architectures.architecture_names()


def test_the_flex_resnet_of_default_size_is_the_resnet18_of_torchvision():
    theirs, ours = build("torchvision.resnet18", 10, 0).eval(), build("resnetflexfilters-d-2-2-2-2", 10, 1).eval()
    assert ours.load_state_dict(theirs.state_dict()).missing_keys == []
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


def test_a_stage_without_blocks_passes_on_what_it_is_given():
    shapes = probe(skeleton("resnetflexfilters-d-1-0-1-0"), ["layer1", "layer2", "layer3", "layer4"], 224)
    sides = {name: output.shape[1:] for name, output in shapes.items()}
    assert sides["layer2"] == sides["layer1"] == (64, 56, 56) and sides["layer4"] == sides["layer3"] == (256, 28, 28)


def test_areas_of_cornet_s_run_as_often_as_they_should_and_halve_the_resolution_once():
    outputs = probe(skeleton("cornet_s"), ["V1.output", "V2.output", "V4.output:1", "V4.output", "IT.output"], 224)
    assert [output.calls for output in outputs.values()] == [1, 2, 4, 4, 2]
    assert outputs["V4.output:1"].shape == outputs["V4.output"].shape == (2, 256, 14, 14)
    assert outputs["IT.output"].shape == (2, 512, 7, 7)


def test_every_weight_of_a_recurrent_area_learns():
    torch.manual_seed(0)
    area = Recurrent(4, 8, times=3)
    area(torch.randn(2, 4, 8, 8)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in area.parameters())


def rates(model):
    return [module.drop_prob for module in model.modules() if isinstance(module, DropPath)]


@pytest.mark.parametrize(("name", "paths"), [("resnet_w8", 4), ("vit_w16", 8), ("convnextflex-l-3", 18)])
def test_stochastic_depth_rises_with_depth_or_is_constant(name, paths):
    linear, constant = build(name, 10, 0, drop_path=0.3), build(name, 10, 0, drop_path=0.3, drop_path_form="constant")
    assert rates(linear) == sorted(rates(linear)) and rates(linear)[-1] == pytest.approx(0.3)
    assert rates(constant) == [0.3] * paths and len(rates(linear)) < paths
    plain = build(name, 10, 0)
    assert rates(plain) == []
    for model in (linear, constant):
        assert all(map(torch.equal, model.state_dict().values(), plain.state_dict().values()))
    size = architectures.architecture(name).input_size
    images = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(constant.eval()(images), plain.eval()(images))


@pytest.mark.parametrize("name", ["alexnet", "cornet_s", "vgg11", "resnetflexfilters-d-1-0-0-0"])
def test_a_network_without_stochastic_depth_refuses_a_rate(name):
    with pytest.raises(StudyError, match="an architecture without stochastic depth"):
        build(name, 10, 0, drop_path=0.1)


def test_efficientnets_are_trained_with_the_dropout_that_torchvision_gives_them():
    ours, theirs = build("efficientnet_b0", 10, 0), build("torchvision.efficientnet_b0", 10, 0)
    assert ours.drop_rate == theirs.classifier[0].p == 0.2
    depth = [block.stochastic_depth.p for stage in theirs.features[1:8] for block in stage]
    assert rates(ours) == pytest.approx([p for p in depth if p])


def test_models_are_listed_with_what_they_cost():
    (row,) = architecture_rows(["resnet_w8"])
    assert row["n_params"] == count("resnet_w8")["n_params"] and row["input_size"] == 32
    assert [row["name"] for row in architecture_rows(cost=False)][
        : len(architectures.architecture_names())
    ] == architectures.architecture_names()
    with pytest.raises(StudyError) as caught:
        architecture_rows(["resnet_w9", "resnet_w8", "deitflex-l-9"])
    assert [problem.value for problem in caught.value.problems] == ["resnet_w9", "deitflex-l-9"]
