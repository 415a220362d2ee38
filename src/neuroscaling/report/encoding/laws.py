"""The laws of an encoding study: which belong to a run and ROI, how they are drawn and what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.laws.forms import form_by_name
from neuroscaling.report.encoding.data import Encoding
from neuroscaling.report.style import GREEN, MUTED, PURPLE, VERMILION, WARNING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Fit = dict[str, Any]
NAMES = {
    "log_linear": "log-linear",
    "sqrt_saturating": "square root",
    "logistic": "logistic",
    "power_law_ceiling": "power law, ceiling",
}
LOOKS = {
    "log_linear": (MUTED, (0, (5, 2))),
    "sqrt_saturating": (GREEN, (0, (6, 2, 1, 2))),
    "logistic": (VERMILION, "-"),
    "power_law_ceiling": (PURPLE, (0, (2, 2))),
}
OTHER = (WARNING, (0, (1, 1)))


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
    return sorted(rows, key=lambda row: list(NAMES).index(row["form"]) if row["form"] in NAMES else len(NAMES))


def draw_forms(ax: Axes, fit: Fit) -> None:
    """The curve of every form that was compared."""
    for row in forms_of(fit):
        color, dash = LOOKS.get(row["form"], OTHER)
        ax.plot(row["curve"]["x"], row["curve"]["fit"], color=color, linestyle=dash, linewidth=1.1, zorder=6)


def draw_form_slopes(ax: Axes, fit: Fit) -> None:
    """The change per decade of every form that was compared."""
    for row in forms_of(fit):
        color, dash = LOOKS.get(row["form"], OTHER)
        x, y = (np.array(row["curve"][key], dtype=float) for key in ("x", "fit"))
        ax.plot(x, np.gradient(y, np.log10(x)), color=color, linestyle=dash, linewidth=1.1, zorder=6)


def write_comparison(ax: Axes, fit: Fit) -> None:
    """AICc above the best and held-out error of every form, in the lower right corner."""
    style = {"transform": ax.transAxes, "ha": "right", "va": "bottom", "fontsize": 6, "zorder": 6}
    rows = forms_of(fit)[::-1]
    for i, row in enumerate(rows):
        color = LOOKS.get(row["form"], OTHER)[0]
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
    return NAMES.get(form, form.replace("_", " "))


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
    looks = {form: LOOKS.get(form, OTHER) for form in forms}
    return [Line2D([], [], color=c, linestyle=d, linewidth=1.1, label=name_of(f)) for f, (c, d) in looks.items()]
