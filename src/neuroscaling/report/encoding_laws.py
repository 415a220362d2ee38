"""The laws of an encoding study are drawn on panels, and their forms compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.laws.forms import form_by_name
from neuroscaling.report.encoding_data import Encoding, in_order
from neuroscaling.report.figure import Drawing, LeftOut, label, legend, panels
from neuroscaling.report.style import GREEN, MUTED, PURPLE, VERMILION, WARNING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Fit = dict[str, Any]
FORM_WORDS = {
    "log_linear": "log-linear",
    "sqrt_saturating": "square root",
    "logistic": "logistic",
    "power_law_ceiling": "power law, ceiling",
}
FORM_LOOKS = {
    "log_linear": (MUTED, (0, (5, 2))),
    "sqrt_saturating": (GREEN, (0, (6, 2, 1, 2))),
    "logistic": (VERMILION, "-"),
    "power_law_ceiling": (PURPLE, (0, (2, 2))),
}
OTHER_FORM = (WARNING, (0, (1, 1)))


def laws_of(encoding: Encoding, run: str, region: str, x: str = "n_mapping") -> list[Fit]:
    """Fits of one run and ROI against `x`, those that could not be tested too."""
    return [fit for fit in _of_region(encoding, region, x) if set(_points(fit, "run")) == {run}]


def has_law(encoding: Encoding, run: str) -> bool:
    """Was a law of mapping images fitted to this run?"""
    fits = [fit for fit in encoding.fits.values() if fit["x"] == "n_mapping" and fit["status"] == "fitted"]
    return any(set(_points(fit, "run")) == {run} for fit in fits)


def pooled(fits: list[Fit]) -> Fit | None:
    """The law of all subjects among the fits of a run and ROI; None where there is none."""
    return next((fit for fit in fits if fit["status"] == "fitted" and len(set(_points(fit, "subject"))) != 1), None)


def by_subject(fits: list[Fit]) -> list[Fit]:
    """The laws of single subjects among the fits of a run and ROI."""
    return [fit for fit in fits if fit["status"] == "fitted" and len(set(_points(fit, "subject"))) == 1]


def law_over_models(encoding: Encoding, region: str, sizes: Collection[float]) -> Fit | None:
    """The law of accuracy against parameters over the runs of an ROI, with `sizes` mapping images; None without one."""
    for fit in _of_region(encoding, region, "n_params"):
        of_many = fit["status"] == "fitted" and len(set(_points(fit, "run"))) > 1 and "arch" not in fit["filters"]
        if of_many and fit["filters"].get("n_mapping") in sizes:
            return fit
    return None


def _of_region(encoding: Encoding, region: str, x: str) -> list[Fit]:
    fits = [fit for fit in encoding.fits.values() if fit["x"] == x and fit["y"] == "raw"]
    return [f for f in fits if f["filters"].get("region") == region and encoding.data in f.get("data", [])]


def _points(fit: Fit, fact: str) -> list[Any]:
    return fit.get("points", {}).get(fact) or []


def forms_of(fit: Fit) -> list[Fit]:
    """The forms of a fit that were compared, in the order of their names; the law alone where none were."""
    alone = {key: fit.get(key) for key in ("form", "curve", "holdout", "aicc")} | {"delta_aicc": 0.0}
    rows = [row for row in fit["compared"] or [alone] if row.get("curve")]
    return sorted(
        rows, key=lambda row: list(FORM_WORDS).index(row["form"]) if row["form"] in FORM_WORDS else len(FORM_WORDS)
    )


def draw_forms(ax: Axes, fit: Fit) -> None:
    """The curve of every form that was compared."""
    for row in forms_of(fit):
        color, dash = FORM_LOOKS.get(row["form"], OTHER_FORM)
        ax.plot(row["curve"]["x"], row["curve"]["fit"], color=color, linestyle=dash, linewidth=1.1, zorder=6)


def draw_form_slopes(ax: Axes, fit: Fit) -> None:
    """The change per decade of every form that was compared."""
    for row in forms_of(fit):
        color, dash = FORM_LOOKS.get(row["form"], OTHER_FORM)
        x, y = (np.array(row["curve"][key], dtype=float) for key in ("x", "fit"))
        ax.plot(x, np.gradient(y, np.log10(x)), color=color, linestyle=dash, linewidth=1.1, zorder=6)


def write_comparison(ax: Axes, fit: Fit) -> None:
    """AICc above the best and held-out error of every form, in the lower right corner."""
    style = {"transform": ax.transAxes, "ha": "right", "va": "bottom", "fontsize": 6, "zorder": 6}
    rows = forms_of(fit)[::-1]
    for i, row in enumerate(rows):
        color = FORM_LOOKS.get(row["form"], OTHER_FORM)[0]
        ax.text(0.98, 0.03 + 0.075 * i, _comparison(row), color=color, **style)
    ax.text(0.98, 0.03 + 0.075 * len(rows), "ΔAICc, held-out error", color=MUTED, **style)
    if not ceiling_identified(fit):
        ax.text(0.02, 0.97, "ceiling not identified", color=WARNING, **{**style, "ha": "left", "va": "top"})


def _comparison(row: Fit) -> str:
    delta = "–" if row["delta_aicc"] is None else f"{row['delta_aicc']:.1f}"
    error = (row["holdout"] or {}).get("mae")
    return f"{name_of(row['form'])}  {delta}, {'–' if error is None else f'{error:.3f}'}"


def name_of(form: str) -> str:
    """A form in a word or two."""
    return FORM_WORDS.get(form, form.replace("_", " "))


def ceiling_identified(fit: Fit) -> bool:
    """Do the data tell the asymptote of the law? True for a form that has none."""
    asymptote = form_by_name(fit["form"]).asymptote
    if asymptote is None:
        return True
    return fit["identified"][asymptote]["identified"] and not fit.get("saturation_statement")


def best_forms(fits: list[Fit]) -> Counter[str]:
    """How often each form has the lowest AICc, over the fits that compare several."""
    ranked = [[row for row in fit["compared"] if row["delta_aicc"] is not None] for fit in fits]
    return Counter(min(rows, key=lambda row: row["delta_aicc"])["form"] for rows in ranked if len(rows) > 1)


def form_handles(fits: list[Fit]) -> list[Artist]:
    """Legend entries of the forms that the fits compare."""
    from matplotlib.lines import Line2D

    forms = dict.fromkeys(row["form"] for fit in fits for row in forms_of(fit))
    looks = {form: FORM_LOOKS.get(form, OTHER_FORM) for form in forms}
    return [Line2D([], [], color=c, linestyle=d, linewidth=1.1, label=name_of(f)) for f, (c, d) in looks.items()]


NAME, TITLE = "mapping_forms", "Log-linear against saturating laws of mapping images"
STRAIGHT = "log_linear"


def form_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure of all laws that were fitted to single subjects."""
    found = fits_by_region(encoding)
    fits = [fit for group in found.values() for fit in group]
    if not fits:
        yield LeftOut(NAME, TITLE, "no law that compares several forms was fitted to single subjects")
        return
    best = best_forms(fits)
    won = ", ".join(f"{name_of(form)} in {count}" for form, count in best.most_common())
    straight = f"{name_of(STRAIGHT)} in 0; " if STRAIGHT not in best else ""
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
    yield Drawing(NAME, TITLE, caption, limits, lambda: draw_comparison(found), tuple(fit["name"] for fit in fits))


