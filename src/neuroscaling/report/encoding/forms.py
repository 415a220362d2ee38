"""Forms of the law compared subject by subject: how well they describe, and how well they foretell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.report.encoding import laws
from neuroscaling.report.encoding.data import Encoding
from neuroscaling.report.encoding.entry import Drawing, LeftOut
from neuroscaling.report.encoding.order import in_order
from neuroscaling.report.published.canvas import label, legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "mapping_forms", "Log-linear against saturating laws of mapping images"
STRAIGHT = "log_linear"


def figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure of all laws that were fitted to single subjects."""
    found = fits_by_region(encoding)
    fits = [fit for group in found.values() for fit in group]
    if not fits:
        yield LeftOut(NAME, TITLE, "no law that compares several forms was fitted to single subjects")
        return
    best = laws.best_forms(fits)
    won = ", ".join(f"{laws.name_of(form)} in {count}" for form, count in best.most_common())
    straight = f"{laws.name_of(STRAIGHT)} in 0; " if STRAIGHT not in best else ""
    caption = (
        f"Laws of r against mapping images, each fitted to one subject, ROI and network: {len(fits)} in all. Left: "
        "AICc of each form less that of the log-linear law; below 0 it describes the points better. Right: mean "
        "absolute error on the largest number of images, held out from the fit. Bars: medians. Best by AICc: "
        f"{straight}{won}."
    )
    limits = (
        "Subjects see partly the same images and ROIs of one subject share them: the points are not independent, and "
        "no test is made of them. AICc of few points leans on its small-sample term."
    )
    yield Drawing(NAME, TITLE, caption, limits, lambda: draw(found), tuple(fit["name"] for fit in fits))


def fits_by_region(encoding: Encoding) -> dict[str, list[laws.Fit]]:
    """Laws of single subjects that compare several forms, by region."""
    found: dict[str, list[laws.Fit]] = {}
    for region in in_order(encoding.rows["region"]):
        fits = [f for run in encoding.runs for f in laws.by_subject(laws.laws_of(encoding, run, region))]
        compared = [fit for fit in fits if len(laws.forms_of(fit)) > 1]
        if compared:
            found[region] = compared
    return found


def draw(found: dict[str, list[laws.Fit]]) -> Figure:
    """AICc against the log-linear law, and held-out errors, by region."""
    figure, (left, right) = panels(1, 2, panel=(max(3.4, 0.5 + 0.42 * len(found)), 2.8), foot=0.4)
    names = dict.fromkeys(row["form"] for fits in found.values() for fit in fits for row in laws.forms_of(fit))
    for place, fits in enumerate(found.values()):
        for i, form in enumerate(names):
            shift = place + 0.2 * (i - (len(names) - 1) / 2)
            if form != STRAIGHT:
                _strip(left, shift, [_gain(fit, form) for fit in fits], form)
            _strip(right, shift, [_error(fit, form) for fit in fits], form)
    left.axhline(0, color="#888888", linewidth=0.8)
    label(left, "Description", y="AICc less that of log-linear")
    label(right, "Extrapolation", y="Held-out error (r)")
    right.set_ylim(bottom=0)
    for ax in (left, right):
        ax.set_xticks(range(len(found)), list(found), rotation=35, ha="right", rotation_mode="anchor")
    legend(figure, laws.form_handles([fit for fits in found.values() for fit in fits]), 4)
    return figure


def _strip(ax: Axes, x: float, values: list[float], form: str) -> None:
    color = laws.LOOKS.get(form, laws.OTHER)[0]
    ax.scatter(np.full(len(values), x), values, s=9, color=color, alpha=0.6, linewidths=0, zorder=3)
    if np.isfinite(values).any():
        ax.plot([x - 0.09, x + 0.09], [np.nanmedian(values)] * 2, color=color, linewidth=1.6, zorder=4)


def _gain(fit: laws.Fit, form: str) -> float:
    rows = {row["form"]: row["delta_aicc"] for row in laws.forms_of(fit)}
    found = rows.get(form), rows.get(STRAIGHT)
    return float("nan") if None in found else found[0] - found[1]


def _error(fit: laws.Fit, form: str) -> float:
    row = next((row for row in laws.forms_of(fit) if row["form"] == form), {})
    return float((row.get("holdout") or {}).get("mae", float("nan")))
