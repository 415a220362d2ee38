"""What a law stands on is shown as a line, a table of the groups that were left out, and a forest plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.laws.finished_law import FinishedLaw, FitRecord, laws_among
from neuroscaling.laws.influence_record import GroupInfluence, Influence, Quantity
from neuroscaling.laws.number_words import NOT_IDENTIFIED, tells, with_interval
from neuroscaling.laws.quantities import ASYMPTOTE
from neuroscaling.report.figure import Drawing, panels
from neuroscaling.report.style import BLUE, INK, MUTED, WARNING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_OF_COLUMN = 8  # groups of one column that the plot shows
MOST_QUANTITIES = 3
ROW, WIDTH = 0.19, 3.2  # inches
BEYOND = 1.5  # widths of the whole fit's interval that the axis reaches beyond it
RULE = (
    "A law stands without any one group where, whichever group of its points is left out, a law can be fitted, its "
    "asymptote and exponents (those that the whole fit identifies) are still identified, they lie within the 95 % "
    "intervals of the whole fit, and their own 95 % intervals hold the values of the whole fit."
)


def influence_rows(influence: Influence) -> list[dict[str, Any]]:
    """The groups as rows of a table: those that carry the law first, all of them in words and numbers."""
    ordered = sorted(influence.groups, key=lambda group: not group.changes)
    return [
        {
            "group": f"{group.column.replace('_', ' ')}: {group.words}",
            "also": ", ".join(f"{column.replace('_', ' ')} {value}" for column, value in group.also),
            "n": group.n,
            "quantities": [f"{name} {_text(group.quantities[name])}" for name in _ordered(group.quantities)],
            "changes": "; ".join(group.changes),
        }
        for group in ordered
    ]


def point_words(influence: Influence) -> str:
    """The single points that move the law most, in a sentence; empty where none was left out."""
    if not influence.points:
        return ""
    first = influence.points[0]
    names = ", ".join(point.label for point in influence.points)
    return (
        f"Of {influence.points_refitted} single points left out one by one, {first.label} moves the law most, by "
        f"{first.weight:.2g} halves of an interval; the ten that move it most: {names}."
    )


def drawn_of(fits: Sequence[FitRecord], influences: Mapping[str, Influence]) -> tuple[FinishedLaw, Influence] | None:
    """The law of a group of fits whose groups are drawn: the first that does not stand, else the first that does."""
    known = [(law, influences[law.name]) for law in laws_among(list(fits)) if law.name in influences]
    shown = [(law, found) for law, found in known if found.groups and found.judged]
    return min(shown, key=lambda pair: (pair[1].stands is not False, pair[0].mode == "parity"), default=None)


def forest_drawing(law: FinishedLaw, influence: Influence) -> Drawing:
    """The asymptote and the exponents without each group, over the band of the whole fit."""
    rows = shown_groups(influence)
    left = len(influence.groups) - len(rows)
    fewer = f" {left} more groups, which move it least, are in the table alone." if left else ""
    caption = (
        f"Each row: {law.name} without one group of its points, with 95 % intervals of {influence.bootstraps} "
        f"resamples. Line and band: the whole fit. Marked: groups that carry the law.{fewer}"
    )
    limits = (
        "A group may carry a law by its size alone: the number of points that are left stands beside its name. Groups "
        "of different columns overlap."
    )
    title = "What the law stands on"
    return Drawing(f"stands-on-{law.name}", title, caption, limits, lambda: draw_forest(influence, rows), (law.name,))


def shown_groups(influence: Influence) -> list[GroupInfluence]:
    """The groups that the plot shows: of each column those that move the law most, in the order of the record."""
    found = []
    for column in dict.fromkeys(group.column for group in influence.groups):
        own = [group for group in influence.groups if group.column == column]
        most = sorted(own, key=lambda group: -_moved(group, influence))[:MOST_OF_COLUMN]
        found += [group for group in own if group in most]
    return found


def draw_forest(influence: Influence, rows: Sequence[GroupInfluence]) -> Figure:
    """One panel a quantity, one row a group."""
    names = sorted(_ordered(influence.whole), key=lambda name: name not in influence.judged)[:MOST_QUANTITIES]
    figure, axes = panels(1, len(names), panel=(WIDTH, 0.75 + ROW * len(rows)), foot=0.0, share_y=True)
    for ax, name in zip(axes, names, strict=True):
        _draw_quantity(ax, name, influence, rows)
    axes[0].set_yticks(range(len(rows)), [f"{group.words} (n = {group.n})" for group in rows], fontsize=7.5)
    for tick, group in zip(axes[0].get_yticklabels(), rows, strict=True):
        tick.set_color(WARNING if group.changes else INK)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _draw_quantity(ax: Axes, name: str, influence: Influence, rows: Sequence[GroupInfluence]) -> None:
    whole = influence.whole[name]
    doubt = "" if name in influence.judged else " (not identified)"
    ax.set_title(f"{name}{doubt}", fontsize=9.5)
    low, high = _limits(whole, [group.quantities[name] for group in rows if name in group.quantities])
    ax.axvspan(max(whole.low, low), min(whole.high, high), color=BLUE, alpha=0.12, linewidth=0)
    ax.axvline(whole.value, color=BLUE, linewidth=1.0)
    for y, group in enumerate(rows):
        color = WARNING if group.changes else MUTED
        if name not in group.quantities:
            ax.annotate("no law", (0.5, y), xycoords=("axes fraction", "data"), ha="center", va="center",
                        color=color, fontsize=7)  # fmt: skip
            continue
        _draw_interval(ax, y, group.quantities[name], (low, high), color)
    ax.set_xlim(low, high)
    ax.grid(axis="y", visible=False)
    for y in _column_starts(rows):
        ax.axhline(y - 0.5, color="#cfd3d8", linewidth=0.7, zorder=0)


def _draw_interval(ax: Axes, y: int, quantity: Quantity, ends: tuple[float, float], color: str) -> None:
    """The interval as a line, with an arrow where it leaves the axis, and the value as a point within it."""
    first, last = (float(np.clip(np.nan_to_num(v, nan=quantity.value), *ends)) for v in (quantity.low, quantity.high))
    ax.plot([first, last], [y, y], color=color, linewidth=1.2, solid_capstyle="butt")
    value = float(np.clip(quantity.value, *ends))
    inside = value == quantity.value
    marker = "o" if inside else ">" if quantity.value > value else "<"
    ax.plot([value], [y], marker=marker, color=color, markersize=3.6, clip_on=False, zorder=4)
    for end, marker, beyond in ((first, "<", quantity.low < ends[0]), (last, ">", quantity.high > ends[1])):
        if beyond and inside:
            ax.plot([end], [y], marker=marker, color=color, markersize=3.2, markerfacecolor="white", clip_on=False)


def _limits(whole: Quantity, others: Sequence[Quantity]) -> tuple[float, float]:
    """The range of an axis: all values, and intervals as far as BEYOND widths of the whole fit's."""
    width = max(whole.high - whole.low, 1e-6 * max(abs(whole.value), 1e-6))
    width = width if np.isfinite(width) else max(abs(whole.value), 1.0)
    floor, ceiling = whole.value - (1 + BEYOND) * width, whole.value + (1 + BEYOND) * width
    shown = np.array([[q.value, q.low, q.high] for q in (whole, *others)]).ravel()
    shown = np.clip(shown[np.isfinite(shown)], floor, ceiling)
    margin = 0.06 * (shown.max() - shown.min()) or width
    return float(shown.min() - margin), float(shown.max() + margin)


def _ordered(names: Iterable[str]) -> list[str]:
    """The asymptote, then the exponents."""
    return sorted(names, key=lambda name: (name != ASYMPTOTE, name))


def _column_starts(rows: Sequence[GroupInfluence]) -> list[int]:
    return [i for i in range(1, len(rows)) if rows[i].column != rows[i - 1].column]


def _moved(group: GroupInfluence, influence: Influence) -> float:
    """How far a group moves the judged quantities, in halves of their intervals; more for those that carry the law."""
    moved = [0.0]
    for name in influence.judged:
        whole = influence.whole[name]
        half = 0.5 * (whole.high - whole.low) or 1.0
        if name in group.quantities and np.isfinite(group.quantities[name].value):
            moved.append(abs(group.quantities[name].value - whole.value) / half)
    return max(moved) + (1e6 if group.changes else 0.0)


def _text(quantity: Quantity) -> str:
    why = f"{NOT_IDENTIFIED}: {quantity.doubt.split('; ')[0]}" if quantity.doubt else ""
    if why and not tells(quantity.value):
        return why
    return with_interval(quantity.value, (quantity.low, quantity.high)) + (f", {why}" if why else "")
