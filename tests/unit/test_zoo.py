"""The architectures of the published study: what they cost, and the names of the flex families."""

import csv

import pytest

from neuroscaling.models import names
from neuroscaling.models.build import skeleton
from neuroscaling.models.cost import count

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


def test_every_published_architecture_has_its_published_parameters_and_multiply_accumulates(published):
    assert len(published) == 60
    found = {}
    for name in published:
        cost = count(name)
        found[name] = {key: cost[key] for key in ("n_params", "paper_macs")}
    assert found == published


def test_the_zoo_names_all_published_architectures_and_their_layers_exist(published):
    assert set(published) <= set(names.names())
    for name in names.names():
        entry = names.architecture(name)
        modules = {module for module, _ in skeleton(name).named_modules()}
        assert {*entry.layers, entry.readout} <= modules, name
        assert len(set(entry.layers)) == len(entry.layers) >= 2, name


@pytest.mark.parametrize("name", KNOWN)
def test_attention_counts_in_full_and_normalisations_do_not(name):
    assert count(name)["macs"] / 1e9 == pytest.approx(KNOWN[name], abs=5e-5)
