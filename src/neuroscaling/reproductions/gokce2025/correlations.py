"""These figures correlate regions, behaviour and accuracy over models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.report.figure import Style, label, legend, panels
from neuroscaling.report.style import INK, MUTED, axis_label
from neuroscaling.reproductions.gokce2025.figure_entry import SEEDS, Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import (
    BEHAVIOR_COLOR,
    NEURAL_COLOR,
    by_family,
    by_samples,
    family_handles,
    family_look,
    ordered,
    samples_bar,
    samples_hue,
)
from neuroscaling.reproductions.gokce2025.published_frames import REGIONS, PublishedData, supervised
from neuroscaling.reproductions.gokce2025.visual_regions import TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RESAMPLES, SEED = 1000, 42
NEURAL_PANELS = ["V1", "V2", "V4", "IT", "neural"]
WORDS = {**TITLES, "neural": "Neural mean", "acc": "Accuracy"}
ACCURACY = axis_label("acc")


def pearson(x: Any, y: Any) -> tuple[float, list[float]]:
    """Pearson's r of x (n,) and y (n,), and its 95 % interval over 1000 resamples of the models, seed 42.

    Models with an empty value in either are left out.
    """
    pairs = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    n = pairs.shape[1]
    drawn = pairs[:, np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))]
    low, high = np.percentile(_r(*drawn), [2.5, 97.5])
    return float(_r(*pairs)), [float(low), float(high)]


def _r(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    return (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))


def correlations(study: PublishedData) -> dict[str, tuple[float, list[float]]]:
    """Pearson's r with accuracy and its interval, of each region and the neural mean, over the 620 models."""
    frame = supervised(study.models)
    return {column: pearson(frame["acc"], frame[column]) for column in [*REGIONS, "neural"]}


def neural_accuracy(study: PublishedData) -> Figure:
    """Neural scores against accuracy, a panel for each region and one for their mean."""
    return _accuracy(study, NEURAL_PANELS, (2, 3))


def behavior_accuracy(study: PublishedData) -> Figure:
    """The behavioural score against accuracy."""
    return _accuracy(study, ["Behavioral"], (1, 1))


def _accuracy(study: PublishedData, columns: list[str], shape: tuple[int, int]) -> Figure:
    single = len(columns) == 1
    figure, axes = panels(*shape, panel=(5.2, 3.6) if single else (2.6, 2.3))
    frame, found = supervised(study.models), correlations(study)
    hue = samples_hue(frame["n_samples_seen"])
    for i, (ax, column) in enumerate(zip(axes, columns, strict=False)):
        by_samples(ax, frame, "acc", column, hue)
        label(ax, WORDS[column], ACCURACY, "Alignment S" if i % shape[1] == 0 else "")
        ax.set_title(f"r = {found[column][0]:.2f}", loc="right", fontsize=8, fontweight="normal", color=MUTED)
    for ax in axes[len(columns) :]:
        ax.set_axis_off()
    samples_bar(figure, hue, axes)
    legend(figure, family_handles(frame["family"], MUTED), 6)
    return figure


def correlation_bars(study: PublishedData) -> Figure:
    """Bars of Pearson's r between accuracy and each region's score, with intervals."""
    figure, (ax,) = panels(1, 1, panel=(5.0, 3.0), foot=0)
    for i, (column, (r, (low, high))) in enumerate(correlations(study).items()):
        ax.bar(i, r, width=0.65, color=BEHAVIOR_COLOR if column == "Behavioral" else NEURAL_COLOR, alpha=0.7)
        ax.plot([i, i], [low, high], color=INK, linewidth=1.2)
        ax.text(i, high + 0.015, f"{r:.2f}", ha="center", va="bottom", fontsize=8)
    ax.set_xticks(range(len(WORDS) - 1), [WORDS[c].replace(" ", "\n") for c in [*REGIONS, "neural"]])
    label(ax, "", "", "Pearson r with accuracy")
    ax.set_ylim(0, 1.08)
    return figure


def matrix(frame: pd.DataFrame, columns: list[str]) -> dict[tuple[str, str], tuple[float, list[float]]]:
    """Pearson's r and its interval of each pair of `columns`, the first of a pair standing first in `columns`."""
    pairs = [(a, b) for i, a in enumerate(columns) for b in columns[i + 1 :]]
    return {(a, b): pearson(frame[a], frame[b]) for a, b in pairs}


