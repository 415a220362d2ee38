"""CPU time, memory and bytes that the metrics of encoding take, from counts of operations.

The rates below were measured on one thread of an EPYC: PLS, RSA and CKA on 160 and 320 mapping images, 50 targets and
layers of 1,280 and 2,560 features, banded ridge and stacking there and in perf/results/banded.json, ridge and the start
of jobs on 141 jobs of `config/studies/v4.yaml`. They are good to a factor of 2: processors differ, and many targets or
images use them better than few.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.planning.encoding import RidgeFit, SubjectShape
from neuroscaling.regression.voxelwise.budget import flops

# As the metrics have them, whose modules load torch; a test holds that they agree.
N_DRAWS, COPIES, BLOCK, GROUPS, MAX_COMPONENTS = 50, 4, 2000, 20, 25
"""Weightings of bands that are drawn; copies of responses that partial least squares holds; images that a measure of
similarity takes at once; its resamples; components of partial least squares at most."""

PRODUCTS = 30e9
"""Operations a second of products of matrices."""
RIDGE = 50e9
"""Operations a second of what `budget.flops` counts: it counts symmetric products whole."""
REDUCTIONS = 20e9
"""Operations a second where symmetric matrices are reduced to a tridiagonal form."""
VECTORS = 10e9
"""Operations a second of products with a vector, which wait for memory."""
CALLS_OF_RIDGE = 1e-3
"""Seconds of a fold of ridge beside its operations: calls of small operations."""
CALLS_OF_FOLD = 2e-3
"""Seconds of a fold of a weighting of bands beside its operations."""
CALLS_OF_COMPONENT = 1e-4
ITERATIONS_OF_COMPONENT = 40
"""Power iterations for each component of partial least squares."""
CALLS_OF_ITERATION = 2e-6
RANKED_PAIR = 1.5e-7
"""Seconds for each pair of images that RSA ranks."""
CENTRED_PAIR = 5e-9
"""Seconds for each entry of a matrix that CKA centres and compares."""
JOB_START = 5.0
"""CPU seconds of a job before its first metric: imports, reading."""
IMPORTS_MB = 950
"""Of a job's process with its libraries imported and memory that it freed and keeps: 806 where there is next to nothing
to compute, 910 beside the arrays of a V4 session."""
TARGET_BYTES = 32
"""Of a row of the table of targets, compressed; a job's accuracies have a draw of 8 bytes each beside it."""


@dataclass(frozen=True)
class MetricCost:
    """Of one metric in the job of a network and subject: CPU seconds, MB at its peak, bytes that stay."""

    seconds: float
    memory_mb: int
    stored: int


@dataclass(frozen=True)
class Mapping:
    """What a metric is given: the features of each candidate layer, the subject, its fits, and the settings."""

    widths: Sequence[int]
    shape: SubjectShape
    fits: Sequence[RidgeFit]
    settings: EncodingSettings

    @property
    def rows(self) -> int:
        """Images of the subject, in training and test."""
        return self.shape.training + self.shape.test


def metric_cost(metric: str, mapping: Mapping) -> MetricCost:
    """The cost of a metric of `encoding: metrics`, the start of its job left out. Raises KeyError for another."""
    seconds, megabytes = COSTS[metric]
    sizes = len({fit.n for fit in mapping.fits})
    stored = sizes * (TARGET_BYTES * mapping.shape.targets + 8 * mapping.settings.draws)
    if metric == "ridge" and mapping.settings.final:
        stored += 4 * mapping.shape.test * mapping.shape.targets
    taken = megabytes(mapping) + _mapped(mapping)
    return MetricCost(seconds(mapping), IMPORTS_MB + round(taken / 1e6), stored)


def _ridge(mapping: Mapping) -> float:
    settings = mapping.settings
    n_alphas, n_targets = len(settings.ridge_settings().alphas), mapping.shape.targets
    return sum(
        fit.times
        * (
            flops(fit.n, width, n_targets, n_alphas, settings.folds, fit.evaluated) / RIDGE
            + (settings.folds + 1) * CALLS_OF_RIDGE
        )
        for width in mapping.widths
        for fit in mapping.fits
    )


