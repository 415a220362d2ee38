"""Ridge through the features, for at least as many mapping rows as features: Gram matrices and cross-products.

With the sums over all rows, those of a training set follow by subtraction of the held-out fold: G - G_f, C - C_f, each
centred by a rank-one term. Features are read with the mean of the largest size removed, which saves digits only.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

from neuroscaling.regression.voxelwise.blocks import FoldSums, TargetBlock, added
from neuroscaling.regression.voxelwise.settings import MappingSize
from neuroscaling.regression.voxelwise.solver import HeldOutFeatures, RawProducts, TrainingSystem

ROWS = 2048
# Gram matrices of folds are kept up to this size, larger ones are formed again.
KEPT_NUMBERS = 2**24


class DesignMatrix:
    """Features of all rows on the device, read with a common mean removed. values: (N, p); rows: those of its mean."""

    def __init__(self, values: np.ndarray, rows: np.ndarray, dtype: torch.dtype, device: torch.device) -> None:
        with warnings.catch_warnings():
            # Features that are mapped from a file may not be written to, and aren't.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.values = torch.from_numpy(values).to(device)
        self.dtype = dtype
        total = added(part.sum(0) for part in self._parts(rows))
        self.mean = (total / len(rows)).to(dtype)

    def centred(self, rows: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        """Rows (len(rows), p), minus the common mean, which goes before digits do."""
        wide = torch.promote_types(self.values.dtype, dtype)
        return self._rows(rows).to(wide).sub_(self.mean).to(dtype)

    def gram(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Inner products of the features (p, p) and their sums (p,) over `rows`, float64."""
        p = self.values.shape[1]
        products, sums = (torch.zeros(s, dtype=torch.float64, device=self.values.device) for s in ((p, p), p))
        for part in self._parts(rows):
            part -= self.mean
            products += _square(part)
            sums += part.sum(0)
        return products, sums

    def _parts(self, rows: np.ndarray) -> Iterator[torch.Tensor]:
        for start in range(0, len(rows), ROWS):
            yield self._rows(rows[start : start + ROWS]).double()

    def _rows(self, rows: np.ndarray) -> torch.Tensor:
        return self.values[torch.from_numpy(np.asarray(rows, dtype=np.int64)).to(self.values.device)]


def _square(x: torch.Tensor) -> torch.Tensor:
    # numpy multiplies a matrix by its own transpose with half of the work; torch doesn't.
    if x.device.type == "cpu":
        return torch.from_numpy(x.numpy().T @ x.numpy())
    return x.T @ x


class PrimalSystems:
    """The linear systems of one mapping size in its features. It holds the Gram matrix between `open` and `close`.

    centres: {fold: what its training features are centred with}, their own mean, or without intercept that of all rows;
    ones: {fold: right side of a target of ones}, which is there without intercept alone; unit: trace of the Gram matrix
    over rows, the unit of relative penalties.
    """

    def __init__(
        self, size: MappingSize, design: DesignMatrix, evaluate: np.ndarray, standardise: bool, intercept: bool
    ) -> None:
        self.size, self.design, self.evaluate, self.intercept = size, design, evaluate, intercept
        self.standardise = standardise
        self.centres: dict[int, torch.Tensor] = {}
        self.ones: dict[int, torch.Tensor] = {}
        self.kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def open(self) -> None:
        """Form the Gram matrix of all mapping rows, the features' mean and scale, and the unit of penalties."""
        self.gram, self.sums = self._all_grams()
        self.mean = self.sums / self.size.n
        variance = (self.gram.diagonal() / self.size.n - self.mean**2).clamp_min(0)
        self.scale = None
        if self.standardise:
            squares = self.gram.diagonal() / self.size.n
            varying = (variance > 1e-13 * squares) & (variance > 1e-24 * (self.mean + self.design.mean) ** 2)
            self.scale = torch.where(varying, torch.where(varying, variance, 1.0).rsqrt(), 0.0)
            variance = variance * self.scale**2
        self.unit = float(variance.sum())

    def close(self) -> None:
        """Let go of the Gram matrices."""
        del self.gram
        self.kept.clear()

    def _all_grams(self) -> tuple[torch.Tensor, torch.Tensor]:
        p = self.design.values.shape[1]
        keep = len(self.size.folds) * p * p <= KEPT_NUMBERS
        products, total = (torch.zeros(s, dtype=torch.float64, device=self.design.values.device) for s in ((p, p), p))
        for fold in self.size.folds:
            gram, sums = self.design.gram(self.size.rows[self.size.held_out(fold)])
            if keep:
                self.kept[int(fold)] = gram, sums
            products.add_(gram)
            total.add_(sums)
        return products, total

    def training(self, fold: int) -> TrainingSystem:
        """The system of a fold's training rows, with the held-out rows to predict."""
        return self._training(fold, self.size.rows[self.size.held_out(fold)])[0]

    def quadratic(self, fold: int) -> tuple[TrainingSystem, HeldOutFeatures]:
        """The system of a fold's training rows without rows to predict, and the held-out rows' sums instead."""
        training, (products, sums) = self._training(fold, self.size.rows[:0])
        n, centre = int((self.size.labels == fold).sum()), self.centres[fold]
        self._centre(products, sums, centre, n)
        sums = sums - n * centre
        return training, HeldOutFeatures(
            products, sums if self.scale is None else sums * self.scale, centre, self.ones.get(fold)
        )

    def _training(self, fold: int, rows: np.ndarray) -> tuple[TrainingSystem, tuple[torch.Tensor, torch.Tensor]]:
        held_out = self.size.rows[self.size.held_out(fold)]
        products, sums = self.kept.pop(fold) if fold in self.kept else self.design.gram(held_out)
        n = self.size.n - len(held_out)
        self.centres[fold] = (self.sums - sums) / n if self.intercept else self.mean
        if not self.intercept:
            self.ones[fold] = self.sums - sums - n * self.mean
        name = f"mapping size {self.size.n}, fold {fold}"
        system = self._system(name, self.gram - products, self.sums - sums, self.centres[fold], n, rows)
        return system, (products, sums)

    def whole(self) -> TrainingSystem:
        """The system of all mapping rows, with the evaluation rows to predict."""
        name = f"mapping size {self.size.n}"
        return self._system(name, self.gram.clone(), self.sums, self.mean, self.size.n, self.evaluate)

    def _system(
        self, name: str, gram: torch.Tensor, sums: torch.Tensor, centre: torch.Tensor, n: int, rows: np.ndarray
    ) -> TrainingSystem:
        self._centre(gram, sums, centre, n)
        predicted = self.design.centred(rows, torch.float64).sub_(centre)
        if self.scale is not None:
            predicted.mul_(self.scale)
        return TrainingSystem(name, gram, predicted, self.scale)

    def _centre(self, gram: torch.Tensor, sums: torch.Tensor, centre: torch.Tensor, n: int) -> None:
        # (X - 1c')'(X - 1c') = X'X - s c' - c s' + n c c'
        gram.addr_(sums, centre, alpha=-1).addr_(centre, sums, alpha=-1).addr_(centre, centre, alpha=n)
        if self.scale is not None:
            gram.mul_(self.scale).mul_(self.scale[:, None])


