"""Cross-validation folds and nested subsets of rows: seeded, the same for every model."""

from collections.abc import Iterable

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


def nested_subsets(rows: np.ndarray, sizes: Iterable[int | str], seed: int) -> dict[int | str, np.ndarray]:
    """{size: sorted subset of `rows`}, each subset inside every larger one; "all" stands for every row.

    Raises ValueError for a size above the number of rows.
    """
    order = np.random.default_rng(seed).permutation(rows)
    counts = {size: len(rows) if size == "all" else int(size) for size in sizes}
    if max(counts.values(), default=0) > len(rows):
        raise ValueError(f"{max(counts.values())} of {len(rows)} rows")
    return {size: np.sort(order[:count]) for size, count in counts.items()}
