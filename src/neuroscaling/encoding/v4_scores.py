"""V4 neurons are predicted from a run's layers by ridge and PLS, for growing numbers of images.

Five shuffled folds of the images, the same for every model. Inside each fold's training images nested subsets of n
images map features to responses, and what is chosen is chosen inside the subset; the held-out images stay the same.
Ridge is that of fMRI: a layer and a penalty for each neuron. PLS takes one layer for all neurons.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuroscaling.activations.layer_encoding import Task, candidates_of, encode
from neuroscaling.activations.zarr_reading import Activations, open_store
from neuroscaling.core.encoding_scores import TARGETS, Origin, ScoreHeader, most_frequent, scale_of, write_scores
from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.core.score_files import ScoreRow, making_score, stored_name
from neuroscaling.recordings.v4_sessions import Session, load_session
from neuroscaling.regression.cross_validation import shuffled_folds
from neuroscaling.regression.denominators import repeat_ceiling_error, unusable
from neuroscaling.regression.features import Features
from neuroscaling.regression.pls import KernelPLS
from neuroscaling.regression.scores import normalised, pooled_score, prediction_correlation
from neuroscaling.regression.voxelwise.settings import PENALTY_GRIDS, SCORE_OF_PROTOCOL, NestedSubsets, RidgeSettings
from neuroscaling.study.sections.whole_study import V4_SAMPLES

log = logging.getLogger(__name__)
N_FOLDS = 5
N_INNER_FOLDS = 3
SEED = 0
MAX_COMPONENTS = 25
SampleSize = int | Literal["all"]


@dataclass(frozen=True)
class Outcome:
    """One metric at one number of mapping images: correlations (folds, neurons) and the layers chosen, in each fold for
    all neurons or for each. pooled (neurons,): correlations over the held-out predictions of all folds together;
    components: of PLS, those that each fold found.
    """

    metric: str
    n_mapping: int
    correlations: np.ndarray
    layers: list[str]
    pooled: np.ndarray
    components: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        metric: str,
        n_mapping: int,
        predictions: Sequence[np.ndarray],
        held_out: Sequence[np.ndarray],
        layers: list[str],
        components: Sequence[int] = (),
    ) -> "Outcome":
        """From the predictions and the responses (held-out images, neurons) of each fold."""
        pairs = zip(predictions, held_out, strict=True)
        correlations = np.stack([prediction_correlation(predicted, held) for predicted, held in pairs])
        pooled = prediction_correlation(np.concatenate(predictions), np.concatenate(held_out))
        return cls(metric, n_mapping, correlations, layers, pooled, tuple(components))


def score_v4(
    activations: str | Path,
    root: str | Path,
    session: str,
    output: str | Path,
    run: str,
    samples: Sequence[SampleSize],
    metrics: Sequence[str],
    definition: Mapping[str, Any] | None = None,
) -> None:
    """Score one run on one session and write the score file `output`, where it is not there yet.

    It has a row for each metric and number of mapping images. activations: manifest of the run's activations to the
    session's images; definition: what the name of the folder of `output` is a hash of. Raises DataError for faulty
    recordings and for images without activations, StudyError for an unknown metric.
    """
    activations, output = Path(activations), Path(output)
    with making_score(output, f"score of {run} on V4 session {session}", [TARGETS]) as lease:
        if lease is None:
            return
        start = time.perf_counter()
        recording, stored = load_session(root, session), open_store(activations)
        outcomes = score_session(stored, recording, samples, metrics)
        header = ScoreHeader(run, "v4", False, session, tuple(metrics))
        rows, table = [_row(recording, outcome) for outcome in outcomes], _table(recording, outcomes)
        read = {stored_name(activations): stored.manifest.checksum}
        read |= {f"v4/{name}": f"sha256:{found}" for name, found in recording.sha256.items()}
        origin = Origin(definition or {}, read, lease)
        write_scores(output, header, rows, table, _details(recording), time.perf_counter() - start, origin)


def _details(recording: Session) -> dict[str, Any]:
    return {
        "pinned": recording.pinned,
        "left_out": list(recording.left_out),
        "folds": N_FOLDS,
        "inner_folds": N_INNER_FOLDS,
        "seed": SEED,
        "ceiling": "raw repeats" if recording.ceiling is not None else "none: no raw repeats of this session",
        "components": "at most 25, and at most a third of the mapping images",
    }


def score_session(
    stored: Activations, session: Session, samples: Sequence[SampleSize], metrics: Sequence[str]
) -> list[Outcome]:
    """Held-out correlations for each metric and each number of mapping images that the session can give."""
    _check_metrics(metrics)
    folds = shuffled_folds(len(session.stimulus_ids), N_FOLDS, SEED)
    wanted = usable_samples(samples, min(len(train) for train, _ in folds), session.name)
    tasks = [_task(train, test, wanted, SEED + fold) for fold, (train, test) in enumerate(folds)]
    return [outcome for metric in metrics for outcome in MAPPINGS[metric](stored, session, tasks)]


def _task(train: np.ndarray, test: np.ndarray, sizes: Sequence[SampleSize], seed: int) -> Task:
    """Nested subsets of a fold's training images, and the images that it holds out."""
    order = np.random.default_rng(seed).permutation(train)
    counts = [len(train) if size == "all" else int(size) for size in sizes]
    folds = [np.arange(n) % N_INNER_FOLDS for n in counts]
    return Task(NestedSubsets(tuple(counts), tuple(order[:n] for n in counts), tuple(folds)), test)


