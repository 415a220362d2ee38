"""The error that a law of a benchmark's scores would have, from n runs, by the delta method.

The law E + A x^-alpha over the number of training images is fitted to all runs of a benchmark. Its parameters then have
the covariance s^2 (J'J)^-1, with J the slopes of ln(1 - score) and s the scatter of the runs about the law, both of
networks and of seeds. Under the Huber loss, which takes medians, it is pi / 2 times that. It shrinks as 1 / n: n runs
are n networks with one seed each, spread over x as those of the table are.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from neuroscaling.laws.fitting import fit
from neuroscaling.laws.law_fit import LawFit
from neuroscaling.laws.network_scores import BenchmarkScores
from neuroscaling.laws.point_checks import NotTestable

FORM = "power_law"
LEAST_X, LEAST_RUNS = 4, 8
RUNS = (10, 30, 100, 300)
LARGEST_CONDITION = 1e12


@dataclass(frozen=True)
class ExpectedError:
    """Standard errors of a law from some numbers of runs.

    runs: in the table; scatter: standard deviation of ln(1 - score) about the law; asymptote: score for many images, as
    the fit has it; of_runs: numbers of runs; of_asymptote, of_largest: the errors of the asymptote and of the law at
    the most images, for each of them.
    """

    runs: int
    scatter: float
    asymptote: float
    of_runs: list[int]
    of_asymptote: list[float]
    of_largest: list[float]


def expected_error(scores: BenchmarkScores, of_runs: tuple[int, ...] = RUNS) -> ExpectedError | None:
    """The errors of the law of one benchmark; None where too few runs, numbers of images or scores below 1 allow it."""
    rows = scores.rows[scores.rows["size"].notna() & np.isfinite(scores.rows["size"]) & (scores.rows["score"] < 1)]
    x, y = rows["size"].to_numpy(dtype=float), rows["score"].to_numpy(dtype=float)
    if len(rows) < LEAST_RUNS or len(np.unique(x)) < LEAST_X:
        return None
    try:
        law = fit(x, y, form=FORM, bootstraps=0)
    except NotTestable:
        return None
    scatter, unit = _scatter(law), _unit_covariance(law)
    if unit is None or law.asymptote is None:
        return None
    slopes = _slopes(law, np.array([x.max()]))[0]
    level, value = law.params["E"], 1.0 - float(law.predict([x.max()])[0])
    relative = scatter * np.sqrt(np.pi / 2 * np.array([unit[0, 0], slopes @ unit @ slopes]))
    errors = [(relative * (level, value) / n**0.5).tolist() for n in of_runs]
    of_asymptote, of_largest = (list(column) for column in zip(*errors, strict=True))
    return ExpectedError(len(rows), scatter, law.asymptote, list(of_runs), of_asymptote, of_largest)


def _slopes(law: LawFit, x: np.ndarray) -> np.ndarray:
    """Slopes (n, p) of ln(1 - score) by the inner parameters (ln E, ln A, alpha)."""
    return np.stack([slope[0] for slope in law.form.inner(law.theta[None], np.log(x / law.centre))[1]], -1)


def _scatter(law: LawFit) -> float:
    """Robust standard deviation of the runs about the law, on the scale of its loss."""
    residuals = np.log1p(-law.y) - np.log1p(-law.predict(law.x))
    return float(np.median(np.abs(residuals))) / NormalDist().inv_cdf(0.75)


def _unit_covariance(law: LawFit) -> np.ndarray | None:
    """n (J'J)^-1 (p, p), the covariance of the parameters for one run of unit scatter; None where it is singular."""
    slopes = _slopes(law, law.x)
    information = slopes.T @ slopes / len(law.x)
    return np.linalg.inv(information) if np.linalg.cond(information) < LARGEST_CONDITION else None
