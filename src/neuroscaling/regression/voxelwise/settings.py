"""How ridge is fitted: plain numbers and names, so that a study file can be read without torch."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

SCORES = ("r2", "r")
SCALES = ("standardise", "centre")
ENGINES = ("exact", "himalaya")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class RidgeSettings:
    """Settings of `fit_sizes`.

    alphas: penalties, ascending; relative: whether they are in units of trace(X'X) / n of the centred (and scaled)
    mapping rows of each size; score: mean over folds of R^2 or Pearson r, by which each target chooses its penalty
    (the first among equals); scale: features centred, or also divided by the standard deviation (ddof 0) of the
    mapping rows of that size (constant features become 0); intercept: fitted without penalty in every training set,
    or, if False, none, with features centred once on all mapping rows of the size and targets as they are;
    engine: "exact" or "himalaya"; memory_mb: megabytes (10^6 bytes) for all that is held beside the features;
    device: torch's name of it, None for CUDA where there is one; dtype: of the products with targets (factors of
    matrices are always float64).
    """

    alphas: tuple[float, ...]
    relative: bool = True
    score: Literal["r2", "r"] = "r2"
    scale: Literal["standardise", "centre"] = "standardise"
    intercept: bool = True
    engine: Literal["exact", "himalaya"] = "exact"
    memory_mb: int = 2000
    device: str | None = None
    dtype: Literal["float32", "float64"] = "float32"

    def problems(self) -> list[str]:
        """Everything wrong with these settings, a sentence each."""
        found = []
        if not self.alphas:
            found.append("alphas: empty, ridge needs at least one penalty")
        faulty = [alpha for alpha in self.alphas if not isfinite(alpha) or alpha < 0]
        if faulty:
            found.append(f"alphas: {faulty[0]} is not a penalty: they are finite and not below 0")
        elif any(low >= high for low, high in zip(self.alphas, self.alphas[1:], strict=False)):
            found.append("alphas: must ascend, each once")
        if self.engine == "himalaya" and 0 in self.alphas:
            found.append("alphas: himalaya takes no penalty of 0")
        for name, allowed in (("score", SCORES), ("scale", SCALES), ("engine", ENGINES), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                found.append(f"{name}: {getattr(self, name)!r} is not one of {', '.join(allowed)}")
        if self.memory_mb <= 0:
            found.append(f"memory_mb: {self.memory_mb} is not above 0")
        return found

    def check(self) -> None:
        """Raise ValueError with everything that `problems` finds."""
        found = self.problems()
        if found:
            raise ValueError("; ".join(found))
