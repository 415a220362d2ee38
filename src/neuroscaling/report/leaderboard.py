"""The leaderboard has a row a network and a column a region: means over subjects or sessions, never over metrics.

Numbers of one column share data, benchmark, region, test set, protocol, metric and scale. A `View` takes one metric and
one number of mapping images, or of each column the most; what has one metric alone, such as behaviour, is in all views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.score_scales import LOSS
from neuroscaling.core.score_table import VALIDATION
from neuroscaling.report.page_content import frame_data, plain, rounded

if TYPE_CHECKING:
    import pandas as pd


FACTS = [
    "run", "kind", "arch", "arch_family", "dataset", "samples_per_class", "seed", "recipe", "objective", "n_params",
    "n_samples", "n_samples_seen", "flops", "total_flops", "acc", "epoch",
]  # fmt: skip
"""Columns of a network, which are equal in all its rows."""
BASELINES = ("untrained", "baseline")
"""Kinds of networks that nobody trained: they have no rank."""
WHOLE = (ALL_VERTICES, "nsdgeneral")
"""Regions that hold others, so that a mean over regions leaves them out where it can."""
PLACE = ["data", "benchmark", "region", "test_set", "protocol"]
SERIES = [*PLACE, "metric", "scale"]
STREAM = ("V1", "V2", "V4", "IT")
"""Regions that come first, in this order; the others follow as the table has them."""
RANKED = "is_ranked"
"""Column of networks that compete: neither a baseline nor an earlier epoch of a training."""
SESSION = "is_session"
"""Column of rows whose benchmark is one session of a data set."""
COLUMNS = [*FACTS, "trajectory", *SERIES, "subject", "n_mapping", "score", "error", "ceiling", "layer", "simulated"]
MOST_CELLS = 150_000
"""Cells of all columns together; a study with more has fewer numbers of mapping images on its page."""


@dataclass(frozen=True)
class Series:
    """A column: one number a network, in the order of `Leaderboard.networks`; None where there is none.

    mapping: the least and the most mapping images; averaged: over how many subjects or sessions the fullest number is a
    mean, and what they are called; errors: the standard error over them, or the score's own where there is one; counts:
    of how many each is a mean, None where it is `averaged` for all; layers: the one chosen most often, by its place in
    `layer_names`.
    """

    data: str | None
    benchmark: str | None
    region: str | None
    test_set: str | None
    protocol: str | None
    metric: str | None
    scale: str | None
    simulated: bool
    mapping: tuple[float, float] | None
    ceiling: float | None
    averaged: int
    units: str
    scores: list[float | None]
    errors: list[float | None]
    counts: list[int] | None
    layer_names: list[str]
    layers: list[int | None]


@dataclass(frozen=True)
class View:
    """Columns that are shown together. metric: None where no column has a choice of them; mapping: None for the most.

    series: places in `Leaderboard.series`; mean_of: those of one metric and scale that `means` are taken over, regions
    first; ranks: by the mean, or by the first column, 1 for the best network.
    """

    metric: str | None
    mapping: float | None
    series: list[int]
    mean_of: list[int]
    means: list[float | None]
    ranks: list[int | None]


@dataclass(frozen=True)
class Leaderboard:
    """Networks with their facts, columns, and which are shown together. left_out: how many views are not here."""

    networks: pd.DataFrame
    series: list[Series] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    left_out: int = 0

    def content(self) -> dict[str, Any]:
        """The leaderboard as the page's data has it, its networks as `table_data` gives tables."""
        facts = frame_data(self.networks, FACTS)
        return {
            "networks": facts,
            "series": [asdict(one) for one in self.series],
            "views": [asdict(one) for one in self.views],
            "left_out": self.left_out,
        }


