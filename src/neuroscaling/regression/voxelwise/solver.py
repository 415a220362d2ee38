"""The solver scores all penalties of a fold from matrices, and refits at each target's penalty.

`HatMatrices`: a matrix for each penalty turns the right side into held-out predictions. `Eigenbasis`: the right side
goes into the eigenbasis of the training matrix once, and from there to predictions: less to prepare and hold.
`QuadraticForms`: sums of squared predictions as quadratic forms in that basis, no prediction is formed: for many
held-out rows. All are prepared in float64 and applied in the type of the targets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from neuroscaling.regression.voxelwise.blocks import HeldOutTargets
from neuroscaling.regression.voxelwise.budget import STRIP

# On a processor one eigendecomposition takes about as long as eight Cholesky factors; on CUDA many times longer.
FACTORS_OF_SPECTRUM = 6


@dataclass(frozen=True)
class TrainingSystem:
    """The linear system of training rows, in float64: predictions are `rows @ (matrix + alpha I)^-1 @ Z`, Z the right
    side of the form.

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
    def of(cls, training: TrainingSystem, alphas: torch.Tensor, unit: float) -> "Spectrum":
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


class Refit:
    """Predictions of the evaluation rows; the matrix of a penalty is made when a target first needs it."""

    def __init__(self, training: TrainingSystem, alphas: torch.Tensor, dtype: torch.dtype) -> None:
        self.training, self.alphas, self.dtype = training, alphas, dtype
        self.hats: dict[int, torch.Tensor] = {}

    def predict(self, right: Callable[[torch.Tensor], torch.Tensor], choice: torch.Tensor) -> torch.Tensor:
        """Predictions (rows, b). right: numbers of targets -> their right sides (d, some); choice (b,): number of each
        target's penalty."""
        predicted = torch.empty(len(self.training.rows), len(choice), dtype=self.dtype, device=choice.device)
        for i in torch.unique(choice).tolist():
            if i not in self.hats:
                # A factor for each penalty: an eigenbasis for all takes twice the memory, while targets are there.
                self.hats[i] = self.training.hat(self.alphas[i]).to(self.dtype)
            columns = (choice == i).nonzero()[:, 0]
            predicted[:, columns] = self.hats[i] @ right(columns)
        return predicted


class HeldOutFeatures(NamedTuple):
    """Held-out rows, centred with `centre` (p,) and scaled: products (p, p) of their features, sums (p,); ones (p,):
    the right side of a target of ones in training, None where that is 0 by an intercept; float64."""

    products: torch.Tensor
    sums: torch.Tensor
    centre: torch.Tensor
    ones: torch.Tensor | None


class RawProducts(NamedTuple):
    """Some rows' X'Y (p, b) of raw features, and sums (b,) of their targets: X'Y - c sums' is centred."""

    products: torch.Tensor
    sums: torch.Tensor


# Rows of matrices that are multiplied together.
TOGETHER = 1024


