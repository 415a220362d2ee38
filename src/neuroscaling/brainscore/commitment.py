"""The layer that stands for a region: chosen from the sweep over a run's candidates, and kept as JSON.

Import after `neuroscaling.brainscore.environment.prepare`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroscaling.models.depths import region_layers
from neuroscaling.regression.selection import choose_in_order, near_ties

ORDER = ("V1", "V2", "V4", "IT")
FORMAT = "commitment/2"
NOTHING_FITTED = (
    "its metric fits nothing on training images and reports on all images, so no images are left to choose on: "
    "the layer stands at a fixed depth"
)


@dataclass(frozen=True)
class Swept:
    """A benchmark's region and the scores (layers, folds) of the candidates, one array for each of its splits."""

    benchmark: str
    region: str
    scores: list[np.ndarray]


def commitments(swept: Sequence[Swept], candidates: list[str], hierarchy: bool) -> dict[str, dict[str, Any]]:
    """For each benchmark: the layer of each split, the commonest of them, all scores, near-ties, and why.

    hierarchy: no region's layer earlier than that of the region before it, split by split; benchmarks with fewer splits
    than others repeat theirs.
    """
    found = {own.benchmark: _best(own) for own in swept if own.scores}
    if hierarchy:
        found = _in_order([own for own in swept if own.scores])
    return {own.benchmark: _content(own, candidates, found.get(own.benchmark)) for own in swept}


def _best(swept: Swept) -> list[int]:
    return [int(np.argmax(scores.mean(1))) for scores in swept.scores]


def _in_order(swept: Sequence[Swept]) -> dict[str, list[int]]:
    """Layers of each split of each benchmark, chosen together; benchmarks of one region share its layer."""
    regions = [region for region in ORDER if any(own.region == region for own in swept)]
    chosen: dict[str, list[int]] = {own.benchmark: [] for own in swept}
    for number in range(max((len(own.scores) for own in swept), default=0)):
        means = [_region_means(swept, region, number) for region in regions]
        layers = dict(zip(regions, choose_in_order(means), strict=True))
        for own in swept:
            if number < len(own.scores):
                chosen[own.benchmark].append(layers[own.region])
    return chosen


def _region_means(swept: Sequence[Swept], region: str, number: int) -> np.ndarray:
    own = [s.scores[number % len(s.scores)].mean(1) for s in swept if s.region == region]
    return np.mean(own, axis=0)


def _content(swept: Swept, candidates: list[str], chosen: list[int] | None) -> dict[str, Any]:
    facts = {"benchmark": swept.benchmark, "region": swept.region, "candidates": candidates}
    if chosen is None:
        layer = region_layers(candidates, [swept.region])[swept.region]
        return facts | {"layer": layer, "layers": [layer], "scores": [], "near_ties": {}, "why": NOTHING_FITTED}
    layers = [candidates[i] for i in chosen]
    ties = Counter(
        tie for scores, i in zip(swept.scores, chosen, strict=True) for tie in near_ties(candidates, scores, i)
    )
    return facts | {
        "layer": Counter(layers).most_common(1)[0][0],
        "layers": layers,
        "scores": [scores.mean(1).tolist() for scores in swept.scores],
        "near_ties": dict(ties.most_common()),
        "why": None,
    }
