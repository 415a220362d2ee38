"""The points of a law come from the score table by filters and groups, every dropped row counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.score_scales import NO_CORRELATION, SCALE_SEPARATOR, reason_category
from neuroscaling.core.score_table import FailedRun
from neuroscaling.laws.filters import (
    check_columns,
    check_duplicates,
    check_losses,
    check_settings,
    failed_runs,
    filtered,
    merged_families,
    run_names,
    scale_of,
    with_scales,
)
from neuroscaling.laws.layer_luck import CORRECT, KEEP, LEAVE_OUT, without_luck
from neuroscaling.laws.point_checks import NotTestable

if TYPE_CHECKING:
    import pandas as pd


FACTS = [
    "run", "model_id", "arch", "arch_family", "unmerged_family", "dataset", "samples_per_class", "seed", "kind",
    "subject", "trajectory", "n_params", "n_samples_seen", "total_flops",
]  # fmt: skip
"""Columns that the points keep beside their keys, where the table has them."""


AXES = ("x", "x2", "x3")
OTHER_SCALES = {"raw": "r", "acc": NO_CORRELATION}
"""Scales of what a law can describe besides the score."""


@dataclass(frozen=True)
class Selection:
    """The points of a law, one row each, with the columns x and y; which rows were left out and why.

    points: x (and x2, x3 for a law of several variables), y, error, and what is constant within a point (arch, family,
    ...); clusters: a label a point, or None; hierarchy: labels a point for each level, or None; dropped: names of the
    rows or groups that were left out, by reason in words; simulated, data: of the rows used; scale: of y, names of
    scales joined by "and" where each point is a mean over several, None where the table says none; varying: columns
    whose value in `points` is the first of several within some point.
    """

    points: pd.DataFrame = field(repr=False)
    clusters: list[str] | None
    hierarchy: list[list[Any]] | None
    dropped: dict[str, list[str]]
    rows: int
    simulated: bool
    data: list[str]
    scale: str | None = None
    varying: frozenset[str] = frozenset()
    corrected: list[str] = field(default_factory=list)

    @property
    def x(self) -> NDArray[np.float64]:
        """x of the points: (n,), or (n, d) for a law of d variables."""
        columns = [axis for axis in AXES if axis in self.points]
        return self.points[columns if len(columns) > 1 else "x"].to_numpy(dtype=float)

    @property
    def y(self) -> NDArray[np.float64]:
        """y of the points (n,)."""
        return self.points["y"].to_numpy(dtype=float)

    @property
    def y_error(self) -> NDArray[np.float64] | None:
        """Standard errors of y (n,), where the table has them."""
        return self.points["error"].to_numpy(dtype=float) if "error" in self.points else None


def select_points(table: pd.DataFrame, settings: dict[str, Any], failed: Sequence[FailedRun] = ()) -> Selection:
    """The points that `settings` (of a FitJob) select from the score table; failed: runs that have no scores.

    In mode `parity` groups with an empty key vanish and means skip empty scores, as published (both are counted); in
    mode `corrected` a group with an empty score, or with fewer rows than its peers, is left out and counted; empty
    scores are counted by the reasons that the table has for them. Raises DataError for unknown columns, for columns
    that vary within a group, and for scores on more than one scale, of more than one protocol, of two engines of one
    stage, or of two test sets of one benchmark; NotTestable where nothing is left.
    """
    keys = settings["group_by"]
    table = merged_families(table) if settings["merge_families"] else table
    check_columns(table, [*_x_columns(settings), settings["y"], *keys, *_labels(settings), *settings["filters"]])
    check_columns(table, _left_out(settings))
    rows = filtered(table, settings["filters"])
    check_duplicates(rows)
    check_settings(rows, keys)
    n_rows, how = len(rows), settings.get("chosen_on", KEEP)
    rows, lucky = without_luck(table, rows, how, settings["y"])
    if rows.empty:
        raise NotTestable(Problem(what="all rows have layers that were chosen on them", where="chosen_on", value=how))
    rows = rows.assign(scale=with_scales(rows), reason=_reasons(rows, settings["y"]))
    dropped: dict[str, list[str]] = {}
    if lucky and how == LEAVE_OUT:
        dropped["runs without the scores that their layers were chosen on"] = lucky
    absent = failed_runs(failed, settings["filters"], settings["merge_families"])
    # A run that lost its weights may have been scored on these benchmarks before.
    if absent := sorted(set(absent) - set(rows.get("run", ()))):
        dropped["runs missing: they failed"] = absent
    points = _grouped(rows, settings, dropped) if keys else _as_points(rows, settings)
    points = _only_samples_per_class(points, settings["samples_per_class_of"])
    points = _finite_points(points, settings, dropped)
    scale = scale_of(points, settings.get("mean_over_scales", False)) if settings["y"] == "score" else None
    check_losses(scale, settings)
    varying = _varying(rows, keys, [column for column in (*FACTS, *_left_out(settings)) if column in rows])
    clusters, hierarchy = _resampled_together(points, settings, varying)
    return Selection(
        points,
        clusters,
        hierarchy,
        dropped,
        n_rows,
        bool(rows["simulated"].any()) if "simulated" in rows else False,
        sorted(map(str, rows["data"].dropna().unique())) if "data" in rows else [],
        OTHER_SCALES.get(settings["y"], scale),
        varying,
        lucky if how == CORRECT else [],
    )


def _x_columns(settings: dict[str, Any]) -> list[str]:
    return [settings["x"]] if isinstance(settings["x"], str) else list(settings["x"])


def _labels(settings: dict[str, Any]) -> list[str]:
    """Columns that must be constant within a point besides x."""
    compute = [settings["compute"]] if settings["compute"] else []
    return [*settings["cluster"], *settings["hierarchy"], *compute, *settings.get("through", {})]


def _left_out(settings: dict[str, Any]) -> list[str]:
    """Columns whose groups are to be left out one by one, where the fit names them."""
    return list(settings.get("leave_out") or [])


def _varying(rows: pd.DataFrame, keys: list[str], columns: list[str]) -> frozenset[str]:
    """Those of `columns` that have several values within some group of `keys`."""
    if not keys:
        return frozenset()
    others = [column for column in dict.fromkeys(columns) if column not in keys]
    counts = rows.groupby(keys, dropna=False)[others].nunique(dropna=False) if others else None
    return frozenset() if counts is None else frozenset(column for column in others if (counts[column] > 1).any())


def _resampled_together(
    points: pd.DataFrame, settings: dict[str, Any], varying: frozenset[str]
) -> tuple[list[str] | None, list[list[Any]] | None]:
    """Labels of clusters, and of each level of a hierarchy: those of the fit's columns, where there are any.

    The epochs of one training are no independent networks. Where points are several of them, the training stands in
    place of columns that tell its epochs apart, is a level below the others, or else the cluster.
    """
    cluster, hierarchy = list(settings["cluster"]), list(settings["hierarchy"])
    if apart := _columns_of_epochs(points, varying):
        cluster, hierarchy = (_with_training(columns, apart) for columns in (cluster, hierarchy))
        hierarchy = list(dict.fromkeys([*hierarchy, TRAINING])) if hierarchy else []
        cluster = cluster if cluster or hierarchy else [TRAINING]
        points = points.assign(**{TRAINING: points[TRAINING].fillna(points["run"])})
    labels = [" ".join(map(str, row)) for row in points[cluster].itertuples(index=False)]
    return labels if cluster else None, [points[column].tolist() for column in hierarchy] or None


TRAINING = "trajectory"


def _columns_of_epochs(points: pd.DataFrame, varying: frozenset[str]) -> set[str]:
    """Columns that differ between the epochs of a training, and not within one; empty where no training has several."""
    if not {TRAINING, "run"} <= set(points.columns) - varying:
        return set()
    several = points[points.groupby(TRAINING)["run"].transform("nunique") > 1]
    if several.empty:
        return set()
    within = several.groupby("run").nunique(dropna=False).max()
    between = several.groupby(TRAINING).nunique(dropna=False).max()
    return {"run"} | {name for name in within.index if name in between and within[name] == 1 and between[name] > 1}


def _with_training(columns: list[str], apart: set[str]) -> list[str]:
    """`columns` with the training in place of those of `apart`."""
    return list(dict.fromkeys(TRAINING if column in apart else column for column in columns))


def _only_samples_per_class(points: pd.DataFrame, kept: dict[str, list[int]]) -> pd.DataFrame:
    """Points of the named families only at the named samples per class, the others untouched."""
    for family, values in kept.items():
        if "arch_family" not in points or "samples_per_class" not in points:
            fix = "add arch_family and samples_per_class to `group_by`"
            raise DataError(
                Problem(what="needs both columns", where="samples_per_class_of", value=list(points.columns), fix=fix)
            )
        points = points[(points["arch_family"] != family) | points["samples_per_class"].isin(values)]
    return points


def _reasons(rows: pd.DataFrame, y: str) -> pd.Series:
    """Why y is empty, without the numbers of the single row; empty where it isn't, or where the table doesn't say."""
    import pandas as pd

    if y != "score" or "reason" not in rows:
        return pd.Series("", index=rows.index)
    return rows["reason"].astype("string").fillna("").map(reason_category).where(rows[y].isna().to_numpy(), "")


def _as_points(rows: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    points = _with_x(rows, settings)
    return points.assign(y=rows[settings["y"]].astype(float)).reset_index(drop=True)


def _with_x(points: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    """The points with their x, and x2 and x3 for a law of several variables."""
    names = zip(AXES, _x_columns(settings), strict=False)
    return points.assign(**{name: points[column].astype(float) for name, column in names})


def _grouped(rows: pd.DataFrame, settings: dict[str, Any], dropped: dict[str, list[str]]) -> pd.DataFrame:
    """One row for each group of `group_by`, sorted by the keys: x, the mean of y, and the facts about the group."""
    keys, y = settings["group_by"], settings["y"]
    parity = settings["mode"] == "parity"
    empty_key = rows[keys].isna().any(axis=1)
    if parity and empty_key.any():
        dropped["models with an empty group key (parity: as published)"] = sorted(set(run_names(rows[empty_key])))
        rows = rows[~empty_key]
    groups = rows.groupby(keys, sort=True, dropna=parity)
    constant = [*_x_columns(settings), *_labels(settings)]
    facts = [c for c in dict.fromkeys([*constant, *FACTS, *_left_out(settings)]) if c in rows and c not in keys]
    _check_constant(groups, constant, keys)
    aggregates = {
        "y": (y, "mean"),
        "n_rows": (y, "size"),
        "n_empty": (y, lambda s: int(s.isna().sum())),
        "scale": ("scale", lambda s: SCALE_SEPARATOR.join(sorted(set(s)))),
        # Of several reasons one names the group, so that it is counted once.
        "reason": ("reason", "max"),
    }
    points = groups.agg(**{name: how for name, how in aggregates.items() if name not in keys})
    if "error" in rows:
        points["error"] = groups["error"].agg(_error_of_mean)
    points = _with_x(points.join(groups[facts].first()).reset_index(), settings)
    if not parity:
        return _complete_groups(points, y, dropped)
    partly = points[(points["reason"] != "") & (points["n_empty"] < points["n_rows"])]
    _drop(partly, f"points whose mean leaves out an empty {y} (parity: as published)", dropped)
    return points


def _error_of_mean(errors: pd.Series) -> float:
    """Standard error of a mean of independent scores; NaN where one is unknown."""
    return float(np.sqrt(np.sum(errors.to_numpy(dtype=float) ** 2)) / len(errors))


def _check_constant(groups: Any, columns: list[str], keys: list[str]) -> None:
    for column in dict.fromkeys(columns):
        if column not in keys and (groups[column].nunique(dropna=False) > 1).any():
            fix = f"add {column} to `group_by`"
            raise DataError(
                Problem(what="the values of a column differ within a group", where="group_by", value=column, fix=fix)
            )


def _complete_groups(points: pd.DataFrame, y: str, dropped: dict[str, list[str]]) -> pd.DataFrame:
    """A mean over fewer regions, or over other subjects, is no mean that can be compared with the others."""
    empty = points["n_empty"] > 0
    short = ~empty & (points["n_rows"] < points["n_rows"].max())
    _drop(points[empty], f"points with an empty {y} among their rows", dropped)
    if short.any():
        dropped["points with fewer rows than the others"] = run_names(points[short])
    return points[~(empty | short)]


def _drop(points: pd.DataFrame, what: str, dropped: dict[str, list[str]]) -> None:
    """Count `points` as left out, apart by what their column `reason` says."""
    for reason, own in points.groupby("reason", sort=True):
        dropped[f"{what}: {reason}" if reason else what] = run_names(own)


def _finite_points(points: pd.DataFrame, settings: dict[str, Any], dropped: dict[str, list[str]]) -> pd.DataFrame:
    names = dict(zip(AXES, _x_columns(settings), strict=False)) | {"y": settings["y"]}
    for axis, column in names.items():
        missing = ~np.isfinite(points[axis].to_numpy(dtype=float, na_value=np.nan))
        _drop(
            points[missing] if axis == "y" else points[missing].assign(reason=""), f"points without {column}", dropped
        )
        points = points[~missing]
    if points.empty:
        reasons = "; ".join(f"{len(names)} {reason}" for reason, names in dropped.items())
        raise NotTestable(Problem(what="no point is left", where="table", value=reasons))
    return points.reset_index(drop=True)
