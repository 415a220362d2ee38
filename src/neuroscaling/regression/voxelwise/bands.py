"""Bands of features (the layers of a network) stand beside each other as inner products of one mapping size's rows.

Each band is centred on the mapping rows and scaled so that the trace of its inner products is their number: bands of
many or large features have no more say than others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neuroscaling.core.counting import counted
from neuroscaling.regression.voxelwise.blocks import Source, read_block
from neuroscaling.regression.voxelwise.budget import USED_BYTES_OF_MB
from neuroscaling.regression.voxelwise.dual import DualSystems, RowTargets, dual_systems
from neuroscaling.regression.voxelwise.fit import Targets, device_of
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings
from neuroscaling.regression.voxelwise.solver import HatMatrices
from neuroscaling.regression.voxelwise.tridiagonal import Tridiagonal

# Numbers of weighted sums of bands that are made together, in one pass over the bands.
TOGETHER = 2**23
TARGETS_TOGETHER = 8192


@dataclass(frozen=True)
class Bands:
    """Inner products of L bands. own (L, n, n): of the mapping rows; evaluated (L, q, n): of the evaluation rows with
    them; units (L,): trace over n of each band before it was scaled, 0 for one that doesn't vary."""

    size: MappingSize
    own: torch.Tensor
    evaluated: torch.Tensor
    units: np.ndarray
    intercept: bool

    @classmethod
    def of(
        cls, sources: Sequence[Callable[[], Source]], size: MappingSize, evaluate: np.ndarray, settings: RidgeSettings
    ) -> "Bands":
        """The bands whose features, or inner products, the functions give, one after the other.

        Raises ValueError for too little memory, and for what `dual_systems` finds.
        """
        need = least_memory_mb(len(sources), size.n, len(evaluate))
        if need > settings.memory_mb:
            raise ValueError(
                f"memory_mb: {settings.memory_mb} doesn't hold the inner products of {len(sources)} layers and "
                f"{size.n} mapping rows; give {need}, fewer layers, or fewer mapping images"
            )
        device, standardise = device_of(settings), settings.scale == "standardise"
        own = torch.empty(len(sources), size.n, size.n, dtype=torch.float64, device=device)
        evaluated = torch.empty(len(sources), len(evaluate), size.n, dtype=torch.float64, device=device)
        units = np.zeros(len(sources))
        for band, source in enumerate(sources):
            [form] = dual_systems(source(), [size], evaluate, standardise, settings.intercept, device)
            units[band] = form.unit if form.unit > 0 else 0.0
            scale = 1 / form.unit if form.unit > 0 else 0.0
            torch.mul(form.products, scale, out=own[band])
            torch.mul(form.evaluated, scale, out=evaluated[band])
        return cls(size, own, evaluated, units, settings.intercept)

    def __len__(self) -> int:
        return len(self.own)

    def sums(self, weights: np.ndarray) -> Iterator[DualSystems]:
        """For each row of weights (g, L) the systems of the weighted sum of bands, without rows to evaluate."""
        n = self.size.n
        width = max(TOGETHER // (n * n), 1)
        for start in range(0, len(weights), width):
            part = torch.from_numpy(weights[start : start + width]).to(self.own)
            for products in (part @ self.own.view(len(self), -1)).view(-1, n, n):
                yield DualSystems(self.size, products, self.evaluated[0, :0], self.intercept)

    def sum(self, weights: np.ndarray) -> DualSystems:
        """The systems of one weighted sum, weights (L,), with the rows to evaluate."""
        factors = torch.from_numpy(np.asarray(weights, np.float64)).to(self.own)
        products, evaluated = (torch.tensordot(factors, values, 1) for values in (self.own, self.evaluated))
        return DualSystems(self.size, products, evaluated, self.intercept)

    def single(self, band: int) -> DualSystems:
        """The systems of one band, with the rows to evaluate."""
        return DualSystems(self.size, self.own[band], self.evaluated[band], self.intercept)


@dataclass(frozen=True)
class BandsFit:
    """Targets fitted from several bands. cv (t,): cross-validated score inside the mapping rows; alpha (t,): penalty;
    weights (L, t): of the bands, not negative, each target's of sum 1; predictions (q, t) of the evaluation rows."""

    cv: np.ndarray
    alpha: np.ndarray
    weights: np.ndarray
    predictions: np.ndarray


def effective_number(weights: np.ndarray) -> np.ndarray:
    """How many bands share each target (t,), from weights (L, t) of sum 1: 1 over the sum of squares (Hill's number of
    order 2): 1 where one band has all, L where all have the same."""
    return 1 / np.square(weights).sum(0)


def least_memory_mb(n_bands: int, n: int, n_evaluate: int) -> int:
    """The least `memory_mb` for the inner products of bands and for what is made of one weighted sum."""
    held = n_bands * n * (n + n_evaluate) + max(TOGETHER, n * n) + 4 * n * n
    return -(-8 * held // USED_BYTES_OF_MB)


def fit_in_blocks(
    fit: Callable[[RowTargets], BandsFit],
    bands: Bands,
    targets: Targets,
    n_targets: int,
    settings: RidgeSettings,
    numbers: int,
) -> BandsFit:
    """All targets, fitted in blocks by a function of the right side of the bands' systems.

    A target takes `numbers` numbers of the settings' type; a block is as many as a quarter of `memory_mb` holds.
    """
    like = torch.empty(0, dtype=getattr(torch, settings.dtype), device=bands.own.device)
    rows = torch.from_numpy(bands.size.rows.astype(np.int64)).to(like.device)
    memory = settings.memory_mb * USED_BYTES_OF_MB // 4
    width = int(np.clip(memory // (numbers * torch.finfo(like.dtype).bits // 8), 64, TARGETS_TOGETHER))
    parts = []
    for start in counted(range(0, n_targets, width), "block"):
        right = RowTargets(read_block(targets, start, min(start + width, n_targets), rows, like), bands.intercept)
        right.advance(bands.single(0))
        parts.append(fit(right))
    return BandsFit(
        cv=np.concatenate([part.cv for part in parts]),
        alpha=np.concatenate([part.alpha for part in parts]),
        weights=np.hstack([part.weights for part in parts]),
        predictions=np.hstack([part.predictions for part in parts]),
    )


FoldScorers = dict[int, Tridiagonal | HatMatrices]


def fold_scorers(form: DualSystems, alphas: torch.Tensor, dtype: torch.dtype) -> FoldScorers:
    """What scores penalties (k,) on the rows that each fold holds out."""
    kind = HatMatrices if form.products.is_cuda else Tridiagonal
    return {int(fold): kind(form.training(int(fold)), alphas, 1.0, dtype) for fold in form.size.folds}


def score_curve(scorers: FoldScorers, right: RowTargets, score: str) -> torch.Tensor:
    """Mean score over folds of each penalty and target of the block, (k, b) in float64."""
    curves = []
    for fold, scorer in scorers.items():
        about = right.sums.held_out(fold, slice(None))
        curves.append(scorer.score(score, about, right.training(fold, slice(None)), right.held_out(fold)))
    return torch.stack(curves).mean(0)


def held_out_residuals(
    scorers: FoldScorers, right: RowTargets, choice: torch.Tensor, columns: torch.Tensor
) -> dict[int, torch.Tensor]:
    """{fold: (held-out rows, some)}: residuals of the targets `columns`, each at its penalty, choice (some,)."""
    residuals = {}
    for fold, scorer in scorers.items():
        about = right.sums.held_out(fold, slice(None))
        predicted = scorer.predict(right.training(fold, slice(None))[:, columns], choice)
        predicted[:, about.constant[columns]] = 0
        residuals[fold] = (right.held_out(fold) - about.mean.to(predicted.dtype))[:, columns] - predicted
    return residuals
