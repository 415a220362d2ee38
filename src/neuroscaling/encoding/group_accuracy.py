"""Accuracy over subjects has hierarchical bootstrap intervals and paired tests between runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, groupby, product
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.encoding_scores import write_parquet
from neuroscaling.encoding.accuracy import BOTH, MEASURES
from neuroscaling.encoding.accuracy_files import SubjectAccuracy, listed, read_accuracy

Group = tuple[str, str]
# What a measure can be at all: an interval that is freed of bias may reach beyond.
RANGES = {"r": (-1.0, 1.0), "explained": (-1.0, 1.0), "challenge": (0.0, 100.0)}
TEXT, NUMBER, COUNT = "string", "float64", "int64"
ACCURACY = (
    {"run": TEXT, "data": TEXT, "source": TEXT, "metric": TEXT, "test_set": TEXT, "simulated": "bool"}
    | {"region": TEXT, "hemisphere": TEXT}
    | {"n_mapping": COUNT, "mapping": TEXT, "measure": TEXT, "value": NUMBER, "low": NUMBER, "high": NUMBER}
    | {"bias": NUMBER, "interval_over": TEXT, "n_subjects": COUNT, "n_vertices": COUNT}
)
COMPARISON = (
    {"run": TEXT, "other": TEXT, "data": TEXT, "source": TEXT, "metric": TEXT, "test_set": TEXT}
    | {"simulated": "bool", "region": TEXT}
    | {"n_mapping": COUNT, "measure": TEXT, "difference": NUMBER, "low": NUMBER, "high": NUMBER}
    | {"interval_over": TEXT, "n_subjects": COUNT, "same_sign": NUMBER, "p": NUMBER}
)


def write_accuracy(score_files: Sequence[str | Path], out: str | Path) -> None:
    """Write `out` (accuracy.parquet) and `comparisons.parquet` beside it from the score files of runs and subjects.

    Beside each score file `<stem>.accuracy.parquet` is read, one run at a time. Raises DataError with all files that
    are unfit.
    """
    out = Path(out)
    rows: list[dict[str, Any]] = []
    of_both: list[SubjectAccuracy] = []
    for _, found in groupby(listed(map(Path, score_files)).items(), key=lambda item: item[0][:3]):
        members = sorted((one for _, path in found for one in read_accuracy(path)), key=_kind)
        for _, alike in groupby(members, key=_kind):
            rows += accuracy_rows(list(alike))
        of_both += [member.of(BOTH) for member in members]
    _write(out, rows, ACCURACY)
    _write(out.with_name("comparisons.parquet"), list(comparison_rows(of_both)), COMPARISON)


def accuracy_rows(members: Sequence[SubjectAccuracy]) -> Iterator[dict[str, Any]]:
    """Rows (ACCURACY) of one run on the subjects of one source by one metric on one test set.

    There is one for each region, hemisphere, size and measure.

    mapping: `equal`: the subjects that have this number of mapping images, all with the same; `largest`: each subject
    with its own largest number, n_mapping being the smallest of them. value, low, high: mean over subjects and its
    95 % interval; interval_over: what it is over; bias: of the resamples (`bootstrap.Summary`); n_vertices: sum over
    subjects. Measures that no subject has (those that need a ceiling) have no row.
    """
    for size in sorted({size for one in members for size in one.sizes}):
        yield from _rows("equal", [(one, size) for one in members if size in one.sizes])
    yield from _rows("largest", [(one, one.sizes[-1]) for one in members if one.sizes])


def comparison_rows(subjects: Sequence[SubjectAccuracy]) -> Iterator[dict[str, Any]]:
    """Rows (COMPARISON) for each two runs, data, source, metric, test set, region and measure, of both hemispheres.

    Each subject that both runs have counts with the largest number of mapping images that both have of it; n_mapping is
    the smallest of these. difference: run minus other, paired by subject and by draw of images; same_sign: share of
    subjects whose difference has the sign of the mean; p: exact sign-flip test, for this row alone (many rows: expect
    some small ones by chance).
    """
    by_data = sorted(subjects, key=lambda one: (one.data, one.source, *_kind(one), one.run))
    for _, found in groupby(by_data, key=lambda one: (one.data, one.source, *_kind(one))):
        runs = {run: {one.subject: one for one in group} for run, group in groupby(found, key=lambda one: one.run)}
        for first, second in combinations(runs, 2):
            yield from _compared(list(_pairs(runs[first], runs[second])))


def _rows(mapping: str, members: list[tuple[SubjectAccuracy, int]]) -> Iterator[dict[str, Any]]:
    if not members:
        return
    one = members[0][0]
    groups = _groups(member for member, _ in members)
    values = _stack([_values(member, size, groups) for member, size in members])
    n_vertices = {group: sum(_count(member, group) for member, _ in members) for group in groups}
    summary = summarise(values)
    facts = {"run": one.run, **_about(one), "mapping": mapping, "n_mapping": min(size for _, size in members)}
    for key, (group, measure) in enumerate((group, measure) for group in groups for measure in MEASURES):
        n = int(summary.n_subjects[key])
        if not n:
            continue
        yield facts | {
            "region": group[0],
            "hemisphere": group[1],
            "measure": measure,
            "value": float(summary.value[key]),
            "low": float(np.clip(summary.low[key], *RANGES.get(measure, (None, None)))),
            "high": float(np.clip(summary.high[key], *RANGES.get(measure, (None, None)))),
            "bias": float(summary.bias[key]),
            "interval_over": basis(n, values.shape[1] - 1),
            "n_subjects": n,
            "n_vertices": n_vertices[group],
        }


def _pairs(
    runs: dict[str, SubjectAccuracy], others: dict[str, SubjectAccuracy]
) -> Iterator[tuple[SubjectAccuracy, SubjectAccuracy, int]]:
    """The subjects of both runs, with the largest number of mapping images that both have."""
    for subject in sorted(set(runs) & set(others)):
        common = set(runs[subject].sizes) & set(others[subject].sizes)
        if common:
            yield runs[subject], others[subject], max(common)


def _compared(pairs: list[tuple[SubjectAccuracy, SubjectAccuracy, int]]) -> Iterator[dict[str, Any]]:
    if not pairs:
        return
    one, other, _ = pairs[0]
    groups = _groups(one for one, _, _ in pairs)
    first = _stack([_values(one, size, groups) for one, _, size in pairs])
    second = _stack([_values(other, size, groups) for _, other, size in pairs])
    n_draws = min(first.shape[1], second.shape[1])
    differences = first[:, :n_draws] - second[:, :n_draws]
    summary, sign, p = summarise(differences), same_sign(differences[:, 0]), sign_flip_p(differences[:, 0])
    facts = {"run": one.run, "other": other.run, **_about(one), "n_mapping": min(size for _, _, size in pairs)}
    for key, (group, measure) in enumerate((group, measure) for group in groups for measure in MEASURES):
        n = int(summary.n_subjects[key])
        if not n:
            continue
        yield facts | {
            "region": group[0],
            "measure": measure,
            "difference": float(summary.value[key]),
            "low": float(summary.low[key]),
            "high": float(summary.high[key]),
            "interval_over": basis(n, n_draws - 1),
            "n_subjects": n,
            "same_sign": float(sign[key]),
            "p": float(p[key]),
        }


def _kind(one: SubjectAccuracy) -> tuple[str, str]:
    return one.metric, one.test_set


def _about(one: SubjectAccuracy) -> dict[str, Any]:
    same = {"data": one.data, "source": one.source, "metric": one.metric, "test_set": one.test_set}
    return {**same, "simulated": one.simulated}


def _groups(members: Iterator[SubjectAccuracy]) -> list[Group]:
    """Regions and hemispheres that any subject has, in the order of first appearance."""
    return list(dict.fromkeys(group for member in members for group in member.groups))


def _values(member: SubjectAccuracy, size: int, groups: list[Group]) -> np.ndarray:
    """Values (1 + draws, groups x measures) at one number of mapping images; NaN for groups that it lacks."""
    found = member.values[member.sizes.index(size)]
    values = np.full((len(found), len(groups), len(MEASURES)), np.nan)
    for place, group in enumerate(groups):
        if group in member.groups:
            values[:, place] = found[:, member.groups.index(group)]
    return values.reshape(len(found), -1)


def _count(member: SubjectAccuracy, group: Group) -> int:
    return int(member.n_vertices[member.groups.index(group)]) if group in member.groups else 0


def _stack(values: list[np.ndarray]) -> np.ndarray:
    """(subjects, 1 + draws, keys): as many draws as all subjects have."""
    return np.stack([one[: min(map(len, values))] for one in values])


def _write(path: Path, rows: list[dict[str, Any]], types: dict[str, str]) -> None:
    write_parquet(path, {name: [row[name] for row in rows] for name in types}, types)


LEVELS = (2.5, 97.5)
N_RESAMPLES = 2000
SEED = 0
MAX_FLIPPED = 16  # subjects whose 2^n signs are all tried


@dataclass(frozen=True)
class Summary:
    """Mean over subjects (keys,), its 95 % interval, and how many subjects have the number.

    bias: how far the mean of the resamples lies above `value`. Resampled images add noise of their own to r^2; the
    interval is freed of that lift, which says nothing of how well the mean is known.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bias: np.ndarray
    n_subjects: np.ndarray