def leaderboard(table: pd.DataFrame) -> Leaderboard:
    """The leaderboard of a score table; without columns where the table has no scores.

    Rows of validation accuracy are columns of their own only where a table has no others.
    """
    rows = _rows(table)
    networks = rows.drop_duplicates("run").reset_index(drop=True)
    networks = networks[FACTS].assign(**{RANKED: _is_ranked(networks)})
    if (scored := rows[rows["benchmark"] != VALIDATION]).empty:
        scored = rows
    options = [
        _Option(key, own, _sizes(own))
        for key, own in scored[scored["score"].notna()].groupby(SERIES, dropna=False, sort=False)
    ]
    wanted: dict[Any, tuple[str | None, float | None]] = {}
    for metric, mapping in _choices(options):
        wanted.setdefault(tuple(_columns(options, metric, mapping)), (metric, mapping))
    columns: list[tuple[int, float | None]] = []
    views: list[tuple[str | None, float | None, list[int]]] = []
    for chosen, (metric, mapping) in wanted.items():
        needed = [column for column in chosen if column not in columns]
        if views and (len(columns) + len(needed)) * len(networks) > MOST_CELLS:
            continue
        columns += needed
        views.append((metric, mapping, [columns.index(column) for column in chosen]))
    series = [_series(options[place], size, networks["run"]) for place, size in columns]
    return Leaderboard(
        networks,
        series,
        [_view(metric, mapping, chosen, series, networks) for metric, mapping, chosen in views],
        len(wanted) - len(views),
    )


