"""Whether an estimate may divide: noise ceilings, reliabilities and self-consistencies are never known exactly.

Whatever is divided by an estimate near 0 becomes any number: r = .03 over a ceiling of .0007 is 43. The rule here is
the only one in the package: an estimate divides where it is finite, above TINY, and, where its standard error can be
had, significantly above 0: estimate - 1.96 standard errors > 0 (the lower end of the 95 % interval of a normal
estimate). What can't divide gives no score, and a reason in words.
"""

import numpy as np

STANDARD_ERRORS = 1.96
TINY = 1e-6
"""Shares of variance and correlations below this are rounding of float32 (8 steps of it at 1)."""
ZERO_CLIPPED = 0.4
"""Mean of a normal estimate of 0 that is set to 0 where it is negative, in its standard errors (1 / sqrt(2 pi))."""


def unusable(value: float, error: float | None = None, by_chance: float = 0.0, what: str = "the ceiling") -> str | None:
    """Why `value` can't divide, in words; None where it can.

    error: its standard error, None where it isn't known; by_chance: what noise alone would give on average, above 0 for
    estimates that are never negative; what: what the value is. The part of the reason ahead of the colon holds no
    numbers, so that equal reasons can be counted.
    """
    value = float(value)
    if not np.isfinite(value):
        return f"{what} is not finite: {value}"
    if value <= 0:
        return f"{what} is not above 0: {value:.3g}"
    if value <= TINY:
        return f"{what} is as small as rounding: {value:.3g}"
    if error is None:
        return None
    if not value - by_chance - STANDARD_ERRORS * error > 0:
        noise = f", by chance {by_chance:.2g}" if by_chance else ""
        return f"{what} is not significantly above 0: {value:.3g}, standard error {error:.2g}{noise}"
    return None


def divides(values: np.ndarray) -> np.ndarray:
    """Of each value, whether it can divide as far as it tells by itself: finite and above TINY."""
    values = np.asarray(values, dtype=np.float64)
    return np.isfinite(values) & (values > TINY)


def correlation_error(r: float, n: int) -> float:
    """Standard error of a correlation over n independent values, (1 - r^2) / sqrt(n - 3); infinite for n below 4."""
    return float((1 - min(abs(r), 1.0) ** 2) / np.sqrt(n - 3)) if n > 3 else np.inf


def split_half_error(reliabilities: np.ndarray, n_images: int) -> float:
    """Standard error of the median over targets of split-half reliabilities (Spearman-Brown, of all repetitions).

    reliabilities (t,), one a target, those that aren't finite left out. The larger of two: the spread of the targets,
    as a bootstrap over them finds it (Maritz and Jarrett 1978), and what so many images allow: r of the halves has the
    error of a correlation over n_images, c = 2 r / (1 + r) takes it times 2 / (1 + r)^2, and the median of t targets
    divides it by sqrt(t) / 1.25. The second is all there is for one target, and for one pair of halves, whose spread is
    0. Infinite without targets.
    """
    values = np.asarray(reliabilities, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return np.inf
    median = min(max(float(np.median(values)), 0.0), 1.0)
    half = median / (2 - median)
    single = correlation_error(half, n_images) * 2 / (1 + half) ** 2
    from scipy.stats import mstats  # not while a study is parsed

    spread = float(mstats.mjci(values, prob=[0.5])[0]) if len(values) > 1 else 0.0
    return max(spread, np.sqrt(np.pi / 2) * single / np.sqrt(len(values)))


def repeat_ceiling_error(ceilings: np.ndarray, n_images: int) -> tuple[float, float]:
    """Standard error of the mean over targets of ceilings from repetitions (`scores.repeat_ceiling`), and its chance.

    ceilings (t,), those below 0 set to 0. The error is the larger of the spread of the targets and of what a target
    without any signal has: the variance of its image means, in units of the noise in them, is 1 with a variance of
    2 / n_images from the images and at most as much from the estimate of the noise. Set to 0 where negative, such
    ceilings average ZERO_CLIPPED of that error, which no mean takes away.
    """
    values = np.asarray(ceilings, dtype=np.float64)
    single = 2 / np.sqrt(n_images)
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return max(float(spread), single) / np.sqrt(len(values)), ZERO_CLIPPED * single
