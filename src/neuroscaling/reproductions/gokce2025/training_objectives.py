"""These figures compare objectives of training, and untrained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.report.figure import label, legend, line_handle, look_handles, panels, set_y_range
from neuroscaling.report.style import INK, MUTED
from neuroscaling.reproductions.gokce2025.figure_entry import BEYOND, DASHED, LEVEL, Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import (
    DOTTED,
    OBJECTIVE_LOOKS,
    dots,
    draw_law,
    law_handles,
    ordered,
)
from neuroscaling.reproductions.gokce2025.published_frames import SCORES, PublishedData, supervised
from neuroscaling.reproductions.gokce2025.training_compute import COLUMN, COMPUTE, KINDS
from neuroscaling.reproductions.gokce2025.visual_regions import NAMES, TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ATTACK = "ffgsm_eps-1_alpha-125-ep10"  # the main series: five ResNets x seven numbers of images per class
OBJECTIVE_PANELS = {**TITLES, "average": "Average"}
LAWS = {**NAMES, "average": "avg"}


def simclr_models(study: PublishedData) -> pd.DataFrame:
    """The ResNets trained with SimCLR: five sizes x seven numbers of images per class."""
    frame = study.models
    return frame[(frame["ssl_method"] == "simclr") & (frame["family"] == "ResNet")]


def simclr(study: PublishedData) -> Figure:
    """Neural and behavioural scores of SimCLR ResNets with their laws, and the laws of supervised ResNets."""
    figure, axes = panels(1, 2, panel=(3.4, 2.9))
    for i, (ax, kind) in enumerate(zip(axes, KINDS, strict=True)):
        ending = {"neural": "neuro", "behaviour": "behavior"}[kind]
        shown = _simclr_panel(ax, study, COLUMN[kind], ending)
        shown.append(_supervised_curve(ax, study, f"model_resnet_{ending}"))
        label(ax, kind.capitalize(), COMPUTE, "" if i else "Alignment S", log=True)
        set_y_range(ax, *shown)
    legend(figure, [*_simclr_handles(), _supervised_handle()], 3)
    return figure


def simclr_regions(study: PublishedData) -> Figure:
    """A panel for each benchmark and their average: SimCLR ResNets with their laws."""
    figure, axes = panels(2, 3, panel=(2.6, 2.3))
    for i, (ax, (column, title)) in enumerate(zip(axes, OBJECTIVE_PANELS.items(), strict=True)):
        set_y_range(ax, *_simclr_panel(ax, study, column, LAWS[column]))
        label(ax, title, COMPUTE if i > 2 else "", "Alignment S" if i % 3 == 0 else "", log=True)
    legend(figure, _simclr_handles(), 4)
    return figure


def _simclr_panel(ax: Axes, study: PublishedData, column: str, ending: str) -> list[Any]:
    frame, look = simclr_models(study), OBJECTIVE_LOOKS["SimCLR"]
    dots(ax, frame["total_flops"], frame[column], look, size=20, alpha=0.75)
    return [frame[column], draw_law(ax, study, f"simclr_{ending}", look.color)]


def _supervised_curve(ax: Axes, study: PublishedData, name: str) -> Any:
    return draw_law(ax, study, name, MUTED, band=None, style=DOTTED, corrected=False)


def _simclr_handles() -> list[Artist]:
    look = OBJECTIVE_LOOKS["SimCLR"]
    return [*look_handles({"SimCLR ResNets": look}), *law_handles(color=look.color)]


def _supervised_handle() -> Artist:
    return line_handle("law of the supervised ResNets", MUTED, DOTTED)


def adversarial_models(study: PublishedData) -> pd.DataFrame:
    """The ResNets of the main series of adversarial fine-tuning: 35 models."""
    return study.models[study.models["adv_method"] == ATTACK]


def adversarial(study: PublishedData) -> Figure:
    """Average and region scores of adversarially fine-tuned ResNets and of supervised ones with their law."""
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.6))
    frame, tuned = supervised(study.models), adversarial_models(study)
    resnets, look = frame[frame["family"] == "ResNet"], OBJECTIVE_LOOKS["supervised"]
    dots(ax, resnets["total_flops"], resnets["average"], look, alpha=0.3)
    curve = draw_law(ax, study, "model_resnet_avg", look.color, extend=10)
    dots(ax, tuned["total_flops_pretrained"], tuned["average"], OBJECTIVE_LOOKS["adversarial"], size=24, alpha=0.8)
    label(ax, "", COMPUTE, "Average alignment S", log=True)
    set_y_range(ax, resnets["average"], tuned["average"], curve)
    looks = {"supervised ResNets": look, "fine-tuned with FFGSM, eps 1/255": OBJECTIVE_LOOKS["adversarial"]}
    legend(figure, [*look_handles(looks), *law_handles(extended="x10", color=look.color)], 3)
    return figure


def full_pairs(study: PublishedData) -> pd.DataFrame:
    """Mean scores of each ResNet at full data: supervised (mean of its seeds) and fine-tuned, by arch."""
    frame, tuned = supervised(study.models, ["imagenet"]), adversarial_models(study)
    plain = frame[frame["samples_per_class"] == 0].groupby("arch")[SCORES].mean()
    attacked = tuned[tuned["samples_per_class"] == 0].set_index("arch")[SCORES]
    return attacked.add_suffix("_adversarial").join(plain.add_suffix("_supervised"), how="inner")


def _objective_counts(study: PublishedData) -> dict[str, Any]:
    pairs = full_pairs(study)
    rise = {column: float((pairs[f"{column}_adversarial"] - pairs[f"{column}_supervised"]).mean()) for column in SCORES}
    return {
        "simclr": len(simclr_models(study)),
        "adversarial": len(adversarial_models(study)),
        "pairs": len(pairs),
        "rise": f"{rise['average']:+.3f}",
        "rise_v1": f"{rise['V1']:+.3f}",
    }


SIMCLR_LAWS = (
    "simclr_neuro", "simclr_behavior", "simclr_neuro.corrected", "simclr_behavior.corrected", "model_resnet_neuro",
    "model_resnet_behavior",
)  # fmt: skip
FLOPS = "The FLOPs of SimCLR count both views of each image. One seed each."
SIMCLR = [
    Entry(
        "fig7_simclr",
        "The laws under SimCLR",
        "Neural and behavioural alignment of {simclr} ResNets trained with SimCLR on ImageNet, against training "
        f"compute. {LEVEL} {DASHED} Dotted: the law of the supervised ResNets on ImageNet and ecoset.",
        f"{FLOPS} The published behavioural law is fitted to the rows as they stand in the table.",
        simclr,
        SIMCLR_LAWS,
        facts=_objective_counts,
    ),
    Entry(
        "fig13_simclr_regions",
        "The laws under SimCLR, by region",
        f"Alignment of {{simclr}} ResNets trained with SimCLR on ImageNet, by benchmark. {LEVEL} {DASHED}",
        f"{FLOPS} Which layers were scored for ResNet-34, 101 and 152 is not recorded.",
        simclr_regions,
        tuple(f"simclr_{ending}" for ending in LAWS.values()),
        corrected=True,
        facts=_objective_counts,
    ),
]
ADVERSARIAL = Entry(
    "fig7_adv",
    "Adversarial fine-tuning",
    "Mean of the five benchmarks of {adversarial} ResNets fine-tuned for 10 epochs against FFGSM (eps 1/255), and of "
    f"the supervised ResNets with their law. {LEVEL} {BEYOND} {DASHED} Compute of the fine-tuned ones: fine-tuning "
    "plus pre-training, which is counted once; the published figure counts it twice. At full data fine-tuning changes "
    "the average by {rise} and V1 by {rise_v1} (mean of {pairs} networks).",
    "Nearly all compute of the fine-tuned models is their pre-training, so they stand close together in x whatever the "
    "number of images of the fine-tuning. One seed each. The law is the study's own fit to all supervised ResNets; the "
    "result that the publication drew is not public.",
    adversarial,
    ("model_resnet_avg",),
    corrected=True,
    facts=_objective_counts,
)

OVERALL = {"neural": "Neural (mean of V1, V2, V4, IT)", "Behavioral": "Behaviour"}
BAR_PANELS = {"average": "Average", **TITLES}
# Supervised ViTs are DeiT-III; SimCLR and DINO trained another implementation of the same size.
NETWORKS = {
    "ResNet-18": ["resnet18"], "ResNet-50": ["resnet50"], "ViT-S": ["deit_small", "vit_small"],
    "ViT-B": ["deit_base", "vit_base"],
}  # fmt: skip
METHODS = {"supervised": None, "SimCLR": "simclr", "DINO": "dino"}
SHORT = {"convnext": "ConvNeXt", "deit": "DeiT", "efficientnet": "EfficientNet", "resnet": "ResNet"}
SIZE_LETTERS = {"tiny": "T", "small": "S", "base": "B", "large": "L"}


def untrained_bars(study: PublishedData) -> Figure:
    """Trained and untrained networks side by side."""
    figure, axes = panels(2, 1, panel=(7.2, 2.3), foot=0.3, share_x=True)
    groups = trained_and_untrained(study)
    archs = ordered_archs(groups["untrained"])
    for ax, (column, title) in zip(axes, OVERALL.items(), strict=True):
        _bars(ax, archs, {kind: frame.groupby("arch")[column] for kind, frame in groups.items()})
        label(ax, title, "", "Alignment S")
    axes[1].set_xticks(range(len(archs)), [_short(arch) for arch in archs], rotation=40, ha="right", fontsize=7.5)
    legend(figure, _bar_handles({"trained with labels": "supervised", "untrained": "untrained"}), 3)
    return figure


def trained_and_untrained(study: PublishedData) -> dict[str, pd.DataFrame]:
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


def objective_bars(study: PublishedData) -> Figure:
    """One network under three objectives: average score and each benchmark."""
    figure, axes = panels(2, 3, panel=(2.7, 2.0), foot=0.4, share_x=True)
    groups = by_objective(study)
    for i, (ax, (column, title)) in enumerate(zip(axes, BAR_PANELS.items(), strict=True)):
        _bars(ax, list(NETWORKS), {kind: frame.groupby("network")[column] for kind, frame in groups.items()})
        label(ax, title, "", "Alignment S" if i % 3 == 0 else "")
        ax.set_xticks(range(len(NETWORKS)), list(NETWORKS), rotation=25, ha="right", fontsize=7.5)
    legend(figure, _bar_handles({name: name for name in METHODS}), 4)
    return figure


def by_objective(study: PublishedData) -> dict[str, pd.DataFrame]:
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


def _bar_handles(names: dict[str, str]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bars = [
        Patch(color=OBJECTIVE_LOOKS[kind].color, alpha=0.8, linewidth=0, label=name) for name, kind in names.items()
    ]
    return [*bars, Line2D([], [], color=INK, marker=".", linestyle="", markersize=3, label="a model")]


def _short(arch: str) -> str:
    family, _, size = arch.partition("_")
    known = next((name for name in SHORT if family.startswith(name)), None)
    size = SIZE_LETTERS.get(size, size.upper()) or family.removeprefix(known or "")
    return f"{SHORT[known]}-{size}" if known else arch


def _bar_counts(study: PublishedData) -> dict[str, Any]:
    groups = trained_and_untrained(study)
    random = groups["untrained"]
    gaps = sorted(random["arch"][random["neural"].isna()].unique())
    return {"archs": random["arch"].nunique(), "gaps": " and ".join(_short(arch) for arch in gaps) or "none"}


UNTRAINED_BARS = Entry(
    "fig11_untrained",
    "Trained and untrained networks",
    "Neural and behavioural alignment of {archs} networks, trained with labels on all of ImageNet and untrained. Bars: "
    "means over seeds; dots: seeds. A dash marks a neural mean without V2 score: {gaps}.",
    "Layers were chosen with the trained networks and are kept for the untrained ones. Three seeds don't show the "
    "spread of the benchmark itself, which has no error bar here.",
    untrained_bars,
    facts=_bar_counts,
)
OBJECTIVE_BARS = Entry(
    "fig12_unsup_bar",
    "Supervised, SimCLR and DINO",
    "Alignment of four networks trained on all of ImageNet with labels, SimCLR or DINO. Bars: means over seeds; dots: "
    "models. A dash marks what was not trained.",
    "SimCLR and DINO have one seed each, so differences of about 0.02 can't be told from noise. The supervised ViTs "
    "are DeiT-III, the others another implementation. Which of four recipes was used for DINO ResNet-50 is not "
    "recorded, and two published tables disagree on the number of epochs (100 or 300).",
    objective_bars,
)
