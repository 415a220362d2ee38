"""Alignment against accuracy and between regions, with Pearson correlations over models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.report.published.canvas import label, legend, panels
from neuroscaling.report.published.entry import SEEDS, Entry
from neuroscaling.report.published.frame import REGIONS, Study, supervised
from neuroscaling.report.published.marks import (
    BEHAVIOR_COLOR,
    NEURAL_COLOR,
    by_samples,
    family_handles,
    samples_bar,
    samples_hue,
)
from neuroscaling.report.published.regions import TITLES
from neuroscaling.report.style import INK, MUTED, axis_label

if TYPE_CHECKING:
    import pandas as pd
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


def correlations(study: Study) -> dict[str, tuple[float, list[float]]]:
    """Pearson's r with accuracy and its interval, of each region and the neural mean, over the 620 models."""
    frame = supervised(study.models)
    return {column: pearson(frame["acc"], frame[column]) for column in [*REGIONS, "neural"]}


def neural_accuracy(study: Study) -> Figure:
    """Neural scores against accuracy, a panel for each region and one for their mean."""
    return _accuracy(study, NEURAL_PANELS, (2, 3))


def behavior_accuracy(study: Study) -> Figure:
    """The behavioural score against accuracy."""
    return _accuracy(study, ["Behavioral"], (1, 1))


def _accuracy(study: Study, columns: list[str], shape: tuple[int, int]) -> Figure:
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


def correlation_bars(study: Study) -> Figure:
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


def _text(study: Study) -> dict[str, Any]:
    found = correlations(study)
    frame = supervised(study.models)
    return {
        "n": int(frame["acc"].notna().sum()),
        "values": "; ".join(f"{WORDS[c]} {r:.2f} ({low:.2f} to {high:.2f})" for c, (r, (low, high)) in found.items()),
        "behavior": f"{found['Behavioral'][0]:.2f}",
    }


LIMITS = (
    "Accuracy is measured on each model's own validation set, which has 1000 or 565 classes. Accuracy and alignment "
    "both grow with the images seen, so the correlation over all models does not say that one follows from the other. "
    f"{SEEDS}"
)
FIGURES = [
    Entry(
        "fig6_corr_neuro",
        "Neural alignment against accuracy",
        "Alignment of each region, and their mean, against top-1 accuracy of {n} models. Hue: images seen in training; "
        "marker: family; r: Pearson's correlation over all models.",
        LIMITS,
        neural_accuracy,
        facts=_text,
    ),
    Entry(
        "fig6_corr_behav",
        "Behavioural alignment against accuracy",
        "Behavioural alignment against top-1 accuracy of {n} models, r = {behavior}. Hue: images seen in training; "
        "marker: family.",
        LIMITS,
        behavior_accuracy,
        facts=_text,
    ),
    Entry(
        "fig6_corr_bar",
        "Correlation of alignment with accuracy",
        "Pearson's r between top-1 accuracy and alignment over {n} models, with 95 % intervals over 1000 resamples of "
        "the models: {values}.",
        f"{LIMITS} The intervals treat the models as independent, which the seeds of one network are not: they are too "
        "narrow.",
        correlation_bars,
        facts=_text,
    ),
]
