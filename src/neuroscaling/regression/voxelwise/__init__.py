"""Exact cross-validated ridge with a penalty of its own for each of very many targets, from sufficient statistics.

`fit.fit_sizes(source, orders, folds, evaluate, targets, n_targets, settings)` yields a `fit.SizeFit` for each mapping
size and block of targets: `size`, `start`, `stop`, `cv_score` (b,), `alpha` (b,), `predict(mask) -> (evaluate, mask)`.
`settings.RidgeSettings` says how (it imports no torch); `sources` has what may stand for the features: `FeatureRows`,
`FeatureBlocks`, `GramRows`; `cost.flops` is the cost model of the plan.

A size of n mapping rows goes through the p features where p <= n, else through the inner products of its rows. In both
forms one fold is a symmetric matrix M, held-out rows A and a right side Z for every block of targets, with predictions
A (M + alpha I)^-1 Z: M = X'X and Z = X'Y of the training rows, or M = XX' and Z = Y. Either the matrices
A (M + alpha I)^-1 are made once for all targets (`hats`), or, with many held-out rows for each feature, one eigenbasis
of M serves all penalties and no prediction is formed at all (`eigenbasis`).
"""
