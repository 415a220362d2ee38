"""A network's page within the report shows its training curve, its layers and its settings; here is what it needs.

Settings that many networks share stand once: recipes, and what the runs were made with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroscaling.core.commitments import Commitment, read_commitment
from neuroscaling.core.records import HISTORY_FILE, RunRecord
from neuroscaling.core.table_files import read_parquet
from neuroscaling.report.page_content import rounded

DIGITS = 4
CURVES = ("train_loss", "val_loss", "val_accuracy")
MOST_POINTS = 30
"""Of a curve on the page: its first, its last, and some between them."""
OWN = ("subset", "subset_seed", "fingerprint", "start", "n_classes", "n_epochs", "weights_sha256", "problem")
"""What a run's record tells of it alone, besides what the leaderboard has."""
MADE_WITH = ("device", "git", "versions")
"""Of a run's provenance, what many runs share. The name of the machine is no reader's business."""


@dataclass(frozen=True)
class NetworkPage:
    """One network. curves: by measure, epochs and values; own: settings of its own; recipe, network: those of its
    training and its architecture; made: what it was made with; seconds: what its making took."""

    curves: Mapping[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] | None = None
    network: Mapping[str, Any] | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None


def network_page(record: RunRecord, folder: str | Path) -> NetworkPage:
    """The page of the run that `record` tells of, in `folder`. Raises DataError for a damaged history."""
    content, definition = record.content(), record.definition or {}
    return NetworkPage(
        curves=read_curves(Path(folder) / HISTORY_FILE),
        own={key: content[key] for key in OWN if content.get(key) not in (None, "", [])},
        recipe=_stated(record.recipe),
        network=_stated(definition.get("network") or record.training),
        made={key: record.provenance[key] for key in MADE_WITH if record.provenance.get(key)},
        seconds=record.seconds,
    )


def _stated(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Settings without those that are off."""
    return None if settings is None else {key: value for key, value in settings.items() if value not in (None, {}, [])}


def read_curves(path: str | Path) -> dict[str, tuple[list[int], list[float]]]:
    """Loss and accuracy by epoch of a history, each thinned to `MOST_POINTS`; empty where nothing was trained.

    Raises DataError for a file that can't be read.
    """
    if not Path(path).is_file():
        return {}
    rows = read_parquet(path, ["epoch", *CURVES]).to_pylist()
    found = {}
    for name in CURVES:
        known = [(int(row["epoch"]), rounded(row[name], DIGITS)) for row in rows if _is_number(row[name])]
        if known:
            epochs, values = zip(*thinned(known), strict=True)
            found[name] = (list(epochs), list(values))
    return found


def _is_number(value: float | None) -> bool:
    return value is not None and abs(value) < float("inf")


def thinned(points: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """At most `most` of `points`, evenly spaced, with the first and the last."""
    if len(points) <= most:
        return list(points)
    last = len(points) - 1
    return [points[round(i * last / (most - 1))] for i in range(most)]


def read_layer_choices(paths: Iterable[str | Path]) -> list[Commitment]:
    """The choices of layers among `paths` that are there and compared layers by their scores."""
    found = [read_commitment(path) for path in paths if Path(path).is_file()]
    return [choice for choice in found if choice.scores]


def pages_content(pages: Mapping[str, NetworkPage], choices: Iterable[Commitment] = ()) -> dict[str, Any]:
    """The pages as the data of the report has them; `shared` holds each set of settings once.

    layers: by run, what was chosen on it: benchmark, region, candidates in the network's order, and the mean score of
    each over the splits.
    """
    shared: dict[str, int] = {}

    def place(settings: Mapping[str, Any] | None) -> int | None:
        return None if not settings else shared.setdefault(json.dumps(settings, sort_keys=True), len(shared))

    runs = {
        name: {
            "curves": page.curves,
            "own": page.own,
            "recipe": place(page.recipe),
            "network": place(page.network),
            "made": place(page.made),
            "seconds": page.seconds,
        }
        for name, page in pages.items()
    }
    layers: dict[str, list[dict[str, Any]]] = {}
    for choice in choices:
        layers.setdefault(choice.run, []).append(_by_layer(choice))
    return {"runs": runs, "shared": [json.loads(text) for text in shared], "layers": layers}


def _by_layer(choice: Commitment) -> dict[str, Any]:
    splits = len(choice.scores)
    means = [sum(values) / splits for values in zip(*choice.scores, strict=True)]
    return {
        "benchmark": choice.benchmark,
        "region": choice.region,
        "layers": choice.candidates,
        "scores": [rounded(value, DIGITS) for value in means],
        "chosen": choice.layer,
    }
