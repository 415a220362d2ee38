"""The figures of the laws show points by family and size, the curve and its 95 % band."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.score_scales import NO_CORRELATION, SCALE_SEPARATOR
from neuroscaling.laws.curves import Curve
from neuroscaling.laws.finished_law import FinishedLaw, laws_among
from neuroscaling.laws.fit_record import ComparedForm, FitRecord
from neuroscaling.report.figure import (
    Drawing,
    Style,
    draw_curve,
    legend,
    line_handle,
    log_axis,
    look_handles,
    marker_areas,
    panels,
)
from neuroscaling.report.measurements import UNTRAINED, Level, Measurements, measurements
from neuroscaling.report.style import CURVE, INK, MUTED, WARNING, Look, axis_label, form_look, looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Array = NDArray[np.float64]
PANEL = (3.1, 2.45)  # inches
COLUMNS = 3
TITLE_WIDTH, TITLE_LINE = 38, 0.2  # letters of a title that a panel is wide, and inches that a line of it is high
FEW_POINTS, MANY_POINTS = 30, 100
AREAS, ONE_AREA = (9.0, 42.0), 24.0  # of markers, in points^2
FAMILY = "arch_family"
BEST_PATH = "drawn along the best sizes of model and data for each compute"


@dataclass(frozen=True)
class Panel:
    """A fit as it is drawn: the column and the values x (n,) of its points on one axis, and its curve.

    beside: what the score table tells of its points; path: in which sense a law of several variables has a curve, in
    words.
    """

    fit: FitRecord
    column: str
    x: Array
    curve: Curve | None
    beside: Measurements
    path: str = ""

    @property
    def title(self) -> str:
        """What tells a fit from the others of its group: the values of `by`, such as the region, or its mode; of a fit
        alone its regions.
        """
        return self._title(self._values)

    @property
    def shared_title(self) -> str:
        """The title without the family."""
        return self._title([value for value in self._values if value != self.family])

    @property
    def _values(self) -> list[str]:
        """The values of `by` in words, and `corrected` for one of two modes."""
        name = self.fit.name.removeprefix(self.fit.fit).lstrip(".")
        if not self.fit.by:  # a fit without the words of its study: what its name says
            return name.split(".") if name else []
        ending = ["corrected"] if name.endswith(".corrected") else []
        return [str(self.fit.filters[column]) for column in self.fit.by if column in self.fit.filters] + ending

    def _title(self, values: list[str]) -> str:
        if values or self.fit.mode == "parity":
            return ", ".join(values) or "parity"
        return shared_value([self.fit], "region") or "all points"

    @property
    def family(self) -> str:
        """The one family of networks that the fit is of; empty where it is of several."""
        value = self.fit.filters.get(FAMILY)
        return value if isinstance(value, str) else ""

    @property
    def y_label(self) -> str:
        """Label of the y axis, with the scale: `Score (r2/c)`; of means over several `Score (mean of scales)`."""
        scale = self.fit.scale
        if self.fit.quantity != "score" or scale in (None, NO_CORRELATION):
            return axis_label(self.fit.quantity)
        return f"{axis_label('score')} ({'mean of scales' if SCALE_SEPARATOR in str(scale) else scale})"


def shared_value(fits: list[FitRecord], column: str) -> str:
    """The value of a column that the filters of all fits share, in words; empty where they differ or have none."""
    value = fits[0].filters.get(column)
    if value is None or isinstance(value, dict) or any(fit.filters.get(column) != value for fit in fits):
        return ""
    values = list(map(str, value)) if isinstance(value, list) else [str(value)]
    return ", ".join(values[:-1]) + (" and " if len(values) > 1 else "") + values[-1]


def panel_of(fit: FitRecord, table: pd.DataFrame | None = None) -> Panel:
    """A fit on one axis; table: the score table, for errors, ceilings and baselines.

    A law of several variables is drawn against compute, along the compute-optimal sizes. Without an allocation its
    points stand against the product of its variables, and there is no curve.
    """
    points, law = fit.points, fit if isinstance(fit, FinishedLaw) else None
    beside = measurements(fit, table)
    if len(fit.variables) == 1:
        return Panel(fit, fit.variables[0], points.x, law.curve if law else None, beside)
    if law is None or law.allocation is None or not points.total_flops.size:
        return Panel(fit, " x ".join(fit.variables), points.columns.prod(axis=1), None, beside)
    compute = points.total_flops
    best = law.allocation.curve.curve("score")
    curve = best.where((best.x >= compute.min()) & (best.x <= compute.max()))
    return Panel(fit, "total_flops", compute, curve, beside, BEST_PATH)


def group_looks(fits: list[FitRecord]) -> dict[str, Look]:
    """The looks of the families whose points the fits hold."""
    return looks([family for fit in fits for family in fit.points.arch_family if family])


def by_axes(group: list[Panel]) -> list[list[Panel]]:
    """The panels of each axes: those that differ in the family of networks alone share them, each in its colour."""
    axes: dict[str, list[Panel]] = {}
    for panel in group:
        others = {key: value for key, value in panel.fit.filters.items() if key != FAMILY}
        key = [panel.fit.mode, others] if panel.family else panel.fit.name
        axes.setdefault(json.dumps(key, sort_keys=True, default=str), []).append(panel)
    return list(axes.values())


def shared_levels(shared: Sequence[Panel]) -> list[Level]:
    """The baselines of one axes: where families share it, those alone that are of no family."""
    return [level for level in shared[0].beside.levels if len(shared) == 1 or level.label != UNTRAINED]


def shared_ceiling(shared: Sequence[Panel]) -> float | None:
    """The ceiling of one axes; None where its fits have none, or several."""
    ceilings = {panel.beside.ceiling for panel in shared}
    return ceilings.pop() if len(ceilings) == 1 else None


def group_drawing(name: str, title: str, group: list[Panel]) -> Drawing:
    """All panels of a group in one figure, which the page describes by the table of its laws."""
    fits = tuple(law.name for law in laws_among([panel.fit for panel in group]))
    return Drawing(name, title, "", "", lambda: draw_group(group, title), fits)


def draw_group(group: list[Panel], title: str) -> Figure:
    """The axes of all fits under their title, and one legend."""
    fits, drawn = [panel.fit for panel in group], by_axes(group)
    columns = 2 if len(drawn) == 4 else min(COLUMNS, len(drawn))
    foot = 0.2 * (2 + (len(group_looks(fits)) + len(other_forms(fits))) // 2)
    words = fill(title, TITLE_WIDTH * columns)
    head = TITLE_LINE * (1 + words.count("\n"))
    figure, axes = panels(-(-len(drawn) // columns), columns, panel=PANEL, foot=foot, head=head, fixed=True)
    figure.text(0.01, 1 - 0.06 / figure.get_figheight(), words, va="top", fontsize=10, fontweight="bold")
    for ax, shared in zip(axes, drawn, strict=False):
        draw_panel(ax, shared, y_limits(on_scale_of(shared[0], group)))
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    legend(figure, _handles(fits, by_family=len(drawn) < len(group)), 2)
    return figure


def other_forms(fits: list[FitRecord]) -> dict[str, ComparedForm]:
    """The forms that `fits` were compared with, without the drawn law and what could not be fitted."""
    rows = [row for law in laws_among(fits) for row in law.compared if row.form != law.form_name and row.curve]
    return {row.form: row for row in sorted(rows, key=lambda row: row.form)}


def on_scale_of(panel: Panel, group: list[Panel]) -> list[Panel]:
    """Those of `group` whose scores are on the scale of `panel`: equal heights in others would mean other things."""
    return [other for other in group if other.fit.scale == panel.fit.scale]


def y_limits(group: list[Panel]) -> tuple[float, float] | None:
    """A range of scores that holds the points, curves and baselines of all panels; None where there is no point."""
    values = [panel.fit.points.y for panel in group] + [panel.curve.fit for panel in group if panel.curve]
    values += [level.y for panel in group for level in panel.beside.levels]
    shown = np.concatenate([np.empty(0), *values])
    if not shown.size:
        return None
    low, high = float(shown.min()), float(shown.max())
    margin = 0.08 * (high - low) or 0.05
    return low - margin, high + 2 * margin


def draw_panel(ax: Axes, shared: list[Panel], limits: tuple[float, float] | None) -> None:
    """Points, curves and bands of the fits of one axes; what can't be tested shows its points and says so."""
    several, first = len(shared) > 1, shared[0]
    ax.set_title(first.shared_title if several else first.title, fontsize=9.5)
    ax.set_xlabel(axis_label(first.column))
    ax.set_ylabel(first.y_label)
    log_axis(ax)
    _levels(ax, shared_levels(shared))
    _points(ax, shared)
    colors = looks([panel.family for panel in shared])
    for panel in shared:
        _curves(ax, panel, colors[panel.family].color if several else CURVE)
    if limits:
        ax.set_ylim(*limits)
    _ceiling(ax, shared_ceiling(shared))
    _notes(ax, shared)


