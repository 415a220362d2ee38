"""Fit one law to points: parameters, intervals, curve with band, and what of it the data identify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.laws import compare, identify, solver
from neuroscaling.laws.bootstrap import LEVELS, interval, resample_weights
from neuroscaling.laws.forms import Form, form_by_name
from neuroscaling.laws.inputs import MODES, NotTestable, checked_points
from neuroscaling.laws.loss import loss_by_name

if TYPE_CHECKING:
    from lmfit.model import ModelResult
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
CURVE_POINTS = 100


@dataclass(frozen=True)
class LawFit:
    """A fitted law. x (n,), y (n,): the points; x_scale: unit of x in the natural form; loss_value: sum over points.

    theta (p,), resampled (k, p): inner parameters of the fit and of its bootstraps; centre: geometric mean of x.
    """

    form: Form
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    x_scale: float
    loss: str
    loss_value: float
    mode: str
    seed: int
    theta: Array = field(repr=False)
    resampled: Array = field(repr=False)
    resampled_loss: Array = field(repr=False)
    centre: float = field(repr=False)
    clustered: bool = False

    @cached_property
    def params(self) -> dict[str, float]:
        """Parameters in the natural form, in units of x / x_scale."""
        return dict(zip(self.form.names, self._natural(self.theta[None])[0].tolist(), strict=True))

    @cached_property
    def samples(self) -> Array:
        """Natural parameters of the bootstraps (k, p); resamples with an infinite one are left out."""
        natural = self._natural(self.resampled)
        return natural[np.isfinite(natural).all(1)]

    @cached_property
    def ci(self) -> dict[str, list[float]]:
        """95 % interval of each parameter, from the bootstraps."""
        return {name: interval(self.samples[:, j]) for j, name in enumerate(self.form.names)}

    @cached_property
    def saturation(self) -> float | None:
        """Score for infinite x; None for a form without asymptote."""
        return None if self.form.asymptote is None else float(self._saturations(self.theta[None])[0])

    @cached_property
    def flags(self) -> dict[str, dict[str, Any]]:
        """Whether each parameter is identified, and why not."""
        flags = identify.parameter_flags(self.form, self.resampled, self._natural(self.resampled))
        if self.form.asymptote:
            ends = self.predict([self.x.min(), self.x.max()])
            reason = identify.asymptote_reason(self._saturations(self.resampled), *ends)
            if reason:
                flag = flags[self.form.asymptote]
                flags[self.form.asymptote] = {"identified": False, "reasons": [*flag["reasons"], reason]}
        return flags

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know before using the law."""
        ends = self._scores(self.resampled, np.array([self.x.min(), self.x.max()]))
        return identify.summary(self.form, self.flags, ends[:, 1] - ends[:, 0], self.x)

    def predict(self, x: Any) -> Array:
        """Scores (q,) that the law gives at x (q,) > 0."""
        return self._scores(self.theta[None], np.atleast_1d(np.asarray(x, dtype=np.float64)))[0]

    def band(self, x: Any) -> Array:
        """2.5, 50 and 97.5 percentiles (3, q) of the bootstraps' curves at x (q,)."""
        return np.percentile(
            self._scores(self.resampled, np.atleast_1d(np.asarray(x, dtype=np.float64))), LEVELS, axis=0
        )

    def curve(self) -> dict[str, list[float]]:
        """The law and its band at 100 points over the range of the data, evenly spaced in log x."""
        x = np.geomspace(self.x.min(), self.x.max(), CURVE_POINTS)
        low, middle, high = self.band(x)
        columns = {"x": x, "fit": self.predict(x), "p2.5": low, "p50": middle, "p97.5": high}
        return {name: values.tolist() for name, values in columns.items()}

    def plot(self, ax: Axes, color: str = "#0072B2", label: str | None = None) -> None:
        """Draw curve and 95 % band over the points on `ax`, x in log scale."""
        curve = self.curve()
        ax.fill_between(curve["x"], curve["p2.5"], curve["p97.5"], color=color, alpha=0.2, linewidth=0)
        ax.plot(curve["x"], curve["fit"], color=color, label=label or self.form.expression)
        ax.plot(self.x, self.y, "o", color=color, markersize=4, alpha=0.7)
        ax.set_xscale("log")

    def least_squares(self) -> ModelResult:
        """lmfit's Model of this law, fitted by least squares to the scores from these parameters, within the bounds.

        For its report, its Parameters and as a check of the robust fit; its errors assume normal residuals, so the
        intervals of this object come from the bootstraps instead.
        """
        from lmfit import Model

        model = Model(self.form.curve, independent_vars=["x"], nan_policy="raise")
        params = model.make_params(**self.params)
        margin = {p.name: p.natural_bounds() for p in self.form.parameters if p.name not in ("A", "k", "x50", "a")}
        for name, (low, high) in margin.items():
            params[name].set(min=low, max=high)
        for name in {"A", "k", "x50"} & set(self.form.names):
            params[name].set(min=0.0)
        return model.fit(self.y, params, x=self.x / self.x_scale)

    def aicc(self) -> float | None:
        """Akaike's criterion with the small-sample term, on the scale of the score."""
        return compare.aicc(self.y, self.predict(self.x), len(self.form.parameters))

    def to_dict(self) -> dict[str, Any]:
        """Everything about the fit that JSON can hold; numbers that are not finite are null."""
        saturation_ci = None if self.saturation is None else interval(self._saturations(self.resampled))
        return finite(
            {
                "form": self.form.name,
                "expression": self.form.expression,
                "parameters": {p.name: p.meaning for p in self.form.parameters},
                "x_scale": self.x_scale,
                "n": len(self.x),
                "loss": {"name": self.loss, "value": self.loss_value},
                "params": self.params,
                "ci95": self.ci,
                "saturation": self.saturation,
                "saturation_ci95": saturation_ci,
                "identified": self.flags,
                "notes": self.notes,
                "curve": self.curve(),
                "aicc": self.aicc(),
                "mode": self.mode,
                "bootstraps": {
                    "n": len(self.resampled),
                    "dropped": len(self.resampled) - len(self.samples),
                    "seed": self.seed,
                    "of": "clusters" if self.clustered else "points",
                },
            }
        )

    def _natural(self, theta: Array) -> Array:
        return self.form.natural(theta, self.x_scale / self.centre)

    def _scores(self, theta: Array, x: Array) -> Array:
        return self.form.score(self.form.inner(theta, np.log(x / self.centre))[0])

    def _saturations(self, theta: Array) -> Array:
        assert self.form.asymptote is not None
        values = self._natural(theta)[:, self.form.names.index(self.form.asymptote)]
        return 1.0 - values if self.form.space == "misalignment" else values


