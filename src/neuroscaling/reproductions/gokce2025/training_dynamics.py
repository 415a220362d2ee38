"""These figures show alignment during training, from scored checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroscaling.report.figure import Style, label, legend, look_handles, panels
from neuroscaling.report.style import Look
from neuroscaling.reproductions.gokce2025.figure_entry import Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import OBJECTIVE_LOOKS, family_handles, family_look, ordered
from neuroscaling.reproductions.gokce2025.published_frames import DATASETS, PublishedData
from neuroscaling.reproductions.gokce2025.visual_regions import TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


EPOCH = "Epoch of training"
OVERALL = {"neural": "Neural (mean of V1, V2, V4, IT)", "Behavioral": "Behaviour"}
# One network each; the published ViT of SimCLR and DINO is another implementation than the supervised one.
NETWORKS = {"ResNet-50": ["resnet50"], "ViT-S": ["deit_small", "vit_small"]}
OBJECTIVES = {"supervised": None, "SimCLR": "simclr", "DINO": "dino"}


def overall(study: PublishedData) -> Figure:
    """Neural and behavioural score against epoch, by family."""
    return _training(study, OVERALL, (1, 2), (3.6, 3.0))


def by_region(study: PublishedData) -> Figure:
    """Each region's score against epoch, by family."""
    return _training(study, {**TITLES, "average": "Average"}, (2, 3), (2.6, 2.3))


def _training(
    study: PublishedData, columns: dict[str, str], shape: tuple[int, int], panel: tuple[float, float]
) -> Figure:
    figure, axes = panels(*shape, panel=panel, foot=0.5)
    frame = supervised_checkpoints(study)
    for i, (ax, (column, title)) in enumerate(zip(axes, columns.items(), strict=True)):
        for family in ordered(frame["family"]):
            _family(ax, frame[frame["family"] == family], column, family_look(family))
        label(ax, title, EPOCH, "Alignment S" if i % shape[1] == 0 else "", log=True)
        _whole_epochs(ax)
    legend(figure, family_handles(frame["family"]), 4)
    return figure


def supervised_checkpoints(study: PublishedData) -> pd.DataFrame:
    """Checkpoints of the supervised models on ImageNet and ecoset."""
    frame = study.checkpoints
    return frame[frame["ssl_method"].isna() & frame["dataset"].isin(DATASETS)]


def family_mean(frame: pd.DataFrame, column: str) -> pd.Series:
    """Mean score by epoch over the models of a family, at epochs that all of them have."""
    grouped = frame.groupby("epochs")[column]
    return grouped.mean()[grouped.size() == frame["model_id"].nunique()]


def _family(ax: Axes, frame: pd.DataFrame, column: str, look: Look) -> None:
    for _, model in frame.groupby("model_id"):
        ax.plot(model["epochs"], model[column], color=look.color, linewidth=0.5, alpha=0.35, zorder=1)
    mean = family_mean(frame, column)
    style: Style = {
        "markersize": 3.2,
        "markeredgecolor": "white",
        "markeredgewidth": 0.3,
        "linewidth": 1.4,
        "zorder": 3,
    }
    ax.plot(mean.index, mean, color=look.color, marker=look.marker, **style)


def objectives(study: PublishedData) -> Figure:
    """ResNet-50 and ViT-S: neural and behavioural score against epoch for three objectives."""
    figure, axes = panels(2, 2, panel=(3.3, 2.3), foot=0.4, share_x=True)
    for i, (network, archs) in enumerate(NETWORKS.items()):
        for j, (column, title) in enumerate({"neural": "neural mean", "Behavioral": "behaviour"}.items()):
            ax = axes[2 * i + j]
            for objective, method in OBJECTIVES.items():
                _objective(ax, objective_run(study, archs, method), column, OBJECTIVE_LOOKS[objective])
            label(ax, f"{network}, {title}", EPOCH if i else "", "" if j else "Alignment S", log=True)
            _whole_epochs(ax)
    legend(figure, look_handles({name: OBJECTIVE_LOOKS[name] for name in OBJECTIVES}), 3)
    return figure


def objective_run(study: PublishedData, archs: list[str], method: str | None) -> pd.DataFrame:
    """Checkpoints on ImageNet of one network and objective; method: None for supervised."""
    frame = study.checkpoints
    chosen = frame["ssl_method"].isna() if method is None else frame["ssl_method"] == method
    return frame[chosen & frame["arch"].isin(archs) & (frame["dataset"] == "imagenet")]


def _objective(ax: Axes, run: pd.DataFrame, column: str, look: Look) -> None:
    style: Style = {"markersize": 3.4, "markeredgecolor": "white", "markeredgewidth": 0.3, "linewidth": 1.2}
    ax.plot(run["epochs"], run[column], color=look.color, marker=look.marker, **style)


def _whole_epochs(ax: Axes) -> None:
    ax.set_xticks([1, 10, 100, 300], ["1", "10", "100", "300"])
    ax.minorticks_off()


def _counts(study: PublishedData) -> dict[str, Any]:
    return {"n": supervised_checkpoints(study)["model_id"].nunique()}


LIMITS = (
    "There is no score before the first epoch. Each network has one seed. ConvNeXt and ViT are trained for 300 epochs, "
    "the others for 100, each under its own schedule of the learning rate, so that equal epochs are not equal stages. "
    "Layers were chosen at the end of training and are kept for all epochs."
)
CAPTION = (
    "against the epoch of training, of {n} models with labels on ImageNet and ecoset with all images. Thin lines: "
    "models; thick lines with markers: mean of a family."
)
DYNAMICS_FIGURES = [
    Entry(
        "fig7_sup",
        "Alignment during supervised training",
        f"Neural and behavioural alignment {CAPTION}",
        LIMITS,
        overall,
        facts=_counts,
    ),
    Entry(
        "fig10_sup_regions",
        "Alignment during supervised training, by region",
        f"Alignment of each benchmark, and their average, {CAPTION}",
        LIMITS,
        by_region,
        facts=_counts,
    ),
    Entry(
        "fig7_ssl",
        "Alignment during training under three objectives",
        "Neural and behavioural alignment of ResNet-50 and ViT-S on ImageNet during supervised training, SimCLR and "
        "DINO.",
        "One run each, one seed. Supervised ResNet-50 is trained for 100 epochs, all others for 300 in this table; the "
        "table of final scores gives 100 for the self-supervised ones. SimCLR and DINO see several views of each image "
        "in an epoch. The supervised ViT-S is DeiT-III small.",
        objectives,
    ),
]
