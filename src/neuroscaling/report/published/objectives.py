"""Laws under other objectives than labels: SimCLR, and adversarial fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroscaling.report.published.canvas import frame_y, label, legend, panels
from neuroscaling.report.published.compute import COLUMN, COMPUTE, KINDS
from neuroscaling.report.published.curves import DOTTED, draw_law, law_handles
from neuroscaling.report.published.entry import BEYOND, DASHED, LEVEL, Entry
from neuroscaling.report.published.frame import SCORES, Study, supervised
from neuroscaling.report.published.marks import OBJECTIVE_LOOKS, dots, look_handles
from neuroscaling.report.published.regions import NAMES, TITLES
from neuroscaling.report.style import MUTED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ATTACK = "ffgsm_eps-1_alpha-125-ep10"  # the main series: five ResNets x seven numbers of images a class
PANELS = {**TITLES, "average": "Average"}
LAWS = {**NAMES, "average": "avg"}


def simclr_models(study: Study) -> pd.DataFrame:
    """The ResNets trained with SimCLR: five sizes x seven numbers of images a class."""
    frame = study.models
    return frame[(frame["ssl_method"] == "simclr") & (frame["family"] == "ResNet")]


def simclr(study: Study) -> Figure:
    """Neural and behavioural scores of SimCLR ResNets with their laws, and the laws of supervised ResNets."""
    figure, axes = panels(1, 2, panel=(3.4, 2.9))
    for i, (ax, kind) in enumerate(zip(axes, KINDS, strict=True)):
        ending = {"neural": "neuro", "behaviour": "behavior"}[kind]
        shown = _simclr_panel(ax, study, COLUMN[kind], ending)
        shown.append(_supervised_curve(ax, study, f"model_resnet_{ending}"))
        label(ax, kind.capitalize(), COMPUTE, "" if i else "Alignment S", log=True)
        frame_y(ax, *shown)
    legend(figure, [*_simclr_handles(), _supervised_handle()], 3)
    return figure


def simclr_regions(study: Study) -> Figure:
    """A panel for each benchmark and their average: SimCLR ResNets with their laws."""
    figure, axes = panels(2, 3, panel=(2.6, 2.3))
    for i, (ax, (column, title)) in enumerate(zip(axes, PANELS.items(), strict=True)):
        frame_y(ax, *_simclr_panel(ax, study, column, LAWS[column]))
        label(ax, title, COMPUTE if i > 2 else "", "Alignment S" if i % 3 == 0 else "", log=True)
    legend(figure, _simclr_handles(), 4)
    return figure


def _simclr_panel(ax: Axes, study: Study, column: str, ending: str) -> list[Any]:
    frame, look = simclr_models(study), OBJECTIVE_LOOKS["SimCLR"]
    dots(ax, frame["total_flops"], frame[column], look, size=20, alpha=0.75)
    return [frame[column], draw_law(ax, study, f"simclr_{ending}", look.color)]


def _supervised_curve(ax: Axes, study: Study, name: str) -> Any:
    return draw_law(ax, study, name, MUTED, levels=None, style=DOTTED, corrected=False)


def _simclr_handles() -> list[Artist]:
    look = OBJECTIVE_LOOKS["SimCLR"]
    return [*look_handles({"SimCLR ResNets": look}), *law_handles(color=look.color)]


def _supervised_handle() -> Artist:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=MUTED, linewidth=1.7, linestyle=DOTTED, label="law of the supervised ResNets")


def adversarial_models(study: Study) -> pd.DataFrame:
    """The ResNets of the main series of adversarial fine-tuning: 35 models."""
    return study.models[study.models["adv_method"] == ATTACK]


def adversarial(study: Study) -> Figure:
    """Average and region scores of adversarially fine-tuned ResNets and of supervised ones with their law."""
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.6))
    frame, tuned = supervised(study.models), adversarial_models(study)
    resnets, look = frame[frame["family"] == "ResNet"], OBJECTIVE_LOOKS["supervised"]
    dots(ax, resnets["total_flops"], resnets["average"], look, alpha=0.3)
    curve = draw_law(ax, study, "model_resnet_avg", look.color, extend=10)
    dots(ax, tuned["total_flops_pretrained"], tuned["average"], OBJECTIVE_LOOKS["adversarial"], size=24, alpha=0.8)
    label(ax, "", COMPUTE, "Average alignment S", log=True)
    frame_y(ax, resnets["average"], tuned["average"], curve)
    looks = {"supervised ResNets": look, "fine-tuned with FFGSM, eps 1/255": OBJECTIVE_LOOKS["adversarial"]}
    legend(figure, [*look_handles(looks), *law_handles(extended="x10", color=look.color)], 3)
    return figure


def full_pairs(study: Study) -> pd.DataFrame:
    """Mean scores of each ResNet at full data: supervised (mean of its seeds) and fine-tuned, by arch."""
    frame, tuned = supervised(study.models, ["imagenet"]), adversarial_models(study)
    plain = frame[frame["samples_per_class"] == 0].groupby("arch")[SCORES].mean()
    attacked = tuned[tuned["samples_per_class"] == 0].set_index("arch")[SCORES]
    return attacked.join(plain, lsuffix="_adversarial", rsuffix="_supervised", how="inner")


def _counts(study: Study) -> dict[str, Any]:
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
        facts=_counts,
    ),
    Entry(
        "fig13_simclr_regions",
        "The laws under SimCLR, by region",
        f"Alignment of {{simclr}} ResNets trained with SimCLR on ImageNet, by benchmark. {LEVEL} {DASHED}",
        f"{FLOPS} Which layers were scored for ResNet-34, 101 and 152 is not recorded.",
        simclr_regions,
        tuple(f"simclr_{ending}" for ending in LAWS.values()),
        corrected=True,
        facts=_counts,
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
    facts=_counts,
)
