"""These figures show which layers and grid sizes the vertices of each region chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.core.errors import percent
from neuroscaling.report.encoding_data import CHAINS, Encoding, shown
from neuroscaling.report.figure import Drawing, LeftOut, label, sentences
from neuroscaling.report.style import BLUE, INK, MUTED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NAME, TITLE = "preference", "Chosen layers and grid sizes by region"
MIN_R, BINS, MOST_RUNS = 0.1, 12, 3


def preference_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure for each run with several layers or grid sizes, in the order of `Encoding.runs`."""
    runs = [run for run in encoding.runs if choices(encoding, run) > 1]
    if not runs:
        yield LeftOut(NAME, TITLE, f"no run has {encoding.words.units} that chose among several layers or grid sizes")
    for i, run in enumerate(runs[:MOST_RUNS]):
        yield _figure(encoding, run, NAME if len(runs) == 1 else f"{NAME}-{i + 1}")
    if runs[MOST_RUNS:]:
        rest = ", ".join(encoding.names()[run] for run in runs[MOST_RUNS:])
        reason = f"{MOST_RUNS} networks have this figure; without it: {rest}"
        yield LeftOut(f"{NAME}-more", TITLE, reason)


def choices(encoding: Encoding, run: str) -> int:
    """Different layers and grid sizes that vertices of a run chose."""
    mine = encoding.vertices[encoding.vertices["run"] == run]
    return len(mine.drop_duplicates(["layer", "grid"]))


def _figure(encoding: Encoding, run: str, name: str) -> Drawing | LeftOut:
    mine, words = encoding.vertices[encoding.vertices["run"] == run], encoding.words
    members = by_region(mine)
    if members.empty:
        return LeftOut(name, f"{TITLE}: {encoding.names()[run]}", f"no {words.unit} is predicted at r above {MIN_R}")
    regions, rest = shown(members["region"])
    kept = (mine["r"] > MIN_R).mean()
    grids = " and a grid size (middle)" if members["grid"].nunique() > 1 else ""
    caption = (
        f"{encoding.names()[run]}: share of a region's {words.units} that chose a layer (0: first, 1: last of "
        f"{len(encoding.layers[run])}; left){grids}, by cross-validation inside the mapping images; "
        f"mean over {mine['subject'].nunique()} {words.groups}. Right: mean relative depth, a dot a {words.group}. "
        f"{words.units.capitalize()} with r above {MIN_R} on the evaluated images: {percent(kept)} of {len(mine):,}. "
        f"{chain_words(members, words.groups)}"
    )
    limits = sentences(
        "Neighbouring layers predict nearly alike, so a choice tells a range of layers and no one of them; wider "
        f"layers and larger grids have more features. Where regions overlap a {words.unit} counts in each.",
        rest,
    )
    draw_it = encoding.layers[run]
    return Drawing(
        name,
        f"{TITLE}: {encoding.names()[run]}",
        caption.strip(),
        limits,
        lambda: draw(members, regions, draw_it, words.units),
    )


def by_region(vertices: pd.DataFrame, min_r: float = MIN_R) -> pd.DataFrame:
    """Well predicted vertices (r above `min_r`), one row for each ROI that a vertex is in, as `region`."""
    kept = vertices[vertices["r"] > min_r][["subject", "regions", "layer", "grid", "depth"]]
    members = kept.assign(region=kept["regions"].str.split("|")).explode("region").drop(columns="regions")
    return members[members["region"].fillna("") != ""]


def mean_depth(members: pd.DataFrame) -> pd.DataFrame:
    """Mean relative depth by region (rows) and subject (columns)."""
    return members.pivot_table(index="region", columns="subject", values="depth", aggfunc="mean")


def chain_words(members: pd.DataFrame, groups: str) -> str:
    """For each chain of regions, in how many subjects its last one prefers deeper layers than its first.

    groups: what subjects are called.
    """
    depth, found = mean_depth(members), []
    for chain in CHAINS:
        present = [region for region in chain if region in depth.index]
        if len(present) > 1:
            change = (depth.loc[present[-1]] - depth.loc[present[0]]).dropna()
            found.append(f"{present[0]} to {present[-1]} in {int((change > 0).sum())} of {len(change)}")
    return (
        f"{groups.capitalize()} in which the later region prefers deeper layers: {', '.join(found)}." if found else ""
    )


