"""Scores of a subject are rows by region, values by target, and accuracy with bootstrap draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuroscaling.core.encoding_scores import most_frequent, scale_of
from neuroscaling.core.score_files import ScoreRow
from neuroscaling.encoding.accuracy import BOTH, MEASURES, accuracy_of
from neuroscaling.encoding.fits import Evaluation, Fits, Question, RegionFits, TargetFits
from neuroscaling.encoding.settings import SEED
from neuroscaling.recordings.recording import Recording
from neuroscaling.regression.denominators import repeat_ceiling_error, unusable
from neuroscaling.regression.scores import prediction_correlation

MEAN_CEILING = "the mean ceiling of the region"
KEYS = ("region", "hemisphere", "n_mapping", "draw", "n_vertices", "n_with_ceiling")
COLUMNS = ("metric", "test_set", *KEYS, *MEASURES)


@dataclass(frozen=True)
class Evaluated:
    """Predictions of targets on one set of images."""

    question: Question
    fits: TargetFits
    evaluation: Evaluation

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Of each region that the fits are of, which of their targets it has."""
        regions = self.question.present if self.fits.region is None else [self.fits.region]
        return {name: self.question.recording.regions[name][self.fits.columns] for name in regions}

    @cached_property
    def ceiling(self) -> np.ndarray | None:
        """Ceilings (V,) of the targets."""
        whole = self.evaluation.ceiling
        return None if whole is None else whole[self.fits.columns]

    @cached_property
    def correlations(self) -> list[list[np.ndarray]]:
        """Correlations (V,) by task, then by size."""
        return [
            [_correlation(self.predicted(task, size), observed) for size in range(len(self.fits.sizes))]
            for task, observed in enumerate(self.observed)
        ]

    @cached_property
    def observed(self) -> list[np.ndarray]:
        """Responses (evaluated rows, V) of each task."""
        return [self.evaluation.observed(task, self.fits.columns) for task in range(len(self.question.tasks))]

    def predicted(self, task: int, size: int) -> np.ndarray:
        """Predictions (evaluated rows, V)."""
        return self.fits.found[task][size].predictions[self.evaluation.places[task]]

    def correlation(self, size: int) -> np.ndarray:
        """Correlation (V,) with the size-th number of mapping images, mean over tasks."""
        return np.mean([task[size] for task in self.correlations], axis=0)

    def pooled(self, size: int) -> np.ndarray:
        """Correlation (V,) over the held-out predictions of all folds together, mean over repeats."""
        n, found = self.question.n_folds, []
        for first in range(0, len(self.question.tasks), n):
            predicted = np.concatenate([self.predicted(task, size) for task in range(first, first + n)])
            observed = np.concatenate(self.observed[first : first + n])
            found.append(_correlation(predicted, observed))
        return np.mean(found, axis=0)

    @cached_property
    def accuracies(self) -> list[list[dict[str, np.ndarray]]]:
        """Columns of accuracy by size, then by task."""
        masks = {name: mask for name, mask in self.masks.items() if mask.any()}
        # Ceilings that aren't finite divide nothing, and the rows say why.
        ceiling = self.ceiling if self.ceiling is not None and np.isfinite(self.ceiling).all() else None
        hemisphere, n_draws = self.question.recording.hemisphere[self.fits.columns], self.question.settings.draws
        return [
            [
                accuracy_of(self.predicted(task, size), observed, masks, hemisphere, ceiling, n_draws, SEED)
                for task, observed in enumerate(self.observed)
            ]
            for size in range(len(self.fits.sizes))
        ]

    def accuracy(self, size: int) -> dict[str, np.ndarray]:
        """Columns of accuracy: each number is the mean over tasks."""
        parts = self.accuracies[size]
        mean = {name: np.mean([part[name] for part in parts], axis=0) for name in MEASURES}
        same = {name: np.asarray(parts[0][name]) for name in KEYS if name in parts[0]}
        n = len(same["draw"])
        about = {"metric": np.full(n, self.fits.metric), "test_set": np.full(n, self.evaluation.name or "")}
        return about | same | {"n_mapping": np.full(n, self.fits.sizes[size])} | mean


