"""The score table seen as networks that differ in their seed and in their number of training images.

A network is an architecture with a recipe on a data set; it has a score for each scale, which is a number of training
images, and each seed. Networks are compared inside a group: one data set and one objective.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.score_table import VALIDATION, require_columns

if TYPE_CHECKING:
    import pandas as pd


BENCHMARK = ("data", "benchmark", "metric", "region", "test_set", "n_mapping", "scale", "protocol", "engine")
GROUP = ("dataset", "objective", "is_ssl", "ssl_method", "is_adv", "adv_method", "is_ablation")
NETWORK = ("arch", "recipe")
NEEDED = ("run", "arch", "dataset", "samples_per_class", "seed", "region", "score")
ALL = "all"
"""Name of the scale of all training images of a data set."""


@dataclass(frozen=True, eq=False)
class BenchmarkScores:
    """The scores of trained networks on one benchmark.

    key: what names the benchmark, by the columns of BENCHMARK that the table has (None where a value is missing);
    rows: one row a run with group, network, scale, k (images of a class, 0 for all), size (training images), seed,
    score, error, layers_from;
    scales: names of the scales, from few images to many; simulated: whether a score is of simulated recordings;
    late: standard deviations (n, 2) of the scores of the last checkpoints of each training that has enough, about their
    mean and about a straight line over them.
    """

    key: dict[str, Any]
    rows: pd.DataFrame = field(repr=False)
    scales: tuple[str, ...]
    simulated: bool
    late: np.ndarray = field(repr=False)

    @property
    def name(self) -> str:
        """The benchmark in words: its own name, and what that doesn't say of region, metric and test set."""
        name = str(self.key.get("benchmark") or "")
        of = [str(self.key.get(column) or "") for column in ("region", "metric", "test_set")]
        return " ".join([name, *dict.fromkeys(part for part in of if part and part not in name)]).strip()

    @property
    def largest(self) -> str:
        """The scale of most images."""
        return self.scales[-1]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a network and scale (index: group, network, scale): mean, variance (NaN of one seed), seeds.

        Where two networks of a group or more have several seeds at the largest scale, these networks alone.
        """
        cells = self.rows.groupby(["group", "network", "scale"])["score"]
        table = cells.agg(mean="mean", variance="var", seeds="size")
        at_largest = table.xs(self.largest, level="scale")
        several = at_largest.index[at_largest["seeds"] > 1]
        groups = several.get_level_values("group")
        repeated = several[groups.isin(groups[groups.duplicated()])]
        return table[table.index.droplevel("scale").isin(repeated)] if len(repeated) else table


def benchmark_scores(table: pd.DataFrame) -> list[BenchmarkScores]:
    """The benchmarks of a score table, each with the scores of its trained networks; those without any are left out.

    Of several subjects a run's score is the mean, its error that of the mean; runs that lack a subject are left out.
    Of several epochs the last counts. Raises DataError where the table lacks one of the columns that tell networks.
    """
    require_columns(table, NEEDED, "score table")
    rows = table[table["score"].notna() & table["arch"].notna() & table["dataset"].notna()]
    for flag in ("is_pretrained", "is_random"):
        rows = rows[~rows[flag].fillna(False).astype(bool)] if flag in rows else rows
    if "benchmark" in rows:
        rows = rows[rows["benchmark"] != VALIDATION]
    keys = [column for column in BENCHMARK if column in rows]
    found = []
    for values, own in rows.groupby(keys, dropna=False, sort=True) if len(rows) else ():
        key = {name: _plain(value) for name, value in zip(keys, values, strict=True)}
        found.append(_scores_of(key, own))
    return [scores for scores in found if len(scores.rows)]


def _scores_of(key: dict[str, Any], rows: pd.DataFrame) -> BenchmarkScores:
    simulated = bool(rows["simulated"].any()) if "simulated" in rows else False
    rows, late = _last_epochs(rows)
    runs = _named(_over_subjects(rows))
    return BenchmarkScores(key, runs, _in_order(runs), simulated, late)


def _in_order(runs: pd.DataFrame) -> tuple[str, ...]:
    """Names of the scales from few images to many: by images of a class where all have these, all images last."""
    by_images = runs["scale"].str.startswith("n").any()
    order = runs["size" if by_images else "k"].groupby(runs["scale"]).mean()
    return tuple(sorted(order.index, key=lambda scale: (scale == ALL, order[scale])))


LATE = 5
"""Checkpoints at the end of a training whose scores tell the noise of late training, after Heineman and others 2025."""
EPOCH = ("epoch", "epochs")
TRAINING = ("trajectory", "model_id")
"""Columns of the epoch after which a checkpoint was kept, and of its training: the first that a table has."""


def _last_epochs(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of each training's last epoch, and how the scores of its LATE last ones scatter (`BenchmarkScores.late`).

    An end that stands beside the checkpoints under the name of the training itself counts as the last; the scatter is
    that of the checkpoints.
    """
    epoch = next((column for column in EPOCH if column in rows and rows[column].notna().any()), None)
    if epoch is None:
        return rows, np.empty((0, 2))
    training = _training(rows)
    own = rows.assign(_training=training, _itself=(rows["run"] == training).astype(bool))
    unit = [column for column in ("_training", "subject") if column in own]
    checkpoints = own.sort_values([epoch, "_itself"], kind="stable").drop_duplicates([*unit, epoch])
    followed = checkpoints.groupby(unit, dropna=False, sort=False)["score"]
    late = [_scatter(scores.to_numpy(dtype=float)[-LATE:]) for _, scores in followed if len(scores) >= LATE]
    last = own.sort_values(["_itself", epoch], kind="stable").groupby(unit, dropna=False, sort=False).tail(1)
    return last.drop(columns=["_training", "_itself"]), np.array(late, dtype=float).reshape(-1, 2)


