"""The figures of the laws show points by family and size, the curve and its 95 % band."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.files import atomic_path
from neuroscaling.core.score_scales import NO_CORRELATION, SCALE_SEPARATOR
from neuroscaling.report.style import CURVE, DASHES, MUTED, SETTINGS, WARNING, Look, axis_label, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Fit = dict[str, Any]
PANEL = (3.1, 2.45)  # inches
COLUMNS = 3
FEW_POINTS, MANY_POINTS = 30, 100
SMALLEST, LARGEST = 9.0, 42.0  # marker areas in points^2


def on_one_axis(fit: Fit) -> Fit:
    """A law of two variables as it is drawn: its points against compute, its curve along the compute-optimal sizes.

    Without an allocation the points stand against the product of both variables, and there is no curve. Other laws are
    given back as they are.
    """
    if isinstance(fit["x"], str):
        return fit
    points = dict(fit.get("points", {}))
    compute = points.get("total_flops") if fit.get("allocation") else None
    points["x"] = compute or [math.prod(pair) for pair in points.get("x", [])]
    drawn = {**fit, "points": points, "x": "total_flops" if compute else " x ".join(fit["x"]), "curve": None}
    if compute:
        grid, score = fit["allocation"]["curve"]["compute"], fit["allocation"]["curve"]["score"]
        inside = [i for i, value in enumerate(grid) if min(compute) <= value <= max(compute)]
        drawn["curve"] = {"x": [grid[i] for i in inside]} | {k: [v[i] for i in inside] for k, v in score.items()}
        drawn["path"] = "drawn along the best sizes of model and data for each compute"
    return drawn


def group_looks(fits: list[Fit]) -> dict[str, Look]:
    """The looks of the families whose points the fits hold."""
    return looks([family for fit in fits for family in fit.get("points", {}).get("arch_family", []) if family])


def panel_svg(fit: Fit, limits: tuple[float, float] | None) -> str:
    """One panel as SVG text for the page, its letters as text: small, and read by the browser with its own fonts.

    limits: range of the y axis, shared by the panels of a group whose scores are on one scale.
    """
    with _figure(1, 1, fit["name"], fonttype="none") as (figure, axes):
        draw_panel(axes[0], fit, limits)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    # Readers without this font get their own sans-serif one.
    return text.getvalue().replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")


def write_figure(fits: list[Fit], title: str, stem: Path) -> list[Path]:
    """All panels of a group in one figure: <stem>.svg and <stem>.pdf."""
    columns = 2 if len(fits) == 4 else min(COLUMNS, len(fits))
    rows = -(-len(fits) // columns)
    paths = []
    foot = 0.2 * (2 + (len(group_looks(fits)) + len(other_forms(fits))) // 2)
    with _figure(rows, columns, title, foot) as (figure, axes):
        for ax, fit in zip(axes, fits, strict=False):
            draw_panel(ax, fit, y_limits(on_scale_of(fit, fits)))
        for ax in axes[len(fits) :]:
            ax.set_axis_off()
        _legend(figure, fits)
        for ending in ("svg", "pdf"):
            path = stem.with_name(f"{stem.name}.{ending}")
            date = {"Date": None} if ending == "svg" else {"CreationDate": None}
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=ending, metadata=date)
            paths.append(path)
    return paths


def other_forms(fits: list[Fit]) -> dict[str, dict[str, Any]]:
    """Rows of the comparisons of `fits` by form, without the drawn law and what could not be fitted."""
    rows = [row for fit in fits for row in fit.get("compared", []) if row["form"] != fit["form"] and "curve" in row]
    return {row["form"]: row for row in sorted(rows, key=lambda row: row["form"])}


def on_scale_of(fit: Fit, fits: list[Fit]) -> list[Fit]:
    """Those of `fits` whose scores are on the scale of `fit`: equal heights in other panels would mean other things."""
    return [other for other in fits if other.get("scale") == fit.get("scale")]


def y_limits(fits: list[Fit]) -> tuple[float, float] | None:
    """A range of scores that holds the points and bands of all fits; None where there is no point."""
    values = [v for fit in fits for v in fit.get("points", {}).get("y", [])]
    values += [v for fit in fits for v in (fit.get("curve") or {}).get("fit", [])]
    if not values:
        return None
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05
    return low - margin, high + 2 * margin


def draw_panel(ax: Axes, fit: Fit, limits: tuple[float, float] | None) -> None:
    """Points, curve and band of one fit on `ax`; what can't be tested shows its points and says so."""
    ax.set_title(panel_title(fit), fontsize=9.5)
    ax.set_xlabel(axis_label(fit["x"]))
    ax.set_ylabel(y_label(fit))
    ax.set_xscale("log")
    _points(ax, fit.get("points", {}))
    if fit.get("curve"):
        _curve(ax, fit)
    if limits:
        ax.set_ylim(*limits)
    _notes(ax, fit)


def y_label(fit: Fit) -> str:
    """Label of the y axis, with the scale: `Score (r2/c)`; of means over several `Score (mean of scales)`."""
    scale = fit.get("scale")
    if fit["y"] != "score" or scale in (None, NO_CORRELATION):
        return axis_label(fit["y"])
    return f"{axis_label('score')} ({'mean of scales' if SCALE_SEPARATOR in scale else scale})"


