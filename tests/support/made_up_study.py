"""A small made-up study with every kind of model, checkpoint and fit that the figures of the published one show."""

import itertools

import numpy as np
import pandas as pd

from neuroscaling.reproductions.gokce2025 import (
    figures_of_study,
    points_and_curves,
    published_frames,
    training_objectives,
)
from tests.support.finished_fits import completed

ARCHS = {
    "resnet18": "ResNet", "resnet50": "ResNet", "resnetflex-0": "ResNetFlex", "efficientnet_b0": "EfficientNet",
    "alexnet": "AlexNet", "cornet_s": "CORnet-S", "convnext_tiny": "ConvNeXt", "deit_small": "ViT",
}  # fmt: skip
CHECKPOINTS = [("resnet50", "ResNet", None), ("deit_small", "ViT", None), ("resnet50", "ResNet", "dino")]
REGIONS = ["V1", "V2", "V4", "IT", "Behavioral"]
NEURAL = REGIONS[:4]
NONE = dict.fromkeys(published_frames.KINDS, False) | {"ssl_method": None, "adv_method": None}


def made_up_runs():
    """Runs of every kind that a figure shows: a few networks, numbers of images, data sets and objectives."""
    runs = []
    for (i, (arch, family)), dataset, k in itertools.product(
        enumerate(ARCHS.items()), published_frames.DATASETS, (1, 30, 300, 0)
    ):
        runs.append(run(arch, family, dataset, k, 10.0 ** (6 + i / 4)))
    others = [name for name in points_and_curves.DATASET_LOOKS if name not in published_frames.DATASETS]
    runs += [run("resnet18", "ResNet", dataset, k, 1e7) for dataset in others for k in (10, 0)]
    for arch in ("resnet18", "efficientnet_b0"):
        runs.append(run(arch, ARCHS[arch], "imagenet", 0, 1e7, is_random=True, total_flops=None))
    runs += [run(f"timm{n:g}", family, "x", 0, n, is_pretrained=True) for family, n in (("DaVit", 1e7), ("ViT", 3e7))]
    runs += [run("resnet50", "ResNet", "imagenet", k, 1e7, is_ssl=True, ssl_method="simclr") for k in (1, 30, 0)]
    runs += [run("vit_small", "ViT", "imagenet", 0, 2e7, is_ssl=True, ssl_method="dino")]
    runs += [
        run("resnet18", "ResNet", "imagenet", k, 1e7, is_adv=True, adv_method=training_objectives.ATTACK)
        for k in (1, 0)
    ]
    return [{**row, "run": f"run{i:03d}"} for i, row in enumerate(runs)]


def run(arch, family, dataset, k, n_params, **changes):
    seen = 1e5 * (k or 1300)
    facts = {"arch": arch, "arch_family": family, "dataset": dataset, "samples_per_class": k, "seed": 0, "acc": 0.5}
    flops = {"total_flops": seen * n_params, "total_flops_pretrained": seen * n_params + 1e15}
    return {**NONE, **facts, "n_params": n_params, "n_samples_seen": seen, **flops, **changes}


def made_up_tables():
    """Score table, checkpoints and private scores."""
    rng = np.random.default_rng(0)
    runs = [{**facts, "acc": rng.uniform()} for facts in made_up_runs()]
    rows = [{**facts, "region": region, "score": rng.uniform(0.1, 0.5)} for facts in runs for region in REGIONS]
    checkpoints = [
        {"model_id": f"{arch}_{method}", "epochs": epoch, "arch": arch, "arch_family": family, "dataset": "imagenet",
         "ssl_method": method, "region": region, "score": rng.uniform()}
        for arch, family, method in CHECKPOINTS
        for epoch in (1, 2, 10, 100) for region in REGIONS
    ]  # fmt: skip
    private = pd.DataFrame(rng.uniform(size=(9, 5)), columns=list(published_frames.PRIVATE.values()))
    return pd.DataFrame(rows), pd.DataFrame(checkpoints), private.assign(model_id=[run["run"] for run in runs[:9]])


def made_up_law(name, level=0.3):
    """A fit's content: a straight line in log x with a band, and what it says beyond."""

    def stretch(low, high, n):
        x = np.geomspace(low, high, n)
        fit = level + 0.02 * np.log10(x / 1e10)
        return {"x": x, "fit": fit, "p2.5": fit - 0.04, "p15": fit - 0.02, "p85": fit + 0.02, "p97.5": fit + 0.04}

    curve, beyond = stretch(1e11, 1e15, 100), stretch(1e15, 30e15, 50)
    identified = {"E": {"identified": not name.startswith("compute_behavior"), "reasons": []}}
    parts = {"curve": curve, "beyond": beyond}
    return completed({
        "name": name, "form": "power_law", "status": "fitted", "x_scale": 1e13,
        "params": {"E": 0.4, "A": 0.5, "alpha": 0.2},
        "identified": identified, **{k: {c: v.tolist() for c, v in part.items()} for k, part in parts.items()},
    })  # fmt: skip


def made_up_allocation(name):
    compute = np.geomspace(1e14, 3e20, 20)

    def band(values):
        return {"fit": values.tolist(), "p2.5": (0.9 * values).tolist(), "p97.5": (1.1 * values).tolist()}

    factor = 1 if name.endswith("corrected") else 2
    split = {
        "n_params": band(factor * compute**0.4),
        "n_samples_seen": band(compute**0.6),
        "score": band(compute**0.01),
    }
    values = {"n_params": 0.4, "n_samples_seen": 0.6}
    exponents = {axis: {"value": value, "ci95": [value - 0.1, value + 0.1]} for axis, value in values.items()}
    params = dict.fromkeys("EAB", 0.4) | {"alpha": 0.6, "beta": 0.4}
    content = {"name": name, "form": "chinchilla", "params": params, "status": "fitted"}
    content |= {"curve": None, "beyond": None, "identified": {}}
    best = {"exponents": exponents, "curve": {"compute": compute.tolist(), **split}}
    return completed(content | {"allocation": best})


def made_up_fits():
    """Every law that the figures want, but for one that is absent and one that is not testable."""
    wanted = [name for entry in figures_of_study.FIGURES for name in entry.wanted]
    fits = {name: made_up_law(name, 0.35 if name.endswith("corrected") else 0.3) for name in wanted}
    fits |= {name: made_up_allocation(name) for name in wanted if "chinchilla" in name}
    del fits["model_vit_avg"]
    few = "sample_places365_scaling"
    fits[few] = completed({"name": few, "status": "not testable", "reason": "too few points\n    found: 2"})
    return fits