def summarise(values: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> Summary:
    """Mean over subjects with a hierarchical bootstrap interval: subjects are drawn, then images within each.

    values (subjects, 1 + draws, keys): the number of all images, then of each draw of images; NaN (in all draws) where
    a subject lacks it. A drawn subject comes with one of its draws at random. Of one subject the interval is over
    images alone, without draws over subjects alone; without either it is NaN. Keys share the resamples of subjects.
    """
    values = np.asarray(values, np.float64)
    present = np.isfinite(values[:, 0])
    n = present.sum(0)
    with np.errstate(invalid="ignore"):
        value = np.where(present, values[:, 0], 0).sum(0) / np.where(n, n, np.nan)
    low, high, bias = (np.full(len(n), np.nan) for _ in range(3))
    patterns, pattern = np.unique(present, axis=1, return_inverse=True)
    for number, subjects in enumerate(patterns.T):
        if subjects.sum() + (values.shape[1] > 1) > 1 and subjects.any():
            keys = np.nonzero(pattern.ravel() == number)[0]
            drawn = resamples(values[np.ix_(subjects, np.arange(values.shape[1]), keys)], n_resamples, seed)
            bias[keys] = drawn.mean(0) - value[keys]
            low[keys], high[keys] = np.percentile(drawn, LEVELS, axis=0) - bias[keys]
    return Summary(value, low, high, bias, n)


def resamples(values: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Means over drawn subjects (n_resamples, keys), each drawn subject with one of its draws of images.

    values (subjects, 1 + draws, keys), without NaN; where there are no draws, the numbers of all images stand in.
    """
    draws = values[:, 1:] if values.shape[1] > 1 else values
    n_subjects, n_draws, n_keys = draws.shape
    rng = np.random.default_rng(seed)
    subjects = rng.integers(n_subjects, size=(n_resamples, n_subjects))
    images = rng.integers(n_draws, size=(n_resamples, n_subjects))
    total = np.zeros((n_resamples, n_keys))
    for place in range(n_subjects):
        total += draws[subjects[:, place], images[:, place]]
    return total / n_subjects


def basis(n_subjects: int, n_draws: int) -> str:
    """What an interval of `summarise` is over, in words."""
    over = ["subjects"] * (n_subjects > 1) + ["images"] * (n_draws > 0 and n_subjects > 0)
    return " and ".join(over) or "nothing"


def same_sign(differences: np.ndarray) -> np.ndarray:
    """Share of the subjects (keys,) whose difference has the sign of the mean. differences (subjects, keys) or NaN."""
    present = np.isfinite(differences)
    n = present.sum(0)
    signs = np.sign(np.where(present, differences, 0))
    agree = ((signs == np.sign(_total(differences))) & present).sum(0)
    return np.where(n > 0, agree / np.maximum(n, 1), np.nan)


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided p (keys,) that differences (subjects, keys) have mean 0: the share of all 2^n ways to give them signs
    whose mean is as far from 0. Exact where the differences are symmetric about 0 under the null hypothesis.

    NaN for no subject, or more than MAX_FLIPPED. With n subjects no p lies below 2^(1-n): .0078 for eight.
    """
    p = np.full(differences.shape[1], np.nan)
    present = np.isfinite(differences)
    for key in np.nonzero((present.sum(0) > 0) & (present.sum(0) <= MAX_FLIPPED))[0]:
        own = differences[present[:, key], key]
        means = np.abs(_signs(len(own)) @ own)
        p[key] = (means >= means[0] * (1 - 1e-12)).mean()
    return p


@cache
def _signs(n: int) -> np.ndarray:
    """All ways to sign n numbers (2^(n-1), n); the first sign stays, since flipping all changes no absolute value."""
    return np.array(list(product((1.0,), *[(1.0, -1.0)] * (n - 1))))


def _total(differences: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(differences), differences, 0).sum(0)