def panel_title(fit: Fit) -> str:
    """What tells a fit from the others of its group: the values of `by`, such as the region."""
    rest = fit["name"].removeprefix(fit["fit"]).lstrip(".")
    return rest.replace(".", ", ") or ("parity" if fit["mode"] == "parity" else fit["fit"])


def _points(ax: Axes, points: dict[str, list[Any]]) -> None:
    families = points.get("arch_family") or ["" for _ in points.get("x", [])]
    families = [family or "" for family in families]
    x, y = np.array(points.get("x", [])), np.array(points.get("y", []))
    positive = x > 0
    many = len(x) > MANY_POINTS
    sizes = _sizes(points.get("n_params"), len(x)) * (0.5 if many else 1.0)
    shifts = _shifts(x[positive], sorted(set(families)))
    order = np.argsort(-sizes, kind="stable")  # small markers on top of large ones
    for family, look in looks(families).items():
        mine = order[(positive & (np.array(families) == family))[order]]
        shift = shifts[family]
        style = {"c": look.color, "marker": look.marker, "edgecolors": "white", "linewidths": 0.4, "alpha": 0.8}
        # Many markers as a bitmap: a page of a hundred such panels stays light. Few stand above the curve.
        above = {"zorder": 4 if len(x) <= FEW_POINTS else 2}
        ax.scatter(x[mine] * shift, y[mine], s=sizes[mine], rasterized=many, **above, **style)


def _shifts(x: np.ndarray, families: list[str]) -> dict[str, float]:
    """Factors that set the families a little apart where many points share few values of x; else all 1."""
    if len(families) < 2 or np.unique(x).size > len(x) / 4:
        return dict.fromkeys(families, 1.0)
    step = 0.018 * np.log(x.max() / x.min())
    return {family: float(np.exp(step * (i - (len(families) - 1) / 2))) for i, family in enumerate(families)}


def _sizes(n_params: list[float | None] | None, n: int) -> np.ndarray:
    """Marker areas that grow with the logarithm of the number of parameters."""
    values = np.array([v or np.nan for v in n_params or [None] * n], dtype=float)
    if not np.isfinite(values).any() or np.nanmax(values) == np.nanmin(values):
        return np.full(n, 24.0)
    logs = np.log(values)
    part = (logs - np.nanmin(logs)) / (np.nanmax(logs) - np.nanmin(logs))
    return np.where(np.isfinite(part), SMALLEST + (LARGEST - SMALLEST) * part, SMALLEST)


def _curve(ax: Axes, fit: Fit) -> None:
    curve = fit["curve"]
    if fit["bootstraps"]["n"]:
        ax.fill_between(curve["x"], curve["p2.5"], curve["p97.5"], color=CURVE, alpha=0.13, linewidth=0, zorder=1)
    ax.plot(curve["x"], curve["fit"], color=CURVE, linewidth=1.6, zorder=3)
    for row in other_forms([fit]).values():
        dash = DASHES[row["form"]][0]
        ax.plot(row["curve"]["x"], row["curve"]["fit"], color=MUTED, linewidth=1.1, linestyle=dash, zorder=3)


def _notes(ax: Axes, fit: Fit) -> None:
    """Number of points, and what the reader must know before looking at them, on the line of the title."""
    n = len(fit.get("points", {}).get("x", []))
    at = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "baseline", "fontsize": 7.5}
    ax.annotate(f"n = {n}", (1, 1), (0, 6), color=MUTED, **at)
    if fit.get("simulated"):
        ax.annotate("SIMULATED", (1, 1), (0, 16), color=WARNING, fontweight="bold", **at)
    if fit["status"] != "fitted":
        ax.text(0.5, 0.5, "not testable", transform=ax.transAxes, ha="center", color=MUTED, fontsize=9)


def _legend(figure: Figure, fits: list[Fit]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=look.marker, color=look.color, linestyle="", label=family)
        for family, look in group_looks(fits).items()
    ]
    fitted = [fit for fit in fits if fit["status"] == "fitted"]
    if fitted:
        handles.append(Line2D([], [], color=CURVE, label=f"{fitted[0]['expression']}, 95 % band"))
    for form, row in other_forms(fits).items():
        handles.append(Line2D([], [], color=MUTED, linestyle=DASHES[form][0], label=row["expression"]))
    figure.legend(handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=8)


@contextmanager
def _figure(
    rows: int, columns: int, salt: str, foot: float = 0.0, fonttype: str = "path"
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of panels without pyplot's global state; `foot` inches are left free below them.

    salt: makes the ids inside the SVG the same in every run.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": salt, "svg.fonttype": fonttype}):
        width, height = PANEL[0] * columns, PANEL[1] * rows + foot
        figure = Figure(figsize=(width, height))
        # Fixed margins in inches: matplotlib's own layouts draw each figure several times.
        spaces = {"wspace": 0.32, "hspace": 0.55}
        edges = {
            "left": 0.55 / width,
            "right": 1 - 0.1 / width,
            "top": 1 - 0.4 / height,
            "bottom": (0.45 + foot) / height,
        }
        axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw={**edges, **spaces})
        yield figure, list(axes.ravel())
