"""The scores of an encoding study become tables of regions, mapping images and networks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.recording_words import UNITS, RecordingWords
from neuroscaling.core.score_files import ScoreFile, checked_file, read_score
from neuroscaling.core.score_table import require_columns
from neuroscaling.core.table_files import parquet_columns, read_parquet_frame
from neuroscaling.encoding.accuracy import ALL_IMAGES
from neuroscaling.laws.finished_law import FinishedLaw, laws_among
from neuroscaling.laws.fit_record import FitRecord

if TYPE_CHECKING:
    import pandas as pd


NO_CEILING = (
    "r is not divided by a noise ceiling, so that regions of different reliability cannot be compared by level."
)

METRIC = "ridge"
ROW_COLUMNS = [
    "run", "data", "benchmark", "metric", "region", "subject", "n_mapping", "raw", "score", "n_targets", "arch",
    "arch_family", "kind", "samples_per_class", "n_samples", "n_params", "seed", "dataset", "test_set",
]  # fmt: skip
INTERVAL_COLUMNS = [
    "run", "data", "metric", "test_set", "region", "hemisphere", "n_mapping", "mapping", "measure", "value", "low",
    "high", "interval_over",
]  # fmt: skip
SUBJECT_COLUMNS = [
    "metric", "test_set", "region", "hemisphere", "n_mapping", "draw", "n_vertices", "r", "normalised", "challenge",
    "unclipped",
]  # fmt: skip
VERTEX_COLUMNS = [
    "subject", "metric", "test_set", "hemisphere", "fsaverage", "regions", "n_mapping", "layer", "grid", "r", "ceiling",
]  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """The scores on one source of data, and all that was written beside them.

    rows: of the score table, with `unit` (the subject; the benchmark where a subject has several);
    intervals: means over subjects with their 95 % intervals; accuracy: each subject's own, of all images; draws: the
    same, of each draw of these images; vertices: one row a run and vertex at the largest number of mapping images;
    layers: of each run, in the network's order; fits: the laws of what is drawn, by name; words: what its targets are
    called.
    """

    data: str
    simulated: bool
    rows: pd.DataFrame = field(repr=False)
    intervals: pd.DataFrame = field(repr=False)
    accuracy: pd.DataFrame = field(repr=False)
    draws: pd.DataFrame = field(repr=False)
    vertices: pd.DataFrame = field(repr=False)
    layers: dict[str, list[str]] = field(repr=False)
    fits: dict[str, FinishedLaw] = field(repr=False)
    words: RecordingWords = UNITS

    @property
    def runs(self) -> list[str]:
        """The runs in an order that does not follow from scores: fully trained ones first, then by size and images."""
        facts = self.rows.drop_duplicates("run")
        facts = facts.assign(last=~facts["run"].isin(fully_trained(facts)["run"]))
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
    score_files: Sequence[str | Path],
    table: pd.DataFrame,
    intervals: pd.DataFrame,
    fits: dict[str, FitRecord],
    words: Mapping[str, RecordingWords] | None = None,
) -> list[Encoding]:
    """One Encoding for each source of data among `score_files`, in alphabetical order.

    table: the score table; intervals: the table of accuracies over subjects; words: what the targets of each source are
    called. `<run>.accuracy.parquet` and `<run>.targets.parquet` are read where a score file has them. Raises DataError
    for absent columns and altered files.
    """
    require_columns(table, ROW_COLUMNS, "score table")
    require_columns(intervals, INTERVAL_COLUMNS, "table of accuracies")
    paths = [Path(path) for path in score_files]
    contents = [(path, read_score(path)) for path in paths]
    sources = sorted({content.data for _, content in contents})
    found = (_encoding(data, [c for c in contents if c[1].data == data], table, intervals, fits) for data in sources)
    return [replace(one, words=(words or {}).get(one.data, UNITS)) for one in found if len(one.rows)]


def _without_hash(run: str) -> str:
    return re.sub(r"-[0-9a-f]{8}$", "", run)


def _encoding(
    data: str, files: list[tuple[Path, ScoreFile]], table: pd.DataFrame, intervals: pd.DataFrame,
    fits: dict[str, FitRecord],
) -> Encoding:  # fmt: skip
    benchmarks = {content.benchmark for _, content in files}
    mine = (table["data"] == data) & (table["metric"] == METRIC) & table["benchmark"].isin(benchmarks)
    rows = table[mine & table["n_mapping"].notna() & table["raw"].notna()]
    main = _main_test_set(files)
    rows = rows[rows["test_set"].fillna("") == main]
    intervals = intervals[(intervals["data"] == data) & _is_drawn(intervals, main)]
    several = rows.duplicated(["run", "region", "subject", "n_mapping"]).any()
    unit = rows["benchmark"] if several else rows["subject"]
    layers = {content.run: _layers(content) for _, content in files}
    accuracy = _beside(files, "accuracy", SUBJECT_COLUMNS, lambda one: one[_is_drawn(one, main)])
    vertices = _beside(files, "targets", VERTEX_COLUMNS, lambda one: _at_largest(one[_is_drawn(one, main)]))
    return Encoding(
        data,
        any(content.simulated for _, content in files),
        rows.assign(unit=unit.astype("string").fillna("all")),
        intervals,
        accuracy[accuracy["draw"] == ALL_IMAGES],
        accuracy[accuracy["draw"] != ALL_IMAGES],
        _with_depth(vertices, layers),
        layers,
        _laws_of_what_is_drawn(fits, main),
    )


def _main_test_set(files: list[tuple[Path, ScoreFile]]) -> str:
    """The first test set of a source, "" where it has one alone: the figures are of it."""
    return next((str(row.get("test_set") or "") for _, content in files for row in content.rows), "")


def _laws_of_what_is_drawn(fits: dict[str, FitRecord], test_set: str) -> dict[str, FinishedLaw]:
    """The laws but for those of another metric or test set than the figures show."""

    def shows(law: FinishedLaw, column: str, drawn: str) -> bool:
        wanted = law.filters.get(column, drawn)
        return drawn in (wanted if isinstance(wanted, list) else [wanted])

    laws = {law.name: law for law in laws_among(fits.values())}
    return {
        name: law for name, law in laws.items() if shows(law, "metric", METRIC) and shows(law, "test_set", test_set)
    }


def _is_drawn(frame: pd.DataFrame, test_set: str) -> pd.Series:
    return (frame["metric"] == METRIC) & (frame["test_set"] == test_set)


def _beside(files: list[tuple[Path, ScoreFile]], ending: str, columns: list[str], keep: Any) -> pd.DataFrame:
    """The tables `<run>.<ending>.parquet` beside the score files that have all `columns`, of which `keep` is kept.

    A source of data without such files, or with other columns, gives no rows.
    """
    import pandas as pd

    frames = []
    for path, content in files:
        if f"{ending}.parquet" not in content.files:
            continue
        file = checked_file(path, content.files, f"{ending}.parquet")
        if set(columns) <= set(parquet_columns(file)):
            frame = keep(read_parquet_frame(file, columns))
            frames.append(frame.assign(run=content.run, subject=frame.get("subject", _subject(content, path))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*columns, "run", "subject"])


def _subject(content: ScoreFile, path: Path) -> str:
    """The one subject of a score file. Raises DataError where there are several: whose accuracies are beside it?"""
    subjects = {row.get("subject") for row in content.rows}
    if len(subjects) != 1:
        raise DataError(
            Problem(
                what="accuracies beside a file of several subjects", where=str(path), value=sorted(map(str, subjects))
            )
        )
    return str(subjects.pop())


def _at_largest(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["n_mapping"] == frame["n_mapping"].max()]


def _layers(content: ScoreFile) -> list[str]:
    """Layers in the network's order; entries of one layer and several grid sizes (`<layer>@<k>`) are one."""
    return list(dict.fromkeys(name.split("@")[0] for name in (content.details or {}).get("candidates", [])))


