"""RSA and CKA: a region's responses and a layer are compared by the images that they hold alike, without a mapping.

The mapping images choose the layer: of more than BLOCK of them the mean over blocks counts, so that memory is bounded.
What is reported is of the evaluated images alone. Its error is a jackknife over groups of images: in a bootstrap an
image that is drawn twice is alike to itself, which lifts both measures.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neuroscaling.core.counting import counted
from neuroscaling.encoding.fits import Question, RegionFits, Similarity
from neuroscaling.encoding.settings import SEED
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import pair_ranks, u_centred, unbiased_cka

BLOCK = 2000
LEAST = 4  # images that unbiased HSIC needs
GROUPS = 20


@dataclass(frozen=True)
class Measure:
    """A similarity of two sides. prepare: what is made of one side's inner products; compare: of two such."""

    name: str
    prepare: Callable[[Gram], np.ndarray]
    compare: Callable[[np.ndarray, np.ndarray], float]

    def of(self, a: Gram, b: Gram) -> float:
        """The similarity; NaN of fewer than LEAST images."""
        return self.compare(self.prepare(a), self.prepare(b)) if len(a.sums) >= LEAST else float("nan")


RSA = Measure("rsa", pair_ranks, lambda a, b: float(a @ b))
"""Spearman correlation of the upper triangles of Pearson RDMs (Kriegeskorte 2008), as rsatoolbox has it."""
CKA = Measure("cka", lambda gram: u_centred(gram.products), unbiased_cka)
"""Linear CKA with the unbiased estimator of HSIC, as Brain-Score's metric `cka` has it."""


def rsa(question: Question) -> Iterator[RegionFits]:
    """Each region by RSA."""
    return _compared(question, RSA)


def cka(question: Question) -> Iterator[RegionFits]:
    """Each region by CKA."""
    return _compared(question, CKA)


Cell = tuple[int, int]
"""A task and one of its sizes."""


def _compared(question: Question, measure: Measure) -> Iterator[RegionFits]:
    blocks = {
        (task, size): _blocks(order)
        for task, one in enumerate(question.tasks)
        for size, order in enumerate(one.draw.orders)
    }
    for regions in _together(question, blocks):
        chosen = _chosen(question, regions, blocks, measure)
        yield from _evaluated(question, chosen, measure)


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [np.sort(part) for part in np.array_split(rows, -(-len(rows) // BLOCK))]


def _together(question: Question, blocks: dict[Cell, list[np.ndarray]]) -> Iterator[list[str]]:
    """Regions that pass the layers together: what is made of their responses fits into memory."""
    each = sum(8 * len(rows) ** 2 for found in blocks.values() for rows in found)
    n = max(1, int(question.settings.memory_mb * 1e6 // max(each, 1)))
    present = question.present
    yield from (present[i : i + n] for i in range(0, len(present), n))


def _chosen(
    question: Question, regions: Sequence[str], blocks: dict[Cell, list[np.ndarray]], measure: Measure
) -> dict[str, dict[Cell, int]]:
    """The layer of each region and cell: the one most alike on the mapping rows; of equal ones the first."""
    names = question.layers.names
    best = {region: dict.fromkeys(blocks, (0, -np.inf)) for region in regions}
    if len(names) > 1:
        sides = {region: _sides(question, region, blocks, measure) for region in regions}
        for layer, name in enumerate(counted(names, "candidate")):
            gram = question.layers.gram(name)
            for cell, found in blocks.items():
                own = [measure.prepare(gram.take(rows)) for rows in found]
                for region in regions:
                    pairs = zip(own, sides[region][cell], strict=True)
                    score = float(np.mean([measure.compare(*pair) for pair in pairs]))
                    if score > best[region][cell][1]:
                        best[region][cell] = layer, score
    return {region: {cell: layer for cell, (layer, _) in found.items()} for region, found in best.items()}


def _sides(
    question: Question, region: str, blocks: dict[Cell, list[np.ndarray]], measure: Measure
) -> dict[Cell, list[np.ndarray]]:
    responses = question.responses(question.columns(region))
    return {cell: [measure.prepare(Gram.of(responses[rows])) for rows in found] for cell, found in blocks.items()}


def _evaluated(question: Question, chosen: dict[str, dict[Cell, int]], measure: Measure) -> Iterator[RegionFits]:
    """The chosen layers on the evaluated images of every test set. Sizes that chose one layer share its numbers."""
    names = question.layers.names
    known: dict[tuple[str, int, int], Similarity] = {}
    for layer, name in enumerate(names):
        wanted = {
            (region, task) for region, found in chosen.items() for (task, _), own in found.items() if own == layer
        }
        for region, task in counted(sorted(wanted), "comparison"):
            known[region, task, layer] = _similarity(question, question.layers.gram(name), region, task, layer, measure)
    for region, found in chosen.items():
        tasks = [
            [
                _of_size(known[region, task, found[task, size]], n_images)
                for size, n_images in enumerate(one.draw.n_images)
            ]
            for task, one in enumerate(question.tasks)
        ]
        yield RegionFits(measure.name, region, names, tasks)


def _of_size(one: Similarity, n_images: int) -> Similarity:
    return Similarity(n_images, one.candidate, one.values, one.errors)


def _similarity(question: Question, gram: Gram, region: str, task: int, layer: int, measure: Measure) -> Similarity:
    columns, evaluate = question.columns(region), question.tasks[task].evaluate
    values, errors = {}, {}
    for evaluation in question.evaluations:
        of_layer = gram.take(evaluate[evaluation.places[task]])
        of_region = Gram.of(evaluation.observed(task, columns).astype(np.float64))
        values[evaluation.name] = measure.of(of_layer, of_region)
        # Folds tell the error by themselves.
        errors[evaluation.name] = jackknife_error(of_layer, of_region, measure) if question.n_folds == 1 else None
    return Similarity(0, layer, values, errors)


def jackknife_error(a: Gram, b: Gram, measure: Measure, n_groups: int = GROUPS) -> float | None:
    """Standard error of a measure over images: a jackknife that leaves out one of `n_groups` groups at a time (Shao and
    Tu, The Jackknife and Bootstrap, 1995, 2.3). None where too few images are left, or the measure isn't defined."""
    n = len(a.sums)
    groups = min(n_groups, n)
    if groups < 2 or n - -(-n // groups) < LEAST:
        return None
    order, values = np.random.default_rng(SEED).permutation(n), []
    for part in np.array_split(order, groups):
        kept = np.setdiff1d(np.arange(n), part)
        values.append(measure.of(a.take(kept), b.take(kept)))
    error = float(np.sqrt((groups - 1) * np.var(values)))
    return error if np.isfinite(error) else None
