"""A claim is judged by numbers with intervals, and a rule gives the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import ComparedForm
from neuroscaling.laws.forms import form_by_name

Array = NDArray[np.float64]
CLEAR = 2.0  # difference in AICc from which a form counts as worse


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def above(self, limit: float = 0.0) -> bool:
        """Whether the whole interval lies above `limit`."""
        return self.low > limit

    def below(self, limit: float = 0.0) -> bool:
        """Whether the whole interval lies below `limit`."""
        return self.high < limit

    def minus(self, other: Estimate) -> Estimate:
        """The difference to an independent estimate: distances to the ends of the intervals are added in quadrature."""
        value = self.value - other.value
        down = math.hypot(self.value - self.low, other.high - other.value)
        up = math.hypot(self.high - self.value, other.value - other.low)
        return Estimate(value, value - down, value + up)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Case:
    """The laws that a claim is judged by at once: of one mode, of a control, or without one group of their points.

    laws: by their labels in the statement; a fit that is absent or not testable is not among them. lead: what is
    particular to them, in words. Two fits of the same points with the same seed have the same resamples, so a statistic
    of both is taken row by row; fits of different points are independent, for which any pairing of rows will do.
    """

    mode: str
    lead: str
    laws: Mapping[str, FinishedLaw]

    def resampled(self, labels: Sequence[str]) -> dict[str, FinishedLaw]:
        """The laws of these labels that have resamples."""
        found = {label: self.laws[label] for label in labels if label in self.laws}
        return {label: law for label, law in found.items() if law.resamples is not None}

    @property
    def opening(self) -> str:
        """The lead as the beginning of a text."""
        return f"{self.lead} " if self.lead else ""


def scores(law: FinishedLaw, x: Array | list[float]) -> Array:
    """Scores of a law of one variable and of its resamples at x (q,): (1 + k, q)."""
    return law.predict(law.rows[:, None, :], np.asarray(x, dtype=np.float64)[:, None])


def scores_by(row: ComparedForm, law: FinishedLaw, x: Array | list[float]) -> Array:
    """Scores by a form that a law of one variable was compared with, at x (q,): (q,); of a chain, by its curves."""
    places = np.asarray(x, dtype=np.float64)
    if not row.is_chain:
        return law.predict(row.parameters, places[:, None], form_by_name(row.form))
    curves = [curve for curve in (row.curve, row.beyond) if curve is not None]
    known = [next((c.at(v) for c in curves if c.ends[0] <= v <= c.ends[1]), math.nan) for v in places.tolist()]
    return np.array(known)


def estimate(statistic: Array) -> Estimate | None:
    """A statistic (1 + k,) of the fit and of its resamples as a number with its interval; None without numbers."""
    if not np.isfinite(statistic[0]) or not np.isfinite(statistic[1:]).any():
        return None
    return Estimate(float(statistic[0]), *interval(statistic[1:]))


def gain(scores: Array) -> Array:
    """Rise (1 + k,) from the first to the last column of scores (1 + k, q)."""
    return scores[:, -1] - scores[:, 0]


def paired(first: Array, second: Array) -> Array:
    """first - second (1 + k,), row by row; the longer one is cut."""
    rows = min(len(first), len(second))
    return first[:rows] - second[:rows]


def on_curve(law: FinishedLaw, x: float) -> Estimate:
    """Score and band at x, from the law's curve; x within the data."""
    return Estimate(law.line.at(x), *law.line.interval_at(x))


def shared_range(*laws: FinishedLaw) -> tuple[float, float]:
    """The range of x that all laws have data for; the first value is not below the second where there is none."""
    return max(law.line.ends[0] for law in laws), min(law.line.ends[1] for law in laws)


def compared_rows(law: FinishedLaw) -> list[ComparedForm]:
    """The rows of the comparison of forms, best AICc first; the law itself where nothing was compared.

    Rows without AICc, which too few points do not allow, come last.
    """
    rows = [row for row in law.compared if row.params]
    own = ComparedForm(form=law.form_name, params=law.params, curve=law.curve)
    return sorted(rows or [own], key=_aicc)


def plausible_rows(law: FinishedLaw) -> list[ComparedForm]:
    """Rows of the forms that describe the points about as well as the best.

    A form is out when its AICc is worse than the best by more than 2 and its held-out error is larger than that of the
    form with the best AICc.
    """
    rows = compared_rows(law)
    return [row for row in rows if _aicc(row) <= _aicc(rows[0]) + CLEAR or held_out(row) <= held_out(rows[0])]


def weighed_rows(law: FinishedLaw) -> list[ComparedForm]:
    """The plausible rows and that of the law's own form, on which the findings rest whether it is plausible or not."""
    weighed = {law.form_name, *(row.form for row in plausible_rows(law))}
    return [row for row in compared_rows(law) if row.form in weighed]


def criteria(row: ComparedForm, best: ComparedForm) -> str:
    """AICc above the best and held-out error of a row, in words."""
    aicc = "no AICc" if math.inf in (_aicc(row), _aicc(best)) else f"AICc +{_aicc(row) - _aicc(best):.1f}"
    error = "not held out" if held_out(row) == math.inf else f"held-out error {held_out(row):.3f}"
    return f"{aicc}, {error}"


def held_out(row: ComparedForm) -> float:
    """Mean absolute error on the held-out points; infinite where it was not measured."""
    return math.inf if row.held_out_error is None else row.held_out_error


def _aicc(row: ComparedForm) -> float:
    return math.inf if row.aicc is None else row.aicc


YES, PARTLY, NO = "supported", "supported in part", "not supported"
BY_FORM, UNTESTED = "depends on the form", "not testable"


@dataclass(frozen=True)
class Finding:
    """What the laws of a case say of a claim. support: YES, PARTLY, NO, or None for background."""

    mode: str
    text: str
    support: str | None = None


def common_support(support: Sequence[str | None]) -> str | None:
    """All of one mind: that; else in part. None where nothing was judged."""
    known = {s for s in support if s is not None}
    if not known:
        return None
    return known.pop() if len(known) == 1 else PARTLY


def graded(whole: bool, part: bool) -> str:
    """YES where the whole claim holds, PARTLY where a part of it does, else NO."""
    return YES if whole else PARTLY if part else NO


@dataclass(frozen=True)
class ByForm:
    """What other forms of law say: in words, and whether one that describes the points as well turns the finding."""

    text: str
    matters: bool
