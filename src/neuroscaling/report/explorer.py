"""The interactive figures of the laws: one chart that serves all of them, and the data that it shows.

The page holds networks once, the points of a fit once for all fits that share them, and a curve for each law. Its
script (templates/chart.js) puts them into the chart, which is a Vega-Lite specification made by Altair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.curves import Curve
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.report.law_figures import Panel, by_axes, other_forms, shared_ceiling, shared_levels
from neuroscaling.report.page_content import plain, rounded
from neuroscaling.report.style import CURVE, MUTED, ON_DARK, SHAPES, Dash, axis_label, form_look, looks

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]
NETWORK = (
    "run", "arch", "arch_family", "dataset", "samples_per_class", "seed", "recipe", "kind", "acc", "n_params",
    "n_samples", "n_samples_seen", "total_flops",
)  # fmt: skip
"""Columns of the score table that tell of a network."""
SIZES = ("n_samples", "n_samples_seen", "n_params", "total_flops")
"""Those that a figure can have on its x axis."""
MOST_IN_CURVE = 41
VEGA_LITE = "6.4"
"""The version of Vega-Lite that Altair writes for."""


def explorer_data(groups: Mapping[str, Sequence[Panel]], table: pd.DataFrame) -> dict[str, Any]:
    """What the interactive figures show: networks, points, and for each group of laws its panels.

    groups: the fits of each group as they are drawn; table: the score table, which tells of the networks.
    """
    collected = _Collected(_networks(table))
    drawn = {name: [_panel(shared, collected) for shared in by_axes(list(panels))] for name, panels in groups.items()}
    families = [family for panels in groups.values() for panel in panels for family in panel.fit.points.arch_family]
    forms = {form for panels in groups.values() for form in other_forms([panel.fit for panel in panels])}
    columns = {panel.column for panels in groups.values() for panel in panels}
    return {
        "chart": chart() if groups else None,
        "networks": {"columns": NETWORK, "rows": list(collected.rows.values())},
        "points": list(collected.points.values()),
        "groups": {
            name: {"panels": panels, "x": _x_choices(groups[name], collected)} for name, panels in drawn.items()
        },
        "axes": {column: axis_label(column) for column in sorted(columns | set(SIZES))},
        "looks": {
            family: {"colors": colors(look.color), "shape": SHAPES[look.marker], "sign": look.sign}
            for family, look in looks([family or "" for family in families] or [""]).items()
        },
        "forms": {form: _form(form) for form in sorted(forms)},
        "ink": colors(CURVE),
        "muted": colors(MUTED),
    }


def title_of(shared: Sequence[Panel]) -> str:
    """The title of the panels of one axes."""
    return shared[0].shared_title if len(shared) > 1 else shared[0].title


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which defines `vegaEmbed`; nothing is fetched."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE))


@dataclass
class _Collected:
    """What figures share. known: facts of networks by run; rows: the networks that points are of, by name; points: sets
    of points by what they hold.
    """

    known: Mapping[str, Mapping[str, Any]]
    rows: dict[str, list[Any]] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    def network(self, facts: Mapping[str, Any], i: int) -> int:
        """The place of the network of a point, the `i`-th of its fit, with its facts as far as they are known."""
        words = [facts.get(name) for name in ("arch", "dataset", "samples_per_class")]
        run = str(facts.get("run") or " ".join(str(word) for word in words if word is not None) or f"point {i + 1}")
        if run not in self.rows:
            known = self.known.get(run, {})
            self.rows[run] = [run, *(known.get(c) if facts.get(c) is None else facts[c] for c in NETWORK[1:])]
            self._places[run] = len(self._places)
        return self._places[run]

    def place_of_points(self, content: dict[str, Any]) -> int:
        """The place of a set of points among those of the page."""
        key = json.dumps(content)
        self.points.setdefault(key, content)
        return list(self.points).index(key)


def _networks(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The facts of each run of the score table."""
    columns = [column for column in NETWORK if column in table]
    first = table.drop_duplicates("run")[columns]
    return {
        str(row[0]): {column: plain(value) for column, value in zip(columns, row, strict=True)}
        for row in first.itertuples(index=False)
    }


