"""Noisy scores that follow a known law of each form, at points and in the solver's coordinates."""

import numpy as np

from neuroscaling.laws import solver
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.loss import LOSSES

X = np.repeat(np.geomspace(10, 1e5, 12), 3)
X2 = np.stack([X, np.tile(np.geomspace(10, 1e5, 9), 4)], -1)
X3 = np.stack([X, np.tile(np.geomspace(10, 1e5, 9), 4), np.tile([1, 3, 10, 30, 100, 300], 6)], -1)
TRUE = {
    "power_law": {"E": 0.5, "A": 0.3, "alpha": 0.4},
    "power_law_shift": {"E": 0.5, "A": 1.0, "alpha": 0.6, "shift": 20.0},
    "chinchilla": {"E": 0.4, "A": 0.2, "alpha": 0.4, "B": 0.3, "beta": 0.3},
    "data_constrained": {"E": 0.4, "A": 0.2, "alpha": 0.4, "B": 0.3, "beta": 0.3, "R_star": 15.0},
    "broken_power_law": {"E": 0.4, "A": 0.5, "c0": 0.05, "c1": 0.45, "d1": 40.0, "f1": 0.5},
    "linear": {"a": 0.1, "b": 5e-5},
    "power_law_ceiling": {"C": 0.6, "A": 0.4, "alpha": 0.3},
    "log_linear": {"a": 0.1, "b": 0.08},
    "sqrt_saturating": {"L": 0.7, "k": 8.0},
    "logistic": {"L": 0.7, "x50": 20.0, "s": 0.6},
}


def points(form):
    return {1: X, 2: X2, 3: X3}[FORMS[form].variables]


def unit(form, size):
    """The unit `size` for every variable that has one."""
    law = FORMS[form]
    return size if law.variables == 1 else [1.0 if i in law.counted else size for i in range(law.variables)]


def centred(form, centre=None):
    """ln x about its mean, or in units of `centre`: (n,) or (2, n)."""
    x = points(form)
    mean = np.exp(np.log(x).mean(0)) if centre is None else np.broadcast_to(centre, x.shape[1:])
    return np.log(
        x / np.where([i in FORMS[form].counted for i in range(np.size(mean))], 1.0, mean).reshape(mean.shape)
    ).T


def data_of(form, y, rows=slice(None), loss=None):
    law = FORMS[form]
    return solver.Data(law, centred(form)[..., rows], y[rows], LOSSES[loss or law.loss])


def noisy(form, sigma=0.003, seed=0):
    x = points(form)
    y = FORMS[form].curve(x / unit(form, 10.0), **TRUE[form])
    return y + np.random.default_rng(seed).normal(0, sigma, len(x))