def _curves(ax: Axes, panel: Panel, color: str) -> None:
    if panel.curve and isinstance(panel.fit, FinishedLaw):
        draw_curve(ax, panel.curve, color, width=1.6, shade=0.13, zorder=3, band=95 if panel.fit.bootstraps.n else None)
        for form, row in other_forms([panel.fit]).items():
            if row.curve:
                draw_curve(ax, row.curve, MUTED, dash=form_look(form).dash, width=1.1, band=None, zorder=3)


def _levels(ax: Axes, levels: Sequence[Level]) -> None:
    """What networks without training reach, each as a dashed line with its name."""
    style: Style = {"color": MUTED, "linestyle": (0, (1, 1)), "linewidth": 1.0, "zorder": 2}
    for level in levels:
        if level.x.size:
            ax.plot(level.x, level.y, **style)
            ax.annotate(level.label, (level.x[-1], level.y[-1]), (-2, 2), textcoords="offset points", ha="right",
                        color=MUTED, fontsize=6.5)  # fmt: skip
        else:
            ax.axhline(level.y[0], **style)
            ax.annotate(level.label, (0, level.y[0]), (2, 2), xycoords=("axes fraction", "data"),
                        textcoords="offset points", color=MUTED, fontsize=6.5)  # fmt: skip


