"""Laws on a panel: the curve within the data, its band, what it says beyond, and its corrected twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.report.published.frame import Study
from neuroscaling.report.style import INK, MUTED, WARNING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

CI95, CI70 = ("p2.5", "p97.5"), ("p15", "p85")
DOTTED, DASHED = (0, (1, 1.2)), (0, (4, 2.2))
Curve = dict[str, NDArray[np.float64]]


def draw_law(
    ax: Axes, study: Study, name: str, color: str, *, levels: tuple[str, str] | None = CI95, extend: float = 1.0,
    style: Any = "-", corrected: bool = True,
) -> NDArray[np.float64]:  # fmt: skip
    """Draw the law `name` where it is there, and give back its scores, so that the y range can hold them.

    levels: columns of the band, or None; extend: how far beyond the largest x, as a factor; corrected: draw the
    corrected twin as a thin dashed line.
    """
    shown = [np.empty(0)]
    law = study.law(name)
    if law and law.get("curve"):
        inside, beyond = columns(law["curve"]), cut(columns(law.get("beyond") or {}), extend)
        for part, dash, alpha in ((inside, style, 0.18), (beyond, DOTTED, 0.1)):
            _draw(ax, part, color, dash, levels, alpha)
            shown.append(part["fit"])
    twin = study.law(f"{name}.corrected") if corrected else None
    if twin and twin.get("curve"):
        curve = columns(twin["curve"])
        ax.plot(curve["x"], curve["fit"], color=twin_color(color), linewidth=0.9, linestyle=DASHED, zorder=5)
    return np.concatenate(shown)


def twin_color(color: str) -> str:
    """The colour of a corrected law: a dark shade of its law's, which shows on top of it where both coincide."""
    from matplotlib.colors import to_hex, to_rgb

    return WARNING if color == INK else to_hex([0.45 * part for part in to_rgb(color)])


def columns(curve: dict[str, list[float | None]]) -> Curve:
    """A curve of a fit file as arrays; null is NaN."""
    return {key: np.array(curve.get(key, []), dtype=float) for key in ("x", "fit", *CI95, *CI70)}


def cut(beyond: Curve, factor: float) -> Curve:
    """The part of a curve beyond the data up to `factor` times its first x."""
    x = beyond["x"]
    n = int(np.sum(x <= factor * x[0] * (1 + 1e-9))) if x.size and factor > 1 else 0
    return {key: values[:n] for key, values in beyond.items()}


def _draw(ax: Axes, curve: Curve, color: str, dash: Any, levels: tuple[str, str] | None, alpha: float) -> None:
    if not curve["x"].size:
        return
    if levels and curve[levels[0]].size:
        ax.fill_between(curve["x"], curve[levels[0]], curve[levels[1]], color=color, alpha=alpha, linewidth=0, zorder=1)
    ax.plot(curve["x"], curve["fit"], color=color, linewidth=1.7, linestyle=dash, zorder=4)


def law_handles(
    band: str = "95 % band", extended: str = "", corrected: bool = True, color: str = MUTED, law: str = "published"
) -> list[Artist]:
    """Legend entries for what `draw_law` draws. extended: how far the laws go on, such as "x10"; law: what it is."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [Line2D([], [], color=color, linewidth=1.7, label=f"law, as {law}")]
    handles.append(Patch(color=color, alpha=0.18, linewidth=0, label=band))
    if extended:
        handles.append(
            Line2D([], [], color=color, linewidth=1.7, linestyle=DOTTED, label=f"beyond the data, {extended}")
        )
    if corrected:
        handles.append(
            Line2D([], [], color=twin_color(color), linewidth=0.9, linestyle=DASHED, label="law, corrected mode")
        )
    return handles
