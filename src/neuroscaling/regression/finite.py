"""Which features of which stimuli are NaN or infinite, in words."""

from collections.abc import Sequence

import numpy as np

STIMULI, FEATURES = 5, 5


def finite_rows(values: np.ndarray) -> np.ndarray:
    """Whether a row of (n, p) has neither NaN nor infinity, (n,); a sum each is enough where all are finite."""
    with np.errstate(over="ignore"):
        rows = np.isfinite(values.sum(1, dtype=np.float64))
    if not rows.all():
        rows[~rows] = np.isfinite(values[~rows]).all(1)
    return rows


def not_finite_in_words(values: np.ndarray, names: Sequence[object], first_feature: int = 0) -> str:
    """Where features (n, p) are NaN or infinite: in how many stimuli and features, and the first of them.

    names: of each row, for the message; first_feature: number of the first column, where these are a block of columns.
    """
    faulty = np.flatnonzero(~finite_rows(values))
    broken = ~np.isfinite(values[faulty])
    named = [
        f"{names[row]} (feature {_some((np.flatnonzero(bad) + first_feature).tolist())})"
        for row, bad in zip(faulty[:STIMULI], broken, strict=False)
    ]
    counted = f"{len(faulty)} stimuli and {int(broken.any(0).sum())} features"
    return f"NaN or infinite in {counted}: {', '.join(named)}{', ..' if len(faulty) > STIMULI else ''}"


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:FEATURES])) + (", .." if len(numbers) > FEATURES else "")
