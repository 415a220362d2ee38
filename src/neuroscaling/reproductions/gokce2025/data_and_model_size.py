"""These figures show alignment against images seen and against parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroscaling.report.figure import Style, label, legend, line_handle, look_handles, panels, set_y_range
from neuroscaling.report.style import INK, MUTED, axis_label
from neuroscaling.reproductions.gokce2025.figure_entry import BEYOND, DASHED, LEVEL, SEEDS, TWO_SCALES, Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import DASHED as DASHES
from neuroscaling.reproductions.gokce2025.points_and_curves import (
    DATASET_LOOKS,
    by_family,
    dots,
    draw_law,
    family_handles,
    family_look,
    law_handles,
    ordered,
)
from neuroscaling.reproductions.gokce2025.published_frames import (
    DATASETS,
    PublishedData,
    at_published_sizes,
    supervised,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SEEN = f"{axis_label('n_samples_seen')}, D"


def by_dataset(study: PublishedData) -> Figure:
    """Average score against images seen for seven data sets, each with its law continued to 15 times the images."""
    figure, (ax,) = panels(1, 1, panel=(6.4, 4.0), foot=0.8)
    frame, shown = seen_by_dataset(study), []
    for name, look in DATASET_LOOKS.items():
        mine, main = frame[frame["dataset"] == name], name in DATASETS
        dots(ax, mine["n_samples_seen"], mine["average"], look, size=9 if main else 22, alpha=0.35 if main else 0.9)
        band, style = (95, "-") if main else (None, DASHES)
        law = f"sample_{name}_scaling"
        curve = draw_law(ax, study, law, look.color, band=band, extend=15, style=style, corrected=False)
        shown += [mine["average"], curve]
    label(ax, "", SEEN, "Average alignment S", log=True)
    set_y_range(ax, *shown)
    counts = frame["dataset"].value_counts()
    named = {f"{name} (n = {counts.get(name, 0)})": look for name, look in DATASET_LOOKS.items()}
    legend(figure, [*look_handles(named), *_law_handles()], 3)
    return figure


def _law_handles() -> list[Artist]:
    few = line_handle("law of few models, no band", MUTED, DASHES)
    return [*law_handles("95 % band (imagenet, ecoset)", "x15", corrected=False), few]


def seen_by_dataset(study: PublishedData) -> pd.DataFrame:
    """Supervised models on seven data sets; ConvNeXt and ViT with 300 images per class and with all."""
    return at_published_sizes(supervised(study.models, DATASET_LOOKS))


def efficiency(study: PublishedData) -> Figure:
    """Average score against images seen by family, with a line through the means of the named networks."""
    figure, axes = panels(1, 2, panel=(3.6, 3.2), share_y=True)
    frame = supervised(study.models)
    for ax, dataset in zip(axes, DATASETS, strict=True):
        mine = frame[frame["dataset"] == dataset]
        by_family(ax, mine, "n_samples_seen", "average", size=7.0, alpha=0.3)
        _mean_lines(ax, family_means(mine))
        label(ax, {"imagenet": "ImageNet", "ecoset": "ecoset"}[dataset], SEEN, log=True)
    axes[0].set_ylabel("Average alignment S")
    set_y_range(axes[0], frame["average"])
    legend(figure, family_handles(frame["family"]), 6)
    return figure


def family_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean average score by family and images seen, of the networks that were trained at every number of images.

    The flexible variants were trained with all images only and would shift the last mean, so they are left out.
    """
    rows = frame[~frame["flex"]]
    return rows.groupby(["family", "n_samples_seen"], as_index=False)["average"].mean()


def _mean_lines(ax: Axes, means: pd.DataFrame) -> None:
    for family in ordered(means["family"]):
        mine, look = means[means["family"] == family], family_look(family)
        style: Style = {
            "linewidth": 1.5,
            "markersize": 4.5,
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
            "zorder": 4,
        }
        ax.plot(mine["n_samples_seen"], mine["average"], color=look.color, marker=look.marker, **style)


def _sample_counts(study: PublishedData) -> dict[str, Any]:
    counts = seen_by_dataset(study)["dataset"].value_counts()
    others = [int(counts.get(name, 0)) for name in DATASET_LOOKS if name not in DATASETS]
    return {"fewest": min(others), "most": max(others)}


