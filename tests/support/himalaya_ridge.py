"""himalaya fits what `fit_sizes` fits: the field's library as a witness of penalties and predictions.

It decomposes every training set for every block of targets, in the type of the settings, and multiplies matrices of
n x n numbers for each penalty. Among penalties with equal scores it takes the largest (it adds 1e-10 log alpha).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from himalaya.backend import get_backend, set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score, r2_score

from neuroscaling.regression.voxelwise.blocks import FeatureRows, Source, read_block
from neuroscaling.regression.voxelwise.dual import dual_systems, scaled
from neuroscaling.regression.voxelwise.fit import SizeFit, Targets
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings, sizes_of


def fit_himalaya(
    source: Source,
    orders: Sequence[np.ndarray],
    folds: Sequence[np.ndarray],
    evaluate: np.ndarray,
    targets: Targets,
    n_targets: int,
    settings: RidgeSettings,
) -> Iterator[SizeFit]:
    """Yield each mapping size, each fitted for itself; arguments as of `fit_sizes`."""
    for size in sizes_of(orders, folds, evaluate, source.n_rows):
        x, rest, unit, kernel = _arrays(source, size, evaluate, settings)
        alphas = np.array(settings.alphas) * (unit if settings.relative and unit > 0 else 1.0)
        rows = torch.from_numpy(size.rows.astype(np.int64))
        block = read_block(targets, 0, n_targets, rows, x, settings.intercept)
        with torch_backend():
            model = _model(size, alphas, kernel, x, settings).fit(x, block.values[rows])
        choice = np.abs(np.log(model.best_alphas_.numpy())[:, None] - np.log(alphas)).argmin(1)
        score = model.cv_scores_.numpy().astype(np.float64)
        predict = _predictor(model, rest, block.offset)
        yield SizeFit(size.index, block.start, block.stop, score, choice, alphas[choice], predict)


def _arrays(
    source: Source, size: MappingSize, evaluate: np.ndarray, settings: RidgeSettings
) -> tuple[torch.Tensor, torch.Tensor, float, bool]:
    """Mapping and evaluation rows, as features or as inner products; the unit of penalties; whether inner products."""
    dtype, standardise = getattr(torch, settings.dtype), settings.scale == "standardise"
    if isinstance(source, FeatureRows) and source.n_features <= size.n:
        x, rest = scaled(source.values, size.rows, evaluate, standardise)
        own, other = torch.from_numpy(x).to(dtype), torch.from_numpy(rest).to(dtype)
        return own, other, float((x * x).sum()) / size.n, False
    [form] = dual_systems(source, [size], evaluate, standardise, settings.intercept, torch.device("cpu"))
    return form.products.to(dtype), form.evaluated.to(dtype), form.unit, True


def _model(
    size: MappingSize, alphas: np.ndarray, kernel: bool, x: torch.Tensor, settings: RidgeSettings
) -> RidgeCV | KernelRidgeCV:
    folds = [(size.training(fold), size.held_out(fold)) for fold in size.folds]
    parameters = {"score_func": r2_score if settings.score == "r2" else correlation_score}
    shared = {"alphas": torch.from_numpy(alphas).to(x), "cv": folds, "fit_intercept": settings.intercept}
    if kernel:
        return KernelRidgeCV(kernel="precomputed", solver_params=parameters, **shared)
    return RidgeCV(solver_params=parameters | {"warn": False}, **shared)


def _predictor(
    model: RidgeCV | KernelRidgeCV, rest: torch.Tensor, offset: torch.Tensor
) -> Callable[[np.ndarray], np.ndarray]:
    weights = model.dual_coef_ if isinstance(model, KernelRidgeCV) else model.coef_
    intercept = getattr(model, "intercept_", torch.zeros(weights.shape[1], dtype=weights.dtype))

    def predict(mask: np.ndarray) -> np.ndarray:
        chosen = torch.from_numpy(np.flatnonzero(np.asarray(mask, dtype=bool)))
        return (rest @ weights[:, chosen] + (intercept + offset)[chosen]).numpy()

    return predict


@contextmanager
def torch_backend() -> Iterator[None]:
    before = get_backend()
    set_backend("torch")
    try:
        yield
    finally:
        set_backend(before)