def _panel(shared: Sequence[Panel], collected: _Collected) -> dict[str, Any]:
    first = shared[0]
    return {
        "title": title_of(shared),
        "y": first.y_label,
        "quantity": first.fit.quantity,
        "scale": str(first.fit.scale),
        "simulated": any(panel.fit.simulated for panel in shared),
        "ceiling": shared_ceiling(shared),
        "levels": [
            {"label": level.label, "n": level.n, "x": _numbers(level.x), "y": _numbers(level.y)}
            for level in shared_levels(shared)
        ],
        "fits": [_fit(panel, collected) for panel in shared],
    }


def _fit(panel: Panel, collected: _Collected) -> dict[str, Any]:
    fit, law = panel.fit, panel.fit if isinstance(panel.fit, FinishedLaw) else None
    curve = panel.curve if law else None
    return {
        "name": fit.name,
        "family": panel.family,
        "x": panel.column,
        "points": collected.place_of_points(_points(panel, collected)),
        "law": law and law.expression,
        "residual": _numbers(fit.points.y - law.predict(law.fitted, fit.points.columns), 3) if law else None,
        "curve": curve and _curve(curve, band=bool(law and law.bootstraps.n)),
        "forms": [{"form": form, **_curve(row.curve)} for form, row in other_forms([fit]).items() if row.curve],
    }


def _points(panel: Panel, collected: _Collected) -> dict[str, Any]:
    """The points of a fit: network, y, and what is known of each beside them."""
    fit, beside = panel.fit, panel.beside
    columns = {name: getattr(fit.points, name) for name in NETWORK if hasattr(fit.points, name)}
    columns = {name: values for name, values in columns.items() if len(values) == len(fit.points)}
    facts = [{name: plain(values[i]) for name, values in columns.items()} for i in range(len(fit.points))]
    networks = [collected.network(each, i) for i, each in enumerate(facts)]
    content: dict[str, Any] = {"network": networks, "y": _numbers(fit.points.y)}
    rows = list(collected.rows.values())
    of_network = [rows[i][NETWORK.index(panel.column)] if panel.column in NETWORK else None for i in networks]
    if of_network != (x := _numbers(panel.x)):
        content["x"] = x
    if any(beside.layer):
        content["layer"] = beside.layer
    if np.isfinite(beside.error).any():
        content["error"] = _numbers(beside.error, 3)
    subjects = [subject or "" for subject in fit.points.subject]
    if len(set(subjects)) > 1 and len(subjects) == len(fit.points):
        content["subject"] = subjects
    return content


def _x_choices(panels: Sequence[Panel], collected: _Collected) -> list[str]:
    """What the x axis of a group can show: its own variable, and sizes of networks in which the points differ."""
    runs = {str(run) for panel in panels for run in panel.fit.points.run}
    rows = [row for run, row in collected.rows.items() if run in runs]
    own = list(dict.fromkeys(panel.column for panel in panels))
    values = {column: {row[NETWORK.index(column)] for row in rows} - {None, 0} for column in SIZES}
    return own[:1] + [column for column in SIZES if column not in own and len(values[column]) > 1]


def _curve(curve: Curve, band: bool = False) -> dict[str, Any]:
    """A curve with few enough points, and its 95 % band."""
    kept = np.unique(np.linspace(0, len(curve.x) - 1, min(MOST_IN_CURVE, len(curve.x))).round().astype(int))
    low, high = curve.band(95)
    ends = {"low": _numbers(low[kept], 4), "high": _numbers(high[kept], 4)} if band and low.size else {}
    return {"x": _numbers(curve.x[kept]), "y": _numbers(curve.fit[kept], 4), **ends}


