"""RSA and CKA: a region's responses and a layer are compared by the images that they hold alike, without a mapping.

The mapping images choose the layer: of more than BLOCK of them the mean over blocks counts, so that memory is bounded.
What is reported is of the evaluated images alone. Its error is a jackknife over groups of images: in a bootstrap an
image that is drawn twice is alike to itself, which lifts both measures.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from neuroscaling.encoding.fits import Question, RegionFits, Similarity, Task
from neuroscaling.encoding.settings import SEED
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import linear_cka, rdm, rdm_similarity

log = logging.getLogger(__name__)
BLOCK = 2000
LEAST = 4  # images that unbiased HSIC needs
GROUPS = 20

Measure = Callable[[Gram, Gram], float]


def rsa(question: Question) -> Iterator[RegionFits]:
    """Spearman correlation of the upper triangles of Pearson RDMs (Kriegeskorte 2008; rsatoolbox's `compare_spearman`
    of `calc_rdm_correlation`, which ranks alike)."""
    return _compared(question, "rsa", _rdm_similarity)


def cka(question: Question) -> Iterator[RegionFits]:
    """Linear CKA with the unbiased estimator of HSIC, as Brain-Score's metric `cka` has it."""
    return _compared(question, "cka", linear_cka)


def _rdm_similarity(a: Gram, b: Gram) -> float:
    return rdm_similarity(rdm(a), rdm(b))


def _compared(question: Question, metric: str, measure: Measure) -> Iterator[RegionFits]:
    for region in question.present:
        found = _fits(question, region, measure)
        yield RegionFits(metric, region, question.layers.names, found)


@dataclass(frozen=True)
class _Cell:
    """One mapping size of a task: blocks of the rows that choose."""

    task: int
    size: int
    blocks: list[np.ndarray]


def _fits(question: Question, region: str, measure: Measure) -> list[list[Similarity]]:
    responses = question.responses(question.columns(region))
    cells = [
        _Cell(number, size, _blocks(order))
        for number, task in enumerate(question.tasks)
        for size, order in enumerate(task.draw.orders)
    ]
    best = {(cell.task, cell.size): (0, -np.inf) for cell in cells}
    names = question.layers.names
    for layer, name in enumerate(names if len(names) > 1 else []):
        gram = question.layers.gram(name)
        for cell in cells:
            alike = [measure(gram.take(rows), Gram.of(responses[rows])) for rows in cell.blocks]
            score = float(np.mean(alike))
            if score > best[cell.task, cell.size][1]:
                best[cell.task, cell.size] = layer, score
    found: dict[tuple[int, int], Similarity] = {}
    for layer, name in enumerate(names):
        for key in (key for key, (chosen, _) in best.items() if chosen == layer):
            found[key] = _evaluated(question, question.layers.gram(name), region, key, layer, measure)
    return [
        [found[number, size] for size in range(len(task.draw.n_images))] for number, task in enumerate(question.tasks)
    ]


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    n = -(-len(rows) // BLOCK)
    return [np.sort(part) for part in np.array_split(rows, n)]


def _evaluated(
    question: Question, gram: Gram, region: str, key: tuple[int, int], layer: int, measure: Measure
) -> Similarity:
    """The chosen layer on the evaluated images of every test set."""
    task: Task = question.tasks[key[0]]
    columns = question.columns(region)
    values, errors = {}, {}
    for evaluation in question.evaluations:
        rows = task.evaluate[evaluation.places[key[0]]]
        observed = evaluation.observed(key[0], columns).astype(np.float64)
        of_layer, of_region = gram.take(rows), Gram.of(observed)
        values[evaluation.name] = measure(of_layer, of_region) if len(rows) >= LEAST else float("nan")
        # Folds tell the error by themselves.
        errors[evaluation.name] = jackknife_error(of_layer, of_region, measure) if question.n_folds == 1 else None
    return Similarity(task.draw.n_images[key[1]], layer, values, errors)


def jackknife_error(a: Gram, b: Gram, measure: Measure, n_groups: int = GROUPS) -> float | None:
    """Standard error of a measure over images: a jackknife that leaves out one of `n_groups` groups at a time (Shao and
    Tu, The Jackknife and Bootstrap, 1995, 2.3). None where too few images are left, or the measure isn't defined."""
    n = len(a.sums)
    order, groups = np.random.default_rng(SEED).permutation(n), min(n_groups, n)
    if n - -(-n // max(groups, 1)) < LEAST or groups < 2:
        return None
    values = []
    for part in np.array_split(order, groups):
        kept = np.setdiff1d(np.arange(n), part)
        values.append(measure(a.take(kept), b.take(kept)))
    spread = float(np.sqrt((groups - 1) * np.mean((np.array(values) - np.mean(values)) ** 2)))
    return spread if np.isfinite(spread) else None
