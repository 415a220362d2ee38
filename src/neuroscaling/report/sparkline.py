"""A law as a small picture in the line of a table: points, curve, band; as SVG that the page's own colours paint."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from neuroscaling.report.law_figures import Panel

Array = NDArray[np.float64]
WIDTH, HEIGHT, EDGE = 120, 36, 3  # pixels
MOST_POINTS = 40
MOST_STEPS = 24
OVERHANG = 0.5
"""How far the band may reach beyond the points and the curve, in shares of their range."""


def sparkline(panel: Panel, words: str) -> Markup:
    """The panel as SVG text of 120 x 36 pixels, with `words` for readers who don't see it; x is logarithmic."""
    known = np.isfinite(panel.x) & np.isfinite(panel.fit.points.y) & (panel.x > 0)
    x, y = np.log10(panel.x[known]), panel.fit.points.y[known]
    curve = panel.curve if panel.curve is not None and panel.curve.x.size else None
    if not x.size:
        return _svg("", words)
    line = np.empty(0) if curve is None else curve.fit
    x_ends = _ends(np.concatenate([x, [] if curve is None else np.log10(curve.x)]))
    y_ends = _ends(np.concatenate([y, line]))
    parts = [] if curve is None else _curve(panel, x_ends, y_ends)
    return _svg("".join([_points(x, y, x_ends, y_ends), *parts]), words)


def _svg(content: str, words: str) -> Markup:
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return Markup(f'<svg class="spark" role="img" aria-label="{escape(words)}" {size}>{content}</svg>')


def _curve(panel: Panel, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> list[str]:
    curve = panel.curve
    assert curve is not None
    steps = np.unique(np.linspace(0, len(curve.x) - 1, min(MOST_STEPS, len(curve.x))).round().astype(int))
    x = _across(np.log10(curve.x[steps]), x_ends)
    parts = []
    low, high = curve.band(95)
    if low.size:
        room = OVERHANG * (y_ends[1] - y_ends[0])
        low, high = (np.clip(np.nan_to_num(b[steps]), y_ends[0] - room, y_ends[1] + room) for b in (low, high))
        around = np.concatenate([x, x[::-1]]), np.concatenate([_up(high, y_ends), _up(low, y_ends)[::-1]])
        parts.append(f'<path class="band" d="M{_path(*around)}Z"/>')
    return [*parts, f'<path class="line" d="M{_path(x, _up(curve.fit[steps], y_ends))}"/>']


def _points(x: Array, y: Array, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> str:
    """The points as one path of dots; of many those at even steps in the order of x."""
    order = np.argsort(x, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_POINTS, len(order))).round().astype(int))]
    dots = zip(_across(x[shown], x_ends), _up(y[shown], y_ends), strict=True)
    return f'<path class="dots" d="{"".join(f"M{a:.1f} {b:.1f}h0" for a, b in dots)}"/>'


def _ends(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _across(values: Array, ends: tuple[float, float]) -> Array:
    return np.asarray(EDGE + (WIDTH - 2 * EDGE) * (values - ends[0]) / (ends[1] - ends[0]))


def _up(values: Array, ends: tuple[float, float]) -> Array:
    return np.asarray(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (values - ends[0]) / (ends[1] - ends[0]))


def _path(x: Array, y: Array) -> str:
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
