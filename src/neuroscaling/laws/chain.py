"""A chain of two laws gives y by way of a middle quantity: compute -> accuracy -> alignment.

The first law gives the middle quantity as a function of x, the second y as a function of the middle quantity. Both are
fitted to the same points and the same resamples, so that a resample of the chain holds the errors of both and how they
go together. Each law is fitted to its own residuals; the chain's loss is that of its predictions of y, which nothing
was fitted to. Its AICc counts the parameters of both laws, and so judges a chain more strictly than a law that was
fitted to y at once: a chain that is the better one all the same has found what carries y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.laws import comparison
from neuroscaling.laws.bootstrap import LEVELS
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.law_fit import LawFit
from neuroscaling.laws.loss import Loss
from neuroscaling.laws.point_checks import as_float_array

Array = NDArray[np.float64]
CURVE_POINTS = 50
LEAST = 1e-12  # below every middle quantity, which a law may put at 0 or below where it is extrapolated


@dataclass(frozen=True)
class Chain:
    """Two fitted laws of the same points: first, of the middle quantity; second, of y at the middle quantity."""

    first: LawFit
    second: LawFit

    def predict(self, x: Any) -> Array:
        """y (q,) at x (q,)."""
        return self.second.predict(np.maximum(self.first.predict(x), LEAST))

    def band(self, x: Any, levels: tuple[float, ...] = LEVELS) -> Array:
        """Percentiles (len(levels), q) of the resampled chains at x (q,): the errors of both laws together."""
        return np.percentile(self._resampled(x, True, True), levels, axis=0)

    def spread(self, x: Any) -> dict[str, Array]:
        """Standard deviation (q,) over the resamples at x (q,): of the chain, and with one law alone resampled."""
        steps = {"both": (True, True), "first": (True, False), "second": (False, True)}
        return {name: self._resampled(x, *which).std(axis=0) for name, which in steps.items()}

    def curve(self, low: float, high: float) -> dict[str, list[float]]:
        """The chain, its bands and its spread (`spread_both` and so on) from x = low to high, evenly in ln x."""
        x = np.geomspace(low, high, CURVE_POINTS)
        columns = {"x": x, "fit": self.predict(x)}
        columns |= {f"p{level:g}": values for level, values in zip(LEVELS, self.band(x), strict=True)}
        columns |= {f"spread_{name}": values for name, values in self.spread(x).items()}
        return {name: values.tolist() for name, values in columns.items()}

    @property
    def parameters(self) -> dict[str, float]:
        """Natural parameters of both laws, as `first.E` and `second.a`."""
        laws = (("first", self.first), ("second", self.second))
        return {f"{step}.{name}": value for step, law in laws for name, value in law.params.items()}

    def loss(self, measure: Loss) -> float:
        """The loss of the chain's predictions of the points, summed; infinite where one has no place in the loss."""
        with np.errstate(all="ignore"):
            residuals = measure.target(self.predict(self.first.x)) - measure.target(self.second.y)
        return float(measure.values(residuals)[0].sum()) if np.isfinite(residuals).all() else float("inf")

    def aicc(self, measure: Loss) -> float | None:
        """Akaike's criterion of the chain as a law of y, with the parameters of both laws; None where they are many."""
        total, n = self.loss(measure), len(self.second.y)
        count = len(self.first.params) + len(self.second.params)
        return comparison.aicc(measure, total, n, count, self.second.units) if np.isfinite(total) else None

    def _resampled(self, x: Any, first: bool, second: bool) -> Array:
        """y (k, q) of the resamples, in which the laws that are not resampled keep their fit."""
        x = np.atleast_1d(as_float_array(x))
        k = len(self.first.resampled)
        middle = self.first.curves(x) if first else np.tile(self.first.predict(x), (k, 1))
        middle = np.maximum(middle, LEAST)
        if not second:
            return self.second.predict(middle.ravel()).reshape(middle.shape)
        return np.stack([self.second.values(self.second.resampled[i : i + 1], middle[i])[0] for i in range(k)])


def fit_chain(
    x: Any,
    middle: Any,
    y: Any,
    forms: tuple[str, str] = ("power_law", "linear"),
    *,
    x_scale: float | None = None,
    bootstraps: int = 200,
    clusters: Sequence[object] | None = None,
    hierarchy: Sequence[Sequence[object]] | None = None,
    seed: int = 42,
    mode: str = "corrected",
) -> Chain:
    """Fit `middle` (n,) as a law of x (n,), and y (n,) as a law of `middle`, each under its form's own loss.

    Everything else is as in `laws.fitting.fit`, which raises DataError and NotTestable for points that no law can be
    fitted to. Raises DataError for lengths that differ.
    """
    columns = [as_float_array(values) for values in (x, middle, y)]
    if len({len(values) for values in columns}) > 1:
        found = ", ".join(str(len(values)) for values in columns)
        raise DataError(Problem(what="a chain needs x, middle and y of each point", where="chain", value=found))
    same: dict[str, Any] = {
        "bootstraps": bootstraps, "clusters": clusters, "hierarchy": hierarchy, "seed": seed, "mode": mode,
    }  # fmt: skip
    first = fit(columns[0], columns[1], form=forms[0], x_scale=x_scale, **same)
    second = fit(columns[1], columns[2], form=forms[1], x_scale=1.0, **same)
    return Chain(first, second)
