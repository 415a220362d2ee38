"""Principal components that are the same on every machine: LAPACK leaves their signs open, and other kernels may choose
others."""

import numpy as np


def components(features: np.ndarray, n: int) -> np.ndarray:
    """The `n` leading components (rows, n) of features (rows, p), of length 1; fewer where the rank is lower.

    Each is turned so that its number of largest size is above 0.
    """
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    rank = int((size > 1e-10 * size[0]).sum()) if size[0] > 0 else 0
    kept = left[:, : min(n, rank)]
    return kept * np.sign(kept[np.abs(kept).argmax(0), np.arange(kept.shape[1])])