def _numbers(values: Array, digits: int = 5) -> list[Any]:
    """Numbers as JSON knows them, rounded to significant digits; None for those that aren't finite."""
    short = [rounded(value, digits) for value in np.asarray(values).tolist()]
    return [int(v) if v is not None and v.is_integer() and abs(v) < 1e15 else v for v in short]


def colors(color: str) -> list[str]:
    """A colour on a light page and on a dark one."""
    return [color, ON_DARK.get(color, color)]


def _form(form: str) -> dict[str, Any]:
    look = form_look(form)
    return {"words": look.words, "colors": colors(look.color), "dash": _dash(look.dash), "sign": look.sign}


def _dash(dash: Dash) -> list[float]:
    """Dashes of matplotlib, which are in widths of the line, in pixels."""
    return [] if isinstance(dash, str) else [1.4 * part for part in dash[1]]


def chart() -> dict[str, Any]:
    """The chart of one panel as a Vega-Lite specification; its data sets are empty, its axes without words.

    Data sets: band (x, low, high, law), rules (y), words (y, label), lines and ends (x, y, label), errors
    (x, low, high), curves (x, y, law, dash, width), points (x, y, shape, size, order, tip, run), selected (x, y, size);
    all with color.
    """
    import altair as alt

    x, y = alt.X("x:Q", title=""), alt.Y("y:Q", title="")
    shown = alt.Color("color:N", scale=None)

    def of(name: str) -> alt.Chart:
        return alt.Chart(alt.NamedData(name))

    band = of("band").mark_area(opacity=0.16, clip=True).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), shown)
    band = band.encode(detail="law:N")
    levels = of("rules").mark_rule(strokeDash=[2, 3], strokeWidth=1.3, clip=True).encode(y, color=shown)
    words = of("words").mark_text(align="left", baseline="bottom", dx=3, dy=-2, fontSize=10)
    words = words.encode(y, x=alt.value(0), text="label:N", color=shown)
    lines = of("lines").mark_line(strokeDash=[2, 3], strokeWidth=1.3, clip=True)
    lines = lines.encode(x, y, color=shown, detail="label:N")
    ends = of("ends").mark_text(align="right", baseline="bottom", dy=-3, fontSize=10, clip=True)
    ends = ends.encode(x, y, text="label:N", color=shown)
    errors = of("errors").mark_rule(strokeWidth=1, opacity=0.55, clip=True)
    errors = errors.encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color=shown)
    curves = of("curves").mark_line(clip=True).encode(x, y, shown, detail="law:N")
    curves = curves.encode(
        strokeDash=alt.StrokeDash("dash:N", scale=None), strokeWidth=alt.StrokeWidth("width:Q", scale=None)
    )
    tip = {"expr": "datum.tip"}
    points = of("points").mark_point(
        filled=True, opacity=0.88, strokeWidth=0.5, clip=True, tooltip=tip, cursor="pointer"
    )
    points = points.encode(
        x, y, shown, shape=alt.Shape("shape:N", scale=None), size=alt.Size("size:Q", scale=None), order="order:Q"
    )
    # The pointer draws a box; a finger scrolls the page.
    by_mouse = "[pointerdown[event.pointerType !== 'touch'], window:pointerup] > window:pointermove!"
    points = points.add_params(
        alt.selection_interval(name="brush", on=by_mouse, translate=False, zoom=False, empty=False)
    )
    selected = of("selected").mark_point(filled=False, strokeWidth=2.2, opacity=1, clip=True, shape="circle")
    selected = selected.encode(x, y, color=shown, size=alt.Size("size:Q", scale=None))
    layers = alt.layer(band, levels, lines, errors, curves, words, ends, points, selected)
    made: dict[str, Any] = layers.properties(width="container").to_dict()
    # Altair names the view of a selection by a counter; the same study gives the same page.
    made["layer"][-2]["name"], made["params"][0]["views"] = "points", ["points"]
    return made
