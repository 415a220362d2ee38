"""The laws of an encoding study are drawn on panels, and their forms compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.laws.curves import Curve
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import ComparedForm
from neuroscaling.report.encoding_data import Encoding, in_order
from neuroscaling.report.figure import Drawing, LeftOut, Style, draw_curve, label, legend, line_handle, panels
from neuroscaling.report.style import FORM_LOOKS, MUTED, WARNING, form_look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def laws_of(encoding: Encoding, run: str, region: str, x: str = "n_mapping") -> list[FinishedLaw]:
    """The laws of one run and ROI against `x`."""
    return [law for law in _of_region(encoding, region, x) if set(law.points.run) == {run}]


def has_law(encoding: Encoding, run: str) -> bool:
    """Whether a law of mapping images was fitted to this run."""
    laws = [law for law in encoding.fits.values() if law.variables == ("n_mapping",)]
    return any(set(law.points.run) == {run} for law in laws)


def pooled(laws: list[FinishedLaw]) -> FinishedLaw | None:
    """The law of all subjects among the laws of a run and ROI; None where there is none."""
    return next((law for law in laws if len(set(law.points.subject)) != 1), None)


def by_subject(laws: list[FinishedLaw]) -> list[FinishedLaw]:
    """The laws of single subjects among the laws of a run and ROI."""
    return [law for law in laws if len(set(law.points.subject)) == 1]


def law_over_models(encoding: Encoding, region: str, sizes: Collection[float]) -> FinishedLaw | None:
    """The law of accuracy against parameters over the runs of an ROI, with `sizes` mapping images; None without one."""
    for law in _of_region(encoding, region, "n_params"):
        of_many = len(set(law.points.run)) > 1 and "arch" not in law.filters
        if of_many and law.filters.get("n_mapping") in sizes:
            return law
    return None


def _of_region(encoding: Encoding, region: str, x: str) -> list[FinishedLaw]:
    laws = [law for law in encoding.fits.values() if law.variables == (x,) and law.y == "raw"]
    return [law for law in laws if law.filters.get("region") == region and encoding.data in law.data]


def curves_of(law: FinishedLaw) -> dict[str, Curve]:
    """The curves of the forms that were compared, in the order of their looks; the law alone where none were."""
    rows = {row.form: row.curve for row in _rows(law)}
    order = list(FORM_LOOKS)
    known = {form: curve for form, curve in rows.items() if curve is not None}
    return dict(sorted(known.items(), key=lambda row: order.index(row[0]) if row[0] in order else len(order)))


def _rows(law: FinishedLaw) -> list[ComparedForm]:
    alone = ComparedForm(form=law.form_name, curve=law.curve, holdout=law.holdout, aicc=law.aicc, delta_aicc=0.0)
    return law.compared or [alone]


def draw_forms(ax: Axes, law: FinishedLaw) -> None:
    """The curve of every form that was compared."""
    for form, curve in curves_of(law).items():
        look = form_look(form)
        draw_curve(ax, curve, look.color, dash=look.dash, width=1.1, band=None, zorder=6)


def draw_form_slopes(ax: Axes, law: FinishedLaw) -> None:
    """The change per decade of every form that was compared."""
    for form, curve in curves_of(law).items():
        look = form_look(form)
        slopes = Curve(x=curve.x, fit=np.gradient(curve.fit, np.log10(curve.x)))
        draw_curve(ax, slopes, look.color, dash=look.dash, width=1.1, band=None, zorder=6)


def write_comparison(ax: Axes, law: FinishedLaw) -> None:
    """AICc above the best and held-out error of every form, in the lower right corner."""
    style: Style = {"transform": ax.transAxes, "ha": "right", "va": "bottom", "fontsize": 6, "zorder": 6}
    rows = {row.form: row for row in _rows(law)}
    forms = list(curves_of(law))[::-1]
    for i, form in enumerate(forms):
        ax.text(0.98, 0.03 + 0.075 * i, _comparison(rows[form]), color=form_look(form).color, **style)
    ax.text(0.98, 0.03 + 0.075 * len(forms), "ΔAICc, held-out error", color=MUTED, **style)
    if not law.asymptote_identified:
        ax.text(0.02, 0.97, "ceiling not identified", color=WARNING, **{**style, "ha": "left", "va": "top"})


def _comparison(row: ComparedForm) -> str:
    delta = "–" if row.delta_aicc is None else f"{row.delta_aicc:.1f}"
    error = "–" if row.held_out_error is None else f"{row.held_out_error:.3f}"
    return f"{form_look(row.form).words}  {delta}, {error}"


def best_forms(laws: list[FinishedLaw]) -> Counter[str]:
    """How often each form has the lowest AICc, over the laws that compare several."""
    ranked = [{row.form: row.delta_aicc for row in law.compared if row.delta_aicc is not None} for law in laws]
    return Counter(min(rows, key=lambda form: rows[form]) for rows in ranked if len(rows) > 1)


def form_handles(laws: list[FinishedLaw]) -> list[Artist]:
    """Legend entries of the forms that the laws compare."""
    looks = [form_look(form) for form in dict.fromkeys(form for law in laws for form in curves_of(law))]
    return [line_handle(look.words, look.color, look.dash, 1.1) for look in looks]


NAME, TITLE = "mapping_forms", "Log-linear against saturating laws of mapping images"
STRAIGHT = "log_linear"


def form_figures(encoding: Encoding) -> Iterator[Drawing | LeftOut]:
    """One figure of all laws that were fitted to single subjects."""
    found, words = fits_by_region(encoding), encoding.words
    fits = [fit for group in found.values() for fit in group]
    if not fits:
        yield LeftOut(NAME, TITLE, f"no law that compares several forms was fitted to single {words.groups}")
        return
    best = best_forms(fits)
    won = ", ".join(f"{form_look(form).words} in {count}" for form, count in best.most_common())
    straight = f"{form_look(STRAIGHT).words} in 0; " if STRAIGHT not in best else ""
    caption = (
        f"Laws of r against mapping images, each fitted to one {words.group}, region and network: {len(fits)} in "
        "all. Left: "
        "AICc of each form less that of the log-linear law; below 0 it describes the points better. Right: mean "
        "absolute error on the largest number of images, held out from the fit. Bars: medians. Best by AICc: "
        f"{straight}{won}."
    )
    limits = (
        f"{words.groups.capitalize()} share images at least in part, and regions of one {words.group} share them: "
        "the points are not independent, and "
        "no test is made of them. AICc of few points leans on its small-sample term."
    )
    yield Drawing(NAME, TITLE, caption, limits, lambda: draw_comparison(found), tuple(fit.name for fit in fits))


def fits_by_region(encoding: Encoding) -> dict[str, list[FinishedLaw]]:
    """Laws of single subjects that compare several forms, by region."""
    found: dict[str, list[FinishedLaw]] = {}
    for region in in_order(encoding.rows["region"]):
        fits = [f for run in encoding.runs for f in by_subject(laws_of(encoding, run, region))]
        compared = [fit for fit in fits if len(curves_of(fit)) > 1]
        if compared:
            found[region] = compared
    return found


def draw_comparison(found: dict[str, list[FinishedLaw]]) -> Figure:
    """AICc against the log-linear law, and held-out errors, by region."""
    figure, (left, right) = panels(1, 2, panel=(max(3.4, 0.5 + 0.42 * len(found)), 2.8), foot=0.4)
    names = dict.fromkeys(form for fits in found.values() for fit in fits for form in curves_of(fit))
    for place, fits in enumerate(found.values()):
        for i, form in enumerate(names):
            shift = place + 0.2 * (i - (len(names) - 1) / 2)
            if form != STRAIGHT:
                _strip(left, shift, [_aicc_gain(fit, form) for fit in fits], form)
            _strip(right, shift, [held_out_error(fit, form) for fit in fits], form)
    left.axhline(0, color="#888888", linewidth=0.8)
    label(left, "Description", y="AICc less that of log-linear")
    label(right, "Extrapolation", y="Held-out error (r)")
    right.set_ylim(bottom=0)
    for ax in (left, right):
        ax.set_xticks(range(len(found)), list(found), rotation=35, ha="right", rotation_mode="anchor")
    legend(figure, form_handles([fit for fits in found.values() for fit in fits]), 4)
    return figure


def _strip(ax: Axes, x: float, values: list[float], form: str) -> None:
    color = form_look(form).color
    ax.scatter(np.full(len(values), x), values, s=9, color=color, alpha=0.6, linewidths=0, zorder=3)
    if np.isfinite(values).any():
        ax.plot([x - 0.09, x + 0.09], [np.nanmedian(values)] * 2, color=color, linewidth=1.6, zorder=4)


def _aicc_gain(law: FinishedLaw, form: str) -> float:
    rows = {row.form: row.delta_aicc for row in _rows(law)}
    own, straight = rows.get(form), rows.get(STRAIGHT)
    return float("nan") if own is None or straight is None else own - straight


def held_out_error(law: FinishedLaw, form: str) -> float:
    """Mean absolute error of a form on the points that its fit left out; NaN where it was not tested."""
    errors = {row.form: row.held_out_error for row in _rows(law)}
    error = errors.get(form)
    return float("nan") if error is None else error
