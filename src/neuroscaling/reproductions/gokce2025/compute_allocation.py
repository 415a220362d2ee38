"""These figures show how compute is split between data and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.fit_record import Allocation, Exponent
from neuroscaling.report.figure import Style, draw_curve, label, legend, line_handle, marker_areas, panels, set_y_range
from neuroscaling.report.style import GREEN, INK, MUTED, PURPLE, axis_label
from neuroscaling.reproductions.gokce2025.figure_entry import SEEDS, TWO_SCALES, Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import DASHED as DASHES
from neuroscaling.reproductions.gokce2025.points_and_curves import (
    DOTTED,
    FAMILY_ORDER,
    by_samples,
    family_handles,
    family_look,
    samples_bar,
    samples_hue,
    size_handles,
)
from neuroscaling.reproductions.gokce2025.published_frames import PublishedData, at_published_sizes, supervised

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LAW = "compute_chinchilla"
COMPUTE = axis_label("total_flops")
SPLIT = {"n_params": ("parameters, N", PURPLE), "n_samples_seen": ("images seen, D", GREEN)}


def frontier(study: PublishedData) -> Figure:
    """Points by compute, images and parameters with the best score for each compute; beside it the best N and D."""
    figure, axes = panels(1, 2, panel=(4.2, 3.3), foot=0.8)
    frame = at_published_sizes(supervised(study.models))
    hue = samples_hue(frame["n_samples_seen"])
    by_samples(axes[0], frame, "total_flops", "average", hue, sizes=True)
    best = _frontier(axes[0], study)
    label(axes[0], "Score", COMPUTE, "Average alignment S", log=True)
    set_y_range(axes[0], frame["average"], best)
    samples_bar(figure, hue, [axes[0]])
    _split(axes[1], study, frame)
    legend(figure, [*family_handles(frame["family"], MUTED), *size_handles(), *_handles()], 5)
    return figure


def _frontier(ax: Axes, study: PublishedData) -> NDArray[np.float64]:
    """The best score for each compute, in parity mode; gives back its values."""
    allocation = _allocation(study, LAW)
    if allocation is None:
        return np.empty(0)
    best = allocation.curve.curve("score")
    draw_curve(ax, best, INK, shade=0.15)
    return best.fit


def _split(ax: Axes, study: PublishedData, frame: pd.DataFrame) -> None:
    """The best number of parameters and of images for each compute, in both modes, and the largest of the data."""
    for axis, (_, color) in SPLIT.items():
        ax.axhline(frame[axis].max(), color=color, linewidth=0.9, linestyle=DOTTED)
    for name, dash, width in ((LAW, "-", 1.7), (f"{LAW}.corrected", DASHES, 1.1)):
        allocation = _allocation(study, name)
        if allocation is None:
            continue
        for axis, (_, color) in SPLIT.items():
            draw_curve(ax, allocation.curve.curve(axis), color, dash=dash, width=width, shade=0.12)
    label(ax, "Best N and D for the compute", COMPUTE, "Parameters N, images seen D", log=True)
    ax.set_yscale("log")


def _allocation(study: PublishedData, name: str) -> Allocation | None:
    law = study.law(name)
    return law.allocation if law else None


def _handles() -> list[Artist]:
    return [
        *(line_handle(f"best {words}", color) for words, color in SPLIT.values()),
        line_handle("best score, as published", INK),
        line_handle("corrected mode", MUTED, DASHES, 1.1),
        line_handle("largest of the data", MUTED, DOTTED, 0.9),
    ]


def networks(study: PublishedData) -> Figure:
    """A panel for each family: average score against compute, a line for each network over the images per class."""
    figure, axes = panels(2, 3, panel=(2.7, 2.3), share_x=True, share_y=True)
    frame = supervised(study.models, ["imagenet"])
    for i, (ax, family) in enumerate(zip(axes, FAMILY_ORDER, strict=True)):
        ax.scatter(frame["total_flops"], frame["average"], s=3, color="#dcdcdc", linewidths=0, zorder=1)
        _lines(ax, network_means(frame[frame["family"] == family]), family)
        label(ax, family, COMPUTE if i > 2 else "", "Average alignment S" if i % 3 == 0 else "", log=True)
    legend(figure, size_handles(), 3)
    return figure


def network_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds of each network at each number of images per class: arch, total_flops, n_params, average."""
    keys = ["arch", "flex", "n_samples_seen", "total_flops", "n_params"]
    return frame.groupby(keys, as_index=False)["average"].mean()


