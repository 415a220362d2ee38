"""Each stage's cost comes from the runs' records and Snakemake's benchmark files."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = [
    "simulate", "v4_data", "recordings", "prefetch", "v4_assembly", "subset", "pack", "train", "stimuli",
    "activations", "layers", "brainscore", "encoding", "accuracy", "submission", "table", "published_table",
    "own_table", "resolution", "fit", "claims", "encoding_figures", "published_figures", "report",
]  # fmt: skip
# Stages of the shared store whose files lie below the name of a job of runs.
STAGES_OF_RUNS = {"activations", "brainscore", "encoding"}


@dataclass(frozen=True)
class Timing:
    """Cost of a stage: number of jobs, mean and total seconds of wall time, largest resident memory in MB (None if
    Snakemake had no time to measure it)."""

    stage: str
    jobs: int
    mean_seconds: float
    total_seconds: float
    max_rss_mb: float | None


def read_timings(
    folders: Iterable[str | Path], jobs: Iterable[str], files: Mapping[str, Iterable[str]],
    records: Iterable[dict[str, Any]] = (),
) -> list[Timing]:  # fmt: skip
    """Timings of all stages below `folders`, in the order of the pipeline; of other studies' jobs none.

    jobs: names of the study's runs and of the groups that they share jobs in; files: what the benchmark files of a
    stage are called, below the name of such a job where the stage has one (`study/benchmark_names.py`). A stage of one
    job, such as the table, has one file. records: run.json of the runs, with `seconds`. Training is timed run by run:
    small runs share jobs, each time other ones.
    """
    rows: dict[str, list[tuple[float, float | None]]] = {}
    runs, own = set(jobs), {stage: set(names) for stage, names in files.items()}
    rows["train"] = [(record["seconds"], None) for record in records if record.get("seconds")]
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*.tsv")):
            stage, _, name = path.relative_to(folder).with_suffix("").as_posix().partition("/")
            if stage in STAGES_OF_RUNS:
                job, _, name = name.partition("/")
                is_own = job in runs and name in own.get(stage, ())
            else:
                is_own = not name or name in own.get(stage, ())
            if is_own:
                rows.setdefault(stage, []).extend(_read(path))
    found = [_timing(stage, values) for stage, values in rows.items() if values]
    order = {stage: i for i, stage in enumerate(STAGES)}
    return sorted(found, key=lambda t: (order.get(t.stage, len(order)), t.stage))


def _read(path: Path) -> list[tuple[float, float | None]]:
    with open(path, encoding="utf-8", newline="") as file:
        return [(float(row["s"]), _number(row.get("max_rss"))) for row in csv.DictReader(file, delimiter="\t")]


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _timing(stage: str, values: list[tuple[float, float | None]]) -> Timing:
    seconds = [value[0] for value in values]
    memory = [value[1] for value in values if value[1] is not None]
    return Timing(stage, len(values), sum(seconds) / len(seconds), sum(seconds), max(memory, default=None))
