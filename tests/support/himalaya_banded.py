"""himalaya's random search fits what `fit_banded` fits, at the same bands, weights, penalties and folds."""

import numpy as np
import torch
from himalaya.kernel_ridge import MultipleKernelRidgeCV
from himalaya.scoring import correlation_score, r2_score

from neuroscaling.regression.voxelwise.bands import Bands, BandsFit
from neuroscaling.regression.voxelwise.settings import RidgeSettings
from tests.support.himalaya_ridge import torch_backend


def banded_by_himalaya(bands: Bands, targets: np.ndarray, settings: RidgeSettings, candidates: np.ndarray) -> BandsFit:
    """Arguments as of `fit_banded`; targets (all rows, t). Among equal penalties it takes the largest (it adds 1e-10
    log alpha to the scores)."""
    size = bands.size
    parameters = {
        "n_iter": torch.from_numpy(candidates),
        "alphas": torch.tensor(settings.alphas, dtype=torch.float64),
        "score_func": r2_score if settings.score == "r2" else correlation_score,
        "progress_bar": False,
    }
    with torch_backend():
        model = MultipleKernelRidgeCV(
            kernels="precomputed",
            solver="random_search",
            solver_params=parameters,
            cv=[(size.training(fold), size.held_out(fold)) for fold in size.folds],
            fit_intercept=settings.intercept,
        ).fit(bands.own, torch.from_numpy(targets[size.rows]))
        predictions = model.predict(bands.evaluated).numpy()
    penalties = np.exp(model.deltas_.numpy())
    alpha = 1 / penalties.sum(0)
    return BandsFit(model.cv_scores_.numpy().max(0), alpha, penalties * alpha, predictions)
