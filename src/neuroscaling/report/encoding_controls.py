"""Networks beside their controls: every curve by the kind of network, each recording by itself, and forms compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.report import encoding_laws
from neuroscaling.report.encoding_data import (
    METRIC,
    NO_CEILING,
    Encoding,
    complete,
    in_order,
    interval_words,
    sampling_words,
    swept,
)
from neuroscaling.report.encoding_samples import intervals
from neuroscaling.report.figure import Drawing, LeftOut, label, legend, line_handle, panels, sentences
from neuroscaling.report.style import BLUE, INK, MUTED, ORANGE, Dash, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "controls", "Networks and their controls"
KINDS: dict[str, tuple[str, str, Dash]] = {
    "pretrained": ("published weights", BLUE, "-"),
    "trained": ("trained here", ORANGE, "-"),
    "untrained": ("untrained", MUTED, (0, (4, 1.5))),
    "baseline": ("images alone", INK, (0, (1, 1.2))),
}
"""Words, colour and dashes of each kind of run; the first kinds are drawn over the others."""
SPREAD = 0.13
"""Between the places of two kinds at one recording."""


def control_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure, of all targets or else of the first region: curves of all networks, and each recording by itself."""
    runs = [run for run in encoding.runs if swept(encoding.rows, run) > 1]
    kinds = {encoding.facts(run)["kind"] for run in runs}
    if not ({"pretrained", "trained"} & kinds and {"untrained", "baseline"} & kinds):
        yield LeftOut(NAME, TITLE, "needs networks with weights beside untrained networks or features of images")
        return
    regions = in_order(encoding.rows["region"])
    region = ALL_VERTICES if ALL_VERTICES in regions else regions[0]
    laws = {run: law for run in runs if (law := _law(encoding, run, region))}
    limits = "Networks of one kind differ in more than their weights: a twin is of the same architecture."
    yield Drawing(
        NAME,
        TITLE,
        _caption(encoding, runs, region, list(laws.values())),
        sentences(limits, NO_CEILING, sampling_words(encoding)),
        lambda: draw_controls(encoding, runs, region, laws),
        tuple(law.name for law in laws.values()),
    )


def _law(encoding: Encoding, run: str, region: str) -> FinishedLaw | None:
    return encoding_laws.pooled(encoding_laws.laws_of(encoding, run, region))


def _caption(encoding: Encoding, runs: list[str], region: str, laws: list[FinishedLaw]) -> str:
    best = ", ".join(f"{form.replace('_', ' ')} in {n}" for form, n in encoding_laws.best_forms(laws).most_common())
    held_out = "Right: error of each form of law on the largest numbers of images, which its fit left out."
    return sentences(
        f"{region}: Pearson r of {len(runs)} networks ({METRIC}), by their kind. Left: mean of "
        f"{encoding.rows['unit'].nunique()} {encoding.words.groups} against the images that fit the mapping, a line "
        "a network, with a band for the best network of each kind.",
        f"Middle: each {encoding.words.group} at its largest number of images, with 95 % intervals over its "
        "evaluated images.",
        held_out if laws else "",
        f"Best by AICc: {best}." if best else "",
        interval_words(encoding),
    )


def draw_controls(encoding: Encoding, runs: list[str], region: str, laws: dict[str, FinishedLaw]) -> Figure:
    """Curves, recordings, and where laws were fitted their forms."""
    figure, axes = panels(1, 3 if laws else 2, panel=(3.5, 3.1), foot=0.3)
    kinds = {run: encoding.facts(run)["kind"] for run in runs}
    curves = {run: _mean_curve(encoding, run, region) for run in runs}
    best = {
        max((run for run in runs if kinds[run] == kind), key=lambda run: _end(curves[run]))
        for kind in set(kinds.values())
    }
    for run in reversed(runs):
        _curve(axes[0], curves[run], kinds[run])
        if run in best:
            _band(axes[0], intervals(encoding, run, region, curves[run].index), kinds[run])
    label(axes[0], f"{region}, mean of {encoding.words.groups}", axis_label("n_mapping"), "Pearson r", log=True)
    _recordings(axes[1], encoding, runs, region, kinds)
    label(axes[1], f"Each {encoding.words.group}", "", "")
    if laws:
        _forms(axes[2], laws, kinds)
    present = [kind for kind in KINDS if kind in kinds.values()]
    legend(figure, [line_handle(*KINDS[kind], 1.6) for kind in present], len(present))
    return figure


