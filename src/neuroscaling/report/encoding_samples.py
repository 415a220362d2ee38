"""These figures show accuracy against mapping images, alone and with training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.recording_words import RecordingWords
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.report import encoding_laws
from neuroscaling.report.encoding_data import (
    NO_CEILING,
    Encoding,
    complete,
    geometric_means,
    interval_words,
    sampling_words,
    shown,
    slopes,
    swept,
)
from neuroscaling.report.figure import Drawing, LeftOut, Style, label, legend, log_axis, panels, sentences
from neuroscaling.report.style import BLUE, SKY, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NAME, TITLE = "mapping_samples", "Accuracy against mapping images"
FEWEST, MOST_RUNS_ALONE, SAMPLE_COLUMNS = 3, 4, 4
IMAGES = axis_label("n_mapping")


def sample_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure for each run with three numbers of mapping images or more; where some have laws, for these alone."""
    runs = [run for run in encoding.runs if swept(encoding.rows, run) >= FEWEST]
    with_law = [run for run in runs if encoding_laws.has_law(encoding, run)]
    first = (with_law or runs)[:MOST_RUNS_ALONE]
    if not runs:
        yield LeftOut(NAME, TITLE, f"no run was scored at {FEWEST} numbers of mapping images or more")
    for i, run in enumerate(first):
        yield _sample_figure(encoding, run, NAME if len(first) == 1 else f"{NAME}-{i + 1}")
    rest = [encoding.names()[run] for run in runs if run not in first]
    if rest:
        reason = (
            f"up to {MOST_RUNS_ALONE} networks have this figure, those with laws of it; without it: {', '.join(rest)}"
        )
        yield LeftOut(f"{NAME}-more", TITLE, reason)


def _sample_figure(encoding: Encoding, run: str, name: str) -> Drawing:
    rows = encoding.rows[encoding.rows["run"] == run]
    regions, rest, words = *shown(rows["region"]), encoding.words
    fits = {region: encoding_laws.pooled(encoding_laws.laws_of(encoding, run, region)) for region in regions}
    found = [fit for fit in fits.values() if fit]
    caption = (
        f"{encoding.names()[run]}: Pearson r between predicted and measured responses, mean over the "
        f"{words.units} of a region, against the images that fit the mapping. Thin lines: {rows['unit'].nunique()} "
        f"{words.groups}; thick line: their mean, where all have that number of images. {interval_words(encoding)} "
        f"{_law_words(found, words.group)} "
        f"Strips: change of r per decade between neighbouring numbers of images{', and of the laws' if found else ''}."
    )
    unsure = [region for region, fit in fits.items() if fit and not fit.asymptote_identified]
    flag = f"The data do not identify the ceiling of {', '.join(unsure)}: read the curve, not its end."
    limits = sentences(
        _pooled(words) if found else "",
        NO_CEILING,
        sampling_words(encoding),
        flag if unsure else "",
        _absent(fits),
        rest,
    )
    return Drawing(
        name,
        f"{TITLE}: {encoding.names()[run]}",
        caption,
        limits,
        lambda: draw_samples(encoding, run, regions),
        tuple(fit.name for fit in found),
    )


def _pooled(words: RecordingWords) -> str:
    return f"The laws of all {words.groups} err by the differences between them: those of single ones compare forms."


def _law_words(fits: list[FinishedLaw], group: str) -> str:
    if not fits:
        return "No law is drawn."
    rule = {"largest_of_cluster": f"each {group}'s largest number of images"}.get(
        str(fits[0].holdout and fits[0].holdout.rule), "the largest numbers of images"
    )
    return (
        f"Coloured lines: laws fitted to all {group}s, with AICc above the best of them (smaller is better) and the "
        f"mean absolute error on {rule}, held out."
    )


def _absent(fits: dict[str, FinishedLaw | None]) -> str:
    none = [region for region, fit in fits.items() if not fit]
    return f"No law was fitted, or none could be tested, for {', '.join(none)}." if none else ""