class HatMatrices:
    """Predictions of the held-out rows for each penalty are `hat @ right side`."""

    def __init__(self, training: TrainingSystem, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        self.factor = (unit + alphas)[:, None]
        hats = list(training.hats(alphas, unit, dtype))
        self.sums = torch.stack([hat.sum(0) for hat in hats])
        # One under the other they share what the processor does to prepare a right side for a product.
        self.together = max(TOGETHER // len(hats[0]), 1)
        starts = range(0, len(hats), self.together)
        self.hats = [torch.cat(hats[start : start + self.together]) for start in starts]

    def score(self, name: str, targets: HeldOutTargets, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        """Scores (penalties, b) from the training right side (d, b) and the held-out targets (q, b)."""
        squares, products = [], []
        for hats in self.hats:
            predicted = (hats @ right).view(-1, *held_out.shape)
            products.append((predicted * held_out).sum(1))
            squares.append(predicted.square_().sum(1))
        return scores_of_scaled(name, targets, self.factor, self.sums @ right, torch.cat(squares), torch.cat(products))

    def predict(self, right: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        """Predictions (q, b) from the right side (d, b), each target's at its penalty: choice (b,) is its number."""
        rows = len(self.hats[0]) // min(self.together, len(self.factor))
        predicted = torch.empty(rows, len(choice), dtype=right.dtype, device=right.device)
        for i in torch.unique(choice).tolist():
            columns = (choice == i).nonzero()[:, 0]
            first = i % self.together * rows
            hat = self.hats[i // self.together][first : first + rows]
            predicted[:, columns] = hat @ right[:, columns] / self.factor[i].to(right.dtype)
        return predicted


class Eigenbasis:
    """Predictions are `rows @ (shrink * (basis @ right side))`, rows the held-out ones in the eigenbasis."""

    def __init__(self, training: TrainingSystem, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        spectrum = Spectrum.of(training, alphas, unit)
        self.factor = (unit + alphas)[:, None]
        self.basis, self.rows = spectrum.basis.to(dtype), spectrum.rows.to(dtype)
        self.shrink, self.sums = spectrum.shrink.to(dtype), (spectrum.shrink * spectrum.rows.sum(0)).to(dtype)

    def score(self, name: str, targets: HeldOutTargets, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        """Scores (penalties, b) from the training right side (d, b) and the held-out targets (q, b)."""
        coordinates = self.basis @ right
        squares, products = (right.new_empty(len(self.shrink), right.shape[1]) for _ in range(2))
        shrunk, work = torch.empty_like(coordinates), (torch.empty_like(held_out), torch.empty_like(held_out))
        for i, shrink in enumerate(self.shrink):
            torch.mul(coordinates, shrink[:, None], out=shrunk)
            _add_up(torch.mm(self.rows, shrunk, out=work[0]), held_out, work[1], squares[i], products[i])
        return scores_of_scaled(name, targets, self.factor, self.sums @ coordinates, squares, products)


class QuadraticForms:
    """With A the held-out rows and D the shrunk coordinates, predictions A D have the sums of squares D'(A'A)D.

    That is half of the work where each pair of basis vectors is taken once: strips of A'A right of the diagonal.
    """

    def __init__(
        self, training: TrainingSystem, held_out: HeldOutFeatures, alphas: torch.Tensor, unit: float, dtype: torch.dtype
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
        self.strips = list(_strips_of_penalties(products, spectrum.shrink, dtype))

    def score(self, name: str, targets: HeldOutTargets, whole: RawProducts, held_out: RawProducts) -> torch.Tensor:
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
        return scores_of_scaled(name, targets, self.factor, self.sums @ coordinates, squares, products)


def _add_up(
    predicted: torch.Tensor, held_out: torch.Tensor, work: torch.Tensor, squares: torch.Tensor, products: torch.Tensor
) -> None:
    torch.sum(torch.mul(predicted, held_out, out=work), 0, out=products)
    torch.sum(predicted.square_(), 0, out=squares)


def _strips_of_penalties(products: torch.Tensor, shrink: torch.Tensor, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """Strips (rows, d - start) of the shrunk products, those of all penalties one under the other."""
    for start in range(0, len(products), STRIP):
        strip = shrink[:, start : start + STRIP, None] * products[start : start + STRIP, start:]
        yield (strip * shrink[:, None, start:]).to(dtype).flatten(0, 1)


def scores_of_scaled(
    name: str,
    targets: HeldOutTargets,
    factor: torch.Tensor,
    sums: torch.Tensor,
    squares: torch.Tensor,
    products: torch.Tensor,
) -> torch.Tensor:
    """What `score_of` gives, of predictions that came times `factor` (penalties, 1); 0 of targets without variance in
    training."""
    sums, squares, products = (
        values.double() / power for values, power in ((sums, factor), (squares, factor * factor), (products, factor))
    )
    if targets.constant.any():
        # A target that doesn't vary in training leaves rounding alone on the right side: nothing is predicted of it.
        sums, squares, products = (torch.where(targets.constant, 0.0, values) for values in (sums, squares, products))
    return score_of(name, targets, sums, squares, products)


def score_of(
    name: str, targets: HeldOutTargets, sums: torch.Tensor, squares: torch.Tensor, products: torch.Tensor
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
