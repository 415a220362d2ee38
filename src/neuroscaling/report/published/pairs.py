"""Every benchmark against every other: two grids of scatter plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.report.published.canvas import legend, panels
from neuroscaling.report.published.correlation import WORDS, matrix
from neuroscaling.report.published.entry import SEEDS, Entry
from neuroscaling.report.published.frame import REGIONS, Study, supervised
from neuroscaling.report.published.marks import (
    by_family,
    by_samples,
    family_handles,
    family_look,
    ordered,
    samples_bar,
    samples_hue,
)
from neuroscaling.report.style import MUTED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 24
Pairs = dict[tuple[str, str], tuple[float, list[float]]]


def regions(study: Study) -> Figure:
    """Region by region: points by family below the diagonal, correlations above, distributions by family on it."""
    frame = supervised(study.models)
    figure, cells = _grid(frame, REGIONS, matrix(frame, REGIONS))
    for (row, column), ax in cells.items():
        by_family(ax, frame, column, row, size=4.0, alpha=0.45, linewidths=0.0, rasterized=True)
    legend(figure, family_handles(frame["family"]), 6)
    return figure


def regions_and_accuracy(study: Study) -> Figure:
    """Regions and accuracy: points with the images seen as hue below the diagonal, correlations above."""
    frame, columns = supervised(study.models), [*REGIONS, "acc"]
    figure, cells = _grid(frame, columns, matrix(frame, columns), families=False)
    hue = samples_hue(frame["n_samples_seen"])
    for (row, column), ax in cells.items():
        by_samples(ax, frame, column, row, hue, s=5.0, rasterized=True)
    samples_bar(figure, hue, figure.axes)
    legend(figure, family_handles(frame["family"], MUTED), 6)
    return figure


def _grid(
    frame: pd.DataFrame, columns: list[str], found: Pairs, families: bool = True
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """The grid with its diagonal and upper half filled; the cells below the diagonal by (row, column)."""
    n = len(columns)
    figure, axes = panels(n, n, panel=(7.2 / n, 6.6 / n), foot=0.5)
    cells = {(row, column): axes[i * n + j] for i, row in enumerate(columns) for j, column in enumerate(columns)}
    for i, row in enumerate(columns):
        for j, column in enumerate(columns):
            ax = cells[row, column]
            _edge(ax, row, column, first=j == 0, last=i == n - 1)
            if i == j:
                _distribution(ax, frame, row, families)
            elif i < j:
                _correlation(ax, *found[row, column])
    return figure, {key: ax for (key, ax) in cells.items() if columns.index(key[0]) > columns.index(key[1])}


def _edge(ax: Axes, row: str, column: str, first: bool, last: bool) -> None:
    ax.tick_params(labelsize=6, labelleft=first and row != column, labelbottom=last, length=2)
    ax.locator_params(nbins=4)
    if last:
        ax.set_xlabel(WORDS[column], fontsize=8)
    if first:
        ax.set_ylabel(WORDS[row], fontsize=8)


def _distribution(ax: Axes, frame: pd.DataFrame, column: str, families: bool) -> None:
    """A histogram, stacked by family where `families`; its height has no axis of its own."""
    names = ordered(frame["family"]) if families else [None]
    parts = [frame[column][frame["family"] == name] if name else frame[column] for name in names]
    colors = [family_look(name).color if name else MUTED for name in names]
    edges = np.linspace(frame[column].min(), frame[column].max(), BINS + 1)
    ax.hist([part.dropna() for part in parts], bins=edges, color=colors, stacked=True, alpha=0.75)
    ax.set_yticks([])


def _correlation(ax: Axes, r: float, interval: list[float]) -> None:
    ax.set_axis_off()
    style = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    ax.text(0.5, 0.58, f"{r:.2f}", fontsize=11, alpha=0.45 + 0.55 * abs(r), **style)
    ax.text(0.5, 0.32, f"{interval[0]:.2f} to {interval[1]:.2f}", fontsize=6, color=MUTED, **style)


def _counts(study: Study) -> dict[str, Any]:
    return {"n": len(supervised(study.models))}


LIMITS = (
    "All scores grow with the images seen, so that the correlations over all models say little about models of one "
    f"size and one data set. V1 and V2, and V4 and IT, share their recordings' images. {SEEDS}"
)
FIGURES = [
    Entry(
        "fig14_cartesian",
        "Region against region",
        "Alignment of {n} models, each region against each other. Colour: family. Diagonal: distributions, stacked by "
        "family. Above it: Pearson's r with a 95 % interval over 1000 resamples of the models.",
        LIMITS,
        regions,
        facts=_counts,
    ),
    Entry(
        "fig15_pair",
        "Regions and accuracy in pairs",
        "Alignment and top-1 accuracy of {n} models, in pairs. Hue: images seen in training; marker: family. Diagonal: "
        "distributions. Above it: Pearson's r with a 95 % interval over 1000 resamples of the models.",
        f"{LIMITS} Accuracies on ImageNet and ecoset are not the same measure.",
        regions_and_accuracy,
        facts=_counts,
    ),
]
