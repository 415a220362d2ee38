"""The laws of model and data size are sums of a part that parameters reduce and a part that data reduce.

`chinchilla` (Hoffmann and others 2022) knows the images seen, D; the published study fits it with N = n_params / 1e5
and D = n_samples_seen / 1e4. `data_constrained` (Muennighoff and others 2023, "Scaling Data-Constrained Language
Models", equation 5) tells unique images U from passes R. An image that is seen again is worth less each time, so that D
is replaced by

    D' = U + U R* (1 - exp(-(R - 1) / R*)),

which is U after one pass, and at most U (1 + R*). With R = 1 it is exactly `chinchilla` of U; with R* towards infinity
that of U R, and with R* towards 0 that of U alone. N is taken as it is: the discount of that paper for parameters
beyond what is best for U presupposes the cost 6 N D and its frontier, which do not hold between families of networks,
and it would be another law than `chinchilla` already at R = 1.
"""

import numpy as np

from neuroscaling.laws.parametrisation import (
    ALPHA,
    AMPLITUDE,
    MISALIGNMENT,
    Array,
    Form,
    Parameter,
    Slopes,
    log_sum,
    product,
)


def _chinchilla_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (ln E, ln A, alpha, ln B, beta); log_x (2, n): ln N, ln D."""
    log_n, log_d = log_x
    of_n = theta[:, 1, None] - theta[:, 2, None] * log_n
    of_d = theta[:, 3, None] - theta[:, 4, None] * log_d
    values = log_sum(log_sum(theta[:, 0, None], of_n), of_d)
    share_n, share_d = np.exp(of_n - values), np.exp(of_d - values)
    return values, (1.0 - share_n - share_d, share_n, -share_n * log_n, share_d, -share_d * log_d)


def _chinchilla_curve(x: Array, E: float, A: float, alpha: float, B: float, beta: float) -> Array:
    """x (n, 2): N and D in units of their scales."""
    n, d = np.asarray(x, dtype=np.float64).T
    return 1.0 - E - A * n**-alpha - B * d**-beta


def _chinchilla_rescale(natural: Array, ratio: Array) -> Array:
    E, A, alpha, B, beta = natural.T
    return np.stack([E, A * ratio[0] ** -alpha, alpha, B * ratio[1] ** -beta, beta], -1)


def _chinchilla_starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    parts, exponents = np.log([0.03, 0.15]), [0.1, 0.3, 0.8]
    return product(low + np.log([0.3, 0.7, 0.95]), parts, exponents, parts, exponents)


CHINCHILLA = Form(
    name="chinchilla",
    expression="1 - score = E + A N^-alpha + B D^-beta",
    parameters=(
        MISALIGNMENT,
        AMPLITUDE,
        ALPHA,
        Parameter("B", "part that data reduce, at D = its x_scale", "score", (-20.0, 10.0), True, "part at mean D"),
        Parameter("beta", "exponent of the part that data reduce", "1", (0.0, 5.0)),
    ),
    space="misalignment",
    loss="huber",
    inner=_chinchilla_inner,
    curve=_chinchilla_curve,
    starts=_chinchilla_starts,
    rescale=_chinchilla_rescale,
    asymptote="E",
    variables=2,
)


def effective_data(unique: Array, passes: Array, worn: Array | float) -> Array:
    """D' of `unique` images after `passes` over them, where R* = `worn`; arrays are broadcast.

    Before the first pass is over every image is a new one: D' = U R for R < 1.
    """
    more = np.maximum(passes - 1.0, 0.0)
    return unique * (np.minimum(passes, 1.0) - worn * np.expm1(-more / worn))


def log_gain(passes: Array, log_worn: Array) -> tuple[Array, Array]:
    """ln(D' / U) and its derivative by ln R*, for passes R (n,) and ln R* (m, 1)."""
    worn = np.exp(log_worn)
    z = np.maximum(passes - 1.0, 0.0) / worn
    had = -np.expm1(-z)
    gain = np.minimum(passes, 1.0) + worn * had
    return np.log(gain), worn * (had - z * np.exp(-z)) / gain


def _data_constrained_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (ln E, ln A, alpha, ln B, beta, ln R*); log_x (3, n): ln N, ln U, ln R, the last not centred."""
    log_n, log_u, log_r = log_x
    # Many points share their passes, such as the epochs of checkpoints.
    passes, place = np.unique(np.exp(log_r), return_inverse=True)
    gain, by_worn = (part[:, place] for part in log_gain(passes, theta[:, 5, None]))
    log_d = log_u + gain
    of_n = theta[:, 1, None] - theta[:, 2, None] * log_n
    of_d = theta[:, 3, None] - theta[:, 4, None] * log_d
    values = log_sum(log_sum(theta[:, 0, None], of_n), of_d)
    share_n, share_d = np.exp(of_n - values), np.exp(of_d - values)
    slopes_d = share_d, -share_d * log_d, -share_d * theta[:, 4, None] * by_worn
    return values, (1.0 - share_n - share_d, share_n, -share_n * log_n, *slopes_d)


def _data_constrained_curve(x: Array, E: float, A: float, alpha: float, B: float, beta: float, R_star: float) -> Array:
    """x (n, 3): N and U in units of their scales, and R."""
    n, u, passes = np.asarray(x, dtype=np.float64).T
    return 1.0 - E - A * n**-alpha - B * effective_data(u, passes, R_star) ** -beta


def _data_constrained_rescale(natural: Array, ratio: Array) -> Array:
    E, A, alpha, B, beta, worn = natural.T
    return np.stack([E, A * ratio[0] ** -alpha, alpha, B * ratio[1] ** -beta, beta, worn], -1)


def _data_constrained_starts(log_x: Array, target: Array) -> Array:
    low, parts = np.min(target), np.log([0.03, 0.15])
    levels, worn = low + np.log([0.3, 0.9]), np.log([1.0, 30.0, 3e3])
    return product(levels, parts, [0.1, 0.4, 1.2], parts, [0.1, 0.4], worn)


DATA_CONSTRAINED = Form(
    name="data_constrained",
    expression="1 - score = E + A N^-alpha + B D'^-beta, D' = U + U R* (1 - exp(-(R - 1) / R*))",
    parameters=(
        MISALIGNMENT,
        AMPLITUDE,
        ALPHA,
        Parameter(
            "B",
            "part that data reduce, at D' = the x_scale of U",
            "score",
            (-20.0, 10.0),
            True,
            "part at mean U and R = 1",
            absorbs=2,
        ),
        Parameter("beta", "exponent of the part that data reduce", "1", (0.0, 5.0)),
        Parameter(
            "R_star",
            "R*: passes after which a further one adds little: at most U (1 + R*) images are had of U",
            "1",
            (float(np.log(1e-2)), float(np.log(1e5))),
            True,
            tells=2,
        ),
    ),
    space="misalignment",
    loss="huber",
    inner=_data_constrained_inner,
    curve=_data_constrained_curve,
    starts=_data_constrained_starts,
    rescale=_data_constrained_rescale,
    asymptote="E",
    variables=3,
    counted=(2,),
)
