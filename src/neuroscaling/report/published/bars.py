"""Bars: trained against untrained networks, and one network under three objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.report.published.canvas import label, legend, panels
from neuroscaling.report.published.entry import Entry
from neuroscaling.report.published.frame import Study, supervised
from neuroscaling.report.published.marks import OBJECTIVE_LOOKS, ordered
from neuroscaling.report.published.regions import TITLES
from neuroscaling.report.style import INK, MUTED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OVERALL = {"neural": "Neural (mean of V1, V2, V4, IT)", "Behavioral": "Behaviour"}
PANELS = {"average": "Average", **TITLES}
# Supervised ViTs are DeiT-III; SimCLR and DINO trained another implementation of the same size.
NETWORKS = {
    "ResNet-18": ["resnet18"], "ResNet-50": ["resnet50"], "ViT-S": ["deit_small", "vit_small"],
    "ViT-B": ["deit_base", "vit_base"],
}  # fmt: skip
METHODS = {"supervised": None, "SimCLR": "simclr", "DINO": "dino"}
SHORT = {"convnext": "ConvNeXt", "deit": "DeiT", "efficientnet": "EfficientNet", "resnet": "ResNet"}
SIZES = {"tiny": "T", "small": "S", "base": "B", "large": "L"}


def untrained(study: Study) -> Figure:
    """Trained and untrained networks side by side."""
    figure, axes = panels(2, 1, panel=(7.2, 2.3), foot=0.3, share_x=True)
    groups = trained_and_untrained(study)
    archs = ordered_archs(groups["untrained"])
    for ax, (column, title) in zip(axes, OVERALL.items(), strict=True):
        _bars(ax, archs, {kind: frame.groupby("arch")[column] for kind, frame in groups.items()})
        label(ax, title, "", "Alignment S")
    axes[1].set_xticks(range(len(archs)), [_short(arch) for arch in archs], rotation=40, ha="right", fontsize=7.5)
    legend(figure, _handles({"trained with labels": "supervised", "untrained": "untrained"}), 3)
    return figure


def trained_and_untrained(study: Study) -> dict[str, pd.DataFrame]:
    """Models by kind: untrained, and the same networks trained with labels on all of ImageNet."""
    random = study.models[study.models["is_random"]]
    trained = supervised(study.models, ["imagenet"])
    trained = trained[(trained["samples_per_class"] == 0) & trained["arch"].isin(random["arch"])]
    return {"supervised": trained, "untrained": random}


def ordered_archs(frame: pd.DataFrame) -> list[str]:
    """Networks by family, then by number of parameters."""
    facts = frame.drop_duplicates("arch")
    rank = facts["family"].map(ordered(facts["family"]).index)
    return facts.assign(rank=rank).sort_values(["rank", "n_params"])["arch"].tolist()


def objectives(study: Study) -> Figure:
    """One network under three objectives: average score and each benchmark."""
    figure, axes = panels(2, 3, panel=(2.7, 2.0), foot=0.4, share_x=True)
    groups = by_objective(study)
    for i, (ax, (column, title)) in enumerate(zip(axes, PANELS.items(), strict=True)):
        _bars(ax, list(NETWORKS), {kind: frame.groupby("network")[column] for kind, frame in groups.items()})
        label(ax, title, "", "Alignment S" if i % 3 == 0 else "")
        ax.set_xticks(range(len(NETWORKS)), list(NETWORKS), rotation=25, ha="right", fontsize=7.5)
    legend(figure, _handles({name: name for name in METHODS}), 4)
    return figure


def by_objective(study: Study) -> dict[str, pd.DataFrame]:
    """Models on all of ImageNet by objective, of the four networks that several objectives trained; with `network`."""
    names = {arch: network for network, archs in NETWORKS.items() for arch in archs}
    frame = study.models[study.models["arch"].isin(names) & (study.models["samples_per_class"] == 0)]
    frame = frame.assign(network=frame["arch"].map(names))
    trained = supervised(frame, ["imagenet"])
    own = {name: frame[frame["ssl_method"] == method] for name, method in METHODS.items() if method}
    return {"supervised": trained, **own}


def _bars(ax: Axes, names: list[str], groups: dict[str, Any]) -> None:
    """Bars of the means of grouped scores, side by side for each name; a dot for each model. `-`: there is no score."""
    width = 0.8 / len(groups)
    for k, (kind, grouped) in enumerate(groups.items()):
        scores = {name: values.dropna().to_numpy(dtype=float) for name, values in grouped}
        for i, name in enumerate(names):
            x = i + (k - (len(groups) - 1) / 2) * width
            _bar(ax, x, width, scores.get(name, np.empty(0)), OBJECTIVE_LOOKS[kind].color)
    ax.axhline(0, color=MUTED, linewidth=0.6)
    ax.grid(axis="x", visible=False)


def _bar(ax: Axes, x: float, width: float, scores: np.ndarray, color: str) -> None:
    if not scores.size:
        ax.text(x, 0, "–", ha="center", va="bottom", color=MUTED, fontsize=8)
        return
    ax.bar(x, scores.mean(), width=0.92 * width, color=color, alpha=0.8)
    ax.plot(np.full(scores.size, x), scores, ".", color=INK, markersize=2.4, zorder=3)


def _handles(names: dict[str, str]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bars = [
        Patch(color=OBJECTIVE_LOOKS[kind].color, alpha=0.8, linewidth=0, label=name) for name, kind in names.items()
    ]
    return [*bars, Line2D([], [], color=INK, marker=".", linestyle="", markersize=3, label="a model")]


def _short(arch: str) -> str:
    family, _, size = arch.partition("_")
    known = next((name for name in SHORT if family.startswith(name)), None)
    size = SIZES.get(size, size.upper()) or family.removeprefix(known or "")
    return f"{SHORT[known]}-{size}" if known else arch


def _counts(study: Study) -> dict[str, Any]:
    groups = trained_and_untrained(study)
    random = groups["untrained"]
    gaps = sorted(random["arch"][random["neural"].isna()].unique())
    return {"archs": random["arch"].nunique(), "gaps": " and ".join(_short(arch) for arch in gaps) or "none"}


UNTRAINED = Entry(
    "fig11_untrained",
    "Trained and untrained networks",
    "Neural and behavioural alignment of {archs} networks, trained with labels on all of ImageNet and untrained. Bars: "
    "means over seeds; dots: seeds. A dash marks a neural mean without V2 score: {gaps}.",
    "Layers were chosen with the trained networks and are kept for the untrained ones. Three seeds don't show the "
    "spread of the benchmark itself, which has no error bar here.",
    untrained,
    facts=_counts,
)
OBJECTIVES = Entry(
    "fig12_unsup_bar",
    "Supervised, SimCLR and DINO",
    "Alignment of four networks trained on all of ImageNet with labels, SimCLR or DINO. Bars: means over seeds; dots: "
    "models. A dash marks what was not trained.",
    "SimCLR and DINO have one seed each, so differences of about 0.02 can't be told from noise. The supervised ViTs "
    "are DeiT-III, the others another implementation. Which of four recipes was used for DINO ResNet-50 is not "
    "recorded, and two published tables disagree on the number of epochs (100 or 300).",
    objectives,
)