def _mean_curve(encoding: Encoding, run: str, region: str) -> pd.Series:
    """Mean r over the recordings by number of mapping images, where every recording has that number."""
    mine = encoding.rows[(encoding.rows["run"] == run) & (encoding.rows["region"] == region)]
    return complete(mine).groupby("n_mapping")["raw"].mean()


def _end(curve: pd.Series) -> float:
    return -np.inf if curve.empty else float(curve.iloc[-1])


def _curve(ax: Axes, mean: pd.Series, kind: str) -> None:
    _, color, dash = KINDS[kind]
    above = len(KINDS) - list(KINDS).index(kind)
    ax.plot(mean.index, mean, color=color, linestyle=dash, linewidth=1.2, zorder=2 + above)


def _band(ax: Axes, band: pd.DataFrame, kind: str) -> None:
    color = KINDS[kind][1]
    ax.fill_between(band["n_mapping"], band["low"], band["high"], color=color, alpha=0.12, linewidth=0, zorder=1)


def _recordings(ax: Axes, encoding: Encoding, runs: list[str], region: str, kinds: dict[str, str]) -> None:
    """A point a network and recording at the recording's largest number of images, kinds beside each other."""
    rows = encoding.rows[(encoding.rows["region"] == region) & encoding.rows["run"].isin(runs)]
    units = sorted(rows["unit"].unique())
    for run in runs:
        _, color, _ = KINDS[kinds[run]]
        shift = SPREAD * (list(KINDS).index(kinds[run]) - 1.5)
        for place, unit in enumerate(units):
            mine = rows[(rows["run"] == run) & (rows["unit"] == unit)]
            if mine.empty:
                continue
            last = mine.loc[mine["n_mapping"].idxmax()]
            low, high = _own_interval(encoding, last)
            ax.plot([place + shift] * 2, [low, high], color=color, linewidth=0.7, alpha=0.6, zorder=2)
            ax.scatter(place + shift, last["raw"], s=7, color=color, linewidths=0, zorder=3)
    ax.set_xticks(range(len(units)), units, rotation=45, ha="right", rotation_mode="anchor", fontsize=7)


def _own_interval(encoding: Encoding, row: pd.Series) -> tuple[float, float]:
    """The 95 % interval of one recording over its evaluated images; NaN where nothing was resampled."""
    table = encoding.draws
    mine = (table["run"] == row["run"]) & (table["subject"] == row["subject"]) & (table["region"] == row["region"])
    values = table[mine & (table["n_mapping"] == row["n_mapping"]) & (table["hemisphere"] == "both")]["r"].dropna()
    return (float("nan"),) * 2 if values.empty else tuple(np.percentile(values, [2.5, 97.5]))


def _forms(ax: Axes, laws: dict[str, FinishedLaw], kinds: dict[str, str]) -> None:
    """Held-out error of each form that the laws of runs compare, by kind."""
    present = [kind for kind in KINDS if any(kinds[run] == kind for run in laws)]
    names = dict.fromkeys(form for law in laws.values() for form in encoding_laws.curves_of(law))
    for place, form in enumerate(names):
        for kind in present:
            errors = [encoding_laws.held_out_error(law, form) for run, law in laws.items() if kinds[run] == kind]
            shift = SPREAD * (list(KINDS).index(kind) - 1.5)
            ax.scatter(np.full(len(errors), place + shift), errors, s=12, color=KINDS[kind][1], linewidths=0, zorder=3)
    ax.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names], fontsize=7.5)
    ax.set_ylim(bottom=0)
    label(ax, "Forms, held out", "", "Error of the law (r)")