def _with_depth(vertices: pd.DataFrame, layers: dict[str, list[str]]) -> pd.DataFrame:
    """The vertices with `depth`: the place of the chosen layer, 0 the first and 1 the last; empty where unknown."""
    places = {
        (run, name): i / (len(names) - 1) for run, names in layers.items() if len(names) > 1
        for i, name in enumerate(names)
    }  # fmt: skip
    pairs = zip(vertices["run"], vertices["layer"].astype(str).str.split("@").str[0], strict=True)
    return vertices.assign(depth=[places.get(pair, float("nan")) for pair in pairs])


def interval_words(encoding: Encoding) -> str:
    """What the intervals are over."""
    over = encoding.intervals["interval_over"]
    found = [words for words in dict.fromkeys(over) if words != "nothing"]
    if not found:
        return "There are no intervals: nothing was resampled."
    groups = encoding.words.groups
    if "subjects and images" in found:
        return (
            f"Bands and bars: 95 % intervals of a hierarchical bootstrap ({groups} are drawn, then evaluated images)."
        )
    over = " or ".join(found).replace("subjects", groups)
    return f"Bands and bars: 95 % intervals of a bootstrap over {over} alone."


def sampling_words(encoding: Encoding) -> str:
    """What the intervals don't hold."""
    words = encoding.words
    return (
        f"{words.units.capitalize()} of one {words.group} share images and noise and are never resampled; the draws of "
        "mapping images and the training of the networks are not part of the intervals."
    )


