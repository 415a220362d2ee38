"""A claim is judged by numbers with intervals, and a rule gives the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.forms import form_by_name

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]
Content = dict[str, Any]
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
class PublishedFits:
    """The fits of a study by name: contents of their JSON files, and tables of their resamples."""

    fits: Mapping[str, Content]
    bootstraps: Mapping[str, pd.DataFrame]

    def fitted(self, name: str) -> Content | None:
        """The fit called `name`; None where it is absent or not testable."""
        fit = self.fits.get(name)
        return fit if fit is not None and fit.get("status") == "fitted" else None

    def resampled(self, name: str) -> Resampled | None:
        """The one-variable law of that fit with its resamples; None where either is absent."""
        fit, table = self.fitted(name), self.bootstraps.get(name)
        if fit is None or table is None or not len(table):
            return None
        names = form_by_name(fit["form"]).names
        return Resampled(fit, np.concatenate([parameters(fit), table[names].to_numpy(dtype=np.float64)]))


@dataclass(frozen=True)
class Resampled:
    """A law of one variable. rows (1 + k, p): natural parameters of the fit, then of its k resamples.

    Two fits of the same models with the same seed have the same resamples, so a statistic of both is taken row by row;
    fits of different models are independent, for which any pairing of rows will do.
    """

    fit: Content
    rows: Array

    def score(self, x: Array | list[float]) -> Array:
        """Scores at x (q,): (1 + k, q)."""
        return score(self.fit["form"], self.rows, np.asarray(x, dtype=np.float64) / self.fit["x_scale"])

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest x of the data."""
        return self.fit["curve"]["x"][0], self.fit["curve"]["x"][-1]


def name_in(name: str, mode: str) -> str:
    """The name of a fit in a mode."""
    return name if mode == "parity" else f"{name}.corrected"


def score(form: str, rows: Array, x: Array) -> Array:
    """Scores of a one-variable form with natural parameters (m, p) at x / x_scale (q,): (m, q)."""
    with np.errstate(all="ignore"):
        return np.asarray(form_by_name(form).curve(x[None, :], *(rows[:, j, None] for j in range(rows.shape[1]))))


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


def on_curve(fit: Content, x: float) -> Estimate:
    """Score and band at x, from the fit's curve; x within the data."""
    return Estimate(*(along(fit["curve"], x, key) for key in ("fit", "p2.5", "p97.5")))


def along(curve: Content, x: float, key: str = "fit") -> float:
    """A column of a curve at x, interpolated in log x."""
    return float(np.interp(np.log(x), np.log(curve["x"]), curve[key]))


def shared_range(*fits: Content) -> tuple[float, float]:
    """The range of x that all fits have data for; the first value is not below the second where there is none."""
    return max(fit["curve"]["x"][0] for fit in fits), min(fit["curve"]["x"][-1] for fit in fits)


def compared_rows(fit: Content) -> list[Content]:
    """The rows of the comparison of forms, best AICc first; the fit itself where nothing was compared.

    Rows without AICc, which too few points do not allow, come last.
    """
    rows = [row for row in fit.get("compared") or [] if row.get("params")]
    own = {"form": fit["form"], "params": fit["params"], "aicc": None, "curve": fit["curve"]}
    return sorted(rows or [own], key=_aicc)


def plausible_rows(fit: Content) -> list[Content]:
    """Rows of the forms that describe the points about as well as the best.

    A form is out when its AICc is worse than the best by more than 2 and its held-out error is larger than that of the
    form with the best AICc.
    """
    rows = compared_rows(fit)
    return [row for row in rows if _aicc(row) <= _aicc(rows[0]) + CLEAR or held_out(row) <= held_out(rows[0])]


def weighed_rows(fit: Content) -> list[Content]:
    """The plausible rows and that of the fit's own form, on which the findings rest whether it is plausible or not."""
    plausible = plausible_rows(fit)
    return [row for row in compared_rows(fit) if row in plausible or row["form"] == fit["form"]]


def criteria(row: Content, best: Content) -> str:
    """AICc above the best and held-out error of a row, in words."""
    aicc = "no AICc" if math.inf in (_aicc(row), _aicc(best)) else f"AICc +{_aicc(row) - _aicc(best):.1f}"
    error = "not held out" if held_out(row) == math.inf else f"held-out error {held_out(row):.3f}"
    return f"{aicc}, {error}"


def parameters(row: Content) -> Array:
    """Natural parameters (1, p) of a fit or of a row of its comparison."""
    return np.array([[_number(row["params"].get(p)) for p in form_by_name(row["form"]).names]])


def held_out(row: Content) -> float:
    """Mean absolute error on the held-out points; infinite where it was not measured."""
    error = (row.get("holdout") or {}).get("mae")
    return math.inf if error is None else float(error)


def _aicc(row: Content) -> float:
    return math.inf if row.get("aicc") is None else float(row["aicc"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


YES, PARTLY, NO = "supported", "supported in part", "not supported"
BY_FORM, UNTESTED = "depends on the form", "not testable"
MODES = ("parity", "corrected")


@dataclass(frozen=True)
class Finding:
    """What one fit, or a pair of fits, says of a claim. support: YES, PARTLY, NO, or None for background."""

    mode: str
    text: str
    support: str | None = None


@dataclass(frozen=True)
class Claim:
    """A claim, what was found, and whether the finding changes with the form of the law.

    rule: how the verdict follows from the numbers. form: what other forms say, None where nothing was compared;
    form_matters: whether a form that describes the data about as well reverses the finding. limits: what the numbers
    can't tell.
    """

    text: str
    rule: str
    findings: Sequence[Finding]
    form: str | None
    form_matters: bool
    limits: str

    @property
    def verdict(self) -> str:
        """One of "supported", "supported in part", "depends on the form", "not supported", "not testable"."""
        judged = common_support([finding.support for finding in self.findings])
        return BY_FORM if judged is not None and self.form_matters else judged or UNTESTED

    def to_dict(self) -> dict[str, Any]:
        """The claim as JSON can hold it."""
        evidence = [{"mode": f.mode, "text": f.text, "support": f.support} for f in self.findings]
        return {
            "claim": self.text,
            "verdict": self.verdict,
            "evidence": evidence,
            "depends_on_form": self.form,
            "rule": self.rule,
            "limits": self.limits,
        }


def common_support(support: Sequence[str | None]) -> str | None:
    """All of one mind: that; else in part. None where nothing was judged."""
    known = {s for s in support if s is not None}
    if not known:
        return None
    return known.pop() if len(known) == 1 else PARTLY


def graded(whole: bool, part: bool) -> str:
    """YES where the whole claim holds, PARTLY where a part of it does, else NO."""
    return YES if whole else PARTLY if part else NO
