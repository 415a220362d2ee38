"""A part of `neuroscaling plan` states what activations take: bytes from shapes, and hours from counts and rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from neuroscaling.cli.output import GIGA, HOUR, rounded
from neuroscaling.planning.training_throughput import Speeds
from neuroscaling.study import wanted
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.key_types import fixed_size
from neuroscaling.study.stimulus_sets import StimulusSet

SUMMED = ("features_gb", "gram_gb", "written_gb", "read_gb", "hours")
"""Numbers of a row that are of all its networks together."""
BY: dict[str, Callable[[Run], str]] = {
    "family": lambda run: run.family,
    "arch": lambda run: run.arch,
    "dataset": lambda run: str(run.dataset),
    "run": lambda run: run.run,
}


def extraction_rows(study: LoadedStudy, speeds: Speeds, by: str = "arch") -> list[dict[str, Any]]:
    """A row for each group of networks and stimulus set, and a row of sums.

    features_gb, gram_gb: what is kept; scratch_gb: the most at a time; written_gb, read_gb: what goes to the disk and
    comes back; hours: GPU-hours, or hours of a calibrated CPU, of all networks of the row. layers, passes, features:
    the most of any of them. Empty numbers: the stimuli of a set that nobody has counted yet. Nothing is computed but
    shapes.
    """
    from neuroscaling.planning.encoding import count_stimuli

    sets = [(stimuli, count_stimuli(study, stimuli)) for stimuli in wanted.Targets(study).sets.values()]
    groups: dict[str, list[Run]] = {}
    for run in study.runs.values():
        if run.kind != "baseline":
            groups.setdefault(BY[by](run), []).append(run)
    rows = [
        {by: name, "networks": len(runs), "set": stimuli.name, "stimuli": n} | _joined(study, speeds, runs, stimuli, n)
        for name, runs in groups.items()
        for stimuli, n in sets
    ]
    keys = dict.fromkeys(rows[0] if rows else (by, "networks", *SUMMED, "scratch_gb"))
    total = {by: "all", "networks": sum(map(len, groups.values()))} | _sums(rows)
    return [*map(_readable, rows), {**keys, **_readable(total)}]


def _joined(study: LoadedStudy, speeds: Speeds, runs: list[Run], stimuli: StimulusSet, n: int | None) -> dict[str, Any]:
    """What the networks of a row have together; of those of one architecture one is looked at."""
    alike: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        alike.setdefault((run.arch, run.kind), []).append(run)
    rows = [_of_arch(study, speeds, own, n) for own in alike.values()]
    most = {key: max(row[key] for row in rows) for key in ("layers", "passes", "features")}
    return most | (_sums(rows) if n else dict.fromkeys((*SUMMED, "scratch_gb")))


def _of_arch(study: LoadedStudy, speeds: Speeds, runs: list[Run], n: int | None) -> dict[str, Any]:
    from neuroscaling.planning.extraction import layers_of_run, peak_scratch
    from neuroscaling.planning.extraction_time import extraction_cost, start_seconds
    from neuroscaling.planning.workload import FLOAT_BYTES, cost_of

    layers, options, network = layers_of_run(study, runs[0], n or 0), study.config.extraction, cost_of(runs[0].arch)
    rate = speeds.forward(runs[0], network.macs, options.autocast)
    gpu = None if speeds.on_cpu else speeds.gpu
    cost = extraction_cost(layers, n or 0, rate, FLOAT_BYTES * network.n_params, options.codec, gpu)
    per_network = {
        "features_gb": sum(layer["bytes"] for layer in layers) / GIGA,
        "gram_gb": sum(layer["gram_bytes"] for layer in layers) / GIGA,
        "written_gb": cost.written / GIGA,
        "read_gb": cost.read / GIGA,
        "hours": (cost.seconds + start_seconds(fixed_size(study.config.runs_per_job))) / HOUR,
    }
    return {
        "layers": len(layers),
        "passes": len({layer["pass"] for layer in layers}),
        "features": sum(layer["features"] for layer in layers),
        "scratch_gb": peak_scratch(layers) / GIGA,
        **{key: len(runs) * value for key, value in per_network.items()},
    }


def _sums(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    rows = list(rows)
    most = max((row["scratch_gb"] or 0 for row in rows), default=0)
    return {key: sum(row[key] or 0 for row in rows) for key in SUMMED} | {"scratch_gb": most}


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {key: rounded(value) if isinstance(value, float) else value for key, value in row.items()}
