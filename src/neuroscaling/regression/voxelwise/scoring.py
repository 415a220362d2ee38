"""Scores of held-out predictions from sums over rows: no prediction needs to be there when they are reckoned."""

import torch

from neuroscaling.regression.voxelwise.block import HeldOut


def score_of(
    name: str, targets: HeldOut, sums: torch.Tensor, squares: torch.Tensor, products: torch.Tensor
) -> torch.Tensor:
    """R^2 ("r2") or Pearson r ("r") of predictions for each penalty and target, (penalties, b) in float64.

    sums, squares (penalties, b): of the predictions as deviations from the mean of the training targets; products:
    with the held-out targets less the block's offset. R^2 is 0 where the target doesn't vary in the fold, r also where
    the prediction doesn't.
    """
    alive = targets.varies
    spread = torch.where(alive, targets.spread, 1.0)
    if name == "r2":
        # 1 - residual / total with the total taken out, so that small differences between penalties keep their digits.
        shift = targets.n * (targets.sums / targets.n - targets.mean) ** 2
        explained = 2 * (products - targets.mean * sums) - squares - shift
        return torch.where(alive, explained / spread, 0.0)
    predicted_spread = squares - sums**2 / targets.n
    # Predictions are only there as sums in float32.
    alive = alive & (predicted_spread > 1e-6 * squares)
    covariance = products - sums * (targets.sums / targets.n)
    return torch.where(alive, covariance / torch.sqrt(torch.where(alive, predicted_spread, 1.0) * spread), 0.0)
