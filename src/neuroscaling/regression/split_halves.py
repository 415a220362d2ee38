"""Reliability of averages from random halves of the repetitions, of which stimuli may have unequally many."""

import numpy as np

from neuroscaling.regression.scores import pearson, spearman_brown

N_SPLITS = 10
SEED = 1


def split_half_ceilings(
    trials: np.ndarray, stimuli: np.ndarray, n_splits: int = N_SPLITS, seed: int = SEED
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
        averages, sizes = _halves(trials, which, counts, rng)
        # r is S / (S + N w) for signal S, noise N of a trial and w = mean of 1 / trials in a half.
        of_half = np.mean(1 / sizes[:, repeated])
        correlation = pearson(averages[0][repeated], averages[1][repeated])
        reliabilities[i] = spearman_brown(correlation, of_half / of_average)
    return reliabilities


def _halves(
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
