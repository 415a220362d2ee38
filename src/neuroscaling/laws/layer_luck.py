"""The luck of layers: how much a run gains since its layers were chosen on its own reported score.

Where layers are chosen on one run and frozen for others, the run that they were chosen on has, besides what the layer
is worth, the noise that made it win. Other seeds of the same network take the layer without this luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.errors import Problem
from neuroscaling.laws.filters import run_names
from neuroscaling.laws.network_scores import BENCHMARK, BenchmarkScores, benchmark_scores
from neuroscaling.laws.point_checks import NotTestable

if TYPE_CHECKING:
    import pandas as pd


REPORTED = "reported"
"""The way of choosing layers by the score that is then reported (column `layer_choice`)."""
KEEP, LEAVE_OUT, CORRECT = "keep", "leave_out", "correct"


@dataclass(frozen=True)
class LayerLuck:
    """The seed that layers were chosen on less the mean of the other seeds, on one benchmark at one scale.

    chosen: whether the layers of this benchmark were chosen at this scale; where not, the difference is a control and
    no luck; difference: mean over networks; error: its standard error, None of one network; networks: how many have the
    seed and others; above: how many of them score higher on that seed; simulated: whether the recordings are.
    """

    key: dict[str, Any]
    benchmark: str
    scale: str
    chosen: bool
    difference: float
    error: float | None
    networks: int
    above: int
    simulated: bool


def layer_luck(benchmarks: Sequence[BenchmarkScores]) -> list[LayerLuck]:
    """The luck of every benchmark at every scale, from many images to few; empty where no run's layers were frozen.

    A network takes part where its layers were chosen on one of its runs and other seeds have them too.
    """
    frozen = _frozen(benchmarks)
    found = []
    for scores in benchmarks if frozen else ():
        for scale in reversed(scores.scales):
            differences, chosen = _differences(scores, scale, frozen)
            if len(differences):
                error = float(differences.std(ddof=1) / len(differences) ** 0.5) if len(differences) > 1 else None
                counts = len(differences), int((differences > 0).sum())
                mean = float(differences.mean())
                found.append(LayerLuck(scores.key, scores.name, scale, chosen, mean, error, *counts, scores.simulated))
    return found


def _frozen(benchmarks: Sequence[BenchmarkScores]) -> set[str]:
    """Names of the runs whose layers other runs have."""
    found: set[str] = set()
    for scores in benchmarks:
        rows = scores.rows
        found |= set(rows["layers_from"][(rows["layers_from"] != "") & (rows["layers_from"] != rows["run"])])
    return found


def _differences(scores: BenchmarkScores, scale: str, frozen: set[str]) -> tuple[np.ndarray, bool]:
    """Differences (networks,) at a scale, and whether the layers of this benchmark were chosen there."""
    rows = scores.rows
    network = ["group", "network"]
    on = rows[rows["run"].isin(frozen)].drop_duplicates(network).set_index(network)
    chosen_on = on[["seed", "scale", "layers_from"]].add_suffix("_on")
    here = rows[rows["scale"] == scale].join(chosen_on, on=network, how="inner")
    lucky = here["seed"] == here["seed_on"]
    found = here[lucky].groupby(network)["score"].mean() - here[~lucky].groupby(network)["score"].mean()
    found = found.dropna()
    both = here.set_index(network).loc[found.index]
    chosen = bool(((both["scale_on"] == scale) & (both["layers_from_on"] != "")).any())
    return found.to_numpy(dtype=float), chosen


def without_luck(table: pd.DataFrame, rows: pd.DataFrame, how: str, y: str) -> tuple[pd.DataFrame, list[str]]:
    """`rows` of `table` as a fit takes them, and the names of the runs that were left out or corrected.

    how: `keep`; `leave_out`: without the rows whose layers were chosen on their own reported score; `correct`: with the
    mean luck of their benchmark taken off those rows. Raises NotTestable where the table doesn't say which rows these
    are, and for `correct` where a benchmark has no other seeds to tell its luck by.
    """
    if how == KEEP:
        return rows, []
    if "layers_from" not in table or "layer_choice" not in table:
        what = "the table does not say on which runs layers were chosen"
        raise NotTestable(Problem(what=what, where="chosen_on", value=how, allowed="columns layers_from, layer_choice"))
    own = rows["layers_from"].astype("string").fillna("") == rows["run"].astype("string")
    lucky = (own & (rows["layer_choice"].astype("string").fillna("") == REPORTED)).to_numpy(dtype=bool)
    names = sorted(set(run_names(rows[lucky])))
    if how == LEAVE_OUT:
        return rows[~lucky], names
    return _corrected(table, rows, lucky, y), names


def _corrected(table: pd.DataFrame, rows: pd.DataFrame, lucky: np.ndarray, y: str) -> pd.DataFrame:
    keys = [column for column in BENCHMARK if column in table]
    known = {
        tuple(str(luck.key[column]) for column in keys): luck.difference
        for luck in layer_luck(benchmark_scores(table.assign(score=table[y])))
        if luck.chosen
    }
    named = rows.loc[lucky, keys].astype("string").fillna("None").itertuples(index=False)
    found = [known.get(tuple(row)) for row in named]
    if None in found:
        where = rows[lucky].iloc[found.index(None)]
        fix = "`chosen_on: leave_out`, or score other seeds of these networks"
        what = "no other seeds tell the luck of this benchmark"
        raise NotTestable(Problem(what=what, where="chosen_on", value=str(where["region"]), fix=fix))
    values = rows[y].astype(float).copy()
    values.loc[lucky] -= np.array(found, dtype=float)
    return rows.assign(**{y: values})
