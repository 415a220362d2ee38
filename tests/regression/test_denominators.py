"""What may divide: the rule by hand, its errors against simulated repetitions, and every number that is divided."""

import numpy as np
import pytest

from neuroscaling.core.score_scales import SCALES, has_ceiling, reason_category
from neuroscaling.regression import scores
from neuroscaling.regression.denominators import (
    correlation_error,
    divides,
    repeat_ceiling_error,
    split_half_error,
    unusable,
)

NO_NUMBERS = (-0.035, 0.0, -np.inf, np.inf, np.nan, 7e-8)


@pytest.mark.parametrize(
    ("value", "error", "by_chance", "reason"),
    [
        (0.7, None, 0.0, None),
        (0.7, 0.1, 0.0, None),
        (1e-5, None, 0.0, None),
        (-0.035, None, 0.0, "the ceiling is not above 0: -0.035"),
        (0.0, 0.1, 0.0, "the ceiling is not above 0: 0"),
        (np.nan, None, 0.0, "the ceiling is not finite: nan"),
        (np.inf, None, 0.0, "the ceiling is not finite: inf"),
        (7e-8, None, 0.0, "the ceiling is as small as rounding: 7e-08"),
        (0.19, 0.1, 0.0, "the ceiling is not significantly above 0: 0.19, standard error 0.1"),
        (0.197, 0.1, 0.0, None),
        (0.197, 0.1, 0.05, "the ceiling is not significantly above 0: 0.197, standard error 0.1, by chance 0.05"),
        (0.7, np.inf, 0.0, "the ceiling is not significantly above 0: 0.7, standard error inf"),
        (0.7, np.nan, 0.0, "the ceiling is not significantly above 0: 0.7, standard error nan"),
    ],
)
def test_the_rule(value, error, by_chance, reason):
    assert unusable(value, error, by_chance) == reason
    assert reason is None or not any(letter.isdigit() for letter in reason_category(reason).replace("above 0", ""))


def test_what_divides_by_itself():
    assert divides(np.array([0.7, 1e-5])).all() and not divides(np.array(NO_NUMBERS)).any()


def split_half(responses, rng):
    """Spearman-Brown corrected correlations of halves (targets,), of responses (repetitions, images, targets)."""
    order = rng.permutation(len(responses))
    halves = [responses[order[i::2]].mean(0) for i in (0, 1)]
    return scores.spearman_brown(scores.pearson(*halves))


@pytest.mark.parametrize(("targets", "signal"), [(1, 0.0), (1, 0.6), (12, 0.0), (12, 0.6)])
def test_the_error_of_a_split_half_ceiling_is_that_of_new_recordings(targets, signal):
    rng = np.random.default_rng(0)
    estimates, errors = [], []
    for _ in range(200):
        clean = signal * rng.standard_normal((60, targets))
        reliability = split_half(clean + rng.standard_normal((4, 60, targets)), rng)
        estimates.append(np.median(reliability))
        errors.append(split_half_error(reliability, 60))
    # Never much too small, which would let noise divide; at most some 2.2 times too large.
    assert 0.85 < np.mean(errors) / np.std(estimates) < 2.2
    passed = np.mean([unusable(value, error) is None for value, error in zip(estimates, errors, strict=True)])
    assert passed < 0.06 if signal == 0 else passed > (0.5 if targets == 1 else 0.99)


def test_no_targets_no_ceiling_and_few_images_tell_nothing():
    assert split_half_error(np.array([np.nan]), 100) == np.inf and correlation_error(0.5, 3) == np.inf
    assert split_half_error(np.array([0.5, np.nan]), 100) == split_half_error(np.array([0.5]), 100)


@pytest.mark.parametrize(("targets", "repetitions"), [(1, 2), (20, 2), (20, 10)])
def test_repeat_ceilings_of_noise_do_not_divide_and_those_of_signal_do(targets, repetitions):
    rng = np.random.default_rng(1)
    passed = {0.0: 0, 0.7: 0}
    for signal in passed:
        for _ in range(100):
            clean = signal * rng.standard_normal((targets, 200, 1))
            ceilings = scores.repeat_ceiling(clean + rng.standard_normal((targets, 200, repetitions)))
            error, by_chance = repeat_ceiling_error(ceilings, 200)
            passed[signal] += unusable(ceilings.mean(), error, by_chance) is None
    assert passed[0.0] <= 6 and passed[0.7] >= 90


@pytest.mark.parametrize("ceiling", NO_NUMBERS)
def test_no_function_divides_by_what_is_no_ceiling(ceiling):
    r, ceilings = np.array([0.5, 0.4]), np.full(2, ceiling)
    assert np.isnan(scores.normalised(r, ceilings)).all() and np.isnan(scores.pooled_score(r, ceilings))


def test_scales_with_and_without_a_ceiling():
    assert [scale for scale in SCALES if not has_ceiling(scale)] == ["r", "r2", "none", "loss"]