def fit(
    x: Any,
    y: Any,
    *,
    form: str = "power_law",
    x_scale: float | None = None,
    loss: str | None = None,
    bootstraps: int = 200,
    clusters: Sequence[object] | None = None,
    seed: int = 42,
    mode: str = "corrected",
) -> LawFit:
    """Fit the law `form` to scores y (n,) at x (n,).

    x_scale: unit of x in the natural form, by default the power of ten at or below the smallest x. loss: by default the
    form's own. clusters: one label a point; points with equal labels are resampled together. mode: `corrected` keeps
    parameters within the form's bounds; `parity` does not, as published. Raises DataError for impossible points and
    NotTestable for too few; see `inputs.checked_points`.
    """
    if mode not in MODES:
        raise DataError(Problem("unknown mode", "mode", mode, ", ".join(MODES), nearest(mode, MODES)))
    if x_scale is not None and not x_scale > 0:
        raise DataError(Problem("the unit of x must be positive", "x_scale", x_scale, "a number > 0"))
    law = form_by_name(form)
    x, y = checked_points(x, y, law, clusters)
    loss = loss or law.loss
    centre = float(np.exp(np.mean(np.log(x))))
    data = solver.Data(law, np.log(x / centre), law.target(y), loss_by_name(loss))
    bounded = mode == "corrected"
    minima, values = solver.multi_start(data, bounded)
    if not len(minima):
        raise NotTestable(Problem("no starting point led to a finite loss", form, fix="choose another form"))
    weights = resample_weights(len(x), bootstraps, seed, clusters)
    resampled, resampled_loss = _resampled(data, minima, weights, bounded)
    scale = x_scale or 10.0 ** float(np.floor(np.log10(x.min())))
    return LawFit(
        law, x, y, scale, loss, float(values[0]), mode, seed, minima[0], resampled, resampled_loss, centre,
        clusters is not None,
    )  # fmt: skip


def _resampled(data: solver.Data, minima: Array, weights: Array, bounded: bool) -> tuple[Array, Array]:
    if not len(weights):
        return minima[:1].copy(), np.array([np.nan])
    return solver.refit(data, minima, weights, bounded)


def finite(value: Any) -> Any:
    """`value` with every number that is not finite replaced by None, as JSON needs."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
