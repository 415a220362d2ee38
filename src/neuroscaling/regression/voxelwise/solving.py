"""Ridge on one training set as matrices: what primal and dual form have in common."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

# On a processor one eigendecomposition takes about as long as eight Cholesky factors; on CUDA many times longer.
FACTORS_OF_SPECTRUM = 6


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

    def hats(self, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> Iterator[torch.Tensor]:
        """For each penalty (q, d): predictions for a right side, times (unit + alpha), which keeps them in range."""
        if self.matrix.is_cuda or len(alphas) < FACTORS_OF_SPECTRUM:
            yield from ((self.hat(alpha) * (unit + alpha)).to(dtype) for alpha in alphas)
            return
        spectrum = Spectrum.of(self, alphas, unit)
        rows, basis = spectrum.rows.to(dtype), spectrum.basis.to(dtype)
        for shrink in spectrum.shrink.to(dtype):
            yield (rows * shrink) @ basis

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


class Spectrum(NamedTuple):
    """A training set in its eigenbasis. vectors (d, d): eigenvectors in columns; rows (q, d): those to predict; basis
    (d, d): takes a right side there; shrink (penalties, d): (unit + alpha) / (eigenvalue + alpha)."""

    vectors: torch.Tensor
    rows: torch.Tensor
    basis: torch.Tensor
    shrink: torch.Tensor

    @classmethod
    def of(cls, training: Training, alphas: torch.Tensor, unit: float) -> "Spectrum":
        """One eigendecomposition for all penalties. Raises ValueError where the matrix is singular at a penalty 0."""
        values, vectors = torch.linalg.eigh(training.matrix)
        rounding = len(values) * torch.finfo(torch.float64).eps
        if float(alphas.min()) == 0 and float(values[0]) <= rounding * float(values[-1]):
            raise singular(training.name, 0.0, len(values))
        shrink = (unit + alphas[:, None]) / (values.clamp_min(0) + alphas[:, None])
        basis = vectors.T if training.scale is None else vectors.T * training.scale
        return cls(vectors, training.rows @ vectors, basis.contiguous(), shrink)


def singular(name: str, alpha: float, order: int) -> ValueError:
    """The error of a penalty that leaves a training set without a unique solution."""
    return ValueError(
        f"{name}: the Gram matrix ({order} x {order}) is singular at the penalty {alpha:g}; "
        "give larger penalties (above 0), or fewer features than training rows that don't depend on each other"
    )
