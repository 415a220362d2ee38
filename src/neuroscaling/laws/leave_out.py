"""A law is fitted again without one group of its points, for every group, in one batch.

The fit without a group is the one that a filter against that group would give, on as many resamples: the same clusters
or units are drawn, with the same seed. All groups are weightings of the points of the whole fit (0 for the group), so
that one batch solves them; only the centre of x and the unit of y stay those of the whole fit, which moves no minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.laws import comparison, solver
from neuroscaling.laws.bootstrap import resample_weights, undetermined_of
from neuroscaling.laws.fitting import independent_units
from neuroscaling.laws.law_fit import LawFit
from neuroscaling.laws.point_checks import NotTestable, checked_points
from neuroscaling.laws.points import Selection

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]
Value = bool | int | float | str
STANDARD = ("arch_family", "unmerged_family", "arch", "dataset", "samples_per_class", "subject", "seed")
MOST_GROUPS = 60  # of a standard column: above, as many fits would say little about each
MOST_ASKED = 1000  # of a column that the fit names
BOOTSTRAPS = 100  # of each group, where the fit itself has more
THINNED = 50  # solutions of the fit's own resamples that serve as starts
FEWEST_BOOTSTRAPS = 20
WORK = 2e7  # groups x resamples x points, above which each group has fewer resamples
AT_ONCE = 1 << 25  # numbers in the weightings of one batch


@dataclass(frozen=True)
class Group:
    """The points that agree in `column`. kept (n,): the other points; also: columns whose value has the same points."""

    column: str
    value: Value
    kept: NDArray[np.bool_] = field(repr=False)
    also: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class WithoutGroup:
    """The fit without a group; or, where the other points allow none, `law` None and the reason."""

    group: Group
    law: LawFit | None = field(repr=False)
    reason: str = ""


def groups_of(selection: Selection, columns: Sequence[str] | None = None) -> list[Group]:
    """The groups of the points, by each of `columns`; groups of the same points are one.

    By default those of STANDARD that are known for the points and have at least two groups and at most MOST_GROUPS.
    Points without a value are in no group. Raises DataError for a column of `columns` that the points don't have, that
    varies within a point, or that has more than MOST_ASKED groups.
    """
    found: dict[bytes, Group] = {}
    for column in STANDARD if columns is None else columns:
        if columns is not None:
            _check_asked(selection, column)
        elif not _is_standard(selection, column):
            continue
        for group in _by_column(selection.points, column):
            key = group.kept.tobytes()
            if (same := found.get(key)) is not None:
                found[key] = replace(same, also=(*same.also, (group.column, group.value)))
            else:
                found[key] = group
    return list(found.values())


def affordable_bootstraps(points: int, groups: int) -> int:
    """Resamples of each group: BOOTSTRAPS, and fewer where points and groups are very many."""
    return int(min(BOOTSTRAPS, max(FEWEST_BOOTSTRAPS, WORK // max(1, points * groups))))


def leave_groups_out(
    law: LawFit,
    groups: Sequence[Group],
    clusters: Sequence[object] | None = None,
    hierarchy: Sequence[Sequence[object]] | None = None,
    bootstraps: int = BOOTSTRAPS,
) -> list[WithoutGroup]:
    """The fit `law` without each of the groups; clusters, hierarchy: labels of all its points, as it was resampled."""
    reasons = [_untestable(law, group.kept, clusters, bootstraps > 0) for group in groups]
    testable = [group for group, reason in zip(groups, reasons, strict=True) if not reason]
    laws = iter(_fitted(law, testable, clusters, hierarchy, bootstraps))
    return [
        WithoutGroup(group, None if reason else next(laws), reason)
        for group, reason in zip(groups, reasons, strict=True)
    ]


def held_out_errors(
    law: LawFit, groups: Sequence[Group], rule: str | dict[str, int], clusters: Sequence[object] | None = None
) -> list[float | None]:
    """Mean absolute error of the form of `law` on the points that are held out, without each of the groups.

    rule: which of the points that are left are held out (`comparison.held_out`). None where the rest allows no fit.
    """
    x = law.x if law.x.ndim == 1 else law.x.prod(axis=1)
    out = np.zeros((len(groups), len(x)), dtype=bool)
    for own, group in zip(out, groups, strict=True):
        if group.kept.any():
            own[group.kept] = comparison.held_out(x[group.kept], rule, _kept(clusters, group.kept))
    rest = [replace(group, kept=group.kept & ~own) for own, group in zip(out, groups, strict=True)]
    left = leave_groups_out(law, rest, bootstraps=0)
    return [
        float(np.abs(without.law.predict(law.x[own]) - law.y[own]).mean()) if without.law and own.any() else None
        for own, without in zip(out, left, strict=True)
    ]


def _check_asked(selection: Selection, column: str) -> None:
    have = [str(name) for name in selection.points.columns]
    what = value = ""
    if column not in have:
        what, value = "the points of the fit have no such column", listing(have, 40)
    elif column in selection.varying:
        what, value = "this column varies within a point, so no point belongs to one group", "add it to `group_by`"
    elif (n := selection.points[column].nunique()) > MOST_ASKED:
        what, value = f"this column has {n} groups, and {MOST_ASKED} are the most", "a column with fewer values"
    if what:
        problem = Problem(what=what, where="leave_out", value=column, allowed=value, nearest=nearest(column, have))
        raise DataError(problem)


def _is_standard(selection: Selection, column: str) -> bool:
    known = column in selection.points and column not in selection.varying
    return known and 2 <= selection.points[column].nunique() <= MOST_GROUPS


def _by_column(points: pd.DataFrame, column: str) -> list[Group]:
    cells = points[column]
    values = sorted(cells.dropna().unique(), key=lambda value: (isinstance(value, str), value))
    return [Group(column, _plain(value), (cells != value).fillna(True).to_numpy(dtype=bool)) for value in values]


def _plain(value: object) -> Value:
    """A cell as JSON knows it; whole numbers without a fraction."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain if isinstance(plain, bool | int | float | str) else str(plain)