class CrossProducts:
    """X'Y of each fold for one block of targets; a size that extends the one before adds its further rows only."""

    def __init__(self, design: DesignMatrix, block: TargetBlock, intercept: bool) -> None:
        self.design, self.block, self.intercept = design, block, intercept
        self.size: MappingSize | None = None

    def advance(self, form: PrimalSystems) -> None:
        """Go on to a mapping size: from here on sums and products are those of its rows."""
        self.form, size = form, form.size
        if self.size is None or not size.extends(self.size):
            self.folds: dict[int, torch.Tensor] = {}
            self.sums = FoldSums(self.block, self.intercept)
            done = 0
        else:
            done = self.size.n
        for fold in np.unique(size.labels[done:]):
            self._add(int(fold), size.rows[done:][size.labels[done:] == fold])
        self.size = size
        self.total = added(self.folds.values())

    def _add(self, fold: int, rows: np.ndarray) -> None:
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            x = self.design.centred(part, self.design.dtype)
            y = self.block.values[torch.from_numpy(np.asarray(part, dtype=np.int64)).to(x.device)]
            self.sums.add(fold, y)
            if fold in self.folds:
                self.folds[fold].addmm_(x.T, y)
            else:
                self.folds[fold] = x.T @ y

    def training(self, fold: int, columns: slice) -> torch.Tensor:
        """(X - 1c')'Y of the training rows of a fold, (p, columns): of targets as they are, with their offset."""
        products = self.total[:, columns] - self.folds[fold][:, columns]
        sums = added(own.sums[columns] for other, own in self.sums.folds.items() if other != fold)
        products = _centre(products, self.form.centres[fold], sums)
        if fold in self.form.ones:
            products.addr_(self.form.ones[fold].to(products.dtype), self.block.offset[columns])
        return products

    def products(self, fold: int, columns: slice) -> tuple[RawProducts, RawProducts]:
        """Raw right sides of all mapping rows and of those that a fold holds out."""
        own, everything = self.sums.folds[fold].sums[columns], self.sums.total()[columns]
        return (
            RawProducts(self.total[:, columns], everything.to(self.total.dtype)),
            RawProducts(self.folds[fold][:, columns], own.to(self.total.dtype)),
        )

    def whole(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """A function from numbers of targets in the block to (X - 1c')'Y of all mapping rows of the present size."""
        total, sums, centre = self.total, self.sums.total(), self.form.mean
        return lambda chosen: _centre(total[:, chosen], centre, sums[chosen])


def _centre(products: torch.Tensor, centre: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
    return products.addr_(centre.to(products.dtype), sums.to(products.dtype), alpha=-1)
