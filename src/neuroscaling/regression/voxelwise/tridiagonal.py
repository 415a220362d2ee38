"""Penalties are scored through a tridiagonal form of the training matrix, which takes a fifth of an eigenbasis' time.

With M = Q T Q', Q a product of Householder reflections and T tridiagonal, (M + alpha I)^-1 Z = Q (T + alpha I)^-1 Q'Z:
one reduction serves all penalties, and each takes a pass over the right side. On a processor; all of it in float64.
"""

import numpy as np
import torch
from scipy.linalg import lapack

from neuroscaling.regression.voxelwise.blocks import HeldOutTargets
from neuroscaling.regression.voxelwise.solver import TrainingSystem, scores_of_scaled, singular

# Columns that LAPACK works on together.
BLOCK = 64


class Tridiagonal:
    """Predictions are `rows @ (T + alpha I)^-1 @ (Q' right side)`, rows the held-out ones times Q."""

    def __init__(self, training: TrainingSystem, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        self.name, self.alphas, self.dtype = training.name, alphas.numpy(), dtype
        self.factor = (unit + alphas)[:, None]
        self.scale = None if training.scale is None else training.scale.numpy()[:, None]
        self.diagonal, self.beside, self.reflections, self.tau = _reduced(training.matrix.numpy())
        self.rows = torch.from_numpy(np.ascontiguousarray(self._turned(training.rows.numpy().T).T)).to(dtype)

    def score(self, name: str, targets: HeldOutTargets, right: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
        """Scores (penalties, b) from the training right side (d, b) and the held-out targets (q, b)."""
        coordinates = self._coordinates(right)
        sums, squares, products = (held_out.new_empty(len(self.alphas), held_out.shape[1]) for _ in range(3))
        for i in range(len(self.alphas)):
            predicted = self.rows @ self._solved(coordinates, i)
            torch.sum(predicted, 0, out=sums[i])
            torch.sum(predicted * held_out, 0, out=products[i])
            torch.sum(predicted.square_(), 0, out=squares[i])
        return scores_of_scaled(name, targets, self.factor, sums, squares, products)

    def predict(self, right: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        """Predictions (q, b) from the right side (d, b), each target's at its penalty: choice (b,) is its number."""
        coordinates = self._coordinates(right)
        predicted = torch.empty(len(self.rows), len(choice), dtype=self.dtype)
        for i in torch.unique(choice).tolist():
            columns = (choice == i).nonzero()[:, 0]
            solved = self._solved(np.asfortranarray(coordinates[:, columns.numpy()]), i)
            predicted[:, columns] = self.rows @ solved / float(self.factor[i])
        return predicted

    def _coordinates(self, right: torch.Tensor) -> np.ndarray:
        values = right.double().numpy()
        return self._turned(values if self.scale is None else values * self.scale)

    def _turned(self, values: np.ndarray) -> np.ndarray:
        """Q' times values (d, b), in columns."""
        turned = np.array(values, dtype=np.float64, order="F")
        if len(turned) > 1 and turned.shape[1]:
            lwork = BLOCK * max(turned.shape)
            turned[1:] = lapack.dormqr("L", "T", self.reflections, self.tau, turned[1:], lwork)[0]
        return turned

    def _solved(self, coordinates: np.ndarray, i: int) -> torch.Tensor:
        """(T + alpha I)^-1 of coordinates (d, b) for a penalty, times (unit + alpha), which keeps them in range."""
        alpha = float(self.alphas[i])
        pivots, _, solved, fault = lapack.dptsv(self.diagonal + alpha, self.beside, coordinates)
        rounding = len(pivots) * np.finfo(np.float64).eps
        if fault or (alpha == 0 and pivots.min() <= rounding * self.diagonal.max()):
            raise singular(self.name, alpha, len(pivots))
        return torch.from_numpy(solved).mul_(float(self.factor[i])).to(self.dtype)


def _reduced(matrix: np.ndarray) -> tuple[np.ndarray, ...]:
    """T's diagonal (d,) and what stands beside it (d - 1,); the reflections (d - 1, d - 1) and their factors."""
    n = len(matrix)
    if n == 1:
        # LAPACK's wrapper wants a number beside the diagonal, which is not used.
        return matrix[0].copy(), np.zeros(1), np.zeros((0, 0)), np.zeros(0)
    reduced, diagonal, beside, factors, _ = lapack.dsytrd(matrix.T, lower=1, lwork=BLOCK * n)
    # The first row and column hold no reflection.
    return diagonal, beside, np.asfortranarray(reduced[1:, :-1]), factors
