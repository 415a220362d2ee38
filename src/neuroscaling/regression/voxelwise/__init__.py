"""Exact cross-validated ridge gives each of very many targets a penalty of its own, from sufficient statistics.

`fit.fit_sizes(source, orders, folds, evaluate, targets, n_targets, settings)` yields a `fit.SizeFit` for each mapping
size and block of targets. `settings.RidgeSettings` holds how, and `budget.flops` counts operations (neither imports
torch); `blocks` has what may stand for the features: `FeatureRows`, `FeatureBlocks`, `GramRows`.

A size of n mapping rows goes through the p features where p <= n (`primal`), else through the inner products of its
rows (`dual`). In both forms a fold is a symmetric matrix M, held-out rows A and a right side Z for every block of
targets, with predictions A (M + alpha I)^-1 Z: M = X'X and Z = X'Y of the training rows, or M = XX' and Z = Y. What
depends on no target is made once, in the way that is least work for the fold (`budget`), then targets pass in blocks,
each read once for all sizes that memory holds together (`fit`). Penalties are chosen from sums over held-out rows, and
the model of all rows is made for the penalties that were chosen (`solver`).

Several bands of features (the layers of a network) serve a target together in `banded.fit_banded` and
`stacking.fit_stacked`, from the bands' inner products (`bands`), whose folds a tridiagonal form solves (`tridiagonal`).
"""