def draw_samples(encoding: Encoding, run: str, regions: list[str]) -> Figure:
    """A panel with a strip below it for each of `regions`."""
    from matplotlib.figure import Figure

    columns = min(SAMPLE_COLUMNS, len(regions))
    lines = -(-len(regions) // columns)
    figure = Figure(figsize=(max(2.6 * columns, 4.2), 3.1 * lines + 0.6), layout="constrained")
    grid = figure.add_gridspec(2 * lines, columns, height_ratios=[3, 1.15] * lines)
    drawn = []
    for i, region in enumerate(regions):
        line, column = divmod(i, columns)
        top = figure.add_subplot(grid[2 * line, column])
        strip = figure.add_subplot(grid[2 * line + 1, column], sharex=top)
        drawn += _sample_panel(top, strip, encoding, run, region)
        if column == 0:
            top.set_ylabel("Pearson r")
            strip.set_ylabel("Δr / decade")
        strip.set_xlabel(IMAGES)
    legend(figure, [*_sample_handles(encoding.words), *encoding_laws.form_handles(drawn)], 3)
    return figure


def _sample_panel(top: Axes, strip: Axes, encoding: Encoding, run: str, region: str) -> list[FinishedLaw]:
    rows = encoding.rows[(encoding.rows["run"] == run) & (encoding.rows["region"] == region)]
    for _, mine in rows.sort_values("n_mapping").groupby("unit"):
        _line(top, strip, mine["n_mapping"], mine["raw"], color=SKY, linewidth=0.6, zorder=2)
    mean = complete(rows).groupby("n_mapping")["raw"].mean()
    _line(top, strip, mean.index, mean, color=BLUE, linewidth=1.8, zorder=5, marker="o", markersize=2.8)
    band = intervals(encoding, run, region, mean.index)
    top.fill_between(band["n_mapping"], band["low"], band["high"], color=BLUE, alpha=0.16, linewidth=0, zorder=1)
    fit = encoding_laws.pooled(encoding_laws.laws_of(encoding, run, region))
    if fit:
        encoding_laws.draw_forms(top, fit)
        encoding_laws.draw_form_slopes(strip, fit)
        encoding_laws.write_comparison(top, fit)
    log_axis(top)
    top.set_title(region)
    top.tick_params(labelbottom=False)
    strip.axhline(0, color="#bbbbbb", linewidth=0.7, zorder=1)
    return [fit] if fit else []


def _line(top: Axes, strip: Axes, x: pd.Series | pd.Index, y: pd.Series, **style: Any) -> None:
    sizes, values = x.to_numpy(dtype=float), y.to_numpy(dtype=float)
    top.plot(sizes, values, **style)
    if len(sizes) > 1:
        strip.plot(geometric_means(sizes), slopes(sizes, values), **style)


def intervals(
    encoding: Encoding, run: str, region: str, sizes: pd.Index | None = None, measure: str = "r"
) -> pd.DataFrame:
    """Mean over subjects with its interval, ascending in n_mapping; at `sizes` only, both hemispheres together."""
    table = encoding.intervals
    kept = (table["run"] == run) & (table["region"] == region) & (table["measure"] == measure)
    kept &= (table["hemisphere"] == "both") & (table["mapping"] == "equal")
    if sizes is not None:
        kept &= table["n_mapping"].isin(sizes)
    return table[kept].sort_values("n_mapping")


def _sample_handles(words: RecordingWords) -> list[Artist]:
    from matplotlib.lines import Line2D

    mean = f"mean of {words.groups}, 95 % interval"
    return [
        Line2D([], [], color=SKY, linewidth=0.8, label=f"a {words.group}"),
        Line2D([], [], color=BLUE, linewidth=1.8, marker="o", markersize=2.8, label=mean),
    ]


CURVES, CURVES_TITLE = "mapping_models", "Networks compared along mapping images"
GRID, GRID_TITLE = "crossed", "Mapping images crossed with training images"
CROSSED_COLUMNS, MOST_RUNS_TOGETHER = 4, 12


def crossed_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
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
    runs, more = runs[:MOST_RUNS_TOGETHER], runs[MOST_RUNS_TOGETHER:]
    if len(runs) < 2:
        reason = f"needs two networks with two numbers of mapping images or more, found {len(runs)}"
        return LeftOut(CURVES, CURVES_TITLE, reason)
    regions, rest, words = *shown(encoding.rows["region"]), encoding.words
    caption = (
        f"Pearson r, mean over {words.units} and {words.groups}, against the images that fit the mapping, a line a "
        "network. "
        f"{interval_words(encoding)}"
    )
    limits = sentences(
        f"Bands hold what {words.groups} share: two networks whose bands overlap may still differ in every one of "
        "them.",
        NO_CEILING,
        sampling_words(encoding),
        rest,
        f"Not drawn: {', '.join(encoding.names()[run] for run in more)}." if more else "",
    )
    return Drawing(CURVES, CURVES_TITLE, caption, limits, lambda: draw_curves(encoding, runs, regions))


def draw_curves(encoding: Encoding, runs: list[str], regions: list[str]) -> Figure:
    """A panel for each of `regions`, a line for each of `runs`, the first of them the darkest."""
    import matplotlib
    from matplotlib.lines import Line2D

    columns = min(CROSSED_COLUMNS, len(regions))
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
    style: Style = {"linewidth": 1.3, "markersize": 4}
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
    regions, rest, words = *shown(rows["region"]), encoding.words
    caption = (
        f"{arch}: Pearson r, mean over {words.units}, {rows['unit'].nunique()} {words.groups} and all "
        "training seeds, by the images that the network was trained on and the images that fit the mapping. Colours "
        "are scaled within a panel."
    )
    limits = sentences(
        f"The cells have no intervals; see the curves. Cells that were not scored for every {words.group} are empty.",
        NO_CEILING, rest,
    )  # fmt: skip
    return Drawing(name, f"{GRID_TITLE}: {arch}", caption, limits, lambda: draw_crossed(rows, regions))


def draw_crossed(rows: pd.DataFrame, regions: list[str]) -> Figure:
    """A map for each of `regions`: training images upwards, mapping images to the right."""
    columns = min(CROSSED_COLUMNS, len(regions))
    figure, axes = panels(-(-len(regions) // columns), columns, panel=(max(2.5, 4.2 / columns), 2.3), foot=0.1)
    for i, (ax, region) in enumerate(zip(axes, regions, strict=False)):
        _map(ax, crossed_means(rows[rows["region"] == region]))
        left = "Training images" if i % columns == 0 else ""
        label(ax, region, "Mapping images", left)
    for ax in axes[len(regions) :]:
        ax.set_axis_off()
    return figure


def crossed_means(rows: pd.DataFrame) -> pd.DataFrame:
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
