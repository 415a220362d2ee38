"""Scaling of mappings and of models crossed: networks compared along mapping images, and by their training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.report.encoding.data import Encoding
from neuroscaling.report.encoding.entry import NO_CEILING, SAMPLING, Drawing, LeftOut, interval_words, sentences
from neuroscaling.report.encoding.order import complete, shown, swept
from neuroscaling.report.encoding.samples import IMAGES, intervals
from neuroscaling.report.published.canvas import label, legend, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES, CURVES_TITLE = "mapping_models", "Networks compared along mapping images"
GRID, GRID_TITLE = "crossed", "Mapping images crossed with training images"
COLUMNS, MOST_RUNS = 4, 12


def figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """The curves of all networks, and for each architecture with several training sets a map of both samples."""
    yield _curves(encoding)
    archs = trained(encoding.rows)
    if not archs:
        reason = "needs an architecture with two numbers of training images and two of mapping images or more"
        yield LeftOut(GRID, GRID_TITLE, reason)
    for arch in archs:
        yield _crossed(encoding, arch, GRID if len(archs) == 1 else f"{GRID}-{arch}")


def _curves(encoding: Encoding) -> Drawing | LeftOut:
    runs = [run for run in encoding.runs if swept(encoding.rows, run) > 1]
    runs, more = runs[:MOST_RUNS], runs[MOST_RUNS:]
    if len(runs) < 2:
        reason = f"needs two networks with two numbers of mapping images or more, found {len(runs)}"
        return LeftOut(CURVES, CURVES_TITLE, reason)
    regions, rest = shown(encoding.rows["region"])
    caption = (
        "Pearson r, mean over vertices and subjects, against the images that fit the mapping, a line a network. "
        f"{interval_words(encoding)}"
    )
    limits = sentences(
        "Bands hold what subjects share: two networks whose bands overlap may still differ in every subject.",
        NO_CEILING, SAMPLING, rest, f"Not drawn: {', '.join(encoding.names()[run] for run in more)}." if more else "",
    )  # fmt: skip
    return Drawing(CURVES, CURVES_TITLE, caption, limits, lambda: draw_curves(encoding, runs, regions))


def draw_curves(encoding: Encoding, runs: list[str], regions: list[str]) -> Figure:
    """A panel for each of `regions`, a line for each of `runs`, the first of them the darkest."""
    import matplotlib
    from matplotlib.lines import Line2D

    columns = min(COLUMNS, len(regions))
    figure, axes = panels(-(-len(regions) // columns), columns, panel=(max(2.3, 5.0 / columns), 2.2), foot=0.8)
    colors = dict(zip(runs, matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(runs))), strict=True))
    markers = dict(zip(runs, "osD^vP*Xh<>p", strict=False))
    for i, (ax, region) in enumerate(zip(axes, regions, strict=False)):
        for run in runs:
            mine = encoding.rows[(encoding.rows["run"] == run) & (encoding.rows["region"] == region)]
            mean = complete(mine).groupby("n_mapping")["raw"].mean()
            band = intervals(encoding, run, region, mean.index)
            ax.fill_between(band["n_mapping"], band["low"], band["high"], color=colors[run], alpha=0.12, linewidth=0)
            ax.plot(mean.index, mean, color=colors[run], marker=markers[run], markersize=3, linewidth=1.3)
        label(ax, region, IMAGES, "Pearson r" if i % columns == 0 else "", log=True)
    for ax in axes[len(regions) :]:
        ax.set_axis_off()
    names = encoding.names()
    style = {"linewidth": 1.3, "markersize": 4}
    legend(figure, [Line2D([], [], color=colors[r], marker=markers[r], label=names[r], **style) for r in runs], 2)
    return figure


def trained(rows: pd.DataFrame) -> list[str]:
    """Architectures that were trained here on two numbers of images or more, with two numbers of mapping images."""
    mine = rows[(rows["kind"] == "trained") & (rows["n_samples"] > 0)]
    swept_archs = {arch for arch, run in {*zip(mine["arch"], mine["run"], strict=True)} if swept(mine, run) > 1}
    counts = mine.groupby("arch")["n_samples"].nunique()
    return sorted(swept_archs.intersection(counts.index[counts > 1]))


def _crossed(encoding: Encoding, arch: str, name: str) -> Drawing:
    rows = encoding.rows[(encoding.rows["arch"] == arch) & (encoding.rows["kind"] == "trained")]
    regions, rest = shown(rows["region"])
    caption = (
        f"{arch}: Pearson r, mean over vertices, {rows['unit'].nunique()} subjects and all "
        "training seeds, by the images that the network was trained on and the images that fit the mapping. Colours "
        "are scaled within a panel."
    )
    limits = sentences(
        "The cells have no intervals; see the curves. Cells that were not scored for every subject are empty.",
        NO_CEILING, rest,
    )  # fmt: skip
    return Drawing(name, f"{GRID_TITLE}: {arch}", caption, limits, lambda: draw_crossed(rows, regions))


def draw_crossed(rows: pd.DataFrame, regions: list[str]) -> Figure:
    """A map for each of `regions`: training images upwards, mapping images to the right."""
    columns = min(COLUMNS, len(regions))
    figure, axes = panels(-(-len(regions) // columns), columns, panel=(max(2.5, 4.2 / columns), 2.3), foot=0.1)
    for i, (ax, region) in enumerate(zip(axes, regions, strict=False)):
        _map(ax, cells(rows[rows["region"] == region]))
        left = "Training images" if i % columns == 0 else ""
        label(ax, region, "Mapping images", left)
    for ax in axes[len(regions) :]:
        ax.set_axis_off()
    return figure


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean r by training images (rows, ascending) and mapping images (columns); NaN where a subject is missing."""
    kept = complete(rows)
    return kept.pivot_table(index="n_samples", columns="n_mapping", values="raw", aggfunc="mean")


def _map(ax: Axes, table: pd.DataFrame) -> None:
    ax.grid(False)
    values = table.to_numpy(dtype=float)
    ax.imshow(values, origin="lower", aspect="auto", cmap="viridis")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "white" if value < middle else "black"
            ax.text(j, i, f"{value:.2f}".replace("0.", "."), ha="center", va="center", fontsize=6.5, color=color)
    ax.set_xticks(range(table.shape[1]), [f"{n:,.0f}" for n in table.columns], rotation=45, ha="right", fontsize=7)
    ax.set_yticks(range(table.shape[0]), [f"{n:,.0f}" for n in table.index], fontsize=7)
