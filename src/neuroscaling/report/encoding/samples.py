"""Accuracy against the number of mapping images: subjects, their mean, the laws, and the slope per decade."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from neuroscaling.report.encoding import laws
from neuroscaling.report.encoding.data import Encoding
from neuroscaling.report.encoding.entry import NO_CEILING, SAMPLING, Drawing, LeftOut, interval_words, sentences
from neuroscaling.report.encoding.order import complete, middle, shown, slopes, swept
from neuroscaling.report.published.canvas import legend
from neuroscaling.report.style import BLUE, SKY, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "mapping_samples", "Accuracy against mapping images"
FEWEST, MOST_RUNS, COLUMNS = 3, 4, 4
POOLED = "The laws of all subjects err by the differences between subjects: those of single ones compare forms."
IMAGES = axis_label("n_mapping")


def figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure for each run with three numbers of mapping images or more; where some have laws, for these alone."""
    runs = [run for run in encoding.runs if swept(encoding.rows, run) >= FEWEST]
    with_law = [run for run in runs if laws.has_law(encoding, run)]
    first = (with_law or runs)[:MOST_RUNS]
    if not runs:
        yield LeftOut(NAME, TITLE, f"no run was scored at {FEWEST} numbers of mapping images or more")
    for i, run in enumerate(first):
        yield _figure(encoding, run, NAME if len(first) == 1 else f"{NAME}-{i + 1}")
    rest = [encoding.names()[run] for run in runs if run not in first]
    if rest:
        reason = f"up to {MOST_RUNS} networks have this figure, those with laws of it; without it: {', '.join(rest)}"
        yield LeftOut(f"{NAME}-more", TITLE, reason)


def _figure(encoding: Encoding, run: str, name: str) -> Drawing:
    rows = encoding.rows[encoding.rows["run"] == run]
    regions, rest = shown(rows["region"])
    fits = {region: laws.pooled(laws.laws_of(encoding, run, region)) for region in regions}
    found = [fit for fit in fits.values() if fit]
    caption = (
        f"{encoding.names()[run]}: Pearson r between predicted and measured responses, mean over the vertices of an "
        f"ROI, against the images that fit the mapping. Thin lines: {rows['unit'].nunique()} subjects; thick line: "
        f"their mean, where all have that number of images. {interval_words(encoding)} {_law_words(found)} "
        "Strips: change of r per decade between neighbouring numbers of images, and of the laws."
    )
    unsure = [region for region, fit in fits.items() if fit and not laws.ceiling_identified(fit)]
    flag = f"The data do not identify the ceiling of {', '.join(unsure)}: read the curve, not its end."
    limits = sentences(POOLED if found else "", NO_CEILING, SAMPLING, flag if unsure else "", _absent(fits), rest)
    return Drawing(
        name,
        f"{TITLE}: {encoding.names()[run]}",
        caption,
        limits,
        lambda: draw(encoding, run, regions),
        tuple(fit["name"] for fit in found),
    )


def _law_words(fits: list[laws.Fit]) -> str:
    if not fits:
        return "No law is drawn."
    rule = {"largest_of_cluster": "each subject's largest number of images"}.get(
        str(fits[0]["holdout"]["rule"]), "the largest numbers of images"
    )
    return (
        "Coloured lines: laws fitted to all subjects, with AICc above the best of them (smaller is better) and the "
        f"mean absolute error on {rule}, held out."
    )


def _absent(fits: dict[str, laws.Fit | None]) -> str:
    none = [region for region, fit in fits.items() if not fit]
    return f"No law was fitted, or none could be tested, for {', '.join(none)}." if none else ""


def draw(encoding: Encoding, run: str, regions: list[str]) -> Figure:
    """A panel with a strip below it for each of `regions`."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(regions))
    lines = -(-len(regions) // columns)
    figure = Figure(figsize=(max(2.6 * columns, 4.2), 3.1 * lines + 0.6), layout="constrained")
    grid = figure.add_gridspec(2 * lines, columns, height_ratios=[3, 1.15] * lines)
    drawn = []
    for i, region in enumerate(regions):
        line, column = divmod(i, columns)
        top = figure.add_subplot(grid[2 * line, column])
        strip = figure.add_subplot(grid[2 * line + 1, column], sharex=top)
        drawn += _panel(top, strip, encoding, run, region)
        if column == 0:
            top.set_ylabel("Pearson r")
            strip.set_ylabel("Δr / decade")
        strip.set_xlabel(IMAGES)
    legend(figure, [*_handles(), *laws.form_handles(drawn)], 3)
    return figure


def _panel(top: Axes, strip: Axes, encoding: Encoding, run: str, region: str) -> list[laws.Fit]:
    rows = encoding.rows[(encoding.rows["run"] == run) & (encoding.rows["region"] == region)]
    for _, mine in rows.sort_values("n_mapping").groupby("unit"):
        _line(top, strip, mine["n_mapping"], mine["raw"], color=SKY, linewidth=0.6, zorder=2)
    mean = complete(rows).groupby("n_mapping")["raw"].mean()
    _line(top, strip, mean.index, mean, color=BLUE, linewidth=1.8, zorder=5, marker="o", markersize=2.8)
    band = intervals(encoding, run, region, mean.index)
    top.fill_between(band["n_mapping"], band["low"], band["high"], color=BLUE, alpha=0.16, linewidth=0, zorder=1)
    fit = laws.pooled(laws.laws_of(encoding, run, region))
    if fit:
        laws.draw_forms(top, fit)
        laws.draw_form_slopes(strip, fit)
        laws.write_comparison(top, fit)
    top.set_xscale("log")
    top.set_title(region)
    top.tick_params(labelbottom=False)
    strip.axhline(0, color="#bbbbbb", linewidth=0.7, zorder=1)
    return [fit] if fit else []


def _line(top: Axes, strip: Axes, x: pd.Series, y: pd.Series, **style: object) -> None:
    x, y = x.to_numpy(dtype=float), y.to_numpy(dtype=float)
    top.plot(x, y, **style)
    if len(x) > 1:
        strip.plot(middle(x), slopes(x, y), **style)


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


def _handles() -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=SKY, linewidth=0.8, label="a subject"),
        Line2D([], [], color=BLUE, linewidth=1.8, marker="o", markersize=2.8, label="mean of subjects, 95 % interval"),
    ]