def shares(members: pd.DataFrame, column: pd.Series, regions: list[str]) -> pd.DataFrame:
    """Share of vertices by region (rows) and value of `column` (a label each member): mean over subjects."""
    import pandas as pd

    keys = [members["region"], members["subject"]]
    counts = pd.crosstab(keys, column.to_numpy())
    fractions = counts.div(counts.sum(axis=1), axis=0)
    return fractions.groupby(level=0).mean().reindex(regions)


def depth_labels(members: pd.DataFrame, layers: list[str]) -> tuple[pd.Series, list[str]]:
    """A number for each vertex's place among the layers (bins where they are many), and the places' labels."""
    many = len(layers) > BINS
    bins = BINS if many else max(len(layers), 1)
    place = members["depth"].fillna(0.0) * (bins if many else bins - 1)
    numbers = np.minimum(np.floor(place + (0.0 if many else 0.5)), bins - 1).astype(int)
    at = (np.arange(bins) + 0.5) / bins if many else np.linspace(0, 1, bins)
    return numbers, [f"{value:.2f}".removeprefix("0") if 0 < value < 1 else f"{value:.0f}" for value in at]


def draw(members: pd.DataFrame, regions: list[str], layers: list[str], units: str) -> Figure:
    """Heat maps of layers and, where there are several, of grid sizes, and mean depths."""
    from matplotlib.figure import Figure

    grids = sorted(members["grid"].unique())
    of_grids = [0.9 + 0.32 * len(grids)] if len(grids) > 1 else []
    widths = [max(2.6, 0.26 * min(len(layers), BINS) + 1.2), *of_grids, 2.2]
    figure = Figure(figsize=(sum(widths) + 1.2, 1.2 + 0.26 * len(regions)), layout="constrained")
    left, *middle, right = figure.subplots(1, len(widths), gridspec_kw={"width_ratios": widths}, sharey=True)
    numbers, labels = depth_labels(members, layers)
    table = shares(members, numbers, regions).reindex(columns=range(len(labels)), fill_value=0.0)
    top = _heat(left, table, labels)
    label(left, "Layer", "Relative depth")
    for ax in middle:
        _heat(ax, shares(members, members["grid"], regions), ["none" if k == 0 else f"{k:g}" for k in grids], top)
        label(ax, "Grid", "Grid size k")
    _depths(right, mean_depth(members).reindex(regions))
    left.set_yticks(range(len(regions)), regions)
    bar = figure.colorbar(left.images[0], ax=[left, *middle], location="left", shrink=0.7, aspect=18)
    bar.set_label(f"Share of {units}")
    bar.outline.set_visible(False)
    return figure


def _heat(ax: Axes, table: pd.DataFrame, labels: list[str], top: float | None = None) -> float:
    ax.grid(False)
    values = table.to_numpy(dtype=float)
    top = top or float(np.nanmax(values))
    ax.imshow(values, aspect="auto", cmap="magma_r", vmin=0, vmax=max(top, 1e-9))
    rotated = len(labels) > 6
    ax.set_xticks(range(len(labels)), labels, fontsize=7, rotation=90 if rotated else 0)
    return top


def _depths(ax: Axes, depth: pd.DataFrame) -> None:
    for place, (_, values) in enumerate(depth.iterrows()):
        ax.scatter(values, np.full(len(values), place), s=9, color=MUTED, alpha=0.6, linewidths=0)
        ax.scatter(values.mean(), place, s=30, color=BLUE, marker="D", edgecolors="white", linewidths=0.5, zorder=3)
    ax.axvline(0.5, color=INK, linewidth=0.6, linestyle=":")
    ax.set_xlim(-0.03, 1.03)
    label(ax, "Mean depth", "Relative depth")