def _training(rows: pd.DataFrame) -> pd.Series:
    """The name of the training that each row is of, which tables have beside the names of its checkpoints."""
    known = next((column for column in TRAINING if column in rows), "run")
    return rows[known].astype("string").fillna(rows["run"].astype("string"))


def _scatter(scores: np.ndarray) -> tuple[float, float]:
    """Standard deviation of scores (n,) in their order: about their mean, and about a straight line."""
    steps = np.arange(len(scores))
    left = scores - np.polyval(np.polyfit(steps, scores, 1), steps)
    return float(scores.std(ddof=1)), float(np.sqrt((left**2).sum() / (len(scores) - 2)))


def _over_subjects(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a run."""
    facts = rows.drop_duplicates("run").set_index("run")
    by_run = rows.groupby("run")
    subjects = by_run["score"].size()
    error = np.nan
    if "error" in rows:
        squares = (rows["error"].astype(float) ** 2).groupby(rows["run"]).sum(min_count=1)
        error = np.sqrt(squares) / subjects
    means = facts.assign(score=by_run["score"].mean(), error=error)
    return means[subjects.reindex(means.index) == subjects.max()].reset_index()


def _named(runs: pd.DataFrame) -> pd.DataFrame:
    """The columns of `BenchmarkScores.rows`."""
    import pandas as pd

    group = _words(runs, GROUP)
    size = runs["n_samples"].astype(float) if "n_samples" in runs else pd.Series(np.nan, index=runs.index)
    most = size.groupby(group).transform("max")
    k = runs["samples_per_class"].astype(float).fillna(0)
    # Images are a scale by their number in each class; without one by their number, all of them being one scale.
    named = [_scale(*row) for row in zip(k, size, most, strict=True)]
    order = size.where(size.notna(), k.where(k > 0, np.inf))
    columns = {"run": runs["run"].astype(str), "group": group, "network": _words(runs, NETWORK), "scale": named}
    columns |= {"k": k, "size": order, "seed": runs["seed"], "score": runs["score"].astype(float)}
    columns |= {"error": runs["error"].astype(float), "layers_from": _layers_from(runs)}
    return pd.DataFrame(columns)


def _scale(k: float, size: float, most: float) -> str:
    if k > 0:
        return f"{k:g}"
    return ALL if np.isnan(size) or size == most else f"n{size:.0f}"


def _layers_from(runs: pd.DataFrame) -> pd.Series:
    import pandas as pd

    if "layers_from" not in runs:
        return pd.Series("", index=runs.index)
    return runs["layers_from"].astype("string").fillna("").astype(str)


def _words(rows: pd.DataFrame, columns: tuple[str, ...]) -> pd.Series:
    """The values of those of `columns` that are there, as one text a row; what is missing or false says nothing."""
    parts = [rows[c].astype("string").fillna("").replace("False", "").replace("True", c) for c in columns if c in rows]
    return parts[0].str.cat(parts[1:], sep=" ").str.split().str.join(" ") if parts else rows["run"].astype(str)


def _plain(value: Any) -> Any:
    if str(value) in ("<NA>", "nan", "None"):
        return None
    return value.item() if hasattr(value, "item") else value


def largest_mapping(benchmarks: list[BenchmarkScores]) -> Iterator[BenchmarkScores]:
    """Of benchmarks that differ in their number of mapping images alone the one with most."""
    best: dict[tuple[Any, ...], BenchmarkScores] = {}
    for scores in benchmarks:
        key = tuple((name, value) for name, value in scores.key.items() if name != "n_mapping")
        if key not in best or (scores.key.get("n_mapping") or 0) > (best[key].key.get("n_mapping") or 0):
            best[key] = scores
    yield from best.values()
