"""Alignment against the images seen in training: by data set and by family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroscaling.report.published.canvas import frame_y, label, legend, panels
from neuroscaling.report.published.curves import DASHED as DASHES
from neuroscaling.report.published.curves import draw_law, law_handles
from neuroscaling.report.published.entry import BEYOND, SEEDS, Entry
from neuroscaling.report.published.frame import DATASETS, Study, at_published_sizes, supervised
from neuroscaling.report.published.marks import (
    DATASET_LOOKS,
    by_family,
    dots,
    family_handles,
    family_look,
    look_handles,
    ordered,
)
from neuroscaling.report.style import MUTED, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEEN = f"{axis_label('n_samples_seen')}, D"


def by_dataset(study: Study) -> Figure:
    """Average score against images seen for seven data sets, each with its law continued to 15 times the images."""
    figure, (ax,) = panels(1, 1, panel=(6.4, 4.0), foot=0.8)
    frame, shown = seen_by_dataset(study), []
    for name, look in DATASET_LOOKS.items():
        mine, main = frame[frame["dataset"] == name], name in DATASETS
        dots(ax, mine["n_samples_seen"], mine["average"], look, size=9 if main else 22, alpha=0.35 if main else 0.9)
        style = {"levels": ("p2.5", "p97.5") if main else None, "style": "-" if main else DASHES}
        law = f"sample_{name}_scaling"
        shown += [mine["average"], draw_law(ax, study, law, look.color, extend=15, corrected=False, **style)]
    label(ax, "", SEEN, "Average alignment S", log=True)
    frame_y(ax, *shown)
    counts = frame["dataset"].value_counts()
    named = {f"{name} (n = {counts.get(name, 0)})": look for name, look in DATASET_LOOKS.items()}
    legend(figure, [*look_handles(named), *_law_handles()], 3)
    return figure


def _law_handles() -> list[Artist]:
    from matplotlib.lines import Line2D

    few = Line2D([], [], color=MUTED, linewidth=1.7, linestyle=DASHES, label="law of few models, no band")
    return [*law_handles("95 % band (imagenet, ecoset)", "x15", corrected=False), few]


def seen_by_dataset(study: Study) -> pd.DataFrame:
    """Supervised models on seven data sets; ConvNeXt and ViT with 300 images a class and with all."""
    return at_published_sizes(supervised(study.models, DATASET_LOOKS))


def efficiency(study: Study) -> Figure:
    """Average score against images seen by family, with a line through the means of the named networks."""
    figure, axes = panels(1, 2, panel=(3.6, 3.2), share_y=True)
    frame = supervised(study.models)
    for ax, dataset in zip(axes, DATASETS, strict=True):
        mine = frame[frame["dataset"] == dataset]
        by_family(ax, mine, "n_samples_seen", "average", size=7.0, alpha=0.3)
        _mean_lines(ax, family_means(mine))
        label(ax, {"imagenet": "ImageNet", "ecoset": "ecoset"}[dataset], SEEN, log=True)
    axes[0].set_ylabel("Average alignment S")
    frame_y(axes[0], frame["average"])
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
        style = {"linewidth": 1.5, "markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.4, "zorder": 4}
        ax.plot(mine["n_samples_seen"], mine["average"], color=look.color, marker=look.marker, **style)


def _counts(study: Study) -> dict[str, Any]:
    counts = seen_by_dataset(study)["dataset"].value_counts()
    others = [int(counts.get(name, 0)) for name in DATASET_LOOKS if name not in DATASETS]
    return {"fewest": min(others), "most": max(others)}


FIGURES = [
    Entry(
        "fig3_sample_scaling",
        "Average alignment against images seen, by data set",
        "Mean of the five benchmarks against the images seen in training, for seven data sets; infimnist in grey. "
        "ConvNeXt and ViT enter with 300 images a class and with all. ImageNet and ecoset: solid laws with 95 % bands "
        f"of the bootstraps; other data sets: dashed laws without band. {BEYOND}",
        "The other data sets have {fewest} to {most} models each, nearly all ResNet-18 with one seed: the exponents of "
        "their laws are not identified, and their order at a given D rests on few points. Images seen are nominal: "
        f"batches that were dropped are not counted. {SEEDS}",
        by_dataset,
        tuple(f"sample_{name}_scaling" for name in DATASET_LOOKS),
        facts=_counts,
    ),
    Entry(
        "fig3_sample_eff",
        "Average alignment against images seen, by family",
        "Mean of the five benchmarks against the images seen in training, for the models on ImageNet and ecoset. Lines "
        "join the means of a family's named networks, which were trained at every number of images; the flexible "
        "variants are drawn as points only.",
        "ConvNeXt and ViT were trained for 300 epochs, the others for 100: with the same images a class they stand at "
        "three times the D. Repeating the same few images is not the same as seeing new ones. No law is fitted and "
        "the means have no error bars.",
        efficiency,
    ),
]
