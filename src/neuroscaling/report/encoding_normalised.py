"""These figures show each network's noise-normalised accuracy, clipped and unclipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.report.encoding_data import Encoding, interval_words, sampling_words, shown
from neuroscaling.report.figure import Drawing, LeftOut, Style, label, legend, panels, sentences

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NAME, TITLE = "normalised", "Noise-normalised accuracy by network and region"
CHALLENGE, UNCLIPPED = "challenge", "unclipped"
PERCENT = "r², % of the noise ceiling"
MARKERS = "osD^vP*Xh<>p"
MOST_RUNS = len(MARKERS)
SIDES = {"lh": "<", "rh": ">"}
TRIANGLES = "Small triangles: left and right hemisphere (clipped). "
RunLook = tuple[str, str]  # colour and marker
RunLooks = dict[str, RunLook]


def normalised_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure where the responses have a noise ceiling."""
    rows = at_largest(encoding.intervals)
    runs = [run for run in ordered_runs(encoding, rows) if run in set(rows["run"])]
    if rows.empty:
        yield LeftOut(NAME, TITLE, "the evaluated responses have no noise ceiling")
        return
    averages = [run for run in runs if run not in encoding.runs]
    kept, more = runs[:MOST_RUNS], runs[MOST_RUNS:]
    regions, rest, words = *shown(rows["region"]), encoding.words
    caption = (
        "Each network with its largest number of mapping images. Filled: the challenge's metric, mean over "
        f"{words.units} "
        "of 100 r² / ceiling with negative r set to 0 and values above 100 to 100. Open: the same signed and not "
        f"clipped, without {words.units} of ceiling 0. "
        f"{TRIANGLES if has_sides(rows) else ''}{interval_words(encoding)} {_average_words(averages)}"
    )
    limits = sentences(
        f"Both cuts of the challenge's metric raise it where {words.units} are noisy: compare networks, not regions, "
        "by "
        f"it. The unclipped mean leans on {words.units} with a low ceiling, hence its wide intervals. No "
        f"{words.unit} is "
        "left out by its ceiling, but those of ceiling 0 in the unclipped mean.",
        sampling_words(encoding),
        rest,
        f"Not drawn: {', '.join(encoding.names().get(run, run) for run in more)}." if more else "",
    )
    yield Drawing(NAME, TITLE, caption.strip(), limits, lambda: draw(encoding, rows, kept, regions))


def has_sides(rows: pd.DataFrame) -> bool:
    """Whether a hemisphere of all targets has a value, which a triangle shows; neurons and volumes have none."""
    return bool((rows["hemisphere"].isin(SIDES) & (rows["region"] == ALL_VERTICES)).any())


def _average_words(averages: list[str]) -> str:
    return f"Averages of the networks' predictions: {', '.join(averages)}." if averages else ""


def at_largest(intervals: pd.DataFrame) -> pd.DataFrame:
    """Both measures of each subject's largest number of mapping images, where there is a number."""
    kept = intervals["measure"].isin([CHALLENGE, UNCLIPPED]) & (intervals["mapping"] == "largest")
    return intervals[kept & intervals["value"].notna()]


def ordered_runs(encoding: Encoding, rows: pd.DataFrame) -> list[str]:
    """The networks, then what has accuracies but no scores of its own: averages of networks."""
    return [*encoding.runs, *sorted(set(rows["run"]) - set(encoding.runs))]


