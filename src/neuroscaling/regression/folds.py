"""Cross-validation folds: seeded, the same for every model."""

import numpy as np

Fold = tuple[np.ndarray, np.ndarray]


def shuffled_folds(n: int, n_folds: int, seed: int) -> list[Fold]:
    """`n_folds` pairs (training rows, held-out rows) of `range(n)`, shuffled; every row is held out once.

    Raises ValueError when there are fewer rows than folds or fewer than two folds.
    """
    if not 2 <= n_folds <= n:
        raise ValueError(f"{n_folds} folds of {n} rows: need at least 2 folds and a row for each")
    order = np.random.default_rng(seed).permutation(n)
    parts = [np.sort(part) for part in np.array_split(order, n_folds)]
    return [(np.setdiff1d(np.arange(n), part), part) for part in parts]
