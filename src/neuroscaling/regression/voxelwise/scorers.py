"""Scores of all penalties for one fold, in the two ways that `Training` can be made ready for all targets.

`Hats`: a matrix for each penalty that turns the right side into held-out predictions. `Eigenbasis`: one basis for all
penalties, in which sums of squared predictions are quadratic forms; no prediction is formed. Both are prepared once in
float64 and applied in the type of the targets.
"""

from typing import Protocol

import torch

from neuroscaling.regression.voxelwise.block import HeldOut
from neuroscaling.regression.voxelwise.scoring import score_of
from neuroscaling.regression.voxelwise.solving import Training, singular

STRIP = 128


class Scorer(Protocol):
    """A fold that is ready for targets."""

    def score(self, name: str, targets: HeldOut, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        """Scores (penalties, b) from the training right side (d, b).

        held_out: the held-out targets (q, b) for `Hats`, the held-out right side (p, b) for an `Eigenbasis`.
        """


class Hats:
    """Predictions of the held-out rows for each penalty are `hat @ right side`."""

    def __init__(self, training: Training, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        self.factor = (unit + alphas)[:, None]
        self.hats = [hat.to(dtype) for hat in training.hats(alphas, unit)]
        self.column_sums = torch.stack([hat.sum(0) for hat in self.hats])

    def score(self, name: str, targets: HeldOut, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        squares, products = (right.new_empty(len(self.hats), right.shape[1]) for _ in range(2))
        predicted, work = (torch.empty_like(held_out) for _ in range(2))
        for i, hat in enumerate(self.hats):
            torch.mm(hat, right, out=predicted)
            torch.sum(torch.mul(predicted, held_out, out=work), 0, out=products[i])
            torch.sum(predicted.square_(), 0, out=squares[i])
        return _score(name, targets, self.factor, self.column_sums @ right, squares, products)


class Eigenbasis:
    """Predictions are A D with D = (values + alpha)^-1 B: sums over rows need A'A and A'Y only (A: held-out rows).

    D'(A'A)D is half of the work where each pair of basis vectors is taken once: strips of A'A right of the diagonal.
    """

    def __init__(self, training: Training, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        values, vectors = torch.linalg.eigh(training.matrix)
        order = len(values)
        if float(alphas[0]) == 0 and float(values[0]) <= order * torch.finfo(torch.float64).eps * float(values[-1]):
            raise singular(training.name, 0.0, order)
        rows = training.rows @ vectors
        self.factor = (unit + alphas)[:, None]
        shrink = self.factor / (values.clamp_min(0) + alphas[:, None])
        basis = vectors if training.scale is None else vectors * training.scale[:, None]
        self.basis = basis.T.to(dtype).contiguous()
        self.shrink, self.sums = shrink.to(dtype), (shrink * rows.sum(0)).to(dtype)
        products = rows.T @ rows
        for start in range(0, order, STRIP):
            products[start : start + STRIP, start + STRIP :] *= 2
        self.strips = [_strips(products, one, dtype) for one in shrink]

    def score(self, name: str, targets: HeldOut, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        coordinates = self.basis @ right
        products = self.shrink @ (coordinates * (self.basis @ held_out))
        squares = right.new_zeros(len(self.strips), right.shape[1])
        work = right.new_empty(min(STRIP, len(right)), right.shape[1])
        for i, strips in enumerate(self.strips):
            for start, strip in zip(range(0, len(right), STRIP), strips, strict=True):
                part = torch.mm(strip, coordinates[start:], out=work[: len(strip)])
                squares[i] += part.mul_(coordinates[start : start + STRIP]).sum(0)
        return _score(name, targets, self.factor, self.sums @ coordinates, squares, products)


def _strips(products: torch.Tensor, shrink: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
    return [
        (shrink[start : start + STRIP, None] * products[start : start + STRIP, start:] * shrink[start:]).to(dtype)
        for start in range(0, len(products), STRIP)
    ]


def _score(
    name: str, targets: HeldOut, factor: torch.Tensor, sums: torch.Tensor, squares: torch.Tensor, products: torch.Tensor
) -> torch.Tensor:
    # A target that doesn't vary in training leaves rounding alone on the right side: nothing is predicted of it.
    sums, squares, products = (
        torch.where(targets.constant, 0.0, values.double() / factor**power)
        for values, power in ((sums, 1), (squares, 2), (products, 1))
    )
    return score_of(name, targets, sums, squares, products)