def fits_by_region(encoding: Encoding) -> dict[str, list[Fit]]:
    """Laws of single subjects that compare several forms, by region."""
    found: dict[str, list[Fit]] = {}
    for region in in_order(encoding.rows["region"]):
        fits = [f for run in encoding.runs for f in by_subject(laws_of(encoding, run, region))]
        compared = [fit for fit in fits if len(forms_of(fit)) > 1]
        if compared:
            found[region] = compared
    return found


def draw_comparison(found: dict[str, list[Fit]]) -> Figure:
    """AICc against the log-linear law, and held-out errors, by region."""
    figure, (left, right) = panels(1, 2, panel=(max(3.4, 0.5 + 0.42 * len(found)), 2.8), foot=0.4)
    names = dict.fromkeys(row["form"] for fits in found.values() for fit in fits for row in forms_of(fit))
    for place, fits in enumerate(found.values()):
        for i, form in enumerate(names):
            shift = place + 0.2 * (i - (len(names) - 1) / 2)
            if form != STRAIGHT:
                _strip(left, shift, [_aicc_gain(fit, form) for fit in fits], form)
            _strip(right, shift, [_held_out_error(fit, form) for fit in fits], form)
    left.axhline(0, color="#888888", linewidth=0.8)
    label(left, "Description", y="AICc less that of log-linear")
    label(right, "Extrapolation", y="Held-out error (r)")
    right.set_ylim(bottom=0)
    for ax in (left, right):
        ax.set_xticks(range(len(found)), list(found), rotation=35, ha="right", rotation_mode="anchor")
    legend(figure, form_handles([fit for fits in found.values() for fit in fits]), 4)
    return figure


def _strip(ax: Axes, x: float, values: list[float], form: str) -> None:
    color = FORM_LOOKS.get(form, OTHER_FORM)[0]
    ax.scatter(np.full(len(values), x), values, s=9, color=color, alpha=0.6, linewidths=0, zorder=3)
    if np.isfinite(values).any():
        ax.plot([x - 0.09, x + 0.09], [np.nanmedian(values)] * 2, color=color, linewidth=1.6, zorder=4)


def _aicc_gain(fit: Fit, form: str) -> float:
    rows = {row["form"]: row["delta_aicc"] for row in forms_of(fit)}
    found = rows.get(form), rows.get(STRAIGHT)
    return float("nan") if None in found else found[0] - found[1]


def _held_out_error(fit: Fit, form: str) -> float:
    row = next((row for row in forms_of(fit) if row["form"] == form), {})
    return float((row.get("holdout") or {}).get("mae", float("nan")))
