"""The score table has one row a number, with the columns of the run first (docs/formats.md).

pandas is imported where a table is made: checks of a study ask for the columns alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, Place, Problem, listing, nearest
from neuroscaling.core.files import DELETE_AND_RERUN, atomic_path, reading
from neuroscaling.core.records import FACTS_OF_DONE, RunRecord, loss_of_weights, read_outcome
from neuroscaling.core.score_files import ScoreFile, read_score, setting_problems
from neuroscaling.core.score_scales import NO_CORRELATION, SCALES, has_ceiling
from neuroscaling.core.table_files import parquet_columns, read_parquet_frame

if TYPE_CHECKING:
    import pandas as pd


RUN_COLUMNS = {
    "run": "string",
    "arch": "string",
    "arch_family": "string",
    "dataset": "string",
    "samples_per_class": "int64",
    "seed": "int64",
    "n_params": "float64",
    "macs": "float64",
    "paper_macs": "float64",
    "flops": "float64",
    "n_samples": "float64",
    "trajectory": "string",
    "epoch": "float64",
    "n_epochs": "float64",
    "n_samples_seen": "float64",
    "n_samples_nominal": "float64",
    "passes": "float64",
    "total_flops": "float64",
    "acc": "float64",
    "acc_kind": "string",
    "recipe": "string",
    "objective": "string",
    "is_pretrained": "bool",
    "is_random": "bool",
    "is_ssl": "bool",
    "is_adv": "bool",
    "kind": "string",
}
SCORE_COLUMNS = {
    "data": "string",
    "simulated": "bool",
    "benchmark": "string",
    "metric": "string",
    "region": "string",
    "subject": "string",
    "test_set": "string",
    "layer": "string",
    "layers_from": "string",
    "layer_choice": "string",
    "n_mapping": "float64",
    "n_targets": "float64",
    "score": "float64",
    "raw": "float64",
    "ceiling": "float64",
    "error": "float64",
    "scale": "string",
    "reason": "string",
    "protocol": "string",
    "engine": "string",
}
COLUMNS = {**RUN_COLUMNS, **SCORE_COLUMNS}
ITSELF = "itself"
"""In the definition of a score: its layers were chosen on its own run."""
TYPES = {"string": str | None, "bool": bool | None, "int64": int, "float64": int | float | None}
DERIVED = (
    "arch_family", "trajectory", "epoch", "passes", "is_pretrained", "is_random", "objective", "is_ssl", "is_adv",
)  # fmt: skip
"""Columns of a run that its record does not have under these names."""
VALIDATION = "validation"
"""Benchmark of the rows of validation accuracy."""
FAILED_RUNS = "failed_runs"
"""Attribute of the table's file: a list with the columns of each run that failed, and `problem`."""
KEY_ATTRIBUTE = "key"
"""Attribute of the file of a table of one's own: the columns that tell its rows apart, in place of `KEY`."""
KEY = ["run", "data", "benchmark", "metric", "region", "subject", "test_set", "n_mapping", "protocol"]


@dataclass(frozen=True)
class FailedRun:
    """A run that failed, so that scores of it are missing; columns: those of the table that are known of it."""

    run: str
    problem: str
    columns: dict[str, Any]


@dataclass(frozen=True)
class ScoreTable:
    """scores: the table, a row a number; failed: the runs that failed, which have no rows in it."""

    scores: pd.DataFrame
    failed: tuple[FailedRun, ...] = ()