def _correlation(predictions: np.ndarray, responses: np.ndarray, block: int = 4096) -> np.ndarray:
    """Pearson correlation (V,), in blocks of targets."""
    starts = range(0, responses.shape[1], block)
    parts = [(predictions[:, i : i + block], responses[:, i : i + block]) for i in starts]
    return np.concatenate([prediction_correlation(a.astype(np.float64), b.astype(np.float64)) for a, b in parts])


def accuracy_table(evaluated: Sequence[Evaluated]) -> dict[str, np.ndarray]:
    """Columns of the accuracy file."""
    tables = [one.accuracy(size) for one in evaluated for size in range(len(one.fits.sizes))]
    return {name: np.concatenate([table[name] for table in tables]) if tables else np.empty(0) for name in COLUMNS}


def score_rows(question: Question, answers: Sequence[Fits], evaluated: Sequence[Evaluated]) -> list[ScoreRow]:
    """A row for each metric, test set, number of mapping images and region; regions that the subject lacks have null
    numbers."""
    found = [row for one in evaluated for row in _rows_of_targets(one)]
    found += [row for fits in answers if isinstance(fits, RegionFits) for row in _rows_of_region(question, fits)]
    sizes = {(fits.metric, size) for fits in answers for size in fits.sizes}
    lacking = [region for region in question.regions if region not in question.present]
    found += [_lacking(question, evaluation, *key, region)
              for region in lacking for key in sizes for evaluation in question.evaluations]  # fmt: skip
    order = {region: i for i, region in enumerate(question.regions)}
    metrics = {metric: i for i, metric in enumerate(question.settings.metrics)}
    return sorted(found, key=lambda row: (metrics.get(row["metric"], 0), row["n_mapping"], order[row["region"]]))


def _base(question: Question, evaluation: Evaluation, metric: str, n_mapping: int, region: str) -> ScoreRow:
    row: ScoreRow = {
        "region": region,
        "subject": question.recording.name,
        "metric": metric,
        "n_mapping": n_mapping,
        "n_targets": len(question.columns(region)),
        "scale": scale_of(evaluation.ceiling),
        "score": None,
        "raw": None,
        "ceiling": None,
        "error": None,
        "layer": None,
        "reason": None,
    }
    if evaluation.name is not None:
        row["test_set"] = evaluation.name
    return row


def _lacking(question: Question, evaluation: Evaluation, metric: str, n_mapping: int, region: str) -> ScoreRow:
    row = _base(question, evaluation, metric, n_mapping, region)
    row["reason"] = f"the subject has no target of this region: {region}"
    return row


def _rows_of_targets(one: Evaluated) -> Iterator[ScoreRow]:
    for size in range(len(one.fits.sizes)):
        accuracy = one.accuracy(size)
        pooled = one.pooled(size) if one.question.n_folds > 1 else None
        for region, mask in one.masks.items():
            yield _row_of_targets(one, size, region, mask, accuracy, pooled)


def _row_of_targets(
    one: Evaluated,
    size: int,
    region: str,
    mask: np.ndarray,
    accuracy: dict[str, np.ndarray],
    pooled: np.ndarray | None,
) -> ScoreRow:
    row = _base(one.question, one.evaluation, one.fits.metric, one.fits.sizes[size], region)
    fits = [task[size] for task in one.fits.found]
    row["layer"] = most_frequent([one.fits.candidates[i] for fit in fits for i in fit.candidate[mask]])
    if components := [fit.components for fit in fits if fit.components is not None]:
        row["n_components"] = min(components)
    mine = (accuracy["region"] == region) & (accuracy["hemisphere"] == BOTH)
    whole, draws = mine & (accuracy["draw"] < 0), mine & (accuracy["draw"] >= 0)
    measure = "explained" if one.ceiling is None else "normalised"
    row["raw"] = accuracy["r"][whole][0]
    if pooled is not None:
        row["raw_pooled"] = pooled[mask].mean()
    if one.ceiling is not None:
        row["ceiling"] = one.ceiling[mask].mean(dtype=np.float64)
        row["reason"] = _why_not(one.ceiling[mask], one.evaluation.ceiling_images)
        row["challenge_score"], row["unclipped_score"] = (accuracy[m][whole][0] for m in ("challenge", "unclipped"))
    if row["reason"] is None:
        row["score"] = accuracy[measure][whole][0]
        of_folds = [part[measure][whole][0] for part in one.accuracies[size]]
        row["error"] = _error(of_folds, one.question.n_folds) if one.question.n_folds > 1 else None
        if one.question.n_folds == 1 and draws.any():
            row["error"] = accuracy[measure][draws].std()
    return row


