"""One score file for one benchmark, by Brain-Score's unmodified benchmark classes and metrics.

Import after `neuroscaling.brainscore.environment.prepare`.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.store import Activations
from neuroscaling.brainscore import ids
from neuroscaling.brainscore.adapter import StoredBrainModel
from neuroscaling.brainscore.ceilings import keep_ceiling
from neuroscaling.errors import DataError, Problem, StudyError
from neuroscaling.hashing import content_hash
from neuroscaling.provenance import provenance

PACKAGES = ("brainscore_vision", "brainscore-core", "numpy", "scikit-learn", "xarray", "zarr")
PROTOCOLS = ("corrected", "parity")
TRAIN_SHARE, COMPONENTS = 0.9, 25
"""Of Brain-Score's `pls` metric: share of the images in a training split; components."""


@dataclass(frozen=True)
class Job:
    """What one process scores: a run's activations on the data named `data`; `data_hash` tells their content apart.

    layers: layer of each region; readout: layer of behaviour; ceilings: folder where ceilings are kept, or None; code:
    fingerprint of the code, so that a score of other code counts as another.
    """

    run: str
    data: str
    simulated: bool
    data_hash: str
    activations: Activations
    layers: dict[str, str]
    readout: str
    protocol: str = "corrected"
    ceilings: Path | None = None
    code: str | None = None

    def layer_of(self, benchmark: ids.Benchmark) -> str:
        """Layer that answers `benchmark`. Raises DataError when no layer was given for its region."""
        if benchmark.region == "behavior":
            return self.readout
        if benchmark.region not in self.layers:
            allowed = ", ".join(self.layers)
            raise DataError(Problem("no layer for this region", f"run {self.run}", benchmark.region, allowed))
        return self.layers[benchmark.region]

    def inputs(self, benchmark: ids.Benchmark) -> str:
        """Hash of everything that determines the score."""
        layer = self.layer_of(benchmark)
        values = next((e for e in self.activations.manifest["layers"] if e["name"] == layer), None)
        stimuli = self.activations.manifest.get("stimulus_ids_sha256")
        return content_hash(
            [benchmark.benchmark, layer, values, stimuli, self.data_hash, self.protocol, self.code, _version()],
            16,
        )


def score_benchmark(name: str, job: Job) -> dict[str, Any]:
    """The content of a score file (docs/formats.md), with `targets`: raw correlation and ceiling of each neuroid.

    protocol `corrected`: score = r^2 / ceiling, as brainscore_vision does since 2.3.13; `parity`: (r / ceiling)^2, the
    scale of the published tables (2.3.12 and before). Behaviour is r / sqrt(ceiling) in both. Raises StudyError for an
    unknown benchmark or protocol; DataError for a region without layer, an unknown layer, stimuli without activations,
    NaN in activations or recordings.
    """
    started = time.perf_counter()
    benchmark = ids.benchmark(name)
    if job.protocol not in PROTOCOLS:
        raise StudyError(Problem("unknown protocol", "protocol", job.protocol, ", ".join(PROTOCOLS)))
    layer = job.layer_of(benchmark)
    _check_width(benchmark, job, layer)
    score, n_images = _stock_score(benchmark, job)
    row = {
        "region": benchmark.region,
        "subject": None,
        "layer": layer,
        "raw": _number(score.raw),
        "ceiling": _number(score.ceiling),
        "error": _number(score.attrs.get("error")),
        "score": _scaled(benchmark, job.protocol, score),
        **_sizes(benchmark, score, n_images),
    }
    return {
        "format": "score/1",
        "run": job.run,
        "data": job.data,
        "simulated": job.simulated,
        "benchmark": name,
        "metric": benchmark.metric,
        "engine": "stock",
        "protocol": job.protocol,
        "ceiling_scale": ceiling_scale(benchmark.metric, job.protocol),
        "rows": [row],
        "targets": _targets(score),
        "inputs": job.inputs(benchmark),
        "provenance": provenance(PACKAGES, time.perf_counter() - started),
    }


def ceiling_scale(metric: str, protocol: str) -> str:
    """How raw value and ceiling make the score."""
    if metric == "i2n":
        return "r/sqrt(c)"
    return {"corrected": "r2/c", "parity": "(r/c)2"}[protocol]


def _stock_score(benchmark: ids.Benchmark, job: Job) -> tuple[Any, int]:
    """Brain-Score's Score, and the number of presentations that it compares with."""
    from brainscore_vision import load_benchmark

    stock = load_benchmark(benchmark.benchmark)
    if job.ceilings:
        key = content_hash([benchmark.benchmark, job.data_hash, _version()], 16)
        keep_ceiling(stock, job.ceilings / f"{benchmark.benchmark}-{key}.npz")
    # Not brainscore_vision.score: that probes the memory by running the model on the stimuli first.
    score = stock(StoredBrainModel(job.run, job.activations, job.layers, job.readout, benchmark.degrees))
    return score, int(stock._assembly.sizes["presentation"])


def _check_width(benchmark: ids.Benchmark, job: Job, layer: str) -> None:
    shape = next((entry["shape"] for entry in job.activations.manifest["layers"] if entry["name"] == layer), None)
    if benchmark.metric == "pls" and shape is not None and shape[1] < COMPONENTS:
        what, allowed = "too few features for partial least squares", f"at least {COMPONENTS} (its components)"
        fix = "choose a wider layer, or keep more of it: `reduction:`"
        raise DataError(Problem(what, f"{job.activations.path}: layer {layer}", shape[1], allowed, fix=fix))


def _scaled(benchmark: ids.Benchmark, protocol: str, score: Any) -> float | None:
    if benchmark.metric == "pls" and protocol == "parity":
        raw, ceiling = _number(score.raw), _number(score.ceiling)
        return None if raw is None or not ceiling else (raw / ceiling) ** 2
    return _number(score)


def _sizes(benchmark: ids.Benchmark, score: Any, n_images: int) -> dict[str, int | None]:
    """Neuroids, and images that the mapping is fitted on; none for behaviour, whose readout has a set of its own."""
    if benchmark.metric != "pls":
        return {"n_targets": None, "n_mapping": None}
    return {"n_targets": int(score.raw.raw.sizes["neuroid"]), "n_mapping": int(TRAIN_SHARE * n_images)}


def _targets(score: Any) -> list[dict[str, Any]]:
    """Mean over splits for each neuroid; for behaviour there are only the splits of the trials, and no targets."""
    raw, ceiling = score.raw.raw, score.ceiling.raw
    if "neuroid" not in raw.dims:
        return []
    means = {_id: _number(v) for _id, v in zip(_ids(ceiling), ceiling.mean("split").values, strict=True)}
    values = raw.mean("split").values
    return [
        {"target": _id, "raw": _number(value), "ceiling": means.get(_id)}
        for _id, value in zip(_ids(raw), values, strict=True)
    ]


def _ids(values: Any) -> list[str]:
    return [str(neuroid) for neuroid in values["neuroid_id"].values]


def _number(value: Any) -> float | None:
    """A float that JSON can hold; None for what is missing or not finite."""
    if value is None:
        return None
    number = float(np.asarray(value))
    return number if np.isfinite(number) else None


def _version() -> str:
    from importlib.metadata import version

    return version("brainscore_vision")
