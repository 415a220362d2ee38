"""What a benchmark can tell: which differences between networks stand out of the noise of its scores.

Signal and noise as of Heineman and others 2025: the spread between networks, over that between seeds of one network,
over the scores of late checkpoints, and over the benchmark's own error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist
from typing import Any

import numpy as np

from neuroscaling.laws.decision_accuracy import Decision, decisions, seed_noise
from neuroscaling.laws.network_scores import BenchmarkScores

SIGNIFICANCE, POWER = 0.05, 0.8
SEEN = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2) + NormalDist().inv_cdf(POWER)
"""Standard errors that a difference needs to be seen at the 5 % level in four of five repetitions."""


@dataclass(frozen=True)
class BenchmarkResolution:
    """Signal, noise and decisions of one benchmark.

    key, benchmark: which one; scale: the largest; networks: that the spread is of: those with two seeds or more at that
    scale, where a group has two of them, else all; seeds: mean number of them; spread: standard deviation (n - 1)
    between the networks' means; noise: pooled standard deviation (n - 1) between seeds of a network; late_noise: that
    of the last checkpoints of a training, pooled over `late_trainings` of them, at any scale; late_about_line: the same
    about a straight line over them, without what the score drifts; error: root mean square of the scores' own errors.
    None where the table doesn't tell.
    """

    key: dict[str, Any]
    benchmark: str
    simulated: bool
    scale: str
    networks: int
    seeds: float
    spread: float | None
    noise: float | None
    late_noise: float | None
    error: float | None
    decisions: list[Decision]
    late_about_line: float | None = None
    late_trainings: int = 0

    @property
    def spread_over_seeds(self) -> float | None:
        """Spread between networks over that between seeds."""
        return _ratio(self.spread, self.noise)

    @property
    def spread_over_late(self) -> float | None:
        """Spread between networks over that between late checkpoints of one training."""
        return _ratio(self.spread, self.late_noise)

    @property
    def spread_over_error(self) -> float | None:
        """Spread between networks over the scores' own error."""
        return _ratio(self.spread, self.error)

    @property
    def weight(self) -> float:
        """Share of the variance between single runs that networks make, from 0 to 1; 1 where noise is not known.

        It is the reliability of one score: the spread less what noise adds to it, over that and the noise of one run.
        """
        noise = self.noise or self.late_noise or self.error
        if not noise or self.spread is None:
            return 1.0
        true = max(self.spread**2 - noise**2 / max(self.seeds, 1.0), 0.0)
        return true / (true + noise**2)

    def smallest_difference(self, seeds: float = 1.0) -> float | None:
        """Difference between two networks, each with `seeds` seeds, that is seen at 5 % in 80 % of repetitions."""
        noise = self.noise or self.late_noise
        return None if not noise else SEEN * noise * (2.0 / seeds) ** 0.5

    def seeds_for(self, difference: float) -> int | None:
        """Seeds of each of two networks by which a difference above 0 is seen; None where noise is not known."""
        noise = self.noise or self.late_noise
        return max(ceil(2.0 * (SEEN * noise / difference) ** 2 - 1e-9), 1) if noise else None


def resolutions(benchmarks: Sequence[BenchmarkScores]) -> list[BenchmarkResolution]:
    """What each benchmark can tell, in the order given."""
    return [_resolution(scores) for scores in benchmarks]


def _resolution(scores: BenchmarkScores) -> BenchmarkResolution:
    cells = scores.cells.xs(scores.largest, level="scale")
    errors = scores.rows["error"].dropna().to_numpy()
    late = scores.late[np.isfinite(scores.late).all(axis=1)]
    return BenchmarkResolution(
        key=scores.key,
        benchmark=scores.name,
        simulated=scores.simulated,
        scale=scores.largest,
        networks=len(cells),
        seeds=float(cells["seeds"].mean()),
        spread=float(cells["mean"].std(ddof=1)) if len(cells) > 1 else None,
        noise=seed_noise(scores).get(scores.largest),
        late_noise=_root_mean_square(late[:, 0]),
        error=_root_mean_square(errors),
        decisions=decisions(scores),
        late_about_line=_root_mean_square(late[:, 1]),
        late_trainings=len(late),
    )


def _root_mean_square(values: np.ndarray) -> float | None:
    return float(np.sqrt(np.mean(values**2))) if len(values) else None


def _ratio(spread: float | None, noise: float | None) -> float | None:
    return spread / noise if noise and spread is not None else None


def mapping_images_for(
    found: Sequence[BenchmarkResolution], difference: float, seeds: float = 1.0
) -> dict[str, float | None]:
    """The fewest mapping images of each benchmark by which `difference` between two networks is seen.

    found: resolutions, of several numbers of mapping images where they were scored (`n_mapping`); None where no number
    that was scored is enough.
    """
    answers: dict[str, float | None] = {}
    for own in sorted(found, key=lambda own: own.key.get("n_mapping") or 0):
        smallest, images = own.smallest_difference(seeds), own.key.get("n_mapping")
        answers.setdefault(own.benchmark, None)
        if answers[own.benchmark] is None and smallest is not None and images and smallest <= difference:
            answers[own.benchmark] = images
    return answers