def _lines(ax: Axes, means: pd.DataFrame, family: str) -> None:
    look = family_look(family)
    for _, mine in means[~means["flex"]].groupby("arch"):
        ax.plot(mine["total_flops"], mine["average"], color=look.color, linewidth=0.9, alpha=0.7, zorder=2)
    style: Style = {"edgecolors": "white", "linewidths": 0.4, "alpha": 0.75, "zorder": 3}
    ax.scatter(
        means["total_flops"],
        means["average"],
        s=marker_areas(means["n_params"]),
        color=look.color,
        marker=look.marker,
        **style,
    )


def _counts(study: PublishedData) -> dict[str, Any]:
    words = {LAW: "As published", f"{LAW}.corrected": "Corrected"}
    n = len(at_published_sizes(supervised(study.models)))
    return {"n": n, "exponents": " ".join(_exponents(study, *mode) for mode in words.items()), "factor": _factor(study)}


def _exponents(study: PublishedData, name: str, words: str) -> str:
    """The exponents in compute of a mode's best N and D, as a sentence; empty where the law is missing."""
    allocation = _allocation(study, name)
    if allocation is None:
        return ""
    n, d = (_with_interval(allocation.exponents[axis]) for axis in SPLIT)
    return f"{words}, the best N grows as compute to the power {n} and the best D to the power {d}."


def _with_interval(found: Exponent) -> str:
    low, high = found.ci95 or (float("nan"), float("nan"))
    return f"{found.value:.2f} ({low:.2f} to {high:.2f})"


def _factor(study: PublishedData) -> str:
    """By how much the inverted factor changes the best N, in words; empty where a mode is missing."""
    published, corrected = _allocation(study, LAW), _allocation(study, f"{LAW}.corrected")
    if published is None or corrected is None:
        return ""
    ratio = published.curve.n_params.fit / corrected.curve.n_params.fit
    return f" (here N by a factor of {np.median(ratio):.2f})"


ALLOCATION_FIGURES = [
    Entry(
        "fig4_compute_chinchilla",
        "The best use of compute: parameters or images",
        "Left: mean of the five benchmarks of {n} models (ConvNeXt and ViT with 300 images per class and with all); "
        "hue: images seen, area: parameters, marker: family. The line is the best score that the law of parameters and "
        "images gives for each compute, in parity mode. Right: the parameters and images of that best point, as "
        "published (solid) and corrected (dashed); the publication's formula inverts one factor, which moves N and D"
        "{factor} but hardly the score. Bands are pointwise 95 % intervals. Thin dotted lines: the largest N and D of "
        "the data. {exponents}",
        "The optimum is flat: very different splits reach nearly the same score. Above the dotted lines the best N and "
        "D are extrapolated. The law is fitted to runs with a fixed number of epochs, where more images means more "
        "different images. As published, the cost of a run as a "
        f"function of N and D is held fixed in the bootstraps, so its bands are too narrow. {SEEDS} {TWO_SCALES}",
        frontier,
        (LAW,),
        corrected=True,
        facts=_counts,
    ),
    Entry(
        "fig4_compute_arch",
        "Average alignment against compute, by network",
        "Mean of the five benchmarks of the models on ImageNet, a panel for each family. A line joins one network over "
        "its numbers of images per class (means over the seeds); marker area: parameters. The flexible variants, "
        "trained with all images only, are points without a line. Grey: all families.",
        "Networks have one seed at 3, 30 and 300 images per class and three at the others. No law is fitted. FLOPs "
        "leave out the attention products of ViT.",
        networks,
    ),
]