SAMPLE_FIGURES = [
    Entry(
        "fig3_sample_scaling",
        "Average alignment against images seen, by data set",
        "Mean of the five benchmarks against the images seen in training, for seven data sets; infimnist in grey. "
        "ConvNeXt and ViT enter with 300 images per class and with all. ImageNet and ecoset: solid laws with 95 % "
        f"bands of the bootstraps; other data sets: dashed laws without band. {BEYOND}",
        "The other data sets have {fewest} to {most} models each, nearly all ResNet-18 with one seed: the exponents of "
        "their laws are not identified, and their order at a given D rests on few points. Images seen are nominal: "
        f"batches that were dropped are not counted. {SEEDS}",
        by_dataset,
        tuple(f"sample_{name}_scaling" for name in DATASET_LOOKS),
        facts=_sample_counts,
    ),
    Entry(
        "fig3_sample_eff",
        "Average alignment against images seen, by family",
        "Mean of the five benchmarks against the images seen in training, for the models on ImageNet and ecoset. Lines "
        "join the means of a family's named networks, which were trained at every number of images; the flexible "
        "variants are drawn as points only.",
        "ConvNeXt and ViT were trained for 300 epochs, the others for 100: with the same images per class they stand "
        "at three times the D. Repeating the same few images is not the same as seeing new ones. No law is fitted and "
        "the means have no error bars.",
        efficiency,
    ),
]

PRETRAINED_FAMILIES = [
    "ConvNeXt", "DaVit", "EfficientNet", "EfficientViT-B", "FastViT", "LeViT", "MaxxViT", "MobileViT", "ResNet", "ViT",
]  # fmt: skip


def full_data(study: PublishedData) -> pd.DataFrame:
    """The supervised models that were trained with all images of their data set."""
    frame = supervised(study.models)
    return frame[frame["samples_per_class"] == 0]


def pretrained(study: PublishedData) -> pd.DataFrame:
    """Pretrained models of the ten families whose number of parameters is known."""
    frame = study.models[study.models["is_pretrained"] & study.models["family"].isin(PRETRAINED_FAMILIES)]
    return frame[frame["n_params"].notna()]


def sizes(study: PublishedData) -> Figure:
    """Average score against parameters at full data."""
    return _size_figure(full_data(study), study, "parameter_scaling", 3)


def pretrained_sizes(study: PublishedData) -> Figure:
    """Average score against parameters of pretrained models."""
    return _size_figure(pretrained(study), study, "parameter_pretrained_scaling", 5)


def _size_figure(frame: pd.DataFrame, study: PublishedData, law: str, columns: int) -> Figure:
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.5), foot=0.8)
    by_family(ax, frame, "n_params", "average", size=16.0, alpha=0.6)
    curve = draw_law(ax, study, law, INK)
    label(ax, "", f"{axis_label('n_params')}, N", "Average alignment S", log=True)
    set_y_range(ax, frame["average"], curve)
    legend(figure, [*family_handles(frame["family"]), *law_handles(color=INK)], columns)
    return figure


def _parameter_counts(study: PublishedData) -> dict[str, Any]:
    frame = study.models
    chosen = frame[frame["is_pretrained"] & frame["family"].isin(PRETRAINED_FAMILIES)]
    shown = chosen[chosen["n_params"].notna()]
    return {
        "full": len(full_data(study)),
        "pretrained": len(shown),
        "no_size": len(chosen) - len(shown),
        "no_dataset": int(shown["dataset"].isna().sum()),
    }


OWN_SIZES = Entry(
    "fig2_params",
    "Alignment against model size at full data",
    f"Mean of the five benchmarks of {{full}} models trained with all images of ImageNet or ecoset. {LEVEL} {DASHED}",
    "At full data size and compute grow together, and families of different size differ in recipe. Parameters are "
    f"those of a head with 1000 classes. {SEEDS} {TWO_SCALES}",
    sizes,
    ("parameter_scaling",),
    corrected=True,
    facts=_parameter_counts,
)
PRETRAINED_SIZES = Entry(
    "fig9_params_pretrained",
    "Alignment against model size of pretrained models",
    f"Mean of the five benchmarks of {{pretrained}} pretrained models of ten families. {LEVEL} {DASHED} The published "
    "law leaves out the {no_dataset} EfficientViT-B, whose data set is empty in the table; they are drawn.",
    "Data, recipe, objective and resolution differ between these models and are not controlled; the images seen and "
    "the compute in the table are placeholders. {no_size} models of these families have no number of parameters and "
    "are not drawn.",
    pretrained_sizes,
    ("parameter_pretrained_scaling",),
    corrected=True,
    facts=_parameter_counts,
)
