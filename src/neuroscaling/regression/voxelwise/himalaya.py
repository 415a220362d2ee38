"""The same fits through himalaya (Dupre la Tour and others, NeuroImage 2022): RidgeCV, or KernelRidgeCV for n < p.

It decomposes every training set for every block of targets, in the type of the settings, and multiplies matrices of
n x n numbers for each penalty: slower, and another's code, which is what it is here for. Among penalties with equal
scores it takes the largest (it adds 1e-10 log alpha to the scores).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from neuroscaling.regression.voxelwise.block import read_block
from neuroscaling.regression.voxelwise.dual import check_finite, dual_sizes, scaled
from neuroscaling.regression.voxelwise.fit import SizeFit, Targets, device_of
from neuroscaling.regression.voxelwise.problem import Size
from neuroscaling.regression.voxelwise.settings import RidgeSettings
from neuroscaling.regression.voxelwise.sources import FeatureRows, Source


def fit_himalaya(
    source: Source, sizes: list[Size], evaluate: np.ndarray, targets: Targets, n_targets: int, settings: RidgeSettings
) -> Iterator[SizeFit]:
    """Yield each size and block of targets; arguments and errors as `fit_sizes`, each size fitted for itself."""
    for size in sizes:
        x, rest, unit, kernel = _inputs(source, size, evaluate, settings)
        alphas = np.array(settings.alphas) * (unit if settings.relative and unit > 0 else 1.0)
        width = _width(size, x.shape[1], source.n_rows, len(evaluate), settings)
        rows = torch.from_numpy(size.rows.astype(np.int64)).to(x.device)
        for start in range(0, n_targets, width):
            block = read_block(targets, start, min(start + width, n_targets), rows, x, settings.intercept)
            with _backend(x.device):
                model = _model(size, x, alphas, kernel, settings).fit(x, block.values[rows])
            choice = np.abs(np.log(model.best_alphas_.cpu().numpy())[:, None] - np.log(alphas)).argmin(1)
            score = model.cv_scores_.cpu().numpy().astype(np.float64)
            predict = _predictor(model, rest, block.offset)
            yield SizeFit(size.index, block.start, block.stop, score, choice, alphas[choice], predict)


def _inputs(
    source: Source, size: Size, evaluate: np.ndarray, settings: RidgeSettings
) -> tuple[torch.Tensor, torch.Tensor, float, bool]:
    """Mapping and evaluation rows, as features or as inner products; the unit of penalties; whether inner products."""
    device, dtype = device_of(settings), getattr(torch, settings.dtype)
    standardise = settings.scale == "standardise"
    if isinstance(source, FeatureRows) and source.n_features <= size.n:
        check_finite(source.values, np.union1d(size.rows, evaluate))
        x, rest = scaled(source.values, size.rows, evaluate, standardise)
        unit, kernel = float((x * x).sum()) / size.n, False
    else:
        [form] = dual_sizes(source, [size], evaluate, standardise, settings.intercept, torch.device("cpu"))
        x, rest = form.products.numpy(), form.evaluated.numpy()
        unit, kernel = form.unit, True
    return *(torch.from_numpy(values).to(device, dtype) for values in (x, rest)), unit, kernel


def _model(size: Size, x: torch.Tensor, alphas: np.ndarray, kernel: bool, settings: RidgeSettings):
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import correlation_score, r2_score

    folds = [(size.training(fold), size.held_out(fold)) for fold in size.folds]
    number = 8 if settings.dtype == "float64" else 4
    # It holds penalties x columns x rows at once: as many penalties as half of the memory takes.
    at_once = settings.memory_mb * 10**6 // 2 // max(2 * number * x.shape[1] * size.n, 1)
    parameters = {
        "score_func": r2_score if settings.score == "r2" else correlation_score,
        "n_alphas_batch": int(np.clip(at_once, 1, len(alphas))),
    }
    shared = {"alphas": torch.from_numpy(alphas).to(x), "cv": folds, "fit_intercept": settings.intercept}
    if kernel:
        return KernelRidgeCV(kernel="precomputed", solver_params=parameters, **shared)
    return RidgeCV(solver_params=parameters | {"warn": False}, **shared)


def _predictor(model, rest: torch.Tensor, offset: torch.Tensor) -> Callable[[np.ndarray], np.ndarray]:
    weights = getattr(model, "coef_", None)
    weights = model.dual_coef_ if weights is None else weights
    intercept = getattr(model, "intercept_", torch.zeros(weights.shape[1], dtype=weights.dtype))

    def predict(mask: np.ndarray) -> np.ndarray:
        chosen = torch.from_numpy(np.flatnonzero(np.asarray(mask, dtype=bool)))
        return (rest.cpu() @ weights.cpu()[:, chosen] + (intercept.cpu() + offset.cpu())[chosen]).numpy()

    return predict


def _width(size: Size, columns: int, n_rows: int, n_evaluate: int, settings: RidgeSettings) -> int:
    """Targets of a block: predictions of all penalties for one fold, weights, and the targets themselves."""
    number = 8 if settings.dtype == "float64" else 4
    held_out = max(len(size.held_out(fold)) for fold in size.folds)
    penalties = len(settings.alphas)
    of_target = number * (4 * penalties * held_out + 2 * (penalties + 1) * columns + 3 * n_rows + n_evaluate)
    return max(settings.memory_mb * 10**6 // 2 // of_target, 1)


@contextmanager
def _backend(device: torch.device) -> Iterator[None]:
    from himalaya.backend import get_backend, set_backend

    before = get_backend()
    set_backend("torch_cuda" if device.type == "cuda" else "torch")
    try:
        yield
    finally:
        set_backend(before)