@dataclass(frozen=True)
class _Option:
    """Rows of one column. key: their `SERIES`; sizes: numbers of mapping images that can be chosen, if any."""

    key: tuple[Any, ...]
    rows: pd.DataFrame
    sizes: list[float]

    @property
    def place(self) -> tuple[str, ...]:
        return tuple(map(str, self.key[: len(PLACE)]))

    @property
    def metric(self) -> str:
        return str(self.key[SERIES.index("metric")])


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that are used, those that a table lacks empty. A metric at the end of a benchmark's name is dropped;
    a session that is a benchmark of its own gives way to its data."""
    rows = table.reindex(columns=COLUMNS)
    names, metrics = rows["benchmark"].astype("object"), rows["metric"].astype("object")
    short = [
        name.removesuffix(f"-{metric}") if isinstance(name, str) else None
        for name, metric in zip(names, metrics, strict=True)
    ]
    rows[SESSION] = (rows["benchmark"] == rows["subject"]).fillna(False).astype(bool)
    rows["benchmark"] = rows["data"].astype("object").where(rows[SESSION], short)
    return rows


def _is_ranked(networks: pd.DataFrame) -> pd.Series:
    """Whether each network competes with others; the earlier epochs of a training are no networks of their own."""
    last = networks.groupby("trajectory")["epoch"].transform("max")
    return ~networks["kind"].isin(BASELINES) & ~(networks["epoch"] < last).fillna(False).astype(bool)


def _sizes(own: pd.DataFrame) -> list[float]:
    """The numbers of mapping images that every subject has scores for; none where each has one number alone."""
    found = [set(sizes.dropna()) for _, sizes in own.groupby("subject", dropna=False)["n_mapping"]]
    return sorted(set.intersection(*found)) if max(map(len, found)) > 1 else []


def _choices(options: Sequence[_Option]) -> list[tuple[str | None, float | None]]:
    """Each metric of places that have several, most frequent first, with each number of mapping images."""
    of_place: dict[tuple[str, ...], set[str]] = {}
    for option in options:
        of_place.setdefault(option.place, set()).add(option.metric)
    count = Counter(metric for metrics in of_place.values() if len(metrics) > 1 for metric in sorted(metrics))
    sizes = sorted({size for option in options for size in option.sizes}, reverse=True)
    metrics: list[str | None] = [metric for metric, _ in count.most_common()]
    return [(metric, size) for size in (None, *sizes) for metric in metrics or [None]] if options else []


def _columns(options: Sequence[_Option], metric: str | None, mapping: float | None) -> list[tuple[int, float | None]]:
    """Which options a view shows, by their places, and which number of mapping images of each (None: the most)."""
    several = {option.place for option in options for other in options if other.place == option.place
               and other.metric != option.metric}  # fmt: skip
    found: list[tuple[int, float | None]] = []
    for place, option in enumerate(options):
        if option.place in several and option.metric != metric:
            continue
        if mapping is None or not option.sizes or mapping == option.rows["n_mapping"].max():
            found.append((place, None))
        elif mapping in option.sizes:
            found.append((place, mapping))
    return sorted(found, key=lambda column: _along_the_stream(options[column[0]]))


def _along_the_stream(option: _Option) -> int:
    region = option.key[SERIES.index("region")]
    # A table of one's own may name no region: its missing value is compared with none.
    return STREAM.index(region) if isinstance(region, str) and region in STREAM else len(STREAM)


def _series(option: _Option, size: float | None, runs: pd.Series) -> Series:
    """The column of `option` with `size` mapping images, or the most that each subject has."""
    rows = option.rows
    most = rows.groupby("subject", dropna=False)["n_mapping"].transform("max") if size is None else size
    rows = rows[(rows["n_mapping"] == most) | (rows["n_mapping"].isna() & (size is None))]
    of_run = rows.groupby("run")
    counts = of_run["score"].size().reindex(runs, fill_value=0)
    averaged = int(counts.max())
    spread = of_run["score"].std() / of_run["score"].size() ** 0.5
    errors = spread.fillna(of_run["error"].mean()) if averaged > 1 else of_run["error"].mean()
    layers = rows.groupby(["run", "layer"], sort=True).size().reset_index(name="n")
    layers = layers.sort_values("n", ascending=False, kind="stable").drop_duplicates("run").set_index("run")["layer"]
    names = sorted(set(layers))
    mapping = rows["n_mapping"].dropna()
    named = {name: plain(value) for name, value in zip(SERIES, option.key, strict=True)}
    return Series(
        **named,
        simulated=bool(rows["simulated"].fillna(False).any()),
        mapping=(plain(mapping.min()), plain(mapping.max())) if len(mapping) else None,
        ceiling=plain(rows["ceiling"].mean()),
        averaged=averaged,
        units="sessions" if rows[SESSION].any() else "subjects" if rows["subject"].notna().any() else "rows",
        scores=_cells(of_run["score"].mean().reindex(runs), 4),
        errors=_cells(errors.reindex(runs), 2),
        counts=None if counts[counts > 0].eq(averaged).all() else counts.tolist(),
        layer_names=names,
        layers=[names.index(layers[run]) if run in layers.index else None for run in runs],
    )


def _cells(values: pd.Series, digits: int) -> list[float | None]:
    return [rounded(value, digits) for value in values.astype(float)]


def _view(
    metric: str | None, mapping: float | None, chosen: list[int], series: Sequence[Series], networks: pd.DataFrame
) -> View:
    over = _mean_of(chosen, series)
    means = _mean_over_regions([series[i] for i in over], networks)
    best = means if over else _frame([series[chosen[0]]], networks).iloc[:, 0]
    less_is_better = series[(over or chosen)[0]].scale == LOSS
    ranks = best.where(networks[RANKED]).rank(method="min", ascending=less_is_better)
    return View(
        metric,
        plain(mapping),
        chosen,
        over,
        _cells(means, 4),
        [None if rank != rank else int(rank) for rank in ranks],
    )


def _mean_of(chosen: Sequence[int], series: Sequence[Series]) -> list[int]:
    """The largest set of two or more regions that share metric, scale and whether they are simulated."""
    groups: dict[Any, list[int]] = {}
    for i in chosen:
        if series[i].region not in WHOLE:
            groups.setdefault((series[i].metric, series[i].scale, series[i].simulated), []).append(i)
    most = max(groups.values(), key=lambda own: len({series[i].region for i in own}), default=[])
    return most if len({series[i].region for i in most}) > 1 else []


def _mean_over_regions(own: Sequence[Series], networks: pd.DataFrame) -> pd.Series:
    """Mean over regions of the means over each region's columns; missing where a network lacks a column."""
    frame = _frame(own, networks)
    return frame.T.groupby(level=0).mean().mean().where(frame.notna().all(axis="columns") & bool(own))


def _frame(own: Sequence[Series], networks: pd.DataFrame) -> pd.DataFrame:
    """Networks x columns; a column is called by its region."""
    import pandas as pd

    scores = {i: pd.Series(one.scores, index=networks.index, dtype=float) for i, one in enumerate(own)}
    frame = pd.DataFrame(scores, index=networks.index)
    frame.columns = pd.Index([str(one.region) for one in own], dtype="object")
    return frame
