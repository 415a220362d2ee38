"""These figures show alignment and accuracy against training compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroscaling.report.figure import label, legend, line_handle, look_handles, panels, set_y_range
from neuroscaling.report.style import INK, MUTED, Look, axis_label
from neuroscaling.reproductions.gokce2025.figure_entry import BEYOND, DASHED, LEVEL, SEEDS, TWO_SCALES, Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import (
    BEHAVIOR_COLOR,
    NEURAL_COLOR,
    by_family,
    dots,
    draw_law,
    family_handles,
    family_look,
    law_handles,
)
from neuroscaling.reproductions.gokce2025.published_frames import PublishedData, supervised

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FAMILIES = ["ResNet", "EfficientNet", "ConvNeXt", "ViT"]
KINDS = {"neural": Look(NEURAL_COLOR, "o", "●"), "behaviour": Look(BEHAVIOR_COLOR, "^", "▲")}
COLUMN = {"neural": "neural", "behaviour": "Behavioral"}
COMPUTE = axis_label("total_flops")
UNTRAINED = (0, (6, 2, 1, 2))


def behavior_and_neural(study: PublishedData) -> Figure:
    """Neural and behavioural scores of the 620 models with one law each, continued to ten times the compute."""
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.7))
    frame, shown = supervised(study.models), []
    for kind, law in (("neural", "compute_neuro"), ("behaviour", "compute_behavior")):
        look = KINDS[kind]
        dots(ax, frame["total_flops"], frame[COLUMN[kind]], look, alpha=0.4)
        shown += [frame[COLUMN[kind]], draw_law(ax, study, law, look.color, extend=10)]
        ax.axhline(untrained(study)[kind], color=look.color, linewidth=0.9, linestyle=UNTRAINED, zorder=1)
    label(ax, "", COMPUTE, "Alignment S", log=True)
    set_y_range(ax, *shown)
    legend(figure, [*look_handles(_named(KINDS)), *law_handles(extended="x10"), _untrained_handle()], 3)
    return figure


def untrained(study: PublishedData) -> dict[str, float]:
    """Mean neural and behavioural score of the untrained networks; networks without a V2 score are left out."""
    frame = study.models[study.models["is_random"]]
    return {kind: float(frame[column].mean()) for kind, column in COLUMN.items()}


def by_architecture(study: PublishedData) -> Figure:
    """A panel for each of four families: neural and behavioural scores with their laws and 70 % bands."""
    figure, axes = panels(2, 2, share_x=True, share_y=True, panel=(3.3, 2.4))
    shown: list[Any] = []
    for i, (ax, family) in enumerate(zip(axes, FAMILIES, strict=True)):
        shown += _architecture(ax, study, family)
        label(ax, family, COMPUTE if i > 1 else "", "Alignment S" if i % 2 == 0 else "", log=True)
    set_y_range(axes[0], *shown)
    legend(figure, [*look_handles(_named(KINDS)), *law_handles("70 % band")], 3)
    return figure


def _architecture(ax: Axes, study: PublishedData, family: str) -> list[Any]:
    frame = supervised(study.models)
    frame, shown = frame[frame["family"] == family], []
    for kind, ending in (("neural", "neuro"), ("behaviour", "behavior")):
        dots(ax, frame["total_flops"], frame[COLUMN[kind]], KINDS[kind], alpha=0.45)
        curve = draw_law(ax, study, f"model_{family.lower()}_{ending}", KINDS[kind].color, band=70)
        shown += [frame[COLUMN[kind]], curve]
    return shown


def average_by_architecture(study: PublishedData) -> Figure:
    """Average scores of four families in one panel, each with its law."""
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.7))
    frame = supervised(study.models)
    frame = frame[frame["family"].isin(FAMILIES)]
    by_family(ax, frame, "total_flops", "average", alpha=0.4)
    curves = [draw_law(ax, study, f"model_{f.lower()}_avg", family_look(f).color) for f in FAMILIES]
    label(ax, "", COMPUTE, "Average alignment S", log=True)
    set_y_range(ax, frame["average"], *curves)
    legend(figure, [*family_handles(FAMILIES), *law_handles()], 4)
    return figure


def accuracy(study: PublishedData) -> Figure:
    """Validation accuracy of the 620 models with the law that the publication configured."""
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.7))
    frame = supervised(study.models)
    by_family(ax, frame, "total_flops", "acc", alpha=0.5)
    draw_law(ax, study, "compute_accuracy", INK)
    label(ax, "", COMPUTE, axis_label("acc"), log=True)
    set_y_range(ax, [0.0, 1.0])  # the law as configured runs out of the range of accuracies
    legend(figure, [*family_handles(frame["family"]), *law_handles(color=INK, law="configured")], 3)
    return figure


def _named(kinds: dict[str, Look]) -> dict[str, Look]:
    words = {"neural": "neural (mean of V1, V2, V4, IT)", "behaviour": "behaviour"}
    return {words[kind]: look for kind, look in kinds.items()}


def _untrained_handle() -> Artist:
    return line_handle("mean of the untrained networks", MUTED, UNTRAINED, 0.9)


def _counts(study: PublishedData) -> dict[str, Any]:
    frame, random = supervised(study.models), study.models[study.models["is_random"]]
    return {
        "n": len(frame),
        "shown": int(frame["family"].isin(FAMILIES).sum()),
        "random": len(random),
        "random_neural": int(random["neural"].notna().sum()),
    }


COMPUTE_FIGURES = [
    Entry(
        "fig1_compute_behavior_vs_neuro",
        "Neural and behavioural alignment against training compute",
        "Alignment of {n} models trained with labels on ImageNet or ecoset, against the FLOPs of their training. The "
        f"laws follow the publication. {LEVEL} {BEYOND} {DASHED} Horizontal lines: mean of {{random}} untrained "
        "networks ({random_neural} of them for neural alignment, the rest lack a V2 score). The publication also has a "
        "variant with a line for random embeddings; that score is not public, so the untrained networks stand here.",
        "Whether one quantity saturates and the other does not depends on the chosen law, and on pooling ConvNeXt and "
        f"ViT, which stay at the untrained level with one image a class, with the other families. {SEEDS} The layers "
        f"were chosen on the benchmarks that are plotted. {TWO_SCALES} No model lies beyond the data.",
        behavior_and_neural,
        ("compute_neuro", "compute_behavior"),
        corrected=True,
        facts=_counts,
    ),
    Entry(
        "fig2_compute_arch",
        "Alignment against compute within four families",
        "Neural and behavioural alignment against training compute, a panel for each family (with its flexible "
        f"variants). Bands are pointwise 70 % intervals of the bootstraps, as published. {DASHED} ConvNeXt and ViT "
        "follow the shifted law.",
        "In the shifted law A, alpha and the shift lie on a flat ridge: only the curve and its band can be read. A "
        f"70 % band is narrower than the 95 % bands of the other figures. {SEEDS} The exponents of two families "
        "can't be compared, because their asymptotes differ.",
        by_architecture,
        tuple(f"model_{family.lower()}_{kind}" for family in FAMILIES for kind in ("neuro", "behavior")),
        corrected=True,
    ),
    Entry(
        "fig2_compute_arch_avg",
        "Average alignment against compute, by family",
        f"Mean of the five benchmarks of {{shown}} models of four families against training compute. {LEVEL} {DASHED}",
        "Families differ in more than inductive bias: recipe, number of epochs (100 or 300) and augmentation. "
        f"Attention is not counted in the FLOPs of ViT. {SEEDS} In the shifted law of ConvNeXt and ViT only the curve "
        "and its band can be read.",
        average_by_architecture,
        tuple(f"model_{family.lower()}_avg" for family in FAMILIES),
        corrected=True,
        facts=_counts,
    ),
]
ACCURACY = Entry(
    "fig16_compute_accuracy",
    "Validation accuracy against compute",
    "Top-1 accuracy of {n} models on the validation set of their own data set. The law as configured by the "
    "publication is fitted to the accuracy itself, a decreasing law to an increasing quantity; the corrected mode fits "
    f"1 - accuracy. Where a law leaves the range of accuracies it is cut. {LEVEL} {DASHED} The publication saved this "
    f"figure under the name of another one.",
    "Accuracies on ImageNet (1000 classes) and ecoset (565 classes) are not the same measure. The fit as configured "
    f"was never published. {SEEDS}",
    accuracy,
    ("compute_accuracy",),
    corrected=True,
    facts=_counts,
)
