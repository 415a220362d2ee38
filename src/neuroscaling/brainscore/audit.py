"""One benchmark by both engines, side by side: what the kernel engine computes, and what unmodified Brain-Score does.

    python -m neuroscaling.brainscore.audit JOB

prints JSON; JOB: a file with an AuditJob. To be run with the interpreter of Brain-Score's environment.
Imports of Brain-Score, and of modules that import it, stand in functions: `environment.prepare_environment` must have
been called.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.zarr_reading import Activations, open_store
from neuroscaling.brainscore import environment
from neuroscaling.brainscore.job_files import AuditJob, read_job
from neuroscaling.brainscore.own_benchmarks import benchmark_entry, check_definitions
from neuroscaling.brainscore.scoring_job import data_hash
from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.study.benchmarks import Benchmark

INNER_PRODUCTS = ("pls", "ridge", "ridgecv", "dual_ridge", "dual_ridgecv")
"""Metrics that see features through inner products alone, so that a surrogate of the features scores the same."""
RANK = 1e-14


class Surrogate:
    """Stored Gram matrices as features: Z with Z Z' = G, as many columns as stimuli, in place of the features.

    Stock regressions fitted on Z predict what they would from the features (Gram = V L V', Z = V sqrt(L)).
    """

    def __init__(self, activations: Activations):
        self.activations = activations
        self.path = activations.path
        self.manifest = activations.manifest
        self.stimulus_ids = activations.stimulus_ids

    def keeps(self, layer: str, what: str) -> bool:
        """Features alone."""
        return what == "features"

    def shape(self, layer: str) -> tuple[int, int]:
        """Stimuli, twice."""
        return len(self.stimulus_ids), len(self.stimulus_ids)

    def read(self, layer: str) -> np.ndarray:
        """Z, (stimuli, stimuli) in float64; columns without variance are 0."""
        values, vectors = np.linalg.eigh(self.activations.gram(layer).products)
        return vectors * np.sqrt(np.where(values > RANK * values[-1], values, 0))


def audit(
    activations: Activations,
    layers: str | Sequence[str],
    entry: Benchmark,
    load: Callable[[str], Any],
    ceilings: Path,
    hashed: str = "",
    code: str = "",
) -> list[dict[str, Any]]:
    """A row an engine: {engine, features, score, raw, ceiling, error, reason, seconds, difference}.

    layers: one, or one a split; load: makes Brain-Score's object (benchmark_objects.py); ceilings: folder where they
    are kept; hashed: of the data, by job.data_hash; code: fingerprint of the code of ceilings.
    `difference` is the largest between the kernel engine's and this engine's numbers, over the score, the splits and
    the neuroids. Where only the Gram matrix is kept, `stock` runs on the surrogate. Raises DataError where neither
    serves the metric, and as `score_benchmark`.
    """
    names = [layers] if isinstance(layers, str) else sorted(set(layers))
    whole = all(activations.keeps(layer, "features") for layer in names)
    if not whole and entry.metric not in INNER_PRODUCTS:
        what = "stock Brain-Score needs the features of this layer for this metric, and only the Gram matrix is kept"
        fix = "extract with `extraction: {keep: both}` to audit it"
        raise DataError(Problem(what=what, where=str(activations.path), value=", ".join(names), fix=fix))
    source = activations if whole else Surrogate(activations)
    runs = {}
    for engine, served in (("kernel", activations), ("stock", source)):
        runs[engine] = _timed(entry, load, _job(engine, served, layers, entry, ceilings, hashed, code))
    kept = "features" if whole else "surrogate of the Gram matrix"
    return [
        {"engine": engine, "features": kept if engine == "stock" else "stored", **row, "difference": difference}
        for engine, (row, numbers) in runs.items()
        for difference in [largest_difference(runs["kernel"][1], numbers)]
    ]


def largest_difference(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """Largest difference of numbers in the same order; None where one side lacks a number that the other has."""
    if len(ours) != len(theirs) or any((a is None) != (b is None) for a, b in zip(ours, theirs, strict=True)):
        return None
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    return max((abs(a - b) for a, b in both), default=0.0)


def _job(
    engine: str, served: Any, layers: str | Sequence[str], entry: Benchmark, ceilings: Path, hashed: str, code: str
) -> Any:
    from neuroscaling.brainscore.scoring import Job

    own = layers if isinstance(layers, str) else list(layers)
    readout = own if isinstance(own, str) else own[0]
    by_name = {entry.benchmark: own}
    return Job("audit", "audit", False, hashed, served, by_name, readout, ceilings=ceilings, code=code, engine=engine)


def _timed(entry: Benchmark, load: Callable[[str], Any], job: Any) -> tuple[dict[str, Any], list[float | None]]:
    """The row of one engine, and all its numbers: score, raw, splits, subjects, neuroids."""
    from neuroscaling.brainscore.scoring import score_benchmark

    started = time.perf_counter()
    content, targets = score_benchmark(entry, load, job)
    seconds = round(time.perf_counter() - started, 3)
    row = content.rows[0]
    numbers = [row["score"], row["raw"]] + [
        part["raw"] for part in (*(content.splits or []), *(content.subjects or []))
    ]
    values = {key: row[key] for key in ("score", "raw", "ceiling", "error", "reason")}
    return values | {"seconds": seconds}, numbers + [target["raw"] for target in targets]


def main(path: str) -> int:
    """Print the audit of a job file as JSON: {benchmark, layers, rows}. Status 1: the problem, on standard error."""
    with tempfile.TemporaryDirectory(prefix="neuroscaling-audit-") as scratch:
        environment.prepare_environment(Path(scratch))
        from neuroscaling.brainscore.benchmark_objects import benchmark_object
        from neuroscaling.brainscore.local_files import register_benchmark

        try:
            job = read_job(path, AuditJob)
            definitions = check_definitions(job.definitions, job.data)
            entry = benchmark_entry(job.benchmark, definitions)
            if job.benchmark not in definitions:
                register_benchmark(job.data, entry)
            layers = job.layers[0] if len(job.layers) == 1 else job.layers
            hashed = data_hash(job.data, entry, definitions)
            kept = job.ceilings or Path(scratch) / "ceilings"
            store = open_store(job.activations)
            rows = audit(store, layers, entry, lambda name: benchmark_object(name, definitions), kept, hashed, job.code)
        except NeuroscalingError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps({"benchmark": job.benchmark, "layers": job.layers, "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