def _untestable(law: LawFit, kept: NDArray[np.bool_], clusters: Sequence[object] | None, resampled: bool) -> str:
    """Why the points that are kept allow no fit; empty where they do."""
    labels = _kept(clusters, kept)
    if labels is not None and resampled and len(set(labels)) < 2:
        return "fewer than two clusters are left" if labels else "no point is left"
    try:
        checked_points(law.x[kept], law.y[kept], law.form, law.data.loss, None, law.invert_y)
    except NotTestable as error:
        problem = error.problems[0]
        return f"{problem.what} ({problem.value})"
    return ""


def _kept(labels: Sequence[object] | None, kept: NDArray[np.bool_]) -> list[object] | None:
    return None if labels is None else [label for label, stays in zip(labels, kept, strict=True) if stays]


def _fitted(
    law: LawFit,
    groups: Sequence[Group],
    clusters: Sequence[object] | None,
    hierarchy: Sequence[Sequence[object]] | None,
    bootstraps: int,
) -> list[LawFit]:
    """The laws without each group."""
    if not groups:
        return []
    n, bounded = len(law.y), law.mode == "corrected"
    kept = np.array([group.kept for group in groups])
    best = solver.refit(law.data, law.minima, kept.astype(np.uint16), bounded)
    step = max(1, len(law.resampled) // THINNED)
    pool = np.concatenate([law.minima, best.theta, law.resampled[::step]])
    starts = 1 if law.warm_enough else 2
    at_once = max(1, AT_ONCE // max(1, bootstraps * n))
    found = []
    for first in range(0, len(groups), at_once):
        rows = range(first, min(first + at_once, len(groups)))
        drawn = [_drawn(kept[i], bootstraps, law.seed, clusters, hierarchy) for i in rows]
        again = solver.warm_refit(law.data, pool, np.concatenate(drawn), bounded, starts) if bootstraps else None
        for j, i in enumerate(rows):
            own = slice(j * bootstraps, (j + 1) * bootstraps)
            theta = best.theta[i : i + 1] if again is None else again.theta[own]
            loss = np.array([np.nan]) if again is None else again.loss[own]
            minima = np.stack([best.theta[i], law.theta])
            found.append(_law(law, kept[i], minima, float(best.loss[i]), theta, loss, drawn[j], clusters, hierarchy))
    return found


def _drawn(
    kept: NDArray[np.bool_],
    bootstraps: int,
    seed: int,
    clusters: Sequence[object] | None,
    hierarchy: Sequence[Sequence[object]] | None,
) -> NDArray[np.uint16]:
    """Resamples of the points that are kept, as weights on all points: (bootstraps, n)."""
    weights = np.zeros((bootstraps, len(kept)), dtype=np.uint16)
    levels = [labels for level in hierarchy or () if (labels := _kept(level, kept)) is not None]
    weights[:, kept] = resample_weights(int(kept.sum()), bootstraps, seed, _kept(clusters, kept), levels or None)
    return weights


def _law(
    law: LawFit,
    kept: NDArray[np.bool_],
    minima: Array,
    loss: float,
    theta: Array,
    resampled_loss: Array,
    weights: NDArray[np.uint16],
    clusters: Sequence[object] | None,
    hierarchy: Sequence[Sequence[object]] | None,
) -> LawFit:
    """The law of the points that are kept, as `laws.fit` would give it; y and x in the units of the whole fit."""
    data, point_weights = law.data, law.data.point_weights
    own = solver.Data(
        data.form, data.log_x[..., kept], data.y[kept], data.loss,
        None if point_weights is None else point_weights[kept], data.direct,
    )  # fmt: skip
    levels = [labels for level in hierarchy or [clusters or []] if (labels := _kept_level(level, kept))]
    return replace(
        law, data=own, x=law.x[kept], y=law.y[kept], loss_value=loss * law.loss_unit, minima=minima, resampled=theta,
        resampled_loss=resampled_loss * law.loss_unit, units=independent_units(int(kept.sum()), levels),
        undetermined=undetermined_of(law.form, law.x[kept], weights[:, kept]), warm_enough=True,
    )  # fmt: skip


def _kept_level(labels: Sequence[object], kept: NDArray[np.bool_]) -> list[object]:
    return _kept(labels, kept) or [] if len(labels) else []
