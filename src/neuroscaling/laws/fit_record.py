"""The typed record of a finished fit: its points, its forms, its flags, its resamples; with a law or without one.

A fit that the data do not allow is a record too, a `FitRecord` with its status and its reason. A fit with a law is a
`FinishedLaw` (`finished_law`). `study_fit` writes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from neuroscaling.core.score_scales import LOSS
from neuroscaling.laws.curves import Band, Curve, Numbers
from neuroscaling.laws.forms import form_by_name
from neuroscaling.laws.parametrisation import Form

Array = NDArray[np.float64]
FITTED, NOT_TESTABLE = "fitted", "not testable"


def _nan_where_null(value: Any) -> Any:
    """JSON has null for a number that is not finite."""
    return float("nan") if value is None else value


def _one_or_two(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_nan_where_null)]
Interval = tuple[Number, Number]


class Record(BaseModel):
    """A part of the record of a fit. Keys that no reader needs are left in the file."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, arbitrary_types_allowed=True)


class Holdout(Record):
    """The error on the points that were held out; `mae` is None where the rest could not be fitted."""

    rule: str | dict[str, int] = ""
    n_held_out: int = 0
    mae: float | None = None


class ComparedForm(Record):
    """A form of law that was fitted to the same points; `reason` where it could not be fitted."""

    form: str
    expression: str | None = None
    params: dict[str, Number] = {}
    aicc: float | None = None
    delta_aicc: float | None = None
    holdout: Holdout | None = None
    curve: Curve | None = None
    beyond: Curve | None = None
    reason: str | None = None

    @property
    def is_chain(self) -> bool:
        """Whether this is a chain of two forms through a middle quantity, which its curves alone describe here."""
        return ", " in self.form

    @property
    def parameters(self) -> Array:
        """The natural parameters (1, p); a chain has none of one form."""
        return np.array([[self.params.get(name, float("nan")) for name in form_by_name(self.form).names]])

    @property
    def held_out_error(self) -> float | None:
        """Mean absolute error on the held-out points; None where it was not measured."""
        return None if self.holdout is None else self.holdout.mae


class Flag(Record):
    """Whether the data identify a parameter, and why not."""

    identified: bool
    reasons: list[str] = []


class Resampling(Record):
    """The bootstraps of a fit: how many, of what (`points`, `clusters` or `hierarchy`), and from which seed."""

    n: int
    of: str
    seed: int


class Cost(Record):
    """The measured cost of a run, C = factor (N D)^exponent in units of the scales."""

    exponent: float
    factor: float


class Exponent(Record):
    """The exponent in compute of the best N or D, with its 95 % interval."""

    value: float
    ci95: Interval | None = None


class BestSizes(Record):
    """The best N and D and their score at each compute (q,)."""

    compute: Numbers
    n_params: Band
    n_samples_seen: Band
    score: Band

    def curve(self, what: str) -> Curve:
        """`n_params`, `n_samples_seen` or `score` as a curve over compute."""
        band: Band = getattr(self, what)
        return Curve(x=self.compute, **{name: getattr(band, name) for name in Band.model_fields})


class Allocation(Record):
    """The compute-optimal sizes of a law of model and data size."""

    cost: Cost
    exponents: dict[str, Exponent]
    curve: BestSizes


class Points(Record):
    """The points that a fit rests on. x (n,) or (n, 2), y (n,); the facts of each point are empty where unknown."""

    x: Numbers = Field(default_factory=lambda: np.empty(0))
    y: Numbers = Field(default_factory=lambda: np.empty(0))
    arch: list[str | None] = []
    arch_family: list[str | None] = []
    dataset: list[str | None] = []
    samples_per_class: list[float | None] = []
    subject: list[str | None] = []
    run: list[str | None] = []
    n_params: Numbers = Field(default_factory=lambda: np.empty(0))
    n_samples_seen: Numbers = Field(default_factory=lambda: np.empty(0))
    total_flops: Numbers = Field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def columns(self) -> Array:
        """x with one column a variable (n, v)."""
        return self.x if self.x.ndim == 2 else self.x[:, None]


@dataclass(frozen=True)
class Resamples:
    """The k bootstraps of a fit: natural parameters (k, p), some infinite, and the measured cost (k, 2) where known."""

    params: Array
    costs: Array | None = None

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """The resamples (k,) whose parameters are all finite."""
        return np.asarray(np.isfinite(self.params).all(axis=1))


class FitRecord(Record):
    """A finished fit, with a law (`FinishedLaw`) or without one.

    name: of the fit; fit: of its entry in the fits file; title, caption, by: what that entry calls its laws, says of
    them, and by which columns' values it tells them apart (`worded`); variables: columns on the x axis; filters: of the
    rows; dropped: counts of points that were left out, by reason.
    """

    name: str
    fit: str
    title: str = ""
    caption: str = ""
    by: tuple[str, ...] = ()
    mode: str
    variables: Annotated[tuple[str, ...], BeforeValidator(_one_or_two)] = Field(alias="x")
    y: str
    filters: dict[str, Any] = {}
    form_name: str = Field(alias="form")
    status: str
    reason: str = ""
    simulated: bool = False
    data: list[str] = []
    scale: str | None = None
    dropped: dict[str, int] = {}
    points: Points = Points()

    @property
    def quantity(self) -> str:
        """What the law describes, in a word: its column, or `loss` where the column's numbers are losses."""
        return LOSS if self.y == "score" and self.scale == LOSS else self.y

    def worded(self, laws: Mapping[str, Mapping[str, Any]]) -> Self:
        """The fit with the words of its entry, which the study has and the file of the fit has not: title, caption, by.

        laws: by entry; as it is where its entry is not among them.
        """
        words = laws.get(self.fit)
        if words is None:
            return self
        return self.model_copy(update={key: words[key] for key in ("title", "caption")} | {"by": tuple(words["by"])})

    @property
    def form(self) -> Form:
        """The form of the law. Raises DataError for a form that this version does not have."""
        return form_by_name(self.form_name)
