"""These figures set public benchmarks against the private ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.report.figure import label, legend, panels
from neuroscaling.report.style import INK, MUTED
from neuroscaling.reproductions.gokce2025.figure_entry import Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import by_family, family_handles
from neuroscaling.reproductions.gokce2025.published_frames import REGIONS, PublishedData
from neuroscaling.reproductions.gokce2025.visual_regions import TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PANELS = {**TITLES, "average": "Average"}


def both(study: PublishedData) -> pd.DataFrame:
    """Models with public and private scores: run, family, and <region>_public, <region>_private for each panel."""
    columns = [*REGIONS, "average"]
    public = study.models.set_index("run")[["family", *columns]].rename(columns={c: f"{c}_public" for c in columns})
    private = study.private.set_index("model_id").rename(columns={c: f"{c}_private" for c in columns})
    return public.join(private, how="inner").rename_axis("run").reset_index()


def r_squared(x: Any, y: Any) -> float:
    """Share of the variance of y (n,) that a straight line in x (n,) explains, fitted by least squares."""
    return float(np.corrcoef(np.asarray(x, dtype=float), np.asarray(y, dtype=float))[0, 1] ** 2)


def explained(study: PublishedData) -> dict[str, float]:
    """R2 of the private scores from the public ones, by panel."""
    frame = both(study)
    return {column: r_squared(frame[f"{column}_public"], frame[f"{column}_private"]) for column in PANELS}


def public_and_private(study: PublishedData) -> Figure:
    """Private against public scores, a panel for each benchmark and one for their mean."""
    figure, axes = panels(2, 3, panel=(2.5, 2.3), foot=0.4)
    frame, found = both(study), explained(study)
    for i, (ax, (column, title)) in enumerate(zip(axes, PANELS.items(), strict=True)):
        _panel(ax, frame, column)
        label(ax, title, "Public score" if i > 2 else "", "Private score" if i % 3 == 0 else "")
        ax.set_title(f"R² = {found[column]:.2f}", loc="right", fontsize=8, fontweight="normal", color=MUTED)
    legend(figure, [*family_handles(frame["family"]), *_line_handles()], 6)
    return figure


def _panel(ax: Axes, frame: pd.DataFrame, column: str) -> None:
    x, y = f"{column}_public", f"{column}_private"
    by_family(ax, frame, x, y, size=26, alpha=0.8)
    ends = np.array([frame[x].min(), frame[x].max()])
    ax.plot(ends, np.polyval(np.polyfit(frame[x], frame[y], 1), ends), color=INK, linewidth=1.2, zorder=1)
    ax.axline((0, 0), slope=1, color=MUTED, linewidth=0.8, linestyle=":", zorder=0)


def _line_handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=INK, linewidth=1.2, label="straight line"),
        Line2D([], [], color=MUTED, linewidth=0.8, linestyle=":", label="equal scores"),
    ]


def _text(study: PublishedData) -> dict[str, Any]:
    found = explained(study)
    return {"n": len(both(study)), "values": ", ".join(f"{PANELS[c]} {value:.2f}" for c, value in found.items())}


PROXY_FIGURES = [
    Entry(
        "fig8_public_vs_private",
        "Public against private benchmarks",
        "Scores on the private benchmarks against those on their public twins, of {n} models. R² of a straight line: "
        "{values}. Average: mean of the five benchmarks in the panels.",
        "The averages of the public site count benchmarks without a score as 0 and are not used. The models range from "
        "one image a class to all, which makes R² high; it says less about models of similar scores. Private scores "
        "come with three digits. Layers were chosen on the public benchmarks.",
        public_and_private,
        facts=_text,
    )
]
