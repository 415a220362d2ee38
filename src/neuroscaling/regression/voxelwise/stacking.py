"""Stacking: each target is predicted by a convex combination of ridge models, one a band of features.

A band's model has a penalty for each target, as ridge of one layer has. The weights minimise the squared error of the
combined predictions of rows that the models didn't see, the held-out rows of the folds inside the mapping rows; then
the models are fitted to all mapping rows (Lin, Naselaris, Kay and Wehbe, NeuroImage 298 (2024) 120772; Breiman, Machine
Learning 24 (1996) 49-64).
"""

from dataclasses import dataclass

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
from neuroscaling.regression.voxelwise.blocks import added
from neuroscaling.regression.voxelwise.dual import RowTargets
from neuroscaling.regression.voxelwise.fit import Targets, refitted
from neuroscaling.regression.voxelwise.settings import RidgeSettings
from neuroscaling.regression.voxelwise.simplex import simplex_weights
from neuroscaling.regression.voxelwise.solver import Refit, score_of


def fit_stacked(bands: Bands, targets: Targets, n_targets: int, settings: RidgeSettings) -> BandsFit:
    """Give each target its combination of the bands' models. `alpha` is the penalty of the band with most weight.

    targets: as of `fit_sizes`. Raises ValueError for faulty settings, a fit without intercept, and targets that aren't
    finite.
    """
    settings.check()
    if not settings.intercept:
        raise ValueError("intercept: stacking compares squared errors, which need one")
    numbers = len(bands) * (2 * bands.size.n + bands.evaluated.shape[1])
    return fit_in_blocks(lambda right: _fit_block(bands, right, settings), bands, targets, n_targets, settings, numbers)


@dataclass(frozen=True)
class BandModels:
    """The models of all bands for b targets. residuals {fold: (L, held-out rows, b)}; predictions (L, q, b) of the
    evaluation rows; alpha (L, b)."""

    residuals: dict[int, torch.Tensor]
    predictions: torch.Tensor
    alpha: torch.Tensor


def _fit_block(bands: Bands, right: RowTargets, settings: RidgeSettings) -> BandsFit:
    models = _models(bands, right, settings)
    products = added(torch.einsum("lnb,mnb->blm", one, one).double() for one in models.residuals.values())
    weights = torch.from_numpy(simplex_weights(products.cpu().numpy())).to(products)
    shares = weights.T[:, None].to(models.predictions.dtype)
    strongest = weights.argmax(1)
    return BandsFit(
        cv=_combined_score(models, right, shares, settings.score).cpu().numpy(),
        alpha=models.alpha.gather(0, strongest[None])[0].cpu().numpy(),
        weights=weights.T.cpu().numpy(),
        predictions=(shares * models.predictions).sum(0).cpu().numpy(),
    )


def _models(bands: Bands, right: RowTargets, settings: RidgeSettings) -> BandModels:
    values = right.block.values
    width = values.shape[1]
    held_out = {int(fold): len(bands.size.held_out(fold)) for fold in bands.size.folds}
    residuals = {fold: values.new_empty(len(bands), rows, width) for fold, rows in held_out.items()}
    predictions = values.new_empty(len(bands), bands.evaluated.shape[1], width)
    alpha = torch.empty(len(bands), width, dtype=torch.float64, device=values.device)
    everything = torch.arange(width, device=values.device)
    for band in counted(range(len(bands)), "layer"):
        form, alphas = bands.single(band), _alphas(bands, band, settings)
        scorers = fold_scorers(form, alphas, values.dtype)
        choice = score_curve(scorers, right, settings.score).argmax(0)
        for fold, own in held_out_residuals(scorers, right, choice, everything).items():
            residuals[fold][band] = own
        refit = Refit(form.whole(), alphas, values.dtype)
        predictions[band] = refitted(refit, right, bands.size.n, settings.intercept, choice, everything)
        alpha[band] = alphas[choice] * (1.0 if settings.relative else float(bands.units[band]))
    return BandModels(residuals, predictions, alpha)


def _alphas(bands: Bands, band: int, settings: RidgeSettings) -> torch.Tensor:
    """Penalties in units of the scaled band."""
    alphas = torch.tensor(settings.alphas, dtype=torch.float64, device=bands.own.device)
    return alphas if settings.relative or not bands.units[band] else alphas / float(bands.units[band])


def _combined_score(models: BandModels, right: RowTargets, shares: torch.Tensor, score: str) -> torch.Tensor:
    """Cross-validated score of the combinations, (b,): the weights were chosen by the same rows."""
    curves = []
    for fold, residuals in models.residuals.items():
        about, held_out = right.sums.held_out(fold, slice(None)), right.held_out(fold)
        predicted = held_out - about.mean.to(held_out.dtype) - (shares * residuals).sum(0)
        sums, products, squares = predicted.sum(0), (predicted * held_out).sum(0), predicted.square().sum(0)
        curves.append(score_of(score, about, *(part[None].double() for part in (sums, squares, products)))[0])
    return torch.stack(curves).mean(0)
