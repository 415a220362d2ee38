"""A curve of a finished law is read with its bands, cut, and taken at a point."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PlainValidator

Array = NDArray[np.float64]


def numbers(values: Any) -> Array:
    """`values` as float64; null is NaN, as JSON has it for a number that is not finite."""
    return np.array(values, dtype=np.float64)


Numbers = Annotated[Array, PlainValidator(numbers)]
NOTHING = np.empty(0)


class Band(BaseModel):
    """Values (q,) of a fit and the percentiles of its resamples; these are empty where they were not taken."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, arbitrary_types_allowed=True)

    fit: Numbers
    low95: Numbers = Field(NOTHING, alias="p2.5")
    low70: Numbers = Field(NOTHING, alias="p15")
    high70: Numbers = Field(NOTHING, alias="p85")
    high95: Numbers = Field(NOTHING, alias="p97.5")

    def band(self, percent: int = 95) -> tuple[Array, Array]:
        """The lower and upper end (q,) of the pointwise interval of 95 or 70 percent."""
        return (self.low70, self.high70) if percent == 70 else (self.low95, self.high95)


class Curve(Band):
    """A law at x (q,), ascending."""

    x: Numbers

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest x."""
        return float(self.x[0]), float(self.x[-1])

    def at(self, x: float) -> float:
        """The law at x, interpolated in log x."""
        return self._along(self.fit, x)

    def interval_at(self, x: float) -> tuple[float, float]:
        """The 95 % interval at x, interpolated in log x."""
        return self._along(self.low95, x), self._along(self.high95, x)

    def where(self, kept: NDArray[np.bool_]) -> Curve:
        """The curve at those of its x (q,) that are `kept`."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        return Curve(**{name: part[kept] if part.size else part for name, part in parts.items()})

    def up_to(self, factor: float) -> Curve:
        """The part of the curve up to `factor` times its first x; nothing for a factor of 1 and below."""
        if factor <= 1 or not self.x.size:
            return self.where(np.zeros(self.x.size, dtype=bool))
        return self.where(self.x <= factor * self.x[0] * (1 + 1e-9))

    def _along(self, values: Array, x: float) -> float:
        return float(np.interp(np.log(x), np.log(self.x), values))
