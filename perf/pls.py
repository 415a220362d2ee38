"""Kernel PLS against scikit-learn's PLSRegression: CPU seconds of one split, the Gram matrix included.

1,000 stimuli x 40 neuroids, 25 components, training rows 90 %. Both sides in this process.
"""

import numpy as np
from common import cpu_seconds, quick, report, row
from sklearn.cross_decomposition import PLSRegression

from neuroscaling.regression.features import Features
from neuroscaling.regression.pls import pls_predict


def problem(stimuli: int, features: int, neuroids: int) -> tuple[np.ndarray, np.ndarray]:
    """Rectified low-rank features and responses with noise; float64."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((stimuli, 80)) * np.arange(1, 81) ** -0.6
    noise = 0.3 * rng.standard_normal((stimuli, features))
    x = np.maximum(latent @ rng.standard_normal((80, features)) + noise, 0)
    return x, np.tanh(latent) @ rng.standard_normal((80, neuroids)) + rng.standard_normal((stimuli, neuroids))


def compare(stimuli: int, features: int, neuroids: int = 40) -> dict:
    """One line of the table."""
    x, y = problem(stimuli, features, neuroids)
    train, test = np.split(np.arange(stimuli), [int(0.9 * stimuli)])
    ours, predicted = cpu_seconds(lambda: pls_predict(Features.of(x), y, train, test, 25))
    stock = PLSRegression(25, scale=False)
    peer, expected = cpu_seconds(lambda: stock.fit(x[train], y[train]).predict(x[test]))
    agreement = np.abs(predicted - expected).max() / np.abs(expected).max()
    return row(f"{stimuli} x {features} -> {neuroids}", ours, peer, agreement)


if __name__ == "__main__":
    small = quick(__doc__)
    widths = (1_000, 4_000) if small else (1_000, 4_000, 25_000)
    report("pls", [compare(1_000, width) for width in widths])