def _pls(mapping: Mapping) -> float:
    """Each layer is compared inside the mapping images, and the best one fitted to all of them."""
    targets, folds = mapping.shape.targets, mapping.settings.folds
    inner = folds if len(mapping.widths) > 1 else 0
    mean_width = sum(mapping.widths) / len(mapping.widths)
    own = sum(
        fit.times * (inner * _pls_fit(fit.n * (folds - 1) // folds, width, targets))
        for width in mapping.widths
        for fit in mapping.fits
    )
    final = sum(fit.times * _pls_fit(fit.n, round(mean_width), targets) for fit in mapping.fits)
    return own + final + _grams(mapping)


def n_components(n: int) -> int:
    """Components of partial least squares that are asked for with `n` mapping images."""
    return max(1, min(MAX_COMPONENTS, n // 3))


def _pls_fit(n: int, width: int, targets: int) -> float:
    """Seconds of one fit by whichever is smaller, inner products of images or covariances of features."""
    order, components = min(n, width), n_components(n)
    products = 2 * n * order * targets + (n * width**2 if width < n else 0)
    step = 2 * min(targets**2, 2 * order * targets)
    vectors = components * (2 * order**2 + ITERATIONS_OF_COMPONENT * step)
    calls = components * (CALLS_OF_COMPONENT + ITERATIONS_OF_COMPONENT * CALLS_OF_ITERATION)
    return products / PRODUCTS + vectors / VECTORS + calls


def _similarity(pair: Callable[[int], float]) -> Callable[[Mapping], float]:
    """Seconds of a measure of which one side of n images takes `pair(n)`: layers are chosen, then the best evaluated.

    The responses are another side, once.
    """

    def seconds(mapping: Mapping) -> float:
        sides = len(mapping.widths) + 1
        chosen = sum(fit.times * sides * max(fit.n / BLOCK, 1) * pair(min(fit.n, BLOCK)) for fit in mapping.fits)
        resamples = 1 if mapping.settings.evaluate == "folds" else 1 + GROUPS
        evaluated = max((fit.times * pair(fit.evaluated) for fit in mapping.fits), default=0.0)
        return _grams(mapping) + chosen + 2 * resamples * evaluated

    return seconds


def _banded(mapping: Mapping) -> float:
    """Every layer alone, all alike and the draws are tried in each fold; then the chosen ones are fitted to all."""
    layers = len(mapping.widths)
    weightings = layers + 1 + N_DRAWS if layers > 1 else 1
    return _of_bands(mapping, weightings)


def _stacking(mapping: Mapping) -> float:
    """Each layer's models in each fold, which are kept and combined: about twice the work of a weighting."""
    return _of_bands(mapping, 2 * len(mapping.widths))


def _of_bands(mapping: Mapping, weightings: int) -> float:
    """Seconds of so many sums of bands, each reduced in every fold, and of the bands' inner products."""
    folds, targets, layers = mapping.settings.folds, mapping.shape.targets, len(mapping.widths)
    total = 0.0
    for fit in mapping.fits:
        order = fit.n * (folds - 1) / folds
        sums = 2 * layers * fit.n**2 / VECTORS
        reduced = 4 / 3 * order**3 / REDUCTIONS + 4 * order**2 * targets / PRODUCTS + CALLS_OF_FOLD
        bands = sum(fit.n * (fit.n + 2 * fit.evaluated) * width / PRODUCTS for width in mapping.widths)
        total += fit.times * (weightings * (sums + folds * reduced) + bands)
    return total


def _grams(mapping: Mapping) -> float:
    return sum(mapping.rows**2 * width for width in mapping.widths) / PRODUCTS


def _ridge_bytes(mapping: Mapping) -> float:
    """One layer's features, predictions of all sizes, and the matrices of the largest one's folds, up to the bound."""
    settings, widest, largest = mapping.settings, max(mapping.widths), max(mapping.fits, key=lambda fit: fit.n)
    n_alphas, order = len(settings.ridge_settings().alphas), min(largest.n, widest)
    matrices = 8 * order * (7 * order + n_alphas * largest.n)
    own = min(matrices + 8 * largest.n * mapping.shape.targets, settings.memory_mb * 1e6)
    return 4 * mapping.rows * widest + _predictions(mapping) + own


def _pls_bytes(mapping: Mapping) -> float:
    return _kept_layer(mapping) + COPIES * 8 * mapping.rows * mapping.shape.targets + _predictions(mapping)


def _similarity_bytes(mapping: Mapping) -> float:
    """Inner products of a layer, and those of the mapping images of each size by blocks."""
    blocks = sum(8 * min(fit.n, BLOCK) * fit.n for fit in mapping.fits)
    return 2 * 8 * mapping.rows**2 + min(blocks, mapping.settings.memory_mb * 1e6)


def _bands_bytes(mapping: Mapping) -> float:
    layers = len(mapping.widths)
    largest = max(mapping.fits, key=lambda fit: fit.n)
    own = 8 * largest.n * (layers * (largest.n + largest.evaluated) + 6 * largest.n)
    return own + _kept_layer(mapping) + _predictions(mapping)


def _kept_layer(mapping: Mapping) -> float:
    """The widest layer as features or, where these are more than the images, as inner products."""
    return 8 * mapping.rows * min(max(mapping.widths), mapping.rows)


def _mapped(mapping: Mapping) -> float:
    """The files of responses: they are read as they are mapped, which many schedulers count as memory."""
    return 4.0 * mapping.rows * mapping.shape.targets


def _predictions(mapping: Mapping) -> float:
    return 4.0 * mapping.shape.targets * sum(fit.times * fit.evaluated for fit in mapping.fits)


COSTS: dict[str, tuple[Callable[[Mapping], float], Callable[[Mapping], float]]] = {
    "ridge": (_ridge, _ridge_bytes),
    "pls": (_pls, _pls_bytes),
    "rsa": (_similarity(lambda n: RANKED_PAIR * n * (n - 1) / 2), _similarity_bytes),
    "cka": (_similarity(lambda n: CENTRED_PAIR * n**2), _similarity_bytes),
    "banded": (_banded, _bands_bytes),
    "stacking": (_stacking, _bands_bytes),
}
"""CPU seconds and bytes of memory of each metric, by its name in a study."""