def _ceiling(ax: Axes, ceiling: float | None) -> None:
    """The ceiling as a line where the axis reaches it, else as a number at its upper end."""
    if ceiling is None:
        return
    low, high = ax.get_ylim()
    if ceiling <= high + 0.25 * (high - low):
        ax.axhline(ceiling, color=INK, linewidth=0.9, zorder=1)
        ax.set_ylim(low, max(high, ceiling + 0.08 * (high - low)))
    word = "ceiling" if ceiling <= ax.get_ylim()[1] else f"ceiling {ceiling:.2g} ↑"
    place = (0, min(ceiling, high)) if word == "ceiling" else (0, high)
    ax.annotate(word, place, (2, 2 if word == "ceiling" else -8), xycoords=("axes fraction", "data"),
                textcoords="offset points", color=INK, fontsize=6.5)  # fmt: skip


def _points(ax: Axes, shared: list[Panel]) -> None:
    x, y = (np.concatenate(values) for values in ([p.x for p in shared], [p.fit.points.y for p in shared]))
    families = [family for panel in shared for family in _families(panel)]
    n_params = np.concatenate([_n_params(panel) for panel in shared])
    positive = x > 0
    many = len(x) > MANY_POINTS
    sizes = _areas(n_params, len(x)) * (0.5 if many else 1.0)
    shifts = _shifts(x[positive], sorted(set(families)))
    order = np.argsort(-sizes, kind="stable")  # small markers on top of large ones
    # Many markers as a bitmap: a page of a hundred such panels stays light. Few stand above the curve.
    style: Style = {"edgecolors": "white", "linewidths": 0.4, "alpha": 0.8, "rasterized": many}
    style["zorder"] = 4 if len(x) <= FEW_POINTS else 2
    error = np.concatenate([panel.beside.error for panel in shared])
    for family, look in looks(families).items():
        mine = order[(positive & (np.array(families) == family))[order]]
        if np.isfinite(error[mine]).any():
            bars: Style = {"ecolor": look.color, "elinewidth": 0.7, "alpha": 0.6, "fmt": "none", "zorder": 1.5}
            ax.errorbar(x[mine] * shifts[family], y[mine], error[mine], **bars)
        ax.scatter(x[mine] * shifts[family], y[mine], s=sizes[mine], c=look.color, marker=look.marker, **style)


def _families(panel: Panel) -> list[str]:
    """The family of each point, empty where it isn't known."""
    return [family or "" for family in panel.fit.points.arch_family] or [""] * len(panel.x)


def _n_params(panel: Panel) -> Array:
    """Parameters of the network of each point (n,), NaN where they aren't known."""
    known = panel.fit.points.n_params
    return known if known.size else np.full(len(panel.x), np.nan)


def _shifts(x: Array, families: list[str]) -> dict[str, float]:
    """Factors that set the families a little apart where many points share few values of x; else all 1."""
    if len(families) < 2 or np.unique(x).size > len(x) / 4:
        return dict.fromkeys(families, 1.0)
    step = 0.018 * np.log(x.max() / x.min())
    return {family: float(np.exp(step * (i - (len(families) - 1) / 2))) for i, family in enumerate(families)}


def _areas(n_params: Array, n: int) -> Array:
    """Marker areas (n,) from the smallest to the largest network of a panel; one area where sizes are alike."""
    known = n_params[np.isfinite(n_params) & (n_params > 0)]
    if not known.size or known.min() == known.max():
        return np.full(n, ONE_AREA)
    values = np.where(n_params > 0, n_params, np.nan)
    return marker_areas(values, (float(known.min()), float(known.max())), AREAS)


def _notes(ax: Axes, shared: list[Panel]) -> None:
    """Number of points, and what the reader must know before looking at them, on the line of the title."""
    fits = [panel.fit for panel in shared]
    lacking = [panel.family for panel in shared if not isinstance(panel.fit, FinishedLaw)]
    at: Style = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "baseline"}
    ax.annotate(f"n = {sum(len(fit.points) for fit in fits)}", (1, 1), (0, 6), color=MUTED, fontsize=7.5, **at)
    if any(fit.simulated for fit in fits):
        ax.annotate("SIMULATED", (1, 1), (0, 16), color=WARNING, fontweight="bold", fontsize=7.5, **at)
    if lacking:
        words = "not testable" if len(lacking) == len(shared) else f"{', '.join(lacking)}: not testable"
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", color=MUTED, fontsize=9)


def _handles(fits: list[FitRecord], by_family: bool) -> list[Artist]:
    handles = look_handles(group_looks(fits))
    fitted = laws_among(fits)
    if fitted:
        whose = " of each family" if by_family else ""
        handles.append(line_handle(f"{fitted[0].expression}, 95 % band{whose}", CURVE))
    others = other_forms(fits).items()
    return handles + [line_handle(row.expression or form, MUTED, form_look(form).dash, 1.1) for form, row in others]
