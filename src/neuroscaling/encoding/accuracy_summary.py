"""Accuracy over subjects, with hierarchical bootstrap intervals, and paired comparisons of runs."""

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.encoding.accuracy import BOTH, MEASURES
from neuroscaling.encoding.accuracy_files import SubjectAccuracy, listed, read_accuracy, write_columns
from neuroscaling.encoding.bootstrap import basis, same_sign, sign_flip_p, summarise

Group = tuple[str, str]
# What a measure can be at all: an interval that is freed of bias may reach beyond.
RANGES = {"r": (-1.0, 1.0), "explained": (-1.0, 1.0), "challenge": (0.0, 100.0)}
TEXT, NUMBER, COUNT = "string", "float64", "int64"
ACCURACY = (
    {"run": TEXT, "data": TEXT, "source": TEXT, "simulated": "bool", "region": TEXT, "hemisphere": TEXT}
    | {"n_mapping": COUNT, "mapping": TEXT, "measure": TEXT, "value": NUMBER, "low": NUMBER, "high": NUMBER}
    | {"bias": NUMBER, "interval_over": TEXT, "n_subjects": COUNT, "n_vertices": COUNT}
)
COMPARISON = (
    {"run": TEXT, "other": TEXT, "data": TEXT, "source": TEXT, "simulated": "bool", "region": TEXT}
    | {"n_mapping": COUNT, "measure": TEXT, "difference": NUMBER, "low": NUMBER, "high": NUMBER}
    | {"interval_over": TEXT, "n_subjects": COUNT, "same_sign": NUMBER, "p": NUMBER}
)


def write_accuracy(score_files: Sequence[str | Path], out: str | Path) -> None:
    """Write `out` (accuracy.parquet) and `comparisons.parquet` beside it from the score files of runs and subjects.

    Beside each score file `<stem>.accuracy.parquet` is read, one run at a time. Raises DataError with all files that
    are unfit.
    """
    score_files = [Path(file) for file in score_files]
    out = Path(out)
    rows: list[dict[str, Any]] = []
    of_both: list[SubjectAccuracy] = []
    for _, found in groupby(listed(score_files).items(), key=lambda item: item[0][:3]):
        members = [read_accuracy(path) for _, path in found]
        rows += accuracy_rows(members)
        of_both += [member.of(BOTH) for member in members]
    _write(Path(out), rows, ACCURACY)
    _write(Path(out).with_name("comparisons.parquet"), list(comparison_rows(of_both)), COMPARISON)


def accuracy_rows(members: Sequence[SubjectAccuracy]) -> Iterator[dict[str, Any]]:
    """Rows (ACCURACY) of one run on the subjects of one source, for each region, hemisphere, size and measure.

    mapping: `equal`: the subjects that have this number of mapping images, all with the same; `largest`: each subject
    with its own largest number, n_mapping being the smallest of them. value, low, high: mean over subjects and its
    95 % interval; interval_over: what it is over; bias: of the resamples (`bootstrap.Summary`); n_vertices: sum over
    subjects. Measures that no subject has (those that need a ceiling) have no row.
    """
    for size in sorted({size for one in members for size in one.sizes}):
        yield from _rows("equal", [(one, size) for one in members if size in one.sizes])
    yield from _rows("largest", [(one, one.sizes[-1]) for one in members if one.sizes])


def comparison_rows(subjects: Sequence[SubjectAccuracy]) -> Iterator[dict[str, Any]]:
    """Rows (COMPARISON) for each two runs, data, source, region and measure, of both hemispheres together.

    Each subject that both runs have counts with the largest number of mapping images that both have of it; n_mapping is
    the smallest of these. difference: run minus other, paired by subject and by draw of images; same_sign: share of
    subjects whose difference has the sign of the mean; p: exact sign-flip test, for this row alone (many rows: expect
    some small ones by chance).
    """
    by_data = sorted(subjects, key=lambda one: (one.data, one.source, one.run))
    for _, found in groupby(by_data, key=lambda one: (one.data, one.source)):
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
    facts = {"run": one.run, "data": one.data, "source": one.source, "simulated": one.simulated, "mapping": mapping}
    facts["n_mapping"] = min(size for _, size in members)
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
    facts = {"run": one.run, "other": other.run, "data": one.data, "source": one.source, "simulated": one.simulated}
    facts["n_mapping"] = min(size for _, _, size in pairs)
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
    write_columns(path, {name: [row[name] for row in rows] for name in types}, types)