def usable_samples(samples: Sequence[SampleSize], n_training: int, session: str) -> list[SampleSize]:
    """The numbers of mapping images that folds with `n_training` training images can give, ascending, "all" last.

    Larger numbers are logged and left out. Raises StudyError for numbers that leave nothing to choose penalties with.
    """
    numbers = sorted({size for size in samples if size != "all"})
    if numbers and numbers[0] < V4_SAMPLES:
        raise StudyError(
            Problem(
                what="too few mapping images",
                where="v4: samples",
                value=numbers[0],
                allowed=f"{V4_SAMPLES} or more, or `all`",
            )
        )
    larger = [size for size in numbers if size >= n_training]
    if larger:
        log.warning("session %s has no %s mapping images: a fold trains on %d", session, larger, n_training)
    usable: list[SampleSize] = [size for size in numbers if size < n_training]
    return [*usable, "all"] if "all" in samples else usable


def _check_metrics(metrics: Sequence[str]) -> None:
    for metric in metrics:
        if metric not in MAPPINGS:
            raise StudyError(
                Problem(
                    what="no such metric",
                    where="v4",
                    value=metric,
                    allowed=", ".join(MAPPINGS),
                    nearest=nearest(metric, MAPPINGS),
                )
            )


def ridge(stored: Activations, session: Session, tasks: Sequence[Task]) -> list[Outcome]:
    """Each neuron takes the layer and the penalty with the best cross-validated R^2 inside the mapping images."""
    lowest, highest, number = PENALTY_GRIDS["corrected"]
    alphas = tuple(np.geomspace(lowest, highest, number).tolist())
    # Centred alone: on these neurons z-scores, which lift features of little variance, predict worse (docs/fmri.md).
    settings = RidgeSettings(alphas, score=SCORE_OF_PROTOCOL["corrected"], scale="centre", dtype="float64")
    candidates = candidates_of(stored, session.stimulus_ids, settings.memory_mb)
    responses = session.responses
    found = encode(candidates, tasks, lambda start, stop: responses[:, start:stop], responses.shape[1], settings)
    outcomes = []
    for size in range(len(tasks[0].draw.n_images)):
        fits = [fold[size] for fold in found]
        layers = [candidates[i].name for fit in fits for i in fit.candidate]
        predictions = [fit.predictions.astype(np.float64) for fit in fits]
        held_out = [responses[task.evaluate] for task in tasks]
        outcomes.append(Outcome.of("ridge", min(fit.n_images for fit in fits), predictions, held_out, layers))
    return outcomes


def pls(stored: Activations, session: Session, tasks: Sequence[Task]) -> list[Outcome]:
    """All neurons take the layer with the best cross-validated correlation inside the mapping images."""
    layers = {layer: Features.of(stored.read_rows(layer, session.stimulus_ids)) for layer in stored.layers}
    outcomes = []
    for size in range(len(tasks[0].draw.n_images)):
        rows = [np.sort(task.draw.orders[size]) for task in tasks]
        results = [_fold(layers, session.responses, r, task.evaluate) for r, task in zip(rows, tasks, strict=True)]
        predictions, chosen, components = zip(*results, strict=True)
        held_out = [session.responses[task.evaluate] for task in tasks]
        n_mapping = min(map(len, rows))
        _tell_of_few_components(session, n_mapping, chosen, components)
        outcomes.append(Outcome.of("pls", n_mapping, predictions, held_out, list(chosen), components))
    return outcomes


