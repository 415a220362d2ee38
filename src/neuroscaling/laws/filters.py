"""Filters choose rows of the score table and report what is wrong with them before a law is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.score_scales import LOSS, SCALE_SEPARATOR, has_ceiling, scale_examples
from neuroscaling.core.score_table import (
    KEY,
    KEY_ATTRIBUTE,
    FailedRun,
)
from neuroscaling.laws.point_checks import NotTestable

if TYPE_CHECKING:
    import pandas as pd


KERNELS = ("kernel", "stock")
# Columns of KEY that tables of earlier versions lack: each of their benchmarks has one test set.
LATER_KEYS = ("test_set",)
FAMILIES = {"ResNetFlex": "ResNet", "ConvNeXtFlex": "ConvNeXt", "ViTFlex": "ViT"}


def merged_families(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the flexible variants of an architecture counted to its family.

    Where that changes a family, the column `unmerged_family` keeps them apart.
    """
    if "arch_family" not in table:
        return table
    merged = table.assign(arch_family=table["arch_family"].replace(FAMILIES))
    apart = table["arch_family"].isin(list(FAMILIES)).any()
    return merged.assign(unmerged_family=table["arch_family"]) if apart else merged


def failed_runs(failed: Sequence[FailedRun], filters: dict[str, Any], merge_families: bool) -> list[str]:
    """Names of the runs of `failed` that the filters, as far as they are of runs, would let pass."""
    import pandas as pd

    rows = pd.DataFrame([run.columns for run in failed])
    rows = merged_families(rows) if merge_families else rows
    for column, condition in filters.items():
        if column in rows:
            rows = rows[_passes(rows[column], condition)]
    return sorted(rows["run"]) if len(rows) else []


def filtered(table: pd.DataFrame, filters: dict[str, Any]) -> pd.DataFrame:
    """Rows of the table that pass all filters. Raises NotTestable, naming the filter that lets nothing pass."""
    for column, condition in filters.items():
        kept = table[_passes(table[column], condition)]
        if kept.empty:
            found = sorted(map(str, table[column].dropna().unique()))
            raise NotTestable(
                Problem(
                    what="no row passes this filter",
                    where=f"filters.{column}",
                    value=condition,
                    allowed=listing(found),
                    nearest=nearest(condition, found),
                )
            )
        table = kept
    return table


def _passes(column: pd.Series, condition: Any) -> Any:
    if not isinstance(condition, dict):
        return column.isin(condition if isinstance(condition, list) else [condition]).to_numpy(dtype=bool)
    passes = np.ones(len(column), dtype=bool)
    if "min" in condition:
        passes &= (column >= condition["min"]).to_numpy(dtype=bool, na_value=False)
    if "max" in condition:
        passes &= (column <= condition["max"]).to_numpy(dtype=bool, na_value=False)
    if "not" in condition:
        passes &= ~_passes(column, condition["not"])
    return passes


