"""Noisy scores that follow a known law of each form, at points and in the solver's coordinates."""

import numpy as np

from neuroscaling.laws import solver
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.loss import LOSSES

X = np.repeat(np.geomspace(10, 1e5, 12), 3)
X2 = np.stack([X, np.tile(np.geomspace(10, 1e5, 9), 4)], -1)
TRUE = {
    "power_law": {"E": 0.5, "A": 0.3, "alpha": 0.4},
    "power_law_shift": {"E": 0.5, "A": 1.0, "alpha": 0.6, "shift": 20.0},
    "chinchilla": {"E": 0.4, "A": 0.2, "alpha": 0.4, "B": 0.3, "beta": 0.3},
    "power_law_ceiling": {"C": 0.6, "A": 0.4, "alpha": 0.3},
    "log_linear": {"a": 0.1, "b": 0.08},
    "sqrt_saturating": {"L": 0.7, "k": 8.0},
    "logistic": {"L": 0.7, "x50": 20.0, "s": 0.6},
}


def points(form):
    return X2 if FORMS[form].variables == 2 else X


def centred(form, centre=None):
    """ln x about its mean, or in units of `centre`: (n,) or (2, n)."""
    x = points(form)
    return np.log(x / (np.exp(np.log(x).mean(0)) if centre is None else centre)).T


def data_of(form, y, rows=slice(None), loss=None):
    law = FORMS[form]
    return solver.Data(law, centred(form)[..., rows], y[rows], LOSSES[loss or law.loss])


def noisy(form, sigma=0.003, seed=0):
    x = points(form)
    y = FORMS[form].curve(x / 10.0, **TRUE[form])
    return y + np.random.default_rng(seed).normal(0, sigma, len(x))