def _text(study: PublishedData) -> dict[str, Any]:
    found = correlations(study)
    frame = supervised(study.models)
    return {
        "n": int(frame["acc"].notna().sum()),
        "values": "; ".join(f"{WORDS[c]} {r:.2f} ({low:.2f} to {high:.2f})" for c, (r, (low, high)) in found.items()),
        "behavior": f"{found['Behavioral'][0]:.2f}",
    }


CORRELATION_LIMITS = (
    "Accuracy is measured on each model's own validation set, which has 1000 or 565 classes. Accuracy and alignment "
    "both grow with the images seen, so the correlation over all models does not say that one follows from the other. "
    f"{SEEDS}"
)
CORRELATION_FIGURES = [
    Entry(
        "fig6_corr_neuro",
        "Neural alignment against accuracy",
        "Alignment of each region, and their mean, against top-1 accuracy of {n} models. Hue: images seen in training; "
        "marker: family; r: Pearson's correlation over all models.",
        CORRELATION_LIMITS,
        neural_accuracy,
        facts=_text,
    ),
    Entry(
        "fig6_corr_behav",
        "Behavioural alignment against accuracy",
        "Behavioural alignment against top-1 accuracy of {n} models, r = {behavior}. Hue: images seen in training; "
        "marker: family.",
        CORRELATION_LIMITS,
        behavior_accuracy,
        facts=_text,
    ),
    Entry(
        "fig6_corr_bar",
        "Correlation of alignment with accuracy",
        "Pearson's r between top-1 accuracy and alignment over {n} models, with 95 % intervals over 1000 resamples of "
        "the models: {values}.",
        f"{CORRELATION_LIMITS} The intervals treat the models as independent, "
        "which the seeds of one network are not: they are too "
        "narrow.",
        correlation_bars,
        facts=_text,
    ),
]

BINS = 24
Pairs = dict[tuple[str, str], tuple[float, list[float]]]


def regions(study: PublishedData) -> Figure:
    """Region by region: points by family below the diagonal, correlations above, distributions by family on it."""
    frame = supervised(study.models)
    figure, cells = _grid(frame, REGIONS, matrix(frame, REGIONS))
    for (row, column), ax in cells.items():
        by_family(ax, frame, column, row, size=4.0, alpha=0.45, linewidths=0.0, rasterized=True)
    legend(figure, family_handles(frame["family"]), 6)
    return figure


def regions_and_accuracy(study: PublishedData) -> Figure:
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
    ax.hist([part.dropna() for part in parts], bins=edges.tolist(), color=colors, stacked=True, alpha=0.75)
    ax.set_yticks([])


def _correlation(ax: Axes, r: float, interval: list[float]) -> None:
    ax.set_axis_off()
    style: Style = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    ax.text(0.5, 0.58, f"{r:.2f}", fontsize=11, alpha=0.45 + 0.55 * abs(r), **style)
    ax.text(0.5, 0.32, f"{interval[0]:.2f} to {interval[1]:.2f}", fontsize=6, color=MUTED, **style)


def _counts(study: PublishedData) -> dict[str, Any]:
    return {"n": len(supervised(study.models))}


PAIR_LIMITS = (
    "All scores grow with the images seen, so that the correlations over all models say little about models of one "
    f"size and one data set. V1 and V2, and V4 and IT, share their recordings' images. {SEEDS}"
)
PAIR_FIGURES = [
    Entry(
        "fig14_cartesian",
        "Region against region",
        "Alignment of {n} models, each region against each other. Colour: family. Diagonal: distributions, stacked by "
        "family. Above it: Pearson's r with a 95 % interval over 1000 resamples of the models.",
        PAIR_LIMITS,
        regions,
        facts=_counts,
    ),
    Entry(
        "fig15_pair",
        "Regions and accuracy in pairs",
        "Alignment and top-1 accuracy of {n} models, in pairs. Hue: images seen in training; marker: family. Diagonal: "
        "distributions. Above it: Pearson's r with a 95 % interval over 1000 resamples of the models.",
        f"{PAIR_LIMITS} Accuracies on ImageNet and ecoset are not the same measure.",
        regions_and_accuracy,
        facts=_counts,
    ),
]