def _tell_of_few_components(session: Session, n: int, layers: Sequence[str], components: Sequence[int]) -> None:
    asked = n_components(n)
    few = [layer for layer, found in zip(layers, components, strict=True) if found < asked]
    if few:
        what = "session %s, %d mapping images: layers %s have %d of %d components for partial least squares"
        log.warning(what, session.name, n, ", ".join(dict.fromkeys(few)), min(components), asked)


def _fold(
    layers: dict[str, Features], responses: np.ndarray, rows: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, str, int]:
    """Predictions (held-out images, neurons) by the layer that was best inside the mapping images, that layer, and the
    number of its components."""
    best = next(iter(layers))
    if len(layers) > 1:
        best = max(layers, key=lambda layer: _inner_score(layers[layer], responses, rows))
    fit = _fit(layers[best], responses, rows)
    return fit.predict(test), best, fit.n_found


def _inner_score(features: Features, responses: np.ndarray, rows: np.ndarray) -> float:
    """How well a layer does inside `rows`: cross-validated correlation, mean over neurons."""
    parts = [(rows[train], rows[held]) for train, held in shuffled_folds(len(rows), N_INNER_FOLDS, SEED)]
    predicted = [_fit(features, responses, train).predict(held) for train, held in parts]
    pairs = zip(predicted, parts, strict=True)
    return float(np.mean([prediction_correlation(values, responses[held]).mean() for values, (_, held) in pairs]))


def _fit(features: Features, responses: np.ndarray, rows: np.ndarray) -> KernelPLS:
    """PLS on some images."""
    return KernelPLS(features, n_components(len(rows))).fit(rows, responses[rows])


def n_components(n_mapping: int) -> int:
    """Components that PLS is asked for: 25, or a third of the mapping images where those are fewer."""
    return max(1, min(MAX_COMPONENTS, n_mapping // 3))


MAPPINGS: dict[str, Callable[[Activations, Session, Sequence[Task]], list[Outcome]]] = {"pls": pls, "ridge": ridge}


def _row(session: Session, outcome: Outcome) -> ScoreRow:
    """A row of the score file: mean over folds; its error is the standard error over folds.

    `raw_pooled` is what `raw` would be with the held-out predictions of all folds taken together.
    """
    reason = ceiling_reason(session)
    scores = [pooled_score(correlation, session.ceiling) for correlation in outcome.correlations]
    row: ScoreRow = {
        "region": "V4",
        "subject": session.name,
        "metric": outcome.metric,
        "score": None if reason else float(np.mean(scores)),
        "raw": outcome.correlations.mean(),
        "ceiling": None if session.ceiling is None else session.ceiling.mean(),
        "error": None if reason else float(np.std(scores, ddof=1) / np.sqrt(len(scores))),
        "scale": scale_of(session.ceiling),
        "reason": reason,
        "layer": most_frequent(outcome.layers),
        "n_targets": outcome.correlations.shape[1],
        "n_mapping": outcome.n_mapping,
        "raw_pooled": outcome.pooled.mean(),
    }
    if outcome.components:
        row["n_components"] = min(outcome.components)
    return row


def ceiling_reason(session: Session) -> str | None:
    """Why the mean ceiling of a session can't divide; None where it can, and without raw repeats."""
    if session.ceiling is None:
        return None
    error, by_chance = repeat_ceiling_error(session.ceiling, len(session.stimulus_ids))
    return unusable(session.ceiling.mean(), error, by_chance, "the mean ceiling of the neurons")


def _table(session: Session, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    n = session.responses.shape[1]
    ceiling = np.full(n, np.nan) if session.ceiling is None else session.ceiling
    r = [outcome.correlations.mean(0) for outcome in outcomes]
    return {
        "metric": np.repeat([outcome.metric for outcome in outcomes], n),
        "n_mapping": np.repeat([outcome.n_mapping for outcome in outcomes], n),
        "neuron": np.tile(session.neurons, len(outcomes)),
        "r": np.concatenate(r),
        "ceiling": np.tile(ceiling, len(outcomes)),
        "score": np.concatenate([normalised(one, ceiling) for one in r]),
    }