def draw(encoding: Encoding, rows: pd.DataFrame, runs: list[str], regions: list[str]) -> Figure:
    """By region, and where all vertices are reported networks and subjects over all of them."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    looks, whole = run_looks(runs), rows[rows["region"] == ALL_VERTICES]
    subjects = sorted(set(encoding.accuracy["subject"]))
    height = 0.9 + 0.16 * len(runs) * max(2, min(len(regions), 6)) ** 0.5 + 0.12 * max(len(regions), len(subjects))
    size, foot = (3.3, max(2.6, height)), 0.3 + 0.1 * len(runs)
    if whole.empty:
        figure, axes = panels(1, 1, panel=(2 * size[0], size[1]), foot=foot)
        _regions(axes[0], rows, regions, looks)
    else:
        figure, axes = panels(1, 3, panel=size, foot=foot)
        _networks(axes[0], encoding, whole, looks)
        _regions(axes[1], rows, regions, looks)
        _subjects(axes[2], encoding, subjects, looks)
    for ax in axes:
        ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.12)
    names = encoding.names()
    legend(figure, [*_run_handles(looks, names), *_kind_handles(has_sides(rows))], 3)
    return figure


def run_looks(runs: list[str]) -> RunLooks:
    """Colour and marker of each run."""
    import matplotlib
    from matplotlib.colors import to_hex

    colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, max(len(runs), 2)))
    return {run: (to_hex(color), marker) for run, color, marker in zip(runs, colors, MARKERS, strict=False)}


def _networks(ax: Axes, encoding: Encoding, rows: pd.DataFrame, looks: RunLooks) -> None:
    names = encoding.names()
    for place, (run, look) in enumerate(looks.items()):
        mine = rows[rows["run"] == run]
        _pair(ax, place, mine[mine["hemisphere"] == "both"], look, 0.18)
        for hemisphere, marker in SIDES.items():
            one = mine[(mine["hemisphere"] == hemisphere) & (mine["measure"] == CHALLENGE)]
            ax.scatter(one["value"], np.full(len(one), place - 0.18), s=9, color=look[0], marker=marker, alpha=0.6)
    ax.set_yticks(range(len(looks)), [_short(names.get(run, run)) for run in looks], fontsize=6.5)
    ax.set_ylim(len(looks) - 0.5, -0.5)
    label(ax, f"All {encoding.words.units}", PERCENT)


def _short(name: str, most: int = 26) -> str:
    """A name in two lines, that of the architecture and that of its weights."""
    parts = name.split(".", 1)
    return "\n".join(part if len(part) <= most else f"{part[: most - 1]}…" for part in parts)


def _regions(ax: Axes, rows: pd.DataFrame, regions: list[str], looks: RunLooks) -> None:
    step = 0.8 / len(looks)
    for place, region in enumerate(regions):
        for i, (run, look) in enumerate(looks.items()):
            mine = rows[(rows["run"] == run) & (rows["region"] == region) & (rows["hemisphere"] == "both")]
            _pair(ax, place + step * (i - (len(looks) - 1) / 2), mine, look, 0.0, size=12)
    ax.set_yticks(range(len(regions)), regions, fontsize=7.5)
    ax.set_ylim(len(regions) - 0.5, -0.5)
    label(ax, "By region", PERCENT)


def _subjects(ax: Axes, encoding: Encoding, subjects: list[str], looks: RunLooks) -> None:
    accuracy, words = encoding.accuracy, encoding.words
    kept = (accuracy["region"] == ALL_VERTICES) & (accuracy["hemisphere"] == "both")
    last = accuracy[kept].sort_values("n_mapping").groupby(["run", "subject"]).tail(1)
    step = 0.6 / len(looks)
    for i, (run, (color, marker)) in enumerate(looks.items()):
        mine = last[last["run"] == run]
        y = mine["subject"].map(subjects.index).to_numpy(dtype=float) + step * (i - (len(looks) - 1) / 2)
        ax.scatter(mine[CHALLENGE], y, s=14, color=color, marker=marker, linewidths=0, zorder=3)
        ax.scatter(mine[UNCLIPPED], y, s=12, facecolors="none", edgecolors=[color], marker=marker, linewidths=0.7)
    ax.set_yticks(range(len(subjects)), subjects, fontsize=7.5)
    ax.set_ylim(max(len(subjects), 1) - 0.5, -0.5)
    label(ax, f"All {words.units}, by {words.group}", PERCENT)


def _pair(ax: Axes, y: float, rows: pd.DataFrame, look: RunLook, apart: float, size: float = 26) -> None:
    """The clipped value (filled) and the unclipped one (open, `apart` below it), each with its interval."""
    color, marker = look
    for measure, shift, face in ((CHALLENGE, 0.0, color), (UNCLIPPED, apart, "white")):
        for row in rows[rows["measure"] == measure].itertuples():
            ax.plot([row.low, row.high], [y + shift] * 2, color=color, linewidth=0.9, zorder=2, alpha=0.8)
            style: Style = {"s": size, "marker": marker, "facecolors": [face], "edgecolors": [color], "linewidths": 0.8}
            ax.scatter(row.value, y + shift, zorder=3, **style)


def _run_handles(looks: RunLooks, names: dict[str, str]) -> list[Artist]:
    from matplotlib.lines import Line2D

    style: Style = {"linestyle": "", "markersize": 4.5}
    return [Line2D([], [], color=c, marker=m, label=names.get(run, run), **style) for run, (c, m) in looks.items()]


def _kind_handles(sides: bool) -> list[Artist]:
    from matplotlib.lines import Line2D

    style: Style = {"linestyle": "", "color": "#555555", "markersize": 4.5}
    found: list[Artist] = [
        Line2D([], [], marker="o", label="challenge's metric (clipped)", **style),
        Line2D([], [], marker="o", markerfacecolor="white", label="unclipped", **style),
    ]
    if sides:
        for marker, name in zip(SIDES.values(), ("left hemisphere", "right hemisphere"), strict=True):
            found.append(Line2D([], [], marker=marker, alpha=0.6, label=name, **style))
    return found
