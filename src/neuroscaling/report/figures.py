"""Figures of the laws: the points by family and size, the curve, its 95 % band."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.files import atomic_path
from neuroscaling.report.style import CURVE, MUTED, SETTINGS, WARNING, Look, axis_label, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Fit = dict[str, Any]
PANEL = (3.1, 2.45)  # inches
COLUMNS = 3
SMALLEST, LARGEST = 12.0, 60.0  # marker areas in points^2
DASHES = [(0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 3))]


def group_looks(fits: list[Fit]) -> dict[str, Look]:
    """The looks of the families whose points the fits hold."""
    return looks([family for fit in fits for family in fit.get("points", {}).get("arch_family", []) if family])


def panel_svg(fit: Fit, limits: tuple[float, float] | None) -> str:
    """One panel as SVG text. limits: range of the y axis, shared by the panels of a group."""
    with _figure(1, 1, fit["name"]) as (figure, axes):
        draw_panel(axes[0], fit, limits)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def write_figure(fits: list[Fit], title: str, stem: Path) -> list[Path]:
    """All panels of a group in one figure: <stem>.svg and <stem>.pdf."""
    columns = min(COLUMNS, len(fits))
    rows = -(-len(fits) // columns)
    paths = []
    with _figure(rows, columns, title) as (figure, axes):
        for ax, fit in zip(axes, fits, strict=False):
            draw_panel(ax, fit, y_limits(fits))
        for ax in axes[len(fits) :]:
            ax.set_axis_off()
        _legend(figure, fits)
        for ending in ("svg", "pdf"):
            # The name of the file under way has no ending that matplotlib knows.
            path = stem.with_name(f"{stem.name}.{ending}")
            date = {"Date": None} if ending == "svg" else {"CreationDate": None}
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=ending, metadata=date, bbox_inches="tight")
            paths.append(path)
    return paths


def y_limits(fits: list[Fit]) -> tuple[float, float] | None:
    """A range of scores that holds the points and bands of all fits; None where there is no point."""
    values = [v for fit in fits for v in fit.get("points", {}).get("y", [])]
    values += [v for fit in fits for v in fit.get("curve", {}).get("fit", [])]
    if not values:
        return None
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05
    return low - margin, high + 2 * margin


def draw_panel(ax: Axes, fit: Fit, limits: tuple[float, float] | None) -> None:
    """Points, curve and band of one fit on `ax`; what can't be tested shows its points and says so."""
    ax.set_title(panel_title(fit), fontsize=9.5)
    ax.set_xlabel(axis_label(fit["x"]))
    ax.set_ylabel(axis_label(fit["y"]))
    ax.set_xscale("log")
    _points(ax, fit.get("points", {}))
    if fit["status"] == "fitted":
        _curve(ax, fit)
    if limits:
        ax.set_ylim(*limits)
    _notes(ax, fit)


def panel_title(fit: Fit) -> str:
    """What tells a fit from the others of its group: the values of `by`, such as the region."""
    rest = fit["name"].removeprefix(fit["fit"]).lstrip(".")
    return rest.replace(".", ", ") or fit["fit"]


def _points(ax: Axes, points: dict[str, list[Any]]) -> None:
    families = points.get("arch_family") or ["" for _ in points.get("x", [])]
    families = [family or "" for family in families]
    x, y = np.array(points.get("x", [])), np.array(points.get("y", []))
    positive = x > 0
    sizes = _sizes(points.get("n_params"), len(x))
    for family, look in looks(families).items():
        mine = positive & (np.array(families) == family)
        ax.scatter(
            x[mine], y[mine], s=sizes[mine], c=look.color, marker=look.marker, alpha=0.75, linewidths=0, zorder=2
        )


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
    others = [row for row in fit["compared"] if row["form"] != fit["form"] and "curve" in row]
    for row, dash in zip(sorted(others, key=lambda row: row["form"]), DASHES, strict=False):
        ax.plot(row["curve"]["x"], row["curve"]["fit"], color=MUTED, linewidth=1.1, linestyle=dash, zorder=3)


def _notes(ax: Axes, fit: Fit) -> None:
    n = len(fit.get("points", {}).get("x", []))
    lines = [f"n = {n}"]
    if fit["status"] != "fitted":
        lines.append("not testable")
    ax.text(0.98, 0.03, "\n".join(lines), transform=ax.transAxes, ha="right", va="bottom", color=MUTED, fontsize=7.5)
    if fit.get("simulated"):
        ax.text(
            0.98, 1.03, "SIMULATED", transform=ax.transAxes, ha="right", va="bottom", color=WARNING, fontsize=7.5,
            fontweight="bold",
        )  # fmt: skip


def _legend(figure: Figure, fits: list[Fit]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=look.marker, color=look.color, linestyle="", label=family)
        for family, look in group_looks(fits).items()
    ]
    fitted = [fit for fit in fits if fit["status"] == "fitted"]
    if fitted:
        handles.append(Line2D([], [], color=CURVE, label=f"{fitted[0]['expression']}, 95 % band"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


@contextmanager
def _figure(rows: int, columns: int, salt: str) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of panels without pyplot's global state. salt: makes the ids inside the SVG the same in every run."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": salt}):
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
