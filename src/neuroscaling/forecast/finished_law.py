"""A finished law is read back from its files, with its resamples and its points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.laws.forms import form_by_name
from neuroscaling.laws.parametrisation import Form

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]
COST_COLUMNS = ("cost_exponent", "cost_factor")


@dataclass(frozen=True)
class FinishedLaw:
    """A law of v variables with p parameters, fitted to n points.

    params (1, p), samples (k, p): natural parameters of the fit and of its usable resamples; dropped: resamples with a
    parameter that is not finite. x (n, v), observed (n,): the points. inverted: whether power laws and logarithmic
    losses take 1 - y, as usual, or y itself. cost (1, 2), costs (k, 2): exponent and factor of the measured cost, None
    where not known.
    """

    name: str
    mode: str
    form: Form
    variables: tuple[str, ...]
    scales: Array
    y: str
    inverted: bool
    loss: str
    params: Array
    samples: Array
    dropped: int
    x: Array = field(repr=False)
    observed: Array = field(repr=False)
    cost: Array | None = field(repr=False)
    costs: Array | None = field(repr=False)
    fit: dict[str, Any] = field(repr=False)

    def predict(self, params: Array, x: Any) -> Array:
        """y of the law for params (..., p) at x (..., v), broadcast against each other."""
        points = np.asarray(x, dtype=np.float64) / self.scales
        shape = np.broadcast_shapes(points.shape[:-1], params.shape[:-1])
        points = np.broadcast_to(points, (*shape, len(self.variables)))
        columns = [np.broadcast_to(params[..., j], shape).T for j in range(params.shape[-1])]
        with np.errstate(all="ignore"):
            curve = self.form.curve(points if len(self.variables) > 1 else points[..., 0].T, *columns).T
        return 1.0 - curve if self.falls else curve

    @property
    def falls(self) -> bool:
        """Whether this is a power law of y itself, such as a loss, of which less is better."""
        return self.form.space == "misalignment" and not self.inverted

    @property
    def highest(self) -> float:
        """What no y of this law can reach: 1 for a power law of 1 - y."""
        return 1.0 if self.form.space == "misalignment" and self.inverted else float("inf")

    @property
    def simulated(self) -> bool:
        """Whether scores of a simulated brain are among the points."""
        return bool(self.fit.get("simulated"))

    @property
    def has_saturation(self) -> bool:
        """Whether the form ends in an asymptote and the fit reports one."""
        return self.form.asymptote is not None and self.fit.get("saturation") is not None

    @property
    def doubts(self) -> list[str]:
        """Why the asymptote is not identified; empty where it is, or where the form has none."""
        if self.form.asymptote is None:
            return []
        flag = (self.fit.get("identified") or {}).get(self.form.asymptote) or {}
        reasons = [self.fit.get("saturation_statement"), *(flag.get("reasons") or [])]
        return list(dict.fromkeys(str(reason) for reason in reasons if reason))


def read_law(fit: dict[str, Any], bootstraps: pd.DataFrame) -> FinishedLaw:
    """The law in the content of `<fit>.json` and of `<fit>.bootstraps.parquet`.

    Raises DataError for a fit that was not testable, for files that do not belong together or that lack a field, and
    where no resample is usable.
    """
    name = str(fit.get("name", "the fit"))
    if fit.get("status") != "fitted":
        reason = str(fit.get("reason", "the file has no status"))
        raise DataError(
            Problem(what="this fit has no law", where=name, value=reason, allowed="a fit with the status `fitted`")
        )
    _require(fit, ("form", "x", "x_scale", "y", "params", "points"), name)
    form = form_by_name(fit["form"])
    variables = (fit["x"],) if isinstance(fit["x"], str) else tuple(fit["x"])
    params = np.array([[_number(fit["params"], parameter, name) for parameter in form.names]])
    samples, usable = _samples(bootstraps, form, name)
    x, observed = _points(fit, variables, name)
    cost = _cost(fit)
    return FinishedLaw(
        name=name,
        mode=str(fit.get("mode", "corrected")),
        form=form,
        variables=variables,
        scales=np.atleast_1d(np.asarray(fit["x_scale"], dtype=np.float64)),
        y=fit["y"],
        inverted=bool(fit.get("invert_y", True)),
        loss=str(fit.get("loss_name") or form.loss),
        params=params,
        samples=samples[usable],
        dropped=int((~usable).sum()),
        x=x,
        observed=observed,
        cost=cost,
        costs=_costs(fit, bootstraps, usable, cost),
        fit=fit,
    )


def _require(fit: dict[str, Any], keys: tuple[str, ...], name: str) -> None:
    missing = [key for key in keys if fit.get(key) is None]
    if missing:
        fix = "make the fit again with this version"
        raise DataError([Problem(what="the fit has no such field", where=f"{name}, {key}", fix=fix) for key in missing])


def _number(params: dict[str, Any], parameter: str, name: str) -> float:
    """A parameter of the fit itself; JSON has null for one that is not finite."""
    if params.get(parameter) is None:
        fix = "use another form, or the corrected mode of this fit"
        raise DataError(
            Problem(what="the parameter has no finite value", where=f"{name}, params, {parameter}", fix=fix)
        )
    return float(params[parameter])


def _samples(bootstraps: pd.DataFrame, form: Form, name: str) -> tuple[Array, NDArray[np.bool_]]:
    have = [str(column) for column in bootstraps.columns]
    missing = [parameter for parameter in form.names if parameter not in have]
    if missing:
        where, fix = f"bootstraps of {name}", "take the parquet file that was written with this fit"
        raise DataError(
            [
                Problem(what=f"no column {m}", where=where, value=listing(have), nearest=nearest(m, have), fix=fix)
                for m in missing
            ]
        )
    samples = bootstraps[form.names].to_numpy(dtype=np.float64)
    usable = np.isfinite(samples).all(1)
    if not usable.any():
        raise DataError(
            Problem(what="no resample has finite parameters", where=f"bootstraps of {name}", value=len(samples))
        )
    return samples, usable


def _points(fit: dict[str, Any], variables: tuple[str, ...], name: str) -> tuple[Array, Array]:
    columns = ("x",) if len(variables) == 1 else variables
    _require(fit["points"], (*columns, "y"), f"{name}, points")
    x = np.array([fit["points"][column] for column in columns], dtype=np.float64).T
    return x, np.array(fit["points"]["y"], dtype=np.float64)


def _cost(fit: dict[str, Any]) -> Array | None:
    known = (fit.get("allocation") or {}).get("cost")
    return None if known is None else np.array([[known["exponent"], known["factor"]]], dtype=np.float64)


def _costs(
    fit: dict[str, Any], bootstraps: pd.DataFrame, usable: NDArray[np.bool_], cost: Array | None
) -> Array | None:
    """Cost of each usable resample; parity holds that of the fit fixed, so its file may have no columns for it."""
    if set(COST_COLUMNS) <= set(bootstraps.columns):
        return bootstraps[list(COST_COLUMNS)].to_numpy(dtype=np.float64)[usable]
    if cost is not None and fit.get("mode") == "parity":
        return np.repeat(cost, int(usable.sum()), axis=0)
    return None
