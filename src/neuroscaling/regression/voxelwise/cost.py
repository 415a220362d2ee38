"""What a fit costs, for the plan: floating-point operations of the ways that `scorers` has. Imports no torch."""

STRIP = 128
# Operations of an eigendecomposition with vectors and of a Cholesky factor for a matrix of order d, over d^3.
SPECTRUM, FACTOR = 9.0, 1 / 3


def flops(n: int, p: int, t: int, n_alphas: int, n_folds: int, n_evaluate: int, cuda: bool = False) -> float:
    """Operations of one mapping size: n mapping rows, p features, t targets, predictions of `n_evaluate` rows.

    Multiplications and additions both count. Features and Gram matrices, decompositions, the sweep over penalties in
    each fold, the refit and the predictions are in it; the share in float64 (decompositions, Gram matrices) runs at
    about half of the rate of float32 on a processor.
    """
    primal = p <= n
    held_out = n / n_folds
    order = p if primal else n - held_out
    gram = n * p * p if primal else n * n * p + 2 * n_evaluate * n * p
    products = 2 * n * p * t if primal else 0
    sweep = 2 * n_alphas * held_out * order * t
    quadratic = (4 * order**2 + n_alphas * order * (order + STRIP)) * t
    hats = n_alphas * held_out < t or cuda
    if primal and quadratic < sweep:
        fold = SPECTRUM * order**3 + 4 * held_out * order**2 + quadratic
    elif cuda:
        fold = n_alphas * (FACTOR * order**3 + 2 * held_out * order**2) + sweep
    else:
        fold = SPECTRUM * order**3 + 2 * held_out * order**2 + sweep
        fold += 2 * n_alphas * held_out * order**2 if hats else 2 * order**2 * t
    whole = p if primal else n
    refit = n_alphas * (FACTOR * whole**3 + 2 * n_evaluate * whole**2) + 2 * n_evaluate * whole * t
    return float(gram + products + n_folds * fold + refit)
