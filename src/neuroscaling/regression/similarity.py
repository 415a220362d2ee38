"""Similarity of two representations of the same stimuli without a fit: Pearson RDMs, linear CKA, nearest units."""

import numpy as np
from scipy.linalg import norm

from neuroscaling.regression.features import Features, products_of
from neuroscaling.regression.gram import Gram, centre
from neuroscaling.regression.scores import varies

UNITS_BLOCK = 4096
PAIRS_BLOCK = 1024
# A row's variance below this share of its mean square is rounding: such a row doesn't vary.
CONSTANT = 1e-13
# A correlation this close to a target's best may be the better one in the peer's arithmetic.
NEARLY_BEST = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4}


def rdm(features: np.ndarray | Gram) -> np.ndarray:
    """Dissimilarities (n, n): 1 - Pearson correlation, over features, of each pair of stimuli (Kriegeskorte 2008).

    features: raw values (n, p), or their Gram; centring them over stimuli beforehand would change the result. NaN for
    stimuli whose features don't vary.
    """
    gram = features if isinstance(features, Gram) else Gram.of(features)
    covariance = gram.products - np.multiply.outer(gram.sums, gram.sums / gram.n_features)
    variance = covariance.diagonal().copy()
    variance[variance <= CONSTANT * gram.products.diagonal()] = np.nan
    covariance /= np.sqrt(variance)
    covariance /= np.sqrt(variance)[:, None]
    np.clip(covariance, -1, 1, out=covariance)
    return np.subtract(1.0, covariance, out=covariance)


def rdm_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman correlation of the upper triangles of two RDMs (n, n); NaN where one of them holds NaN."""
    if a.shape != b.shape:
        raise ValueError(f"RDMs of {len(a)} and of {len(b)} stimuli")
    above = np.triu_indices(len(a), k=1)
    pairs = [a[above], b[above]]
    if not all(np.isfinite(values).all() for values in pairs):
        return float("nan")
    return float(np.corrcoef(_ranks(pairs[0]), _ranks(pairs[1]))[0, 1])


def pair_ranks(gram: Gram) -> np.ndarray:
    """Ranks of the dissimilarities of all pairs of stimuli, (n (n - 1) / 2,), less their mean and of length 1.

    The product of two of them is `rdm_similarity` of both RDMs. NaN where a stimulus has none, or all are alike.
    """
    above = rdm(gram)[np.triu_indices(len(gram.sums), k=1)]
    if not np.isfinite(above).all():
        return np.full(len(above), np.nan)
    ranks = _ranks(above)
    ranks -= ranks.mean()
    with np.errstate(invalid="ignore"):
        return ranks / np.sqrt(ranks @ ranks)


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata  # loading it takes most of a second, and most processes compare no RDMs

    return np.asarray(rankdata(values))


def u_centred(products: np.ndarray) -> np.ndarray:
    """What `unbiased_cka` compares: inner products (n, n) less their row and column effects, diagonal 0.

    Raises ValueError for less than 4 stimuli.
    """
    n = len(products)
    if n < 4:
        raise ValueError(f"{n} stimuli: unbiased HSIC needs at least 4")
    return _u_centred(products)


def unbiased_cka(a: np.ndarray, b: np.ndarray) -> float:
    """`linear_cka` of what `u_centred` gave of both sides."""
    n = len(a)
    # Brain-Score adds 1e-12 to sqrt(HSIC HSIC), HSIC being the mean over n (n - 3) of what is summed here.
    return _alignment(a, b, 1e-12 * n * (n - 3))


def linear_cka(a: Features | Gram, b: Features | Gram, unbiased: bool = True) -> float:
    """Linear centred kernel alignment of two sets of features of the same n stimuli.

    unbiased: with the estimator of HSIC that leaves out the diagonal (Song and others, arXiv 0704.2668), 0 where it
    estimates no variance; otherwise as in Kornblith and others, 2019. Raises ValueError for different or, unbiased,
    less than 4 stimuli.
    """
    first, second = products_of(a), products_of(b)
    n = len(first)
    if n != len(second):
        raise ValueError(f"{n} and {len(second)} stimuli")
    if not unbiased:
        return _alignment(_centred(first), _centred(second))
    return unbiased_cka(u_centred(first), u_centred(second))


def nearest_units(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """For each target the feature with the highest Pearson correlation, (m,): neuron-to-neuron's mapping.

    values (n, p), targets (n, m). Of equal features the first; features and targets that don't vary correlate with
    nothing. Raises ValueError where all correlations of a target are undefined, as the peer does.
    """
    values = np.asarray(values, dtype=np.float32 if values.dtype == np.float16 else None)
    best, found = np.full(targets.shape[1], -np.inf), np.full(targets.shape[1], -1)
    directions = _directions(np.asarray(targets, dtype=np.float64))
    for start in range(0, values.shape[1], UNITS_BLOCK):
        block = values[:, start : start + UNITS_BLOCK]
        for target, unit, correlation in _block_best(block, targets, directions):
            if correlation > best[target]:
                best[target], found[target] = correlation, start + unit
    if (found < 0).any():
        raise ValueError(f"{int((found < 0).sum())} targets correlate with no feature: NaN, or no variation")
    return found


def _block_best(block: np.ndarray, targets: np.ndarray, directions: np.ndarray) -> list[tuple[int, int, float]]:
    """(target, first best unit of the block, correlation), in the arithmetic of `values`' own type."""
    correlations = _directions(block.astype(np.float64)).T @ directions
    correlations[np.isnan(correlations)] = -np.inf
    highest = correlations.max(0)
    nearly = NEARLY_BEST.get(block.dtype, 1e-4)
    units, columns = np.nonzero((correlations >= highest - nearly) & np.isfinite(correlations))
    exact = np.concatenate(
        [
            _pearson(block[:, units[i : i + PAIRS_BLOCK]], targets[:, columns[i : i + PAIRS_BLOCK]])
            for i in range(0, len(units), PAIRS_BLOCK)
        ]
        or [np.empty(0)]
    )
    order = np.lexsort((units, -exact, columns))
    _, first = np.unique(columns[order], return_index=True)
    return [(int(columns[i]), int(units[i]), float(exact[i])) for i in order[first]]


def _directions(values: np.ndarray) -> np.ndarray:
    """Columns less their mean, of length 1; NaN for columns that don't vary."""
    varying = varies(values)
    values = values - values.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return values / np.where(varying, norm(values, axis=0, check_finite=False), np.nan)


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlations (k,) of paired columns (n, k), each side divided by its length first."""
    return (_directions(x) * _directions(y)).sum(0)


def _centred(products: np.ndarray) -> np.ndarray:
    products = products.copy()
    centre(products)
    return products


def _u_centred(products: np.ndarray) -> np.ndarray:
    """Off-diagonal products less their row and column effects, diagonal 0 (Szekely and Rizzo 2014).

    The sum of two such matrices' products is n (n - 3) times the unbiased HSIC.
    """
    n = len(products)
    # Centring first changes nothing but rounding: shifted features shift rows and columns.
    products = _centred(products)
    np.fill_diagonal(products, 0.0)
    sums = products.sum(0) / (n - 2)
    products -= sums
    products -= (sums - sums.sum() / (n - 1))[:, None]
    np.fill_diagonal(products, 0.0)
    return products


def _alignment(a: np.ndarray, b: np.ndarray, slack: float = 0.0) -> float:
    shared, first, second = (float(np.vdot(*pair)) for pair in ((a, b), (a, a), (b, b)))
    if slack and first * second <= 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(np.float64(shared) / (np.sqrt(np.float64(first)) * np.sqrt(np.float64(second)) + slack))
