"""What a fit stands on is told by leaving out each group of its points, and each point; a rule gives the verdict.

The verdict rests on the asymptote and the exponents that the whole fit identifies. A group carries the law where,
without it, no law can be fitted, or one of them is not identified, or its value lies outside the 95 % interval of the
whole fit, or its own 95 % interval leaves out the value of the whole fit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.errors import number_of
from neuroscaling.core.provenance import provenance
from neuroscaling.laws.identifiability import NO_SATURATION
from neuroscaling.laws.influence_record import (
    FORMAT,
    GROUP_COLUMN,
    JUDGED,
    NO_LAW,
    NOT_ASKED,
    FormWithout,
    GroupInfluence,
    Influence,
    Quantity,
)
from neuroscaling.laws.law_fit import LawFit, finite
from neuroscaling.laws.leave_out import (
    STANDARD,
    Group,
    WithoutGroup,
    affordable_bootstraps,
    groups_of,
    held_out_errors,
    leave_groups_out,
)
from neuroscaling.laws.points import Selection
from neuroscaling.laws.quantities import ASYMPTOTE, quantities
from neuroscaling.laws.single_points import influential_points

if TYPE_CHECKING:
    import pandas as pd


NAMED = 3  # groups that the verdict names
PACKAGES = ("numpy", "pandas")
logger = logging.getLogger(__name__)


def influence_of(
    laws: Sequence[LawFit], selection: Selection | None, settings: Mapping[str, Any]
) -> tuple[Influence, pd.DataFrame]:
    """What a fit of the points `selection` stands on, and the resamples of each group as rows of a table.

    laws: that of the fit, then those of the other forms that it is compared with, which are fitted without each group
    too, but in parity mode; empty where the data allow no law, `selection` is None then. settings: of a FitJob;
    `leave_out` names columns, None for the standard ones, [] for nothing. Raises DataError for columns that make no
    groups.
    """
    import pandas as pd

    about = {key: str(settings[key]) for key in ("name", "fit", "mode")}
    asked = settings.get("leave_out")
    empty = pd.DataFrame({GROUP_COLUMN: np.empty(0, dtype=np.int64)})
    if asked == []:
        return Influence(**about, status=NOT_ASKED, verdict="not asked (`leave_out: []`)"), empty
    if not laws or selection is None:
        return Influence(**about, status=NO_LAW, verdict="the fit has no law"), empty
    start, law = time.process_time(), laws[0]
    whole = quantities(law)
    judged = [name for name, quantity in whole.items() if quantity.identified]
    groups = groups_of(selection, asked)
    bootstraps = min(settings["bootstraps"], affordable_bootstraps(len(law.y), len(groups)))
    left = leave_groups_out(law, groups, selection.clusters, selection.hierarchy, bootstraps)
    forms = _forms(laws, left, selection, settings) if len(laws) > 1 and law.mode != "parity" else [[] for _ in left]
    found = [_group(number, without, whole, judged, forms[number]) for number, without in enumerate(left)]
    points, refitted = influential_points(law, _labels(selection), whole, judged)
    stands, verdict = _verdict(found, judged, law)
    columns = [c for c in (STANDARD if asked is None else asked) if any(g.column == c or c in _also(g) for g in found)]
    record = Influence(
        **about, status=JUDGED, columns=columns, bootstraps=bootstraps, judged=judged, whole=whole, groups=found,
        points=points, points_refitted=refitted, stands=stands, verdict=verdict,
    )  # fmt: skip
    logger.info("%s: %d groups left out in %.1f CPU s", record.name, len(found), time.process_time() - start)
    return record, _resamples(left)


def influence_content(record: Influence) -> dict[str, Any]:
    """The record as its file holds it."""
    return finite({"format": FORMAT, **record.model_dump(), "provenance": provenance(PACKAGES)})


def _also(group: GroupInfluence) -> list[str]:
    return [column for column, _ in group.also]


def _labels(selection: Selection) -> list[str]:
    """What each point is called: its run or model, else its cell, else its number."""
    points = selection.points
    for columns in (["run"], ["model_id"], ["arch", "dataset", "samples_per_class", "seed"], ["subject"]):
        if set(columns) <= set(points.columns) - selection.varying and points[columns].notna().all(axis=None):
            return [" ".join(map(str, row)) for row in points[columns].itertuples(index=False)]
    return [f"point {number}" for number in range(1, len(points) + 1)]


def _forms(
    laws: Sequence[LawFit], left: Sequence[WithoutGroup], selection: Selection, settings: Mapping[str, Any]
) -> list[list[FormWithout]]:
    """Every form of the comparison without each group; none for a group without which the fit has no law."""
    groups = [without.group for without in left if without.law is not None]
    by_form = [_form(law, groups, left if law is laws[0] else None, selection, settings) for law in laws]
    rows = iter(zip(*by_form, strict=True))
    return [[] if without.law is None else [row for row in next(rows) if row is not None] for without in left]


def _form(
    law: LawFit,
    groups: Sequence[Group],
    known: Sequence[WithoutGroup] | None,
    selection: Selection,
    settings: Mapping[str, Any],
) -> list[FormWithout | None]:
    """A form without each of the groups, None where too few points are left. known: its laws without them."""
    left = known or leave_groups_out(law, groups, selection.clusters, selection.hierarchy, 0)
    fitted = [without.law for without in left if known is None or without.law is not None]
    errors = held_out_errors(law, groups, settings["holdout"], selection.clusters)
    return [
        FormWithout(form=own.form.name, params=own.params, aicc=own.aicc(), held_out_error=error) if own else None
        for own, error in zip(fitted, errors, strict=True)
    ]


def _group(
    number: int,
    without: WithoutGroup,
    whole: Mapping[str, Quantity],
    judged: Sequence[str],
    forms: Sequence[FormWithout],
) -> GroupInfluence:
    group, law = without.group, without.law
    n = int(group.kept.sum())
    about: dict[str, Any] = {
        "number": number, "column": group.column, "value": group.value, "also": list(group.also), "n": n,
        "share": 1.0 - n / len(group.kept), "reason": without.reason,
    }  # fmt: skip
    if law is None:
        return GroupInfluence(**about, changes=[f"no law can be fitted: {without.reason}"])
    own = quantities(law)
    changes = [words for name in judged if (words := _change(name, whole[name], own[name]))]
    gains = [name for name, quantity in own.items() if quantity.identified and name not in judged]
    return GroupInfluence(**about, params=law.params, quantities=own, changes=changes, gains=gains, forms=list(forms))


def _change(name: str, whole: Quantity, own: Quantity) -> str:
    """What becomes of an identified quantity without a group; empty where it is the same within the intervals."""
    called = f"the {name}" if name == ASYMPTOTE else name
    if own.doubt == NO_SATURATION:
        return f"{called} is not bounded"
    if own.doubt:
        return f"{called} is not identified ({own.doubt.split('; ')[0]})"
    if not whole.low <= own.value <= whole.high:
        return f"{called} moves from {whole.value:.3g} to {own.value:.3g}, outside {whole.low:.3g} to {whole.high:.3g}"
    if not own.low <= whole.value <= own.high:
        return f"{called} is {own.value:.3g} ({own.low:.3g} to {own.high:.3g}), which leaves out {whole.value:.3g}"
    return ""


def _verdict(groups: Sequence[GroupInfluence], judged: Sequence[str], law: LawFit) -> tuple[bool | None, str]:
    if not groups:
        return None, "stands without any one group: can't be said; the points have no groups"
    if not judged:
        return None, "stands without any one group: can't be said; the whole fit identifies no asymptote or exponent"
    carriers = [group for group in groups if group.changes]
    unjudged = [ASYMPTOTE] if law.form.asymptote is not None and ASYMPTOTE not in judged else []
    alone = f", as to {' and '.join(judged)}; the whole fit does not identify the asymptote" if unjudged else ""
    if not carriers:
        return True, f"stands without any one group: yes ({number_of(len(groups), 'group')}){alone}"
    named = [f"without {group.words} {group.changes[0]}" for group in carriers[:NAMED]]
    more = f"; and {len(carriers) - NAMED} more" if len(carriers) > NAMED else ""
    return False, f"stands without any one group: no{alone}; {'; '.join(named)}{more}"


def _resamples(left: Sequence[WithoutGroup]) -> pd.DataFrame:
    """One row a resample of each group: its number and the natural parameters."""
    import pandas as pd

    frames = [
        pd.DataFrame(without.law.samples, columns=without.law.form.names).assign(**{GROUP_COLUMN: number})
        for number, without in enumerate(left)
        if without.law is not None
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({GROUP_COLUMN: np.empty(0, np.int64)})
