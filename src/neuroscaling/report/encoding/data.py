"""From the files of an encoding study to the frames that its figures draw from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.json_text import require_rows
from neuroscaling.core.parquet import column_names, read_frame
from neuroscaling.core.score_files import FILES, checked_file, read_score
from neuroscaling.errors import DataError, Problem
from neuroscaling.report.encoding.order import finished
from neuroscaling.report.published.frame import require

if TYPE_CHECKING:
    import pandas as pd

METRIC = "ridge"
ROW_COLUMNS = [
    "run", "data", "benchmark", "metric", "region", "subject", "n_mapping", "raw", "score", "n_targets", "arch",
    "arch_family", "kind", "samples_per_class", "n_samples", "n_params", "seed", "dataset",
]  # fmt: skip
INTERVAL_COLUMNS = [
    "run", "data", "region", "hemisphere", "n_mapping", "mapping", "measure", "value", "low", "high",
    "interval_over",
]  # fmt: skip
SUBJECT_COLUMNS = [
    "region", "hemisphere", "n_mapping", "draw", "n_vertices", "r", "normalised", "challenge", "unclipped",
]  # fmt: skip
VERTEX_COLUMNS = ["subject", "hemisphere", "fsaverage", "regions", "n_mapping", "layer", "grid", "r", "ceiling"]


@dataclass(frozen=True)
class Encoding:
    """The scores on one source of data, and all that was written beside them.

    rows: of the score table, with `unit` (the subject; the benchmark where a subject has several);
    intervals: means over subjects with their 95 % intervals; accuracy: each subject's own, of all images; vertices: one
    row a run and vertex at the largest number of mapping images; layers: of each run, in the network's order; fits:
    contents of the fit files by name.
    """

    data: str
    simulated: bool
    rows: pd.DataFrame = field(repr=False)
    intervals: pd.DataFrame = field(repr=False)
    accuracy: pd.DataFrame = field(repr=False)
    vertices: pd.DataFrame = field(repr=False)
    layers: dict[str, list[str]] = field(repr=False)
    fits: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def runs(self) -> list[str]:
        """The runs in an order that does not follow from scores: fully trained ones first, then by size and images."""
        facts = self.rows.drop_duplicates("run")
        facts = facts.assign(last=~facts["run"].isin(finished(facts)["run"]))
        ordered = facts.sort_values(["last", "n_params", "n_samples", "run"], ascending=[True, False, False, True])
        return ordered["run"].tolist()

    def facts(self, run: str) -> dict[str, Any]:
        """Architecture, family, parameters and training images of a run."""
        return self.rows[self.rows["run"] == run].iloc[0].to_dict()

    def names(self) -> dict[str, str]:
        """What each run is called: its architecture, or its own name (without hash) where runs share one."""
        archs = self.rows.drop_duplicates("run").set_index("run")["arch"]
        plain = Counter(_without_hash(run) for run in archs.index)
        own = {run: _without_hash(run) if plain[_without_hash(run)] == 1 else run for run in archs.index}
        return {run: arch if (archs == arch).sum() == 1 else own[run] for run, arch in archs.items()}


def read_encodings(
    score_files: Sequence[str | Path], table: pd.DataFrame, intervals: pd.DataFrame, fits: Iterable[dict[str, Any]]
) -> list[Encoding]:
    """One Encoding for each source of data among `score_files`, in alphabetical order.

    table: the score table; intervals: the table of accuracies over subjects. `<run>.accuracy.parquet` and
    `<run>.targets.parquet` are read where a score file has them. Raises DataError for absent columns and altered files.
    """
    require(table, ROW_COLUMNS, "score table")
    require(intervals, INTERVAL_COLUMNS, "table of accuracies")
    paths = [Path(path) for path in score_files]
    contents = [(path, _score_file(path)) for path in paths]
    named = {content["name"]: content for content in fits}
    sources = sorted({content["data"] for _, content in contents})
    found = (
        _encoding(data, [c for c in contents if c[1]["data"] == data], table, intervals, named) for data in sources
    )
    return [encoding for encoding in found if len(encoding.rows)]


def _score_file(path: Path) -> dict[str, Any]:
    content = read_score(path)
    require_rows(content, path, ("run", "data", "benchmark", "simulated"))
    return content


def _without_hash(run: str) -> str:
    return re.sub(r"-[0-9a-f]{8}$", "", run)


def _encoding(
    data: str, files: list[tuple[Path, dict[str, Any]]], table: pd.DataFrame, intervals: pd.DataFrame,
    fits: dict[str, dict[str, Any]],
) -> Encoding:  # fmt: skip
    benchmarks = {content["benchmark"] for _, content in files}
    mine = (table["data"] == data) & (table["metric"] == METRIC) & table["benchmark"].isin(benchmarks)
    rows = table[mine & table["n_mapping"].notna() & table["raw"].notna()]
    several = rows.duplicated(["run", "region", "subject", "n_mapping"]).any()
    unit = rows["benchmark"] if several else rows["subject"]
    layers = {content["run"]: _layers(content) for _, content in files}
    return Encoding(
        data,
        any(content["simulated"] for _, content in files),
        rows.assign(unit=unit.astype("string").fillna("all")),
        intervals[intervals["data"] == data],
        _beside(files, "accuracy", SUBJECT_COLUMNS, lambda frame: frame[frame["draw"] == -1]),
        _with_depth(_beside(files, "targets", VERTEX_COLUMNS, _at_largest), layers),
        layers,
        fits,
    )


def _beside(files: list[tuple[Path, dict[str, Any]]], ending: str, columns: list[str], keep: Any) -> pd.DataFrame:
    """The tables `<run>.<ending>.parquet` beside the score files that have all `columns`, of which `keep` is kept.

    A source of data without such files, or with other columns, gives no rows.
    """
    import pandas as pd

    frames = []
    for path, content in files:
        if f"{ending}.parquet" not in content[FILES]:
            continue
        file = checked_file(path, content, f"{ending}.parquet")
        if set(columns) <= set(column_names(file)):
            frame = keep(read_frame(file, columns))
            frames.append(frame.assign(run=content["run"], subject=frame.get("subject", _subject(content, path))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*columns, "run", "subject"])


def _subject(content: dict[str, Any], path: Path) -> str:
    """The one subject of a score file. Raises DataError where there are several: whose accuracies are beside it?"""
    subjects = {row.get("subject") for row in content["rows"]}
    if len(subjects) != 1:
        raise DataError(Problem("accuracies beside a file of several subjects", str(path), sorted(map(str, subjects))))
    return str(subjects.pop())


def _at_largest(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["n_mapping"] == frame["n_mapping"].max()]


def _layers(content: dict[str, Any]) -> list[str]:
    """Layers in the network's order; entries of one layer and several grid sizes (`<layer>@<k>`) are one."""
    return list(dict.fromkeys(name.split("@")[0] for name in content.get("details", {}).get("candidates", [])))


def _with_depth(vertices: pd.DataFrame, layers: dict[str, list[str]]) -> pd.DataFrame:
    """The vertices with `depth`: the place of the chosen layer, 0 the first and 1 the last; empty where unknown."""
    places = {
        (run, name): i / (len(names) - 1) for run, names in layers.items() if len(names) > 1
        for i, name in enumerate(names)
    }  # fmt: skip
    pairs = zip(vertices["run"], vertices["layer"].astype(str).str.split("@").str[0], strict=True)
    return vertices.assign(depth=[places.get(pair, float("nan")) for pair in pairs])
