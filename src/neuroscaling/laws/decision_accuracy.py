"""Decision accuracy: of two networks, does the one that is better with few images stay better with all?

The share of pairs that a small scale ranks as the largest one does is seen where both are there. It is predicted from
the spread between networks at two scales (signal), the spread between seeds (noise), and how much of the order carries
over from scale to scale: for normal scores with correlation rho two networks are ranked alike with the probability
1/2 + arcsin(rho) / pi (Sheppard 1899), where rho = carried / (total at one scale x total at the other).

Two predictions use no score that they are judged by: `in_advance` takes the carry-over to the largest scale from that
to the scale before it; `other_networks` takes it from the networks of other groups, such as another data set. The
ratio of signal to noise alone (Heineman and others 2025) stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.laws.network_scores import BenchmarkScores

if TYPE_CHECKING:
    import pandas as pd

LEAST_NETWORKS = 4
"""Of a group, below which its correlations say nothing."""


@dataclass(frozen=True)
class Decision:
    """How well one scale of a benchmark tells the order of networks at its largest scale.

    pairs: of networks of one group that have both scales; seen: share that both scales rank alike; in_advance,
    other_networks: the predicted shares, None where there is no scale between or no other group; signal, noise:
    standard deviation between networks of a group, and between seeds (None where it is not known), at this scale;
    seeds: mean number of them.
    """

    scale: str
    networks: int
    pairs: int
    seen: float
    in_advance: float | None
    other_networks: float | None
    signal: float
    noise: float | None
    seeds: float

    @property
    def signal_to_noise(self) -> float | None:
        """Spread between networks over that between seeds."""
        return self.signal / self.noise if self.noise else None


def decisions(scores: BenchmarkScores) -> list[Decision]:
    """A decision for each scale but the largest that enough networks share with it, from few images to many."""
    cells = scores.cells
    means = _large_groups(cells["mean"].unstack("scale").reindex(columns=list(scores.scales)))
    noise = seed_noise(scores)
    found = [_decision(scores, means, cells["seeds"].unstack("scale"), noise, scale) for scale in scores.scales[:-1]]
    return [decision for decision in found if decision is not None]


def seed_noise(scores: BenchmarkScores) -> dict[str, float]:
    """Standard deviation between seeds at each scale, pooled over networks (n - 1); scales of single seeds take the
    mean variance of their neighbours. Empty where no network has two seeds."""
    known = scores.cells["variance"].groupby("scale").mean().reindex(list(scores.scales))
    filled = known.interpolate(limit_direction="both").dropna()
    return {str(scale): float(value) ** 0.5 for scale, value in filled.items()}


def ranked_alike(correlation: float) -> float:
    """Probability that two normal scores with this correlation rank a pair of networks alike."""
    return float(0.5 + np.arcsin(np.clip(correlation, -1.0, 1.0)) / np.pi)


def _large_groups(means: pd.DataFrame) -> pd.DataFrame:
    """Means (networks, scales) of the groups that have enough networks."""
    sizes = means.groupby("group").size()
    return means[means.index.get_level_values("group").isin(sizes.index[sizes >= LEAST_NETWORKS])]


def _decision(
    scores: BenchmarkScores, means: pd.DataFrame, seeds: pd.DataFrame, noise: dict[str, float], scale: str
) -> Decision | None:
    both = means[[scale, scores.largest]].dropna()
    both = _large_groups(both)
    if both.empty:
        return None
    alike, pairs = map(
        sum, zip(*(_ranked(own, scale, scores.largest) for _, own in both.groupby("group")), strict=True)
    )
    between = _scales_between(scores, means.loc[both.index], scale)
    rho = _correlation(means.loc[both.index], scale, between[-1]) if between else None
    here = both[scale] - both[scale].groupby("group").transform("mean")
    signal = float(np.sqrt((here**2).sum() / (len(here) - here.groupby("group").ngroups)))
    own_seeds = float(seeds.loc[both.index, scale].mean())
    return Decision(
        scale=scale,
        networks=len(both),
        pairs=pairs,
        seen=alike / pairs,
        in_advance=None if rho is None else ranked_alike(rho),
        other_networks=_by_other_groups(both, scale, scores.largest),
        signal=signal,
        noise=noise.get(scale),
        seeds=own_seeds,
    )


def _scales_between(scores: BenchmarkScores, means: pd.DataFrame, scale: str) -> list[str]:
    """Scales above `scale` and below the largest that enough of the networks have."""
    above = scores.scales[scores.scales.index(scale) + 1 : -1]
    return [one for one in above if means[one].notna().sum() >= LEAST_NETWORKS]


def _ranked(group: pd.DataFrame, one: str, other: str) -> tuple[int, int]:
    """Pairs of a group that both scales rank alike, and all pairs. A tie is not ranked."""
    left, right = np.triu_indices(len(group), 1)
    a, b = group[one].to_numpy(), group[other].to_numpy()
    return int(((a[left] - a[right]) * (b[left] - b[right]) > 0).sum()), len(left)


def _correlation(means: pd.DataFrame, one: str, other: str) -> float | None:
    """Correlation of two scales over networks, within groups; None where too few networks have both."""
    both = _large_groups(means[[one, other]].dropna())
    if both.empty:
        return None
    inside = both - both.groupby("group").transform("mean")
    norm = np.sqrt((inside[one] ** 2).sum() * (inside[other] ** 2).sum())
    return float((inside[one] * inside[other]).sum() / norm) if norm > 0 else None


def _by_other_groups(both: pd.DataFrame, scale: str, largest: str) -> float | None:
    """The share that the networks of all other groups predict, over the pairs of each group."""
    groups = both.index.get_level_values("group")
    shares, pairs = [], []
    for group in dict.fromkeys(groups):
        rho = _correlation(both[groups != group], scale, largest)
        if rho is None:
            return None
        n = int((groups == group).sum())
        shares.append(ranked_alike(rho))
        pairs.append(n * (n - 1) / 2)
    return float(np.average(shares, weights=pairs))


@dataclass(frozen=True)
class Agreement:
    """How a prediction of decision accuracy agrees with what is seen, over benchmarks and scales.

    cells: how many; r: correlation over them, None of fewer than three; mean_error: mean absolute difference, None for
    the ratio of signal to noise, which is no share.
    """

    prediction: str
    cells: int
    r: float | None
    mean_error: float | None


def agreements(found: Sequence[Decision]) -> list[Agreement]:
    """The agreement of each prediction with what is seen, over all decisions that have it."""
    rows = []
    for prediction in ("in_advance", "other_networks", "signal_to_noise"):
        pairs = [(value, one.seen) for one in found if (value := getattr(one, prediction)) is not None]
        predicted, seen = np.array(pairs, dtype=float).reshape(-1, 2).T
        told = len(pairs) > 2 and predicted.std() > 0 and seen.std() > 0
        r = float(np.corrcoef(predicted, seen)[0, 1]) if told else None
        share = prediction != "signal_to_noise" and len(pairs) > 0
        rows.append(Agreement(prediction, len(pairs), r, float(np.abs(predicted - seen).mean()) if share else None))
    return rows