def check_columns(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Raise DataError for each of `columns` that the table does not have, with the nearest it has."""
    have = list(table.columns)
    unknown = [column for column in dict.fromkeys(columns) if column not in have]
    if unknown:
        raise DataError(
            [
                Problem(
                    what="unknown column", where="table", value=c, allowed=listing(have, 40), nearest=nearest(c, have)
                )
                for c in unknown
            ]
        )


def check_duplicates(rows: pd.DataFrame) -> None:
    """Raise DataError for rows that stand in the table twice: a point counted twice would narrow every interval.

    Two rows are one where all their columns agree, or, in a full score table, all that name a number: `KEY`, or what
    the file of a table of one's own states.
    """
    named = rows.attrs.get(KEY_ATTRIBUTE) or [key for key in KEY if key in rows.columns or key not in LATER_KEYS]
    keys = named if set(named) <= set(rows.columns) else list(rows.columns)
    twice = rows.duplicated(keys, keep=False).to_numpy()
    if twice.any():
        where = f"rows {listing(rows.index[twice].tolist())}"
        what = f"duplicate rows: {int(twice.sum())} of {len(rows)}"
        fix = "keep one of each in the table"
        raise DataError(
            Problem(what=what, where="table", value=where, allowed=f"each {', '.join(keys[:8])} once", fix=fix)
        )


def check_settings(rows: pd.DataFrame, group_by: Iterable[str]) -> None:
    """Raise DataError, naming both, for rows of two protocols, of two engines of one stage, or of two test sets of one
    benchmark: one was not meant.

    Brain-Score has the engines KERNELS; those of other stages are compared within a benchmark. group_by: columns whose
    values the fit tells apart, which may differ.
    """
    columns = [column for column in ("protocol", "engine", "test_set") if column in rows and column not in group_by]
    problems = [problem for column in columns for problem in _setting_problems(rows, column)]
    if problems:
        raise DataError(problems)


def _setting_problems(rows: pd.DataFrame, column: str) -> Iterator[Problem]:
    known = rows[rows[column].notna()]
    stages = [("", known)]
    if column == "test_set":
        stages = [(f", benchmark {name}", own) for name, own in known.groupby("benchmark")]
    if column == "engine":
        kernels = known["engine"].isin(KERNELS)
        named = known[~kernels].groupby("benchmark") if "benchmark" in known else []
        stages = [("", known[kernels]), *((f", benchmark {name}", own) for name, own in named)]
    for name, own in stages:
        values = sorted(map(str, own[column].unique()))
        if len(values) > 1:
            found = [f"{value} in {listing(run_names(own[own[column] == value]), 2)}" for value in values]
            fix = f"filter the fit by `{column}`, or make a fit of each (`by: {{{column}: [...]}}`)"
            what = f"scores of {len(values)} values of `{column}` in one fit"
            yield Problem(
                what=what, where=f"table: {column}{name}", value="; ".join(found), allowed="one value", fix=fix
            )


def with_scales(rows: pd.DataFrame) -> pd.Series:
    """Scale of each row's score; empty strings where the table, which then isn't ours, names none.

    Raises DataError for scores that lack the ceiling that their scale names while others of the same data have it
    (published tables lack all of theirs).
    """
    import pandas as pd

    if "scale" not in rows:
        return pd.Series("", index=rows.index)
    scales = rows["scale"].astype("string").fillna("")
    if {"data", "ceiling", "score"} <= set(rows.columns):
        divided = rows[scales.map(has_ceiling).astype(bool) & rows["score"].notna()]
        lacking = divided["ceiling"].isna()
        partly = divided[lacking & ~lacking.groupby(divided["data"]).transform("all")]
        if len(partly):
            what, fix = "scores without the ceiling that their scale names", "give them scale r or r2, or their ceiling"
            raise DataError(
                Problem(
                    what=what,
                    where="table: ceiling",
                    value=scale_examples(partly, run_names(partly)),
                    allowed="a ceiling",
                    fix=fix,
                )
            )
    return scales


def scale_of(points: pd.DataFrame, together: bool) -> str | None:
    """The one scale of points that have a column `scale`, names of scales joined by SEPARATOR; None where it is empty.

    together: whether a point may be a mean over several scales. Raises DataError, naming scales and points, where the
    points differ, and where a point is a mean over several that the fit doesn't allow.
    """
    found = sorted(set(points["scale"]))
    several = sorted({one for name in found for one in name.split(SCALE_SEPARATOR)})
    if len(found) > 1:
        fix = "filter the fit by `scale`, or fit `y: raw`, the correlation itself"
        count = f"{len(several)} scales" if len(several) > 1 else "more than one mixture of scales"
        raise DataError(
            Problem(
                what=f"scores on {count} in one fit",
                where="scale",
                value=scale_examples(points, run_names(points)),
                allowed="one scale",
                fix=fix,
            )
        )
    if len(several) > 1 and not together:
        fix = (
            "fit one scale (filters: {scale: ...}), or `y: raw`, or say that each point is meant to be the mean of "
            "these: `mean_over_scales: true`"
        )
        what = f"each point is a mean of scores on {len(several)} scales"
        value = scale_examples(points, run_names(points))
        raise DataError(Problem(what=what, where="scale", value=value, allowed="one scale", fix=fix))
    return found[0] or None if found else None


def check_losses(scale: str | None, settings: dict[str, Any]) -> None:
    """Raise DataError where `settings` ask for a law of 1 - y of losses, of which perfect is not 1."""
    if scale == LOSS and settings["invert_y"]:
        fix = "give the fit `invert_y: false`: its law then describes the loss itself"
        what = "a law of 1 - y was asked of losses"
        raise DataError(Problem(what=what, where="invert_y", value=True, allowed="false", fix=fix))


def run_names(rows: pd.DataFrame) -> list[str]:
    """What rows are called in a message, one name each: their run or model, else their place in the table."""
    column = next((name for name in ("run", "model_id") if name in rows), None)
    return [str(name) for name in (rows[column] if column else rows.index)]
