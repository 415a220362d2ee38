"""These figures show accuracy against the parameters of the networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.report import encoding_laws
from neuroscaling.report.encoding_data import (
    NO_CEILING,
    Encoding,
    at_fixed_size,
    fully_trained,
    interval_words,
    sampling_words,
    shown,
)
from neuroscaling.report.encoding_samples import intervals
from neuroscaling.report.figure import (
    Drawing,
    LeftOut,
    draw_curve,
    label,
    legend,
    look_handles,
    panels,
    sentences,
    set_y_range,
)
from neuroscaling.report.style import INK, MUTED, WARNING, Look, axis_label, form_look, looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NAME, TITLE = "parameters", "Accuracy against parameters at fixed mapping images"
SERIES = {"EVA-02": "eva02_"}  # names of the architectures of a series begin with this
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
COLUMNS = 4


def parameter_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure where there are networks of two sizes or more that share a number of mapping images."""
    rows, size = at_fixed_size(fully_trained(encoding.rows))
    if rows["n_params"].nunique() < 2:
        found = rows["n_params"].nunique()
        yield LeftOut(NAME, TITLE, f"needs networks of two sizes or more with {size} mapping images, found {found}")
        return
    regions, rest, words = *shown(rows["region"]), encoding.words
    sizes = set(rows["n_mapping"])
    fits = [fit for region in regions if (fit := encoding_laws.law_over_models(encoding, region, sizes))]
    caption = (
        f"Pearson r, mean over {words.units} and over {rows['unit'].nunique()} {words.groups}, of "
        f"{rows['run'].nunique()} "
        f"trained networks with {size} mapping images each. Colour and marker: family; small grey marks: "
        f"{words.groups}. "
        f"{interval_words(encoding)} {_law_words(fits)} {series_words(rows)}"
    )
    limits = sentences(
        "Networks of different families differ in data, objective and preprocessing besides their parameters: a trend "
        "across families is no effect of size.",
        NO_CEILING,
        sampling_words(encoding),
        rest,
    )
    yield Drawing(
        NAME, TITLE, caption.strip(), limits, lambda: draw(encoding, rows, regions), tuple(fit.name for fit in fits)
    )


def _law_words(fits: list[FinishedLaw]) -> str:
    straight = [fit for fit in fits if fit.form_name == "log_linear"]
    if not straight:
        return "No law over the networks is drawn."
    values = ", ".join(f"{fit.filters['region']} {_slope(fit)}, n = {fit.n}" for fit in straight)
    return f"Dashed: log-linear law over the networks that it was fitted to; gain in r per decade: {values}."


def _slope(law: FinishedLaw) -> str:
    low, high = law.ci95["b"] if law.bootstraps.n else (float("nan"), float("nan"))
    ends = f" ({low:.3f} to {high:.3f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{law.params['b']:.3f}{ends}"


def members(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each series that has two sizes or more."""
    found = {name: rows[rows["arch"].str.startswith(start)] for name, start in SERIES.items()}
    return {name: mine for name, mine in found.items() if mine["n_params"].nunique() > 1}


def series_words(rows: pd.DataFrame) -> str:
    """What must be said of a series whose sizes are too few for a law."""
    return " ".join(f"Dotted: the {name} series, {_untestable(mine)}." for name, mine in members(rows).items())


def _untestable(mine: pd.DataFrame) -> str:
    n = mine["n_params"].nunique()
    return f"not testable: {NUMBERS.get(n, n)} sizes that also differ in recipe"


def draw(encoding: Encoding, rows: pd.DataFrame, regions: list[str]) -> Figure:
    """A panel for each of `regions`."""
    columns = min(COLUMNS, len(regions))
    lines = -(-len(regions) // columns)
    figure, axes = panels(lines, columns, panel=(max(2.4, 5.0 / columns), 2.5), foot=0.7)
    found = looks(rows["arch_family"].unique().tolist())
    for i, (ax, region) in enumerate(zip(axes, regions, strict=False)):
        mine = rows[rows["region"] == region]
        for family, look in found.items():
            _family(ax, encoding, mine[mine["arch_family"] == family], look)
        _series(ax, mine)
        fit = encoding_laws.law_over_models(encoding, region, set(rows["n_mapping"]))
        if fit and fit.curve:
            draw_curve(ax, fit.curve, INK, dash=form_look("log_linear").dash, width=1.1, band=None, zorder=3)
        label(ax, region, axis_label("n_params"), "Pearson r" if i % columns == 0 else "", log=True)
        _ticks(ax, mine["n_params"])
        set_y_range(ax, mine["raw"], *(band for run in mine["run"].unique() for band in _band(encoding, run, mine)))
    for ax in axes[len(regions) :]:
        ax.set_axis_off()
    legend(figure, look_handles(found), 5)
    return figure


def _ticks(ax: Axes, sizes: pd.Series) -> None:
    """Powers of ten; the sizes themselves where the powers are too few to read them off."""
    ax.xaxis.set_minor_formatter("")
    if sizes.max() < 30 * sizes.min():
        ends = sorted({sizes.min(), sizes.max()})
        ax.set_xticks(ends, [_count(n) for n in ends])


def _count(n: float) -> str:
    """A number of parameters, such as 86M."""
    unit, sign = next((unit, sign) for unit, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k"), (0, "")) if n >= unit)
    return f"{n / (unit or 1):.3g}{sign}"


def _band(encoding: Encoding, run: str, rows: pd.DataFrame) -> list[list[float]]:
    """The interval of a run in the region of `rows`, or none where subjects have different numbers of images."""
    band = intervals(encoding, run, rows["region"].iloc[0], rows["n_mapping"].unique())
    return band[["low", "high"]].to_numpy().tolist() if len(band) == 1 else []


def _family(ax: Axes, encoding: Encoding, mine: pd.DataFrame, look: Look) -> None:
    for run, one in mine.groupby("run"):
        x, mean = one["n_params"].iloc[0], one["raw"].mean()
        ax.scatter(one["n_params"], one["raw"], s=4, color=MUTED, alpha=0.35, linewidths=0, zorder=1)
        for ends in _band(encoding, run, one):
            ax.plot([x, x], ends, color=look.color, linewidth=1.2, zorder=3)
        size = 64 if look.marker == "*" else 34
        ax.scatter(x, mean, s=size, color=look.color, marker=look.marker, edgecolors="white", linewidths=0.5, zorder=5)


def _series(ax: Axes, mine: pd.DataFrame) -> None:
    for name, own in members(mine).items():
        means = own.groupby("n_params")["raw"].mean()
        ax.plot(means.index, means, color=WARNING, linewidth=1.0, linestyle=(0, (1, 1.2)), zorder=4)
        words = f"{name} {_untestable(own)}".replace(": ", ":\n").replace(" that", "\nthat")
        ax.text(0.02, 0.98, words, transform=ax.transAxes, va="top", color=WARNING, fontsize=6)
