"""Scores of all penalties for one fold, in three ways that `Training` can be made ready for all targets.

`Hats`: a matrix for each penalty turns the right side into held-out predictions. `Basis`: the right side goes into the
eigenbasis of the training matrix once, and from there to predictions: less to prepare and hold. `Quadratic`: sums of
squared predictions as quadratic forms in that basis, no prediction is formed: for many held-out rows. All are prepared
in float64 and applied in the type of the targets.
"""

from collections.abc import Iterator

import torch

from neuroscaling.regression.voxelwise.block import HeldOut
from neuroscaling.regression.voxelwise.cost import STRIP
from neuroscaling.regression.voxelwise.primal import Side, Sums
from neuroscaling.regression.voxelwise.scoring import score_of
from neuroscaling.regression.voxelwise.solving import Spectrum, Training

# Rows of matrices that are multiplied together.
TOGETHER = 1024


class Hats:
    """Predictions of the held-out rows for each penalty are `hat @ right side`."""

    def __init__(self, training: Training, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        self.factor = (unit + alphas)[:, None]
        hats = list(training.hats(alphas, unit, dtype))
        self.sums = torch.stack([hat.sum(0) for hat in hats])
        # One under the other they share what the processor does to prepare a right side for a product.
        together = max(TOGETHER // len(hats[0]), 1)
        self.hats = [torch.cat(hats[start : start + together]) for start in range(0, len(hats), together)]

    def score(self, name: str, targets: HeldOut, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        """Scores (penalties, b) from the training right side (d, b) and the held-out targets (q, b)."""
        squares, products = [], []
        for hats in self.hats:
            predicted = (hats @ right).view(-1, *held_out.shape)
            products.append((predicted * held_out).sum(1))
            squares.append(predicted.square_().sum(1))
        return _score(name, targets, self.factor, self.sums @ right, torch.cat(squares), torch.cat(products))


class Basis:
    """Predictions are `rows @ (shrink * (basis @ right side))`, rows the held-out ones in the eigenbasis."""

    def __init__(self, training: Training, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        spectrum = Spectrum.of(training, alphas, unit)
        self.factor = (unit + alphas)[:, None]
        self.basis, self.rows = spectrum.basis.to(dtype), spectrum.rows.to(dtype)
        self.shrink, self.sums = spectrum.shrink.to(dtype), (spectrum.shrink * spectrum.rows.sum(0)).to(dtype)

    def score(self, name: str, targets: HeldOut, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        """Scores (penalties, b) from the training right side (d, b) and the held-out targets (q, b)."""
        coordinates = self.basis @ right
        squares, products = (right.new_empty(len(self.shrink), right.shape[1]) for _ in range(2))
        shrunk, work = torch.empty_like(coordinates), (torch.empty_like(held_out), torch.empty_like(held_out))
        for i, shrink in enumerate(self.shrink):
            torch.mul(coordinates, shrink[:, None], out=shrunk)
            _add_up(torch.mm(self.rows, shrunk, out=work[0]), held_out, work[1], squares[i], products[i])
        return _score(name, targets, self.factor, self.sums @ coordinates, squares, products)


class Quadratic:
    """With A the held-out rows and D the shrunk coordinates, predictions A D have the sums of squares D'(A'A)D.

    That is half of the work where each pair of basis vectors is taken once: strips of A'A right of the diagonal.
    """

    def __init__(
        self, training: Training, held_out: Sums, alphas: torch.Tensor, unit: float, dtype: torch.dtype
    ) -> None:
        spectrum = Spectrum.of(training, alphas, unit)
        self.factor = (unit + alphas)[:, None]
        self.basis, self.shrink = spectrum.basis.to(dtype), spectrum.shrink.to(dtype)
        self.centre = (spectrum.basis @ held_out.centre).to(dtype)
        self.ones = None if held_out.ones is None else (spectrum.basis @ held_out.ones).to(dtype)
        self.sums = (spectrum.shrink * (held_out.sums @ spectrum.vectors)).to(dtype)
        products = spectrum.vectors.T @ held_out.products @ spectrum.vectors
        for start in range(0, len(products), STRIP):
            products[start : start + STRIP, start + STRIP :] *= 2
        self.strips = list(_strips(products, spectrum.shrink, dtype))

    def score(self, name: str, targets: HeldOut, whole: Side, held_out: Side) -> torch.Tensor:
        """Scores (penalties, b) from the right sides of all mapping rows and of the held-out ones."""
        within = self.basis @ held_out.products
        coordinates = (self.basis @ whole.products).sub_(within)
        coordinates.addr_(self.centre, whole.sums - held_out.sums, alpha=-1)
        if self.ones is not None:
            coordinates.addr_(self.ones, targets.mean.to(coordinates.dtype), alpha=-1)
        within.addr_(self.centre, held_out.sums, alpha=-1)
        products = self.shrink @ within.mul_(coordinates)
        squares = coordinates.new_zeros(len(self.shrink), coordinates.shape[1])
        for start, strip in zip(range(0, len(coordinates), STRIP), self.strips, strict=True):
            own = coordinates[start : start + STRIP]
            squares += (strip @ coordinates[start:]).view(-1, *own.shape).mul_(own).sum(1)
        return _score(name, targets, self.factor, self.sums @ coordinates, squares, products)


def _add_up(
    predicted: torch.Tensor, held_out: torch.Tensor, work: torch.Tensor, squares: torch.Tensor, products: torch.Tensor
) -> None:
    torch.sum(torch.mul(predicted, held_out, out=work), 0, out=products)
    torch.sum(predicted.square_(), 0, out=squares)


def _strips(products: torch.Tensor, shrink: torch.Tensor, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """Strips (rows, d - start) of the shrunk products, those of all penalties one under the other."""
    for start in range(0, len(products), STRIP):
        strip = shrink[:, start : start + STRIP, None] * products[start : start + STRIP, start:]
        yield (strip * shrink[:, None, start:]).to(dtype).flatten(0, 1)


def _score(
    name: str, targets: HeldOut, factor: torch.Tensor, sums: torch.Tensor, squares: torch.Tensor, products: torch.Tensor
) -> torch.Tensor:
    sums, squares, products = (
        values.double() / power for values, power in ((sums, factor), (squares, factor * factor), (products, factor))
    )
    if targets.constant.any():
        # A target that doesn't vary in training leaves rounding alone on the right side: nothing is predicted of it.
        sums, squares, products = (torch.where(targets.constant, 0.0, values) for values in (sums, squares, products))
    return score_of(name, targets, sums, squares, products)
