"""Short sentences tell a reader what to know before a forecast is used."""

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import number_of, percent
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.study_fit import SIMULATED

Array = NDArray[np.float64]


def about_data(law: FinishedLaw) -> list[str]:
    """Whether the scores that the law rests on are of a simulated brain."""
    return [SIMULATED] if law.simulated else []


def about_images(images: float | None) -> list[str]:
    """How many unique images the answer may take; nothing for a law that does not tell them from repeated ones."""
    return [] if images is None else [f"at most {images:.4g} unique images; a run that needs more repeats them"]


def about_target(law: FinishedLaw, target: float, needed: float, never: float) -> list[str]:
    """Whether the target is reached. needed: x of the fit (inf, or 0 for every x); never: share of the resamples."""
    words = []
    if np.isinf(needed):
        words.append(f"the target {target:g} {_beyond(law)}")
    elif needed == 0:
        words.append(f"the law is at or beyond the target {target:g} for every {law.variables[0]}")
    if never > 0:
        words.append(f"in {percent(never)} of the resamples the target is never reached")
    return words


def about_range(law: FinishedLaw, point: Array) -> list[str]:
    """How far the answer (v,) lies outside the points that the law rests on."""
    words = []
    for name, value, data in zip(law.variables, point, law.points.columns.T, strict=True):
        if not (np.isfinite(value) and value > 0):
            continue
        if value > data.max():
            side, end = "above the largest", data.max()
        elif value < data.min():
            side, end = "below the smallest", data.min()
        else:
            continue
        decades = abs(np.log10(value / end))
        words.append(f"{name} {value:.3g} lies {decades:.1f} decades {side} of the data ({end:.3g}): an extrapolation")
    return words


def about_law(law: FinishedLaw, resamples: int, dropped: int) -> list[str]:
    """What is doubtful about the law itself and its intervals."""
    words = []
    if law.doubts:
        words.append(f"the data do not identify the asymptote: {'; '.join(law.doubts)}")
    if dropped:
        words.append(f"left out: {dropped} of {number_of(resamples + dropped, 'resample')}, without usable parameters")
    if resamples < 2:
        words.append("the fit has no bootstraps, so there are no intervals")
    if law.mode == "parity" and len(law.variables) == 2:
        words.append("parity repeats the published slip: N and D are not the best for this compute")
    return words


def _beyond(law: FinishedLaw) -> str:
    if not law.has_saturation:
        return "is never reached by the fitted law"
    low, high = law.saturation_ci95 or (float("nan"), float("nan"))
    ends = f" ({low:.3g} to {high:.3g})" if np.isfinite([low, high]).all() else ""
    return f"lies beyond the asymptote {law.saturation:.3g}{ends}"