def build_table(
    score_files: Iterable[str | Path],
    run_files: Iterable[str | Path],
    accuracy: bool = False,
    wanted: Iterable[str | Path] = (),
    protocol: str = "corrected",
) -> ScoreTable:
    """The table of all rows of `score_files`, each with the facts of its run from `run_files` (run.json).

    Numbers that are null stay missing (NaN); a score that is null has its reason. The rows are sorted by `KEY`, so the
    order of the files is of no matter. accuracy: whether each run's validation accuracy is a row too; wanted: every
    score file that the study asks for; protocol: `parity` gives the compute of a run as the published study counts it
    (`published_compute`). Runs that failed have no scores; they stand beside them, and so do
    finished runs whose weights are lost while a wanted score needs them.
    Raises DataError for files that are not what their records say, a score of a run without run.json, a wanted file of
    a sound run that is not given, a number given twice, two scales with ceilings, and settings that differ
    (core/score_files.py).
    """
    import pandas as pd

    files, asked = list(run_files), list(map(Path, wanted))
    records = [read_outcome(path) for path in files]
    failed = [_failed_run(record, record.failure, protocol) for record in records if record.failure is not None]
    runs = {record.run: _run_columns(record, protocol) for record in records if record.failure is None}
    contents = [(path, _score(path)) for path in map(Path, score_files)]
    problems = [_missing_run(path, content, runs) for path, content in contents if content.run not in runs]
    given = {path for path, _ in contents}
    absent = [path for path in asked if path not in given]
    failed += _unscored(files, records, absent, protocol)
    lost = {one.run for one in failed}
    again, what = "run the study again: it makes what is absent", "a score that the study asks for is not there"
    problems += [Problem(what=what, where=str(path), fix=again) for path in absent if _run_of(path) not in lost]
    problems += [] if problems else [*setting_problems(contents), *_mixed_scales(contents)]
    if problems:
        raise DataError(problems)
    rows = [{**runs[content.run], **row} for path, content in contents for row in _score_rows(content, path)]
    rows += [{**run, **_accuracy(run)} for run in runs.values() if accuracy and run["acc"] is not None]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    _check_duplicates(table)
    table = table.sort_values(KEY, kind="stable", ignore_index=True)
    return ScoreTable(table, tuple(failed))


def _score(path: Path) -> ScoreFile:
    content = read_score(path)
    _score_rows(content, path)
    return content


def _run_of(score: Path) -> str:
    return score.name.removesuffix(".json")


def _unscored(
    files: Iterable[str | Path], records: Iterable[RunRecord], absent: Iterable[Path], protocol: str
) -> Iterator[FailedRun]:
    """Finished runs that can't be scored any more: their weights are lost, and a score of `absent` is theirs."""
    needed = set(map(_run_of, absent))
    for path, record in zip(files, records, strict=True):
        if record.failure is None and record.run in needed and (reason := loss_of_weights(path)) is not None:
            yield _failed_run(record, reason, protocol)