# Retinotopic areas and the streams of NSD from early to late, all vertices, then areas that prefer a category.
REGIONS = [
    "V1", "V2", "V3", "hV4", "V4", "IT", "early", "midventral", "ventral", "midlateral", "lateral", "midparietal",
    "parietal", ALL_VERTICES, "EBA", "FBA", "mTL-bodies", "OFA", "FFA", "mTL-faces", "aTL-faces", "OPA", "PPA", "RSC",
    "OWFA", "VWFA", "mfs-words", "mTL-words",
]  # fmt: skip
# Chains along which selectivity grows, as far as the ROIs of NSD tell them apart.
CHAINS = [
    ["V1", "V2", "V3", "hV4"], ["early", "midventral", "ventral"], ["early", "midlateral", "lateral"],
    ["early", "midparietal", "parietal"],
]  # fmt: skip
MOST_REGIONS = 12
MAPPING_IMAGES = 4500  # as in the published comparison of parameters on Algonauts 2023


def in_order(regions: Iterable[str]) -> list[str]:
    """The regions along the hierarchy, unknown ones last in alphabetical order."""
    present = set(regions)
    return [region for region in REGIONS if region in present] + sorted(present - set(REGIONS))


def shown(regions: Iterable[str]) -> tuple[list[str], str]:
    """The regions that have a panel, and a sentence about those that have none (empty where all have one)."""
    ordered = in_order(regions)
    rest = ordered[MOST_REGIONS:]
    return ordered[:MOST_REGIONS], f"Not drawn, but in the tables: {', '.join(rest)}." if rest else ""


def sizes_of(rows: pd.DataFrame) -> dict[str, set[float]]:
    """Numbers of mapping images of each unit that all its runs have."""
    found: dict[str, set[float]] = {}
    for (unit, _), group in rows.groupby(["unit", "run"]):
        sizes = set(group["n_mapping"])
        found[unit] = found[unit] & sizes if unit in found else sizes
    return found


def at_fixed_size(rows: pd.DataFrame, wanted: float = MAPPING_IMAGES) -> tuple[pd.DataFrame, str]:
    """The rows at one number of mapping images, and the number in words.

    `wanted` where all runs and units have it, else the largest that all have, else the largest that all runs of a unit
    have. No rows where even these share none.
    """
    by_unit = sizes_of(rows)
    common = set.intersection(*by_unit.values()) if by_unit else set()
    if common:
        size = wanted if wanted in common else max(common)
        return rows[rows["n_mapping"] == size], f"{size:,.0f}"
    largest = {unit: max(sizes) for unit, sizes in by_unit.items() if sizes}
    kept = rows[rows["n_mapping"] == rows["unit"].map(largest)]
    ends = sorted({f"{size:,.0f}" for size in largest.values()}, key=lambda text: int(text.replace(",", "")))
    return kept, " to ".join(dict.fromkeys([ends[0], ends[-1]])) if ends else "no common number of"


def complete(rows: pd.DataFrame, column: str = "n_mapping") -> pd.DataFrame:
    """Rows at those values of `column` that all units have: a mean over other subjects is no point of the curve."""
    units = rows.groupby(column)["unit"].nunique()
    return rows[rows[column].isin(units.index[units == rows["unit"].nunique()])]


def fully_trained(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of networks with trained weights; of those trained here, each architecture's largest set of images."""
    rows = rows[rows["kind"].isin(["trained", "pretrained", "checkpoint"]) & (rows["n_params"] > 0)]
    most = rows.groupby(["arch", "kind", "dataset"], dropna=False)["n_samples"].transform("max")
    return rows[(rows["kind"] != "trained") | (rows["n_samples"] == most)]


def swept(rows: pd.DataFrame, run: str) -> int:
    """How many numbers of mapping images a run has that all its units share: points of a curve over units."""
    return int(complete(rows[rows["run"] == run])["n_mapping"].nunique())


def geometric_means(x: np.ndarray) -> np.ndarray:
    """Geometric means of neighbours (n - 1,)."""
    return np.sqrt(x[1:] * x[:-1])


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Change of y per decade of x between neighbours (n - 1,); x ascending."""
    return np.diff(y) / np.diff(np.log10(x))
