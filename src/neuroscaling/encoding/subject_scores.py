"""Scores of a subject are rows by region, values by vertex, and accuracy with bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroscaling.activations.layer_encoding import Encoded
from neuroscaling.core.encoding_scores import most_frequent, scale_of
from neuroscaling.core.score_files import ScoreRow
from neuroscaling.encoding.accuracy import MEASURES, accuracy_of
from neuroscaling.encoding.settings import SEED
from neuroscaling.recordings.recording import Recording
from neuroscaling.regression.denominators import unusable

MEAN_CEILING = "the mean ceiling of the region"
KEYS = ("region", "hemisphere", "n_mapping", "draw", "n_vertices", "n_with_ceiling")


@dataclass(frozen=True)
class Evaluated:
    """Fits with what they were evaluated on. rows: of the split; responses (rows, V); ceiling (V,) or None; found and
    correlations (V,): by draw of the mapping images, then by size."""

    rows: np.ndarray
    responses: np.ndarray
    ceiling: np.ndarray | None
    found: list[list[Encoded]]
    correlations: list[list[np.ndarray]]

    @property
    def sizes(self) -> list[int]:
        """Numbers of mapping images."""
        return [one.n_images for one in self.found[0]]

    def correlation(self, size: int) -> np.ndarray:
        """Correlation (V,) with the size-th number of mapping images, mean over draws."""
        return np.mean([draw[size] for draw in self.correlations], axis=0)


def accuracy_table(
    recording: Recording, evaluated: Evaluated, regions: Sequence[str], n_draws: int
) -> dict[str, np.ndarray]:
    """Columns of the accuracy file: each number is the mean over draws of the mapping images."""
    masks = {name: recording.regions[name] for name in regions if name in recording.regions}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    tables = []
    for size, n_images in enumerate(evaluated.sizes):
        parts = [
            accuracy_of(
                draw[size].predictions,
                evaluated.responses,
                masks,
                recording.hemisphere,
                evaluated.ceiling,
                n_draws,
                SEED,
            )
            for draw in evaluated.found
        ]
        mean = {name: np.mean([part[name] for part in parts], axis=0) for name in MEASURES}
        same = {name: np.asarray(parts[0][name]) for name in KEYS if name in parts[0]}
        tables.append(same | {"n_mapping": np.full(len(same["draw"]), n_images)} | mean)
    return {name: np.concatenate([table[name] for table in tables]) for name in (*KEYS, *MEASURES)}


def region_rows(
    recording: Recording,
    evaluated: Evaluated,
    accuracy: dict[str, np.ndarray],
    regions: Sequence[str],
    candidates: Sequence[str],
) -> list[ScoreRow]:
    """A row for each region and number of mapping images; those that the subject lacks have null numbers."""
    return [
        _row(recording, evaluated, accuracy, region, size, candidates)
        for size in range(len(evaluated.sizes))
        for region in regions
    ]


def _row(
    recording: Recording,
    evaluated: Evaluated,
    accuracy: dict[str, np.ndarray],
    region: str,
    size: int,
    candidates: Sequence[str],
) -> ScoreRow:
    n_mapping, mask = evaluated.sizes[size], recording.regions.get(region, np.zeros(recording.n_targets, bool))
    row: ScoreRow = {
        "region": region,
        "subject": recording.name,
        "metric": "ridge",
        "n_mapping": n_mapping,
        "n_targets": int(mask.sum()),
        "scale": scale_of(evaluated.ceiling),
        "score": None,
        "raw": None,
        "ceiling": None,
        "error": None,
        "layer": None,
        "reason": f"the subject has no target of this region: {region}",
    }
    if not mask.any():
        return row
    mine = (accuracy["region"] == region) & (accuracy["hemisphere"] == "both") & (accuracy["n_mapping"] == n_mapping)
    whole, draws = mine & (accuracy["draw"] < 0), mine & (accuracy["draw"] >= 0)
    measure = "explained" if evaluated.ceiling is None else "normalised"
    ceiling = None if evaluated.ceiling is None else evaluated.ceiling[mask].mean(dtype=np.float64)
    row["score"], row["raw"], row["ceiling"] = accuracy[measure][whole][0], accuracy["r"][whole][0], ceiling
    row["error"] = accuracy[measure][draws].std() if draws.any() else None
    # The ceilings come from a file, without errors.
    row["reason"] = None if ceiling is None else unusable(ceiling, what=MEAN_CEILING)
    row["layer"] = most_frequent([candidates[i] for i in evaluated.found[0][size].candidate[mask]])
    if evaluated.ceiling is not None:
        row["challenge_score"], row["unclipped_score"] = (accuracy[m][whole][0] for m in ("challenge", "unclipped"))
    return row


def target_table(recording: Recording, evaluated: Evaluated, candidates: Sequence[str]) -> dict[str, np.ndarray]:
    """A row a vertex and number of mapping images; layer, grid and penalty are those of the first draw."""
    n, sizes = recording.n_targets, evaluated.sizes
    layers = np.array([name.partition("@")[0] for name in candidates])
    grids = np.array([int(name.partition("@")[2] or 0) for name in candidates])
    first = evaluated.found[0]
    fsaverage = np.full(n, -1) if recording.fsaverage is None else recording.fsaverage
    ceiling = np.full(n, np.nan) if evaluated.ceiling is None else evaluated.ceiling
    return {
        "subject": np.full(n * len(sizes), recording.name),
        "hemisphere": np.tile(recording.hemisphere, len(sizes)),
        "vertex": np.tile(recording.vertex, len(sizes)),
        "fsaverage": np.tile(fsaverage, len(sizes)),
        "regions": np.tile(_members(recording), len(sizes)),
        "n_mapping": np.repeat(sizes, n),
        "layer": np.concatenate([layers[one.candidate] for one in first]),
        "grid": np.concatenate([grids[one.candidate] for one in first]),
        "alpha": np.concatenate([one.alpha for one in first]),
        "cv": np.mean([np.concatenate([one.cv for one in draw]) for draw in evaluated.found], axis=0),
        "r": np.concatenate([evaluated.correlation(size) for size in range(len(sizes))]),
        "ceiling": np.tile(ceiling.astype(np.float64), len(sizes)),
    }


def _members(recording: Recording) -> np.ndarray:
    """Names of the regions that each target belongs to, joined by |."""
    names = np.array([name for name, mask in recording.regions.items() if mask.any()])
    members = np.stack([recording.regions[name] for name in names], axis=1)
    return np.array(["|".join(names[row]) for row in members])