def _typed(row: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """`row`. Raises DataError for values that its columns can't hold."""
    wrong = [name for name, value in row.items() if name in COLUMNS and not isinstance(value, TYPES[COLUMNS[name]])]
    if wrong:
        what, where, allowed = "not a value of this column", f"{path}, {wrong[0]}", COLUMNS[wrong[0]]
        raise DataError(Problem(what=what, where=where, value=row[wrong[0]], allowed=allowed, fix=DELETE_AND_RERUN))
    return row


def write_table(path: str | Path, table: ScoreTable) -> None:
    """Write the score table as parquet, whole or not at all; runs that failed stand in the file's attributes."""
    scores = table.scores.copy(deep=False)
    scores.attrs[FAILED_RUNS] = [run.columns | {"problem": run.problem} for run in table.failed]
    with atomic_path(path) as temporary:
        scores.to_parquet(temporary, index=False)


def read_table(path: str | Path) -> pd.DataFrame:
    """The scores of a table. Raises DataError, naming the file, where it is missing or no parquet."""
    return read_score_table(path).scores


def read_score_table(
    path: str | Path, columns: Sequence[str] | None = None, filters: Mapping[str, Any] | None = None
) -> ScoreTable:
    """A score table with the runs that failed.

    columns: those to read, without any that the table does not have; filters: of rows, by column, applied where the
    file is read, so that the rest takes no memory. Raises DataError, naming the file, where it is missing or damaged.
    """
    scores = read_parquet_frame(path, columns and [name for name in columns if name in parquet_columns(path)], filters)
    stated = scores.attrs.pop(FAILED_RUNS, [])
    with reading(path, "a score table", DELETE_AND_RERUN):
        failed = tuple(
            FailedRun(run["run"], run["problem"], {key: run[key] for key in run if key != "problem"}) for run in stated
        )
    return ScoreTable(scores, failed)


def stated_key(path: str | Path) -> list[str]:
    """The columns that the file of a table of one's own says tell its rows apart; empty for other tables."""
    import pyarrow.parquet

    with reading(path, "a score table", DELETE_AND_RERUN):
        metadata = pyarrow.parquet.read_schema(path).pandas_metadata or {}
        return list((metadata.get("attributes") or {}).get(KEY_ATTRIBUTE) or [])


def absent_columns(table: pd.DataFrame, columns: Iterable[str], where: str) -> list[Problem]:
    """A problem for each of `columns` that `table` does not have, with the nearest that nothing else stands for."""
    have, wanted = [str(column) for column in table.columns], list(columns)
    spare = set(have) - set(wanted)
    return [
        Problem(
            what="column is missing",
            where=where,
            value=column,
            allowed=listing(have, 40),
            nearest=nearest(column, spare),
        )
        for column in wanted
        if column not in have
    ]


def _failed_run(record: RunRecord, problem: str, protocol: str) -> FailedRun:
    columns = _run_columns(record, protocol)
    stated = [name for name in RUN_COLUMNS if name not in (*FACTS_OF_DONE, *DERIVED)]
    return FailedRun(record.run, problem, {name: columns[name] for name in (*stated, *DERIVED)})


def _accuracy(run: dict[str, Any]) -> dict[str, Any]:
    """What a row of validation accuracy says of itself; none of it is simulated."""
    about = {
        "data": run["dataset"],
        "benchmark": VALIDATION,
        "region": "accuracy",
        "metric": run["acc_kind"] or "top1",
    }
    return dict.fromkeys(SCORE_COLUMNS) | about | {"simulated": False, "score": run["acc"], "scale": NO_CORRELATION}


def published_compute(record: RunRecord) -> dict[str, float | None]:
    """n_samples_seen, flops and total_flops of a run as the table of Gokce & Schrimpf 2025 has them.

    flops = 2 paper_macs, which are those of the published table for each of its architectures, and twice that for an
    adversarial training and for SimCLR; n_samples_seen is nominal, n_samples n_epochs; total_flops = 3 flops
    n_samples_seen. None for what is not known of the run.
    """
    objective = (record.recipe or {}).get("objective")
    seen, macs = record.n_samples_nominal, record.paper_macs
    flops = None if macs is None else 2 * macs * (2 if objective in ("adversarial", "simclr") else 1)
    total = None if seen is None or flops is None else 3 * flops * seen
    return {"n_samples_seen": seen, "flops": flops, "total_flops": total}


def _run_columns(record: RunRecord, protocol: str) -> dict[str, Any]:
    """The columns of a run. n_samples and what follows from it is 0 for runs that were not trained here."""
    columns = _recorded_columns(record)
    if protocol == "parity":
        columns |= published_compute(record)
    images, seen = columns["n_samples"], columns["n_samples_seen"]
    return columns | {"passes": seen / images if images and seen else None}


def _recorded_columns(record: RunRecord) -> dict[str, Any]:
    same = {name: getattr(record, name) for name in RUN_COLUMNS if name not in DERIVED}
    recipe = record.recipe or {}
    known = record.training or {"id": record.run, "epoch": record.n_epochs}
    objective = recipe.get("objective", known.get("objective"))
    return same | {
        "arch_family": record.family,
        "trajectory": known.get("id"),
        "epoch": known.get("epoch"),
        "samples_per_class": record.samples_per_class if isinstance(record.samples_per_class, int) else 0,
        "seed": record.seed or 0,
        "flops": None if record.macs is None else 2 * record.macs,
        "recipe": recipe.get("name"),
        "objective": objective,
        "is_pretrained": record.kind == "pretrained",
        "is_random": record.kind == "untrained",
        "is_ssl": objective in ("simclr", "dino"),
        "is_adv": objective == "adversarial",
    }


def _score_rows(content: ScoreFile, path: Path) -> list[dict[str, Any]]:
    """Rows of a score file. What a row says of itself (such as its metric) stands above what the file says."""
    common = {name: value for name, value in vars(content).items() if name in SCORE_COLUMNS} | _choice(content)
    rows = [_typed({**common, **row}, path) for row in content.rows]
    problems = [problem for row in rows for problem in _row_problems(row, path)]
    if problems:
        raise DataError(problems)
    return [{name: row.get(name) for name in SCORE_COLUMNS} for row in rows]


def _choice(content: ScoreFile) -> dict[str, Any]:
    """On which run the layers were found by looking at scores, and how; nothing where none were looked for."""
    on, choice = content.definition.get("reference"), content.definition.get("choice") or {}
    return {"layers_from": content.run if on == ITSELF else on, "layer_choice": choice.get("way") if on else None}


def _row_problems(row: dict[str, Any], path: Path) -> Iterator[Problem]:
    fix = DELETE_AND_RERUN
    absent = [name for name in ("region", "score", "benchmark", "metric", "data", "scale") if name not in row]
    if absent:
        yield Problem(what="key is missing", where=str(path), value=listing(absent), fix=fix)
    elif row["scale"] not in SCALES:
        near = nearest(row["scale"], SCALES)
        yield Problem(
            what="unknown scale of a score",
            where=Place(path) / "scale",
            value=row["scale"],
            allowed=listing(list(SCALES)),
            nearest=near,
            fix=fix,
        )
    elif row["score"] is not None and has_ceiling(row["scale"]) != (row.get("ceiling") is not None):
        what = "a score and its scale disagree on whether there is a ceiling"
        value = f"scale {row['scale']}, ceiling {row.get('ceiling')}"
        yield Problem(what=what, where=Place(path) / f"region {row['region']}", value=value, fix=fix)
    elif (row["score"] is None) != bool(row.get("reason")):
        what = "a score is null without a reason" if row["score"] is None else "a score has a reason for being null"
        yield Problem(what=what, where=Place(path) / f"region {row['region']}", value=row.get("reason"), fix=fix)


def _missing_run(path: Path, content: ScoreFile, runs: dict[str, Any]) -> Problem:
    what, allowed = "a score of a run without run.json", f"the {len(runs)} runs whose run.json was given"
    return Problem(what=what, where=str(path), value=content.run, allowed=allowed, fix="train or list the run")


def _mixed_scales(contents: list[tuple[Path, ScoreFile]]) -> list[Problem]:
    """r2/c and (r/c)2 of one metric on one source of data are two ways of scoring; one of them was not meant.

    Rows without a ceiling may stand beside rows with one: recordings without repetitions have none. What pools rows
    asks for one scale (`laws.filters.scale_of`).
    """
    scales: dict[tuple[str, str], dict[str, Path]] = {}
    for path, content in contents:
        for row in content.rows:
            if has_ceiling(row["scale"]):
                metric = row.get("metric", content.metric)
                scales.setdefault((content.data, metric), {}).setdefault(row["scale"], path)
    return mixed_scales(scales)


def mixed_scales(scales: Mapping[tuple[str, str], Mapping[str, Path]]) -> list[Problem]:
    """A problem for each data and metric with scores on two scales with a ceiling. scales: each with a file of it."""
    return [_mixed(key, found) for key, found in scales.items() if len(found) > 1]


def _mixed(key: tuple[str, str], found: Mapping[str, Path]) -> Problem:
    examples = "; ".join(f"{scale} in {path}" for scale, path in found.items())
    where = f"scale of {key[0]}, metric {key[1]}"
    fix = "score all of them under one `protocol:`"
    return Problem(
        what="scores on two scales with a ceiling in one table",
        where=where,
        value=examples,
        allowed="one scale",
        fix=fix,
    )


def _check_duplicates(table: pd.DataFrame) -> None:
    twice = table[table.duplicated(KEY, keep=False)]
    if len(twice):
        keys = [" ".join(str(value) for value in row) for row in twice[KEY].drop_duplicates().itertuples(index=False)]
        fix = "list each score file once"
        raise DataError(
            Problem(
                what=f"{len(keys)} numbers stand in the table twice", where="table", value=listing(keys, 3), fix=fix
            )
        )


def require_columns(table: pd.DataFrame, columns: Iterable[str], where: str) -> None:
    """Raise DataError unless `table` has all `columns`."""
    problems = absent_columns(table, columns, where)
    if problems:
        raise DataError(problems)
