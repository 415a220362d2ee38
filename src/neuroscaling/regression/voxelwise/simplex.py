"""Convex combinations of predictions with the least squared error, for many targets at once."""

import numpy as np

# What is added to the diagonal, relative to its mean: bands that predict alike have one solution then.
RIDGE = 1e-12
TOLERANCE = 1e-12
# Steps for each model, after which rounding alone is left to decide: without rounding each step improves the error.
STEPS = 10


def simplex_weights(products: np.ndarray) -> np.ndarray:
    """For each target the weights w (t, L), not below 0 and of sum 1, that minimise w'Pw; products P (t, L, L).

    With P the inner products of L models' residuals, w'Pw is the squared error of the weighted mean of the models.
    Exact: the active sets of Lawson and Hanson's NNLS, in the form of Bro and de Jong (J. Chemometrics 11 (1997)
    393-401), for all targets side by side. (b >= 0 that minimises b'Pb / 2 - 1'b is a multiple of w: both satisfy the
    same conditions of Karush, Kuhn and Tucker.) Targets without any residual weigh all models alike.
    Raises ValueError for products that aren't finite.
    """
    products = np.asarray(products, np.float64)
    if not np.isfinite(products).all():
        raise ValueError("inner products of residuals are not finite (NaN or infinity)")
    n_models = products.shape[1]
    scale = np.trace(products, axis1=1, axis2=2) / n_models
    alive = scale > 0
    matrix = products / np.where(alive, scale, 1.0)[:, None, None]
    matrix = np.where(alive[:, None, None], matrix, 0.0) + np.where(alive, RIDGE, 1.0)[:, None, None] * np.eye(n_models)
    solution = _NonNegative(matrix).solve()
    return solution / solution.sum(1, keepdims=True)


class _NonNegative:
    """b >= 0 that minimises b'Pb / 2 - 1'b for each matrix P (t, L, L): solution (t, L), passive (t, L): above 0."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix
        self.solution = np.zeros(matrix.shape[:2])
        self.passive = np.zeros(matrix.shape[:2], bool)

    def solve(self) -> np.ndarray:
        # Models that rounding alone lets in are turned away again, and aren't asked a second time.
        refused = np.zeros_like(self.passive)
        targets = np.arange(len(self.matrix))
        for _ in range(STEPS * self.matrix.shape[1]):
            descent = 1 - np.einsum("tij,tj->ti", self.matrix[targets], self.solution[targets])
            descent[self.passive[targets] | refused[targets]] = 0
            entering = descent.argmax(1)
            going_on = descent.max(1) > TOLERANCE
            targets, entering = targets[going_on], entering[going_on]
            self.passive[targets, entering] = True
            trial = self._on_passive(targets)
            turned_away = trial[np.arange(len(targets)), entering] <= 0
            self.passive[targets[turned_away], entering[turned_away]] = False
            refused[targets[turned_away], entering[turned_away]] = True
            kept = targets[~turned_away]
            self._settle(kept)
            refused[kept] = False
        return self.solution

    def _settle(self, targets: np.ndarray) -> None:
        """Go towards the minimum on the passive set, drop what reaches 0, until the minimum is inside."""
        while len(targets):
            trial, now, passive = self._on_passive(targets), self.solution[targets], self.passive[targets]
            below = passive & (trial <= 0)
            step = np.where(below, now / np.where(below & (now > trial), now - trial, 1.0), np.inf).min(1)
            inside = ~below.any(1)
            moved = np.where(inside[:, None], trial, now + np.where(inside, 1.0, step)[:, None] * (trial - now))
            left = passive & ~(below & (moved <= TOLERANCE * np.abs(moved).max(1, keepdims=True)))
            self.solution[targets] = np.where(left, np.maximum(moved, 0), 0)
            self.passive[targets] = left
            targets = targets[~inside]

    def _on_passive(self, targets: np.ndarray) -> np.ndarray:
        """The minimum without bounds where all that isn't passive is 0, (targets, L)."""
        passive = self.passive[targets]
        inside = passive[:, :, None] & passive[:, None, :]
        matrix = np.where(inside, self.matrix[targets], np.eye(passive.shape[1]))
        return np.linalg.solve(matrix, passive.astype(np.float64)[..., None])[..., 0]
