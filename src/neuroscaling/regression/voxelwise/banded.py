"""Banded ridge: each target is fitted from all bands of features, with a penalty of its own for each band.

The model is ridge on the weighted sum of the bands' inner products, sum_l w_l K_l, so band l has the penalty
alpha / w_l. Weights and alpha are searched at random, as himalaya's `MultipleKernelRidgeCV(solver="random_search")`
does (Dupre la Tour and others, NeuroImage 264 (2022) 119728). The best of many candidates is partly the luckiest: a
target takes a mixture of bands only where that is better than its best single band by more than the standard error of
the difference (the rule of Breiman, Friedman, Olshen and Stone, 1984).
"""

from dataclasses import dataclass

import numpy as np
import torch

from neuroscaling.core.counting import counted
from neuroscaling.regression.voxelwise.bands import (
    Bands,
    BandsFit,
    fit_in_blocks,
    fold_scorers,
    held_out_residuals,
    score_curve,
)
from neuroscaling.regression.voxelwise.dual import RowTargets
from neuroscaling.regression.voxelwise.fit import Targets, refitted
from neuroscaling.regression.voxelwise.settings import RidgeSettings
from neuroscaling.regression.voxelwise.solver import Refit

# Concentrations of the Dirichlet distributions that draws take by turns: sparse weights, then any.
CONCENTRATIONS = (0.1, 1.0)


def candidate_weights(n_bands: int, n_draws: int, seed: int) -> np.ndarray:
    """Weights of the bands that are tried, (candidates, n_bands), each row of sum 1: every band alone, all alike, then
    `n_draws` from Dirichlet distributions. Of one band there is one candidate."""
    if n_bands == 1:
        return np.ones((1, 1))
    rng = np.random.default_rng(seed)
    drawn = [rng.dirichlet([CONCENTRATIONS[i % len(CONCENTRATIONS)]] * n_bands) for i in range(n_draws)]
    return np.vstack([np.eye(n_bands), np.full((1, n_bands), 1 / n_bands), *drawn])


def fit_banded(
    bands: Bands,
    targets: Targets,
    n_targets: int,
    settings: RidgeSettings,
    candidates: np.ndarray,
    standard_errors: float = 1.0,
) -> BandsFit:
    """Give each target the weights, among `candidates` (g, L), and the penalty with the best cross-validated score.

    Of equal scores the first weights and the smallest penalty. standard_errors: by how many of them the mean squared
    error of held-out mapping rows must be less than that of the best single band (a row of `candidates` with one weight
    of 1) before other weights are taken; -inf for the best score alone, as himalaya does. targets: as of `fit_sizes`.
    Raises ValueError for faulty settings, penalties that aren't relative, and targets that aren't finite.
    """
    settings.check()
    if not settings.relative:
        raise ValueError("alphas: banded ridge scales its bands, so penalties are relative to them")
    search = _Search(bands, settings, candidates, standard_errors)
    return fit_in_blocks(search.fit, bands, targets, n_targets, settings, numbers=4 * bands.size.n)


@dataclass(frozen=True)
class Choice:
    """Of each of b targets: the best score, the numbers of its weights and of its penalty (b,), and the squared errors
    of held-out mapping rows (n, b), fold after fold."""

    score: torch.Tensor
    weights: torch.Tensor
    penalty: torch.Tensor
    errors: torch.Tensor

    @classmethod
    def none(cls, errors: torch.Tensor) -> "Choice":
        """Before any weights were tried; errors (n, b) of no meaning yet."""
        score = errors.new_full(errors.shape[1:], -torch.inf, dtype=torch.float64)
        numbers = torch.zeros_like(score, dtype=torch.int64)
        return cls(score, numbers, numbers.clone(), errors)

    def mixed_with(self, other: "Choice", where: torch.Tensor) -> "Choice":
        """This one, or the other `where` (b,) says so."""
        return Choice(
            torch.where(where, other.score, self.score),
            torch.where(where, other.weights, self.weights),
            torch.where(where, other.penalty, self.penalty),
            torch.where(where, other.errors, self.errors),
        )


class _Search:
    """The search for one mapping size."""

    def __init__(self, bands: Bands, settings: RidgeSettings, candidates: np.ndarray, standard_errors: float) -> None:
        self.bands, self.settings, self.candidates = bands, settings, candidates
        self.alphas = torch.tensor(settings.alphas, dtype=torch.float64, device=bands.own.device)
        self.standard_errors = standard_errors

    def fit(self, right: RowTargets) -> BandsFit:
        """The fit of a block of targets."""
        choice = self._choice(right)
        return BandsFit(
            cv=choice.score.cpu().numpy(),
            alpha=self.alphas[choice.penalty].cpu().numpy(),
            weights=self.candidates[choice.weights.cpu().numpy()].T,
            predictions=self._predictions(right, choice).cpu().numpy(),
        )

    def _choice(self, right: RowTargets) -> Choice:
        """The best single band, or the best mixture where that is better by enough."""
        alone = self.candidates.max(1) == 1
        single, mixture = (self._best(right, np.flatnonzero(kind)) for kind in (alone, ~alone))
        taken = mixture.score > single.score
        if alone.any() and self.standard_errors > -np.inf:
            gain = (single.errors - mixture.errors).double()
            taken &= gain.mean(0) > self.standard_errors * gain.std(0) / len(gain) ** 0.5
        return single.mixed_with(mixture, taken)

    def _best(self, right: RowTargets, numbers: np.ndarray) -> Choice:
        """The best of the candidates of these numbers."""
        best = Choice.none(right.block.values.new_zeros(self.bands.size.n, right.block.values.shape[1]))
        forms = self.bands.sums(self.candidates[numbers])
        for number, form in zip(counted(numbers.tolist(), "weighting"), forms, strict=True):
            scorers = fold_scorers(form, self.alphas, best.errors.dtype)
            score, penalty = score_curve(scorers, right, self.settings.score).max(0)
            better = (score > best.score).nonzero()[:, 0]
            if not len(better):
                continue
            best.score[better], best.penalty[better], best.weights[better] = score[better], penalty[better], number
            residuals = held_out_residuals(scorers, right, penalty[better], better)
            best.errors[:, better] = torch.cat(list(residuals.values())).square_()
        return best

    def _predictions(self, right: RowTargets, choice: Choice) -> torch.Tensor:
        """Of the evaluation rows, (q, b), by models of all mapping rows."""
        values = right.block.values
        predictions = values.new_empty(self.bands.evaluated.shape[1], values.shape[1])
        for number in torch.unique(choice.weights).tolist():
            chosen = (choice.weights == number).nonzero()[:, 0]
            refit = Refit(self.bands.sum(self.candidates[number]).whole(), self.alphas, values.dtype)
            predictions[:, chosen] = refitted(
                refit, right, self.bands.size.n, self.settings.intercept, choice.penalty, chosen
            )
        return predictions
