"""Ridge on one training set as matrices: what primal and dual form have in common."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Training:
    """Predictions are `rows @ (matrix + alpha I)^-1 @ Z`, Z the right side of the form; all in float64.

    name: for messages; matrix (d, d); rows (q, d): those to predict; scale (d,): what to multiply Z with first (the
    reciprocal standard deviations of features), None for ones.
    """

    name: str
    matrix: torch.Tensor
    rows: torch.Tensor
    scale: torch.Tensor | None

    def hats(self, alphas: torch.Tensor, unit: float) -> Iterator[torch.Tensor]:
        """For each penalty (q, d): predictions for a right side, times (unit + alpha), which keeps them in range."""
        for alpha in alphas:
            yield self.hat(alpha) * (unit + alpha)

    def hat(self, alpha: torch.Tensor) -> torch.Tensor:
        """rows (matrix + alpha I)^-1 scale, (q, d). Raises ValueError where the matrix is singular."""
        regularised = self.matrix.clone()
        regularised.diagonal().add_(alpha)
        factor, faults = torch.linalg.cholesky_ex(regularised)
        pivots = factor.diagonal() ** 2
        rounding = len(pivots) * torch.finfo(torch.float64).eps
        if int(faults) or (float(alpha) == 0 and float(pivots.min()) <= rounding * float(self.matrix.diagonal().max())):
            raise singular(self.name, float(alpha), len(pivots))
        hat = torch.cholesky_solve(self.rows.T, factor).T
        return hat if self.scale is None else hat * self.scale


def singular(name: str, alpha: float, order: int) -> ValueError:
    """The error of a penalty that leaves a training set without a unique solution."""
    return ValueError(
        f"{name}: the Gram matrix ({order} x {order}) is singular at the penalty {alpha:g}; "
        "give larger penalties (above 0), or fewer features than training rows that don't depend on each other"
    )