def _why_not(ceiling: np.ndarray, n_images: int | None) -> str | None:
    """Why the mean ceiling of a region's targets can't divide; one that comes from a file is without an error."""
    error, by_chance = (None, 0.0) if n_images is None else repeat_ceiling_error(ceiling, n_images)
    return unusable(ceiling.mean(dtype=np.float64), error, by_chance, MEAN_CEILING)


def _error(values: Sequence[float], n_folds: int) -> float:
    """Standard error over folds; values: of each task, those of repeats are averaged first."""
    of_folds = np.reshape(values, (-1, n_folds)).mean(0)
    return float(np.std(of_folds, ddof=1) / np.sqrt(n_folds))


def _rows_of_region(question: Question, fits: RegionFits) -> Iterator[ScoreRow]:
    for size, n_mapping in enumerate(fits.sizes):
        tasks = [task[size] for task in fits.found]
        for evaluation in question.evaluations:
            row = _base(question, evaluation, fits.metric, n_mapping, fits.region)
            values = [task.values[evaluation.name] for task in tasks]
            row["scale"], row["layer"] = "r", most_frequent([fits.candidates[task.candidate] for task in tasks])
            if not np.isfinite(values).all():
                row["reason"] = "the similarity is not defined: images whose responses or features do not vary"
            else:
                row["score"] = row["raw"] = float(np.mean(values))
                errors = [error for task in tasks if (error := task.errors[evaluation.name]) is not None]
                row["error"] = float(np.mean(errors)) if errors else None
                if question.n_folds > 1:
                    row["error"] = _error(values, question.n_folds)
            yield row


def target_table(evaluated: Sequence[Evaluated]) -> dict[str, np.ndarray]:
    """A row a metric, test set, target and number of mapping images; layer, grid and penalty are those of the first
    task. region: of the targets that were fitted together, empty where each is by itself."""
    tables = [_targets(one, size) for one in evaluated for size in range(len(one.fits.sizes))]
    names = list(tables[0]) if tables else list(TARGET_COLUMNS)
    return {name: np.concatenate([table[name] for table in tables]) if tables else np.empty(0) for name in names}


TARGET_COLUMNS = (
    "subject", "metric", "test_set", "region", "hemisphere", "vertex", "fsaverage", "regions", "n_mapping", "layer",
    "grid", "effective_layers", "alpha", "cv", "r", "ceiling",
)  # fmt: skip


def _targets(one: Evaluated, size: int) -> dict[str, np.ndarray]:
    recording, columns, n = one.question.recording, one.fits.columns, len(one.fits.columns)
    layers = np.array([name.partition("@")[0] for name in one.fits.candidates])
    grids = np.array([int(name.partition("@")[2] or 0) for name in one.fits.candidates])
    first = one.fits.found[0][size]
    ceiling = np.full(n, np.nan) if one.ceiling is None else one.ceiling
    return {
        "subject": np.full(n, recording.name),
        "metric": np.full(n, one.fits.metric),
        "test_set": np.full(n, one.evaluation.name or ""),
        "region": np.full(n, one.fits.region or ""),
        "hemisphere": recording.hemisphere[columns],
        "vertex": recording.vertex[columns],
        "fsaverage": np.full(n, -1) if recording.fsaverage is None else recording.fsaverage[columns],
        "regions": _members(recording)[columns],
        "n_mapping": np.full(n, one.fits.sizes[size]),
        "layer": layers[first.candidate],
        "grid": grids[first.candidate],
        "effective_layers": np.ones(n) if first.effective_layers is None else first.effective_layers,
        "alpha": first.alpha,
        "cv": np.mean([task[size].cv for task in one.fits.found], axis=0),
        "r": one.correlation(size),
        "ceiling": ceiling.astype(np.float64),
    }


def _members(recording: Recording) -> np.ndarray:
    """Names of the regions that each target belongs to, joined by |."""
    names = np.array([name for name, mask in recording.regions.items() if mask.any()])
    members = np.stack([recording.regions[name] for name in names], axis=1)
    return np.array(["|".join(names[row]) for row in members])
