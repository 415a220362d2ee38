"""A claim is judged again without each group of points that its laws have.

A law without a group has the parameters and resamples that the job of its fit wrote (`laws.influence_record`); its
curve is drawn from them over the same x. The other forms that the fit is compared with come from there too, with their
AICc and their held-out error without the group. The group is left out of all laws of a case that have it; where no law
can be fitted without it, that law is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.claims.evidence import Case, scores, scores_by
from neuroscaling.laws.curves import Curve
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import ComparedForm, Flag, Holdout, Resamples
from neuroscaling.laws.influence_record import (
    FormWithout,
    GroupInfluence,
    Influence,
    Value,
    group_words,
    influence_path,
    read_influence,
    read_resamples,
    resamples_path,
)

if TYPE_CHECKING:
    import pandas as pd


Key = tuple[str, Value]
PERCENT = {"p2.5": 2.5, "p15": 15.0, "p50": 50.0, "p85": 85.0, "p97.5": 97.5}


@dataclass(frozen=True)
class LeftOut:
    """What a fit stands on, and the resamples without each group by its number."""

    influence: Influence
    resamples: Mapping[int, pd.DataFrame]

    @cached_property
    def groups(self) -> dict[Key, GroupInfluence]:
        """The groups by column and value, those of the same points under each of their names."""
        return {key: g for g in self.influence.groups for key in ((g.column, g.value), *g.also)}


def read_left_out(fits: list[str | Path]) -> dict[str, LeftOut]:
    """What the fits in these files stand on, by name, where there is a record. Raises DataError for damage."""
    found = {}
    for path in fits:
        if influence_path(path).is_file() and resamples_path(path).is_file():
            influence = read_influence(influence_path(path))
            found[influence.name] = LeftOut(influence, read_resamples(resamples_path(path), influence))
    return found


def groups_of(case: Case, left_out: Mapping[str, LeftOut]) -> list[Key]:
    """The groups that some law of a case has, each once, without those whose points are another's in every law."""
    known = [left_out[law.name] for law in case.laws.values() if law.name in left_out]
    return list(dict.fromkeys((group.column, group.value) for one in known for group in one.influence.groups))


def without(case: Case, group: Key, left_out: Mapping[str, LeftOut]) -> Case:
    """The case without a group of points."""
    laws = {}
    for label, law in case.laws.items():
        known = left_out.get(law.name)
        found = known.groups.get(group) if known else None
        if known is None or found is None:
            laws[label] = law
        elif not found.reason and found.number in known.resamples:
            laws[label] = _without(law, found, known.resamples[found.number])
    return Case(case.mode, f"Without {group_words(*group)}.", laws)


def forms_are_known(case: Case, group: Key, left_out: Mapping[str, LeftOut]) -> bool:
    """Whether every law of the case that has the group and is compared with other forms has them without it too."""
    with_group = [(law, left_out[law.name].groups.get(group)) for law in case.laws.values() if law.name in left_out]
    changed = [(law, found) for law, found in with_group if found is not None and not found.reason]
    return all(found.forms or len(law.compared) < 2 for law, found in changed)


def _without(law: FinishedLaw, group: GroupInfluence, resamples: pd.DataFrame) -> FinishedLaw:
    own = Resamples(resamples[law.form.names].to_numpy(dtype=np.float64))
    flags = {name: Flag(identified=quantity.identified) for name, quantity in group.quantities.items()}
    if law.form.asymptote is not None and "asymptote" in flags:
        flags[law.form.asymptote] = flags.pop("asymptote")
    changes = {
        "params": group.params, "resamples": own, "flags": flags, "saturation": None, "saturation_ci95": None,
        "saturation_statement": None, "allocation": None,
        "compared": [_compared(law, one) for one in group.forms],
    }  # fmt: skip
    changed = law.model_copy(update=changes)
    return changed if law.curve is None else changed.model_copy(update={"curve": _curve(changed, law.curve)})


def _compared(law: FinishedLaw, found: FormWithout) -> ComparedForm:
    row = ComparedForm(form=found.form, params=found.params, aicc=found.aicc, holdout=Holdout(mae=found.held_out_error))
    if law.curve is None:
        return row
    return row.model_copy(update={"curve": Curve(x=law.curve.x, fit=scores_by(row, law, law.curve.x))})


def _curve(law: FinishedLaw, whole: Curve) -> Curve:
    values = scores(law, whole.x)
    with np.errstate(all="ignore"):
        bands = {name: np.nanpercentile(values[1:], level, axis=0) for name, level in PERCENT.items()}
    return Curve.model_validate({"x": whole.x, "fit": values[0], **bands})
