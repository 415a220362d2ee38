"""Accuracy of predictions is correlation or R^2; repetitions tell the ceiling that noise allows."""

import numpy as np

from neuroscaling.regression.denominators import divides


def pearson(predictions: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column of two arrays (n, t); NaN where a column doesn't vary."""
    both = varies(predictions) & varies(responses)
    x, y = (np.asarray(values, dtype=np.float64) for values in (predictions, responses))
    x, y = x - x.mean(0), y - y.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Each side is divided by its length first: a product of squares can leave the range of numbers.
        x, y = (values / np.sqrt((values**2).sum(0)) for values in (x, y))
        return np.where(both, (x * y).sum(0), np.nan)


def varies(values: np.ndarray) -> np.ndarray:
    """Whether each column of an array (n, ..., t) varies by more than rounding, (..., t); NaN doesn't count.

    Judged by the largest and the smallest value: the spread of equal numbers is not always 0. Rounding is 1e-12 of the
    largest value, four units in the last place in float32; beyond that the size of the mean doesn't matter.
    """
    values = np.asarray(values)
    eps = 1e-12 if values.dtype.kind != "f" or values.itemsize >= 8 else 4 * np.finfo(values.dtype).eps
    highest, lowest = np.fmax.reduce(values), np.fmin.reduce(values)
    return highest - lowest > eps * np.maximum(np.abs(highest), np.abs(lowest))


def prediction_correlation(predictions: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Pearson correlation, 0 where a column doesn't vary: such a prediction explains nothing of the response."""
    return np.nan_to_num(pearson(predictions, responses), nan=0.0)


def r_squared(predictions: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """1 - residual / total sum of squares of each column; 0 where a response doesn't vary (as in himalaya)."""
    total = ((responses - responses.mean(0)) ** 2).sum(0)
    residual = ((responses - predictions) ** 2).sum(0)
    varying = varies(responses) & (total > 0)
    return np.where(varying, 1 - residual / np.where(varying, total, 1), 0.0)


def spearman_brown(correlation: np.ndarray, factor: float = 2.0) -> np.ndarray:
    """Reliability of the mean of `factor` times as many repetitions (Spearman 1910, Brown 1910)."""
    correlation = np.asarray(correlation, dtype=np.float64)
    return factor * correlation / (1 + (factor - 1) * correlation)


def repeat_ceiling(repeats: np.ndarray, averaged: bool = True) -> np.ndarray:
    """Explainable share of the variance of repeat averages, or of single repeats (not `averaged`), (t,) in 0..1.

    repeats: (t, images, repeats), NaN for missing ones; images without any don't count. Noise variance: variance over
    repeats (ddof 1), averaged over images with two or more. Of an average over n repeats it is the n-th part, so that
    signal variance is the variance of the image means (ddof 1) minus noise variance times the mean of 1 / n over
    images, not below 0. Allen and others, Nat. Neurosci. 25 (2022), ncsnr; Algonauts 2023 for unequal n. Raises
    ValueError for a target that has no image with two repeats, or one image alone.
    """
    made = np.isfinite(repeats)
    counts = made.sum(2)
    if (counts < 2).all(1).any():
        raise ValueError("a target has no image with two repeats")
    if ((counts > 0).sum(1) < 2).any():
        raise ValueError("a target has repeats of one image alone")
    repeats = np.where(made, repeats, 0.0)
    means = repeats.sum(2) / np.maximum(counts, 1)
    deviations = np.where(made, repeats - means[..., None], 0.0)
    variances = (deviations**2).sum(2) / np.maximum(counts - 1, 1)
    noise = _mean_where(variances, counts > 1)
    noise_of_mean = noise * _mean_where(1 / np.maximum(counts, 1), counts > 0)
    spread = np.where(counts > 0, means - _mean_where(means, counts > 0)[:, None], 0.0)
    variance_of_means = (spread**2).sum(1) / ((counts > 0).sum(1) - 1)
    signal = np.maximum(variance_of_means - noise_of_mean, 0.0)
    return signal / np.maximum(signal + (noise_of_mean if averaged else noise), np.finfo(np.float64).tiny)


def _mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean of each row over the columns that count, (t,)."""
    return np.where(where, values, 0.0).sum(1) / where.sum(1)


def ncsnr_ceiling(ncsnr: np.ndarray, images_by_repeats: dict[int, int]) -> np.ndarray:
    """Noise ceiling in 0..1 from the signal-to-noise ratio; images_by_repeats: {repeats: number of images}.

    ncsnr^2 / (ncsnr^2 + w), w the mean of 1 / repeats over images (Algonauts 2023; NSD data manual).
    """
    total = sum(images_by_repeats.values())
    weight = sum(images / repeats for repeats, images in images_by_repeats.items()) / total
    return ncsnr**2 / (ncsnr**2 + weight)


def normalised(correlation: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """Signed r^2 / ceiling, not clipped; NaN where the ceiling can't divide (`denominators.divides`)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(divides(ceiling), correlation * np.abs(correlation) / ceiling, np.nan)


def algonauts_score(correlation: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """The challenge's noise-normalised accuracy in per cent: negative r set to 0, r^2 / ceiling, at most 100.

    A ceiling of 0 counts as 1e-14 (Gifford and others, arXiv 2301.03198): the challenge's own rule, kept so that the
    number equals the challenge's, whatever `denominators` says. Clipping favours noisy vertices.
    """
    positive = np.maximum(correlation, 0.0)
    return np.minimum(100.0, 100.0 * positive**2 / np.where(ceiling > 0, ceiling, 1e-14))


def pooled_score(correlation: np.ndarray, ceiling: np.ndarray | None) -> float:
    """Explained over explainable variance of a region: mean signed r^2, divided by the mean ceiling where there is one.

    A ratio of means stays stable where single targets have ceilings near 0. correlation: (..., t), ceiling: (t,). NaN
    where the mean ceiling can't divide; `denominators.unusable` says why, and judges its error too.
    """
    explained = float(np.mean(correlation * np.abs(correlation)))
    if ceiling is None:
        return explained
    return explained / float(np.mean(ceiling)) if divides(np.mean(ceiling)) else float("nan")


def bootstrap_correlations(predictions: np.ndarray, responses: np.ndarray, n_bootstraps: int, seed: int) -> np.ndarray:
    """Correlations (n_bootstraps, t) over resampled rows (test images), by weighted moments; 0 of what is constant."""
    n = len(predictions)
    draws = np.random.default_rng(seed).integers(n, size=(n_bootstraps, n))
    weights = np.stack([np.bincount(draw, minlength=n) for draw in draws]) / n
    x, y = predictions - predictions.mean(0), responses - responses.mean(0)
    mean_x, mean_y = weights @ x, weights @ y
    covariance = weights @ (x * y) - mean_x * mean_y
    spread = (weights @ (x * x) - mean_x**2) * (weights @ (y * y) - mean_y**2)
    varying = varies(predictions) & varies(responses) & (spread > 0)
    return np.where(varying, covariance / np.sqrt(np.where(varying, spread, 1)), 0.0)


N_SPLIT_HALVES = 10
SPLIT_HALVES_SEED = 1


def split_half_ceilings(
    trials: np.ndarray, stimuli: np.ndarray, n_splits: int = N_SPLIT_HALVES, seed: int = SPLIT_HALVES_SEED
) -> np.ndarray:
    """Reliability of the averages of each target, (n_splits, t): one row for each draw of halves.

    trials: (presentations, t); stimuli: (presentations,), which one each presentation shows. A draw halves the
    repetitions of every stimulus at random (of an odd number either half may have one more) and correlates the averages
    of the halves over the stimuli that were shown twice or more. The correlation is stepped up to the averages of all
    repetitions by Spearman and Brown's formula. Its factor is the mean of 1 / repetitions in a half over that of
    1 / repetitions of all stimuli, those shown once included: 2 where numbers are even and equal. NaN for targets that
    don't vary. Raises ValueError where fewer than two stimuli were repeated.
    """
    _, which, counts = np.unique(np.asarray(stimuli), return_inverse=True, return_counts=True)
    repeated = counts > 1
    if repeated.sum() < 2:
        raise ValueError(f"{int(repeated.sum())} stimuli were repeated: halves need at least 2")
    rng = np.random.default_rng(seed)
    trials = np.asarray(trials, dtype=np.float64)
    of_average = np.mean(1 / counts)
    reliabilities = np.empty((n_splits, trials.shape[1]))
    for i in range(n_splits):
        averages, sizes = _random_halves(trials, which, counts, rng)
        # r is S / (S + N w) for signal S, noise N of a trial and w = mean of 1 / trials in a half.
        of_half = np.mean(1 / sizes[:, repeated])
        correlation = pearson(averages[0][repeated], averages[1][repeated])
        reliabilities[i] = spearman_brown(correlation, float(of_half / of_average))
    return reliabilities


def _random_halves(
    trials: np.ndarray, which: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Averages (2, stimuli, t) of random halves, and their numbers of trials (2, stimuli); 0 of none."""
    order = np.lexsort((rng.random(len(which)), which))
    rank = np.empty(len(which), int)
    rank[order] = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Which half an odd repetition more goes to is drawn too, so that both halves are alike on average.
    half = (rank + rng.integers(2, size=len(counts))[which]) % 2
    sizes = np.zeros((2, len(counts)), int)
    np.add.at(sizes, (half, which), 1)
    sums = np.zeros((2, len(counts), trials.shape[1]))
    np.add.at(sums, (half, which), trials)
    return sums / np.maximum(sizes, 1)[..., None], sizes
