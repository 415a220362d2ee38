"""What a fit costs, for choosing its way and for the plan: floating-point operations. Imports no torch."""

from typing import Literal

Route = Literal["hats", "basis", "quadratic"]

# Basis vectors that are taken together in quadratic forms.
STRIP = 128
# Operations of an eigendecomposition with vectors and of a Cholesky factor for a matrix of order d, over d^3.
SPECTRUM, FACTOR = 9.0, 1 / 3


def route_of(order: float, held_out: float, primal: bool, n_alphas: int, n_targets: int, cuda: bool) -> Route:
    """The way with least work for a fold with a matrix of this order: see `scorers`."""
    if primal and _quadratic(order, n_alphas) < 2 * n_alphas * held_out * order:
        return "quadratic"
    # Into the eigenbasis each target goes for itself, into the hats every held-out row at every penalty.
    return "hats" if cuda or n_alphas * held_out < n_targets else "basis"


def _quadratic(order: float, n_alphas: int) -> float:
    return 4 * order**2 + n_alphas * order * (order + STRIP)


def flops(n: int, p: int, t: int, n_alphas: int, n_folds: int, n_evaluate: int, cuda: bool = False) -> float:
    """Operations of one mapping size: n mapping rows, p features, t targets, predictions of `n_evaluate` rows.

    Multiplications and additions both count. Features and Gram matrices, decompositions, the sweep over penalties in
    each fold, the refit and the predictions are in it; the share in float64 (decompositions, Gram matrices) runs at
    about half of the rate of float32 on a processor, decompositions at a quarter of that.
    """
    primal = p <= n
    gram = n * p * p if primal else n * n * p + 2 * n_evaluate * n * p
    products = 2 * n * p * t if primal else 0
    held_out = n / n_folds
    fold = _fold(p if primal else n - held_out, held_out, primal, t, n_alphas, cuda)
    whole = p if primal else n
    refit = n_alphas * (FACTOR * whole**3 + 2 * n_evaluate * whole**2)
    return float(gram + products + n_folds * fold + refit + 2 * n_evaluate * whole * t)


def _fold(order: float, held_out: float, primal: bool, t: int, n_alphas: int, cuda: bool) -> float:
    route = route_of(order, held_out, primal, n_alphas, t, cuda)
    into_basis = 2 * held_out * order**2
    if route == "quadratic":
        return SPECTRUM * order**3 + 2 * into_basis + _quadratic(order, n_alphas) * t
    sweep = 2 * n_alphas * held_out * order * t
    if cuda:
        return n_alphas * (FACTOR * order**3 + into_basis) + sweep
    return SPECTRUM * order**3 + into_basis + sweep + (n_alphas * into_basis if route == "hats" else 2 * order**2 * t)
