"""A fit with a law: what it predicts, how sure it is, and the one function that reads it from its file.

The figures, the forecasts and the reproductions read finished fits here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, PlainValidator, ValidationError

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import read_object
from neuroscaling.core.table_files import read_parquet_frame
from neuroscaling.laws.curves import Curve
from neuroscaling.laws.fit_record import (
    FITTED,
    Allocation,
    Array,
    ComparedForm,
    FitRecord,
    Flag,
    Holdout,
    Interval,
    Number,
    Resamples,
    Resampling,
)
from neuroscaling.laws.parametrisation import Form

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "fit/2"
COST_COLUMNS = ("cost_exponent", "cost_factor")
AGAIN = "make the fit again with this version"


def _scales(value: Any) -> Array:
    return np.atleast_1d(np.asarray(value, dtype=np.float64))


class FinishedLaw(FitRecord):
    """A fitted law of v variables with p parameters.

    scales (v,): units of x in the natural form; loss: its name; loss_value: what it reached; params, ci95, flags,
    meanings: by parameter. saturation: y for infinite x, None where the form has no asymptote or the data show none,
    for which `saturation_statement` gives the reason. curve, beyond: the law over its data and beyond them, None for
    several variables. compared: the forms, best first, empty where one form was fitted. resamples: None where their
    file was not read.
    """

    expression: str
    scales: Annotated[Array, PlainValidator(_scales)] = Field(alias="x_scale")
    n: int
    loss: str = Field(alias="loss_name")
    loss_value: float | None = Field(None, alias="loss")
    params: dict[str, Number]
    ci95: dict[str, Interval]
    meanings: dict[str, str] = Field(alias="parameters")
    flags: dict[str, Flag] = Field(alias="identified")
    saturation: float | None
    saturation_ci95: Interval | None
    saturation_statement: str | None
    notes: list[str]
    curve: Curve | None
    beyond: Curve | None
    aicc: float | None
    holdout: Holdout | None
    compared: list[ComparedForm]
    allocation: Allocation | None
    inverted: bool = Field(alias="invert_y")
    bootstraps: Resampling
    resamples: Resamples | None = None

    @property
    def line(self) -> Curve:
        """The curve of a law of one variable. Raises DataError for a law of several, which has none."""
        if self.curve is None:
            raise DataError(
                Problem(what="a law of several variables has no curve", where=self.name, value=self.form_name)
            )
        return self.curve

    @property
    def fitted(self) -> Array:
        """The natural parameters of the fit itself (1, p); NaN where one is not finite."""
        return np.array([[self.params[name] for name in self.form.names]])

    @property
    def rows(self) -> Array:
        """The natural parameters of the fit, then of all its resamples (1 + k, p)."""
        return self.fitted if self.resamples is None else np.concatenate([self.fitted, self.resamples.params])

    @property
    def samples(self) -> Array:
        """The natural parameters of the resamples in which all are finite."""
        return self.fitted[:0] if self.resamples is None else self.resamples.params[self.resamples.usable]

    @property
    def dropped_resamples(self) -> int:
        """How many resamples have a parameter that is not finite."""
        return 0 if self.resamples is None else int((~self.resamples.usable).sum())

    @property
    def cost(self) -> Array | None:
        """Exponent and factor of the measured cost (1, 2), None where not known."""
        known = self.allocation
        return None if known is None else np.array([[known.cost.exponent, known.cost.factor]])

    @property
    def costs(self) -> Array | None:
        """The measured cost of each usable resample; parity holds that of the fit fixed."""
        if self.resamples is None:
            return None
        if self.resamples.costs is not None:
            return self.resamples.costs[self.resamples.usable]
        return None if self.cost is None or self.mode != "parity" else np.repeat(self.cost, len(self.samples), axis=0)

    @property
    def falls(self) -> bool:
        """Whether this is a power law of y itself, such as a loss, of which less is better."""
        return self._falls_by(self.form)

    def _falls_by(self, form: Form) -> bool:
        return form.space == "misalignment" and not self.inverted

    @property
    def highest(self) -> float:
        """What no y of this law can reach: 1 for a power law of 1 - y."""
        return 1.0 if self.form.space == "misalignment" and self.inverted else float("inf")

    @property
    def has_saturation(self) -> bool:
        """Whether the form ends in an asymptote and the fit reports one."""
        return self.form.asymptote is not None and self.saturation is not None

    @property
    def asymptote_identified(self) -> bool:
        """Whether the data identify the asymptote of the law. True for a form that has none."""
        if self.form.asymptote is None:
            return True
        return self.identifies(self.form.asymptote) and not self.saturation_statement

    def identifies(self, parameter: str) -> bool:
        """Whether the data identify a parameter; True where the fit was not asked."""
        return parameter not in self.flags or self.flags[parameter].identified

    @property
    def doubts(self) -> list[str]:
        """Why the asymptote is not identified; empty where it is, or where the form has none."""
        if self.form.asymptote is None:
            return []
        flag = self.flags.get(self.form.asymptote)
        reasons = [self.saturation_statement, *(flag.reasons if flag else [])]
        return list(dict.fromkeys(reason for reason in reasons if reason))

    def predict(self, params: Array, x: Any, form: Form | None = None) -> Array:
        """y of the law for params (..., p) at x (..., v), broadcast against each other; or by another form of them."""
        form = form or self.form
        points = np.asarray(x, dtype=np.float64) / self.scales
        shape = np.broadcast_shapes(points.shape[:-1], params.shape[:-1])
        points = np.broadcast_to(points, (*shape, len(self.variables)))
        columns = [np.broadcast_to(params[..., j], shape).T for j in range(params.shape[-1])]
        with np.errstate(all="ignore"):
            curve = form.curve(points if len(self.variables) > 1 else points[..., 0].T, *columns).T
        return 1.0 - curve if self._falls_by(form) else curve


def laws_among(fits: Iterable[FitRecord]) -> list[FinishedLaw]:
    """The fits that have a law."""
    return [fit for fit in fits if isinstance(fit, FinishedLaw)]


def law_called(fits: Mapping[str, FitRecord], name: str) -> FinishedLaw | None:
    """The law called `name`; None where there is no such fit, or where it has no law."""
    fit = fits.get(name)
    return fit if isinstance(fit, FinishedLaw) else None


def require_law(fit: FitRecord) -> FinishedLaw:
    """The law of a fit, for predictions from its parameters and resamples.

    Raises DataError for a fit without a law, for a parameter that is not finite, and where no resample is usable.
    """
    if not isinstance(fit, FinishedLaw):
        allowed = f"a fit with the status `{FITTED}`"
        raise DataError(Problem(what="this fit has no law", where=fit.name, value=fit.reason, allowed=allowed))
    fix = "use another form, or the corrected mode of this fit"
    wrong = [name for name, value in zip(fit.form.names, fit.fitted[0].tolist(), strict=True) if not np.isfinite(value)]
    if wrong:
        what = "the parameter has no finite value"
        raise DataError([Problem(what=what, where=f"{fit.name}, params, {name}", fix=fix) for name in wrong])
    if not len(fit.samples):
        what, found = "no resample has finite parameters", fit.dropped_resamples
        raise DataError(Problem(what=what, where=f"bootstraps of {fit.name}", value=found, fix=AGAIN))
    return fit


def read_fit(path: str | Path) -> FitRecord:
    """The fit in the file at `path`, with the resamples of `<name>.bootstraps.parquet` where that file lies beside it.

    Raises DataError for a file that is missing, of another format or without a field, and for resamples that are not
    those of this fit.
    """
    path = Path(path)
    beside = path.with_name(f"{path.stem}.bootstraps.parquet")
    fit = fit_record(read_object(path), where=str(path))
    return _with_resamples(fit, read_parquet_frame(beside)) if beside.is_file() else fit


def read_fits(paths: Iterable[str | Path]) -> dict[str, FitRecord]:
    """The fits in several files, by name."""
    return {fit.name: fit for fit in map(read_fit, paths)}


def fit_record(content: Mapping[str, Any], bootstraps: pd.DataFrame | None = None, where: str = "") -> FitRecord:
    """The fit in the content of its file, with its resamples. where: the file, for errors. Raises as `read_fit`."""
    where = where or str(content.get("name", "the fit"))
    if content.get("format") != FORMAT:
        problem = "not the file of a fit, or one of another version"
        raise DataError(
            Problem(what=problem, where=f"{where}: format", value=content.get("format"), allowed=FORMAT, fix=AGAIN)
        )
    fitted = content.get("status") == FITTED
    try:
        record = (FinishedLaw if fitted else FitRecord).model_validate(content)
    except ValidationError as error:
        raise DataError([_problem(fault, where) for fault in error.errors()]) from None
    return record if bootstraps is None else _with_resamples(record, bootstraps)


def _with_resamples(fit: FitRecord, bootstraps: pd.DataFrame) -> FitRecord:
    if not isinstance(fit, FinishedLaw) or not len(bootstraps):
        return fit
    return fit.model_copy(update={"resamples": _resamples(bootstraps, fit.form, fit.name)})


def _problem(fault: Any, where: str) -> Problem:
    """One fault of pydantic, in the words of this package."""
    place = ", ".join([where, *map(str, fault["loc"])])
    if fault["type"] == "missing" or fault["input"] is None:
        return Problem(what="the fit has no such field", where=place, fix=AGAIN)
    return Problem(what="the field holds another value than it should", where=place, value=fault["input"], fix=AGAIN)


def _resamples(bootstraps: pd.DataFrame, form: Form, name: str) -> Resamples:
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
    costs = bootstraps[list(COST_COLUMNS)].to_numpy(dtype=np.float64) if set(COST_COLUMNS) <= set(have) else None
    return Resamples(bootstraps[form.names].to_numpy(dtype=np.float64), costs)
