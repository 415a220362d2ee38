"""One score file for one benchmark, by Brain-Score's benchmark classes, with either engine.

Engine `kernel`: the benchmark's own metric object, computing from inner products (kernel_engine.py); `stock`:
unmodified brainscore_vision on the full features. Import after
`neuroscaling.brainscore.environment.prepare_environment`.
"""

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ConstantInputWarning

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.brainscore import score_file
from neuroscaling.brainscore.ceilings import judged, keep_ceilings, reason_of
from neuroscaling.brainscore.environment import estimate_mb, refuse_above_limit
from neuroscaling.brainscore.kernel_engine import LayerOfFit, metric_parts, one_layer, use_kernel
from neuroscaling.brainscore.row_numbers import Layers, View
from neuroscaling.brainscore.stored_model import StoredBrainModel
from neuroscaling.core.errors import DataError, Problem, StudyError, nearest
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_files import ScoreFile, ScoreRow
from neuroscaling.regression.denominators import unusable
from neuroscaling.study.benchmarks import Benchmark, scale_of

logger = logging.getLogger("neuroscaling")
PACKAGES = ("brainscore_vision", "brainscore-core", "numpy", "scikit-learn", "xarray", "zarr")
PROTOCOLS = ("corrected", "parity")
ENGINES = ("kernel", "stock")
COMPONENTS = 25
"""Of Brain-Score's `pls` metric; scikit-learn asks for as many features."""


@dataclass(frozen=True)
class Job:
    """What one process scores: a run's activations on the data named `data`; `data_hash` tells what ceilings depend on.

    layers: of each region, or of a benchmark by its id, one layer or one for each split; readout: layer of behaviour;
    ceilings: folder where ceilings are kept, or None; code: fingerprint of the code that they come from; stored: the
    run's layers as the kernel engine reads them, to share them between benchmarks.
    """

    run: str
    data: str
    simulated: bool
    data_hash: str
    activations: Activations
    layers: dict[str, str | list[str]]
    readout: str
    protocol: str = "corrected"
    ceilings: Path | None = None
    code: str = ""
    engine: str = "kernel"
    stored: Layers | None = None

    def __post_init__(self) -> None:
        for value, allowed, name in ((self.protocol, PROTOCOLS, "protocol"), (self.engine, ENGINES, "engine")):
            if value not in allowed:
                problem = Problem(
                    what=f"unknown {name}",
                    where=name,
                    value=value,
                    allowed=", ".join(allowed),
                    nearest=nearest(value, allowed),
                )
                raise StudyError(problem)

    def layers_of(self, benchmark: Benchmark) -> str | list[str]:
        """Layer, or layer of each split, that answers `benchmark`. Raises DataError when its region has none."""
        if benchmark.kind == "behavior":
            return self.readout
        for name in (benchmark.benchmark, benchmark.region):
            if name in self.layers:
                layers = self.layers[name]
                return layers if isinstance(layers, str) or len(set(layers)) > 1 else layers[0]
        allowed = ", ".join(self.layers)
        raise DataError(
            Problem(what="no layer for this region", where=f"run {self.run}", value=benchmark.region, allowed=allowed)
        )


@dataclass(frozen=True)
class Scored:
    """What Brain-Score made of a benchmark: its Score, its object, the parts of the score and the layer of each fit.

    components: of PLS by engine `kernel`, those that each fit found; empty for others, which don't tell.
    """

    score: Any
    stock: Any
    parts: list[score_file.Part]
    layers: list[str]
    components: list[int]


def score_benchmark(
    benchmark: Benchmark, load: Callable[[str], Any], job: Job
) -> tuple[ScoreFile, list[dict[str, Any]]]:
    """The score file without what it was made from (docs/formats.md), and the rows of its targets' parquet.

    load: makes Brain-Score's object of a benchmark (benchmark_objects.py). Protocol `corrected`: as brainscore_vision
    scores since 2.3.13, r^2 / ceiling; `parity`: (r / ceiling)^2, the scale of the published tables (2.3.12 and
    before).
    Raises StudyError for a metric that the engine doesn't serve; DataError for a region without layer, an unknown
    layer, stimuli without activations, NaN in activations or recordings, no ceiling, too little memory.
    """
    started = time.perf_counter()
    scored = run_benchmark(benchmark, load, job)
    content = ScoreFile(
        run=job.run,
        data=job.data,
        simulated=job.simulated,
        benchmark=benchmark.benchmark,
        metric=benchmark.metric,
        engine=job.engine,
        protocol=job.protocol,
        versions={"brainscore_vision": brainscore_version(), "benchmark": scored.stock.version},
        rows=[_row(benchmark, job.protocol, scored)],
        splits=score_file.split_rows(scored.parts, scored.layers),
        left_out=list(getattr(scored.stock, "left_out", [])),
        subjects=[_subject(benchmark, job.protocol, part) for part in scored.parts if part.subject is not None],
        provenance=provenance(PACKAGES, time.perf_counter() - started),
    )
    return content, list(score_file.target_rows(scored.parts, benchmark.region))


def run_benchmark(benchmark: Benchmark, load: Callable[[str], Any], job: Job) -> Scored:
    """Score with the job's engine, as `score_benchmark` says."""
    layers = job.layers_of(benchmark)
    names = [layers] if isinstance(layers, str) else sorted(set(layers))
    for name in names:
        _check_width(benchmark, job, name)
    with _quiet():
        stock = load(benchmark.benchmark)
        _check_memory(stock, benchmark, job, names)
        keep_ceilings(stock, job.ceilings, ceiling_definition(benchmark, job.data_hash, job.code))
        used = _prepare(stock, benchmark, job, layers)
        sessions = _record_sessions(stock)
        # Not brainscore_vision.score: that probes the memory by running the model on the stimuli first.
        score = stock(used)
    fits = [layers] if isinstance(layers, str) else list(layers)
    components = _components(stock)
    if components and min(components) < COMPONENTS:
        what = "run %s, %s: layers %s have %d of %d components for partial least squares (fewer in %d of %d fits)"
        of_each = fits * len(components) if len(fits) == 1 else fits
        short = [layer for layer, found in zip(of_each, components, strict=True) if found < COMPONENTS]
        facts = (", ".join(dict.fromkeys(short)), min(components), COMPONENTS, len(short), len(components))
        logger.warning(what, job.run, benchmark.benchmark, *facts)
    shares = score_file.parts_of(score, _subjects(stock), sessions)
    shares = judged(benchmark, shares, score.attrs["ceiling"], _ceiling_images(stock))
    return Scored(score, stock, shares, fits, components)


def _components(stock: Any) -> list[int]:
    """Components of partial least squares that each fit of the kernel engine found; empty for other metrics."""
    metrics = [getattr(part, "_similarity_metric", None) for part in _inner(stock)] if _holds_metric(stock) else []
    regressions = [getattr(getattr(metric, "regression", None), "_regression", None) for metric in metrics]
    found = [count for regression in regressions for count in getattr(regression, "components", [])]
    return [] if None in found else found


def _holds_metric(stock: Any) -> bool:
    return hasattr(stock, "_sessions") or hasattr(stock, "_similarity_metric")


def ceiling_definition(benchmark: Benchmark, data_hash: str, code: str) -> dict[str, Any]:
    """Everything that determines the ceilings of a benchmark."""
    facts = {"benchmark": benchmark.benchmark, "region": benchmark.region, "data": data_hash}
    return facts | {"brainscore_vision": brainscore_version(), "code": code}


def brainscore_version() -> str:
    """Version of the installed brainscore_vision."""
    return version("brainscore_vision")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Brain-Score prints of each subject, its old xarray's warnings, and one for each constant neuroid."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="xarray")
        warnings.filterwarnings("ignore", category=ConstantInputWarning)
        yield


def _subjects(stock: Any) -> list[str]:
    """Names of the subjects that an RSA benchmark compares one by one."""
    return sorted(set(stock._assembly["subject"].values.tolist())) if hasattr(stock, "_rdm") else []


def _prepare(stock: Any, benchmark: Benchmark, job: Job, layers: str | list[str]) -> StoredBrainModel:
    """The model that the benchmark is called with; the benchmark's metric is made to serve the engine."""
    if benchmark.kind == "behavior":
        one_layer(layers, benchmark.benchmark)
        return _model(job, stock, {}, None)
    if job.engine == "kernel":
        view = View(job.stored or Layers(job.activations))
        use_kernel(stock, view, layers)
        return _model(job, stock, {benchmark.region: layers}, view)
    if isinstance(layers, str):
        return _model(job, stock, {benchmark.region: layers}, None)
    LayerOfFit.use(stock, layers)
    return _model(job, stock, {benchmark.region: sorted(set(layers))}, None)


def _model(job: Job, stock: Any, layers: dict[str, str | Sequence[str]], view: View | None) -> StoredBrainModel:
    inner = next(iter(getattr(stock, "_sessions", [stock])))
    return StoredBrainModel(job.run, job.activations, layers, job.readout, inner._visual_degrees, view)


def _record_sessions(stock: Any) -> dict[str, Any]:
    """Filled with the score of each session of a combined benchmark when that is called; empty for others."""
    scores: dict[str, Any] = {}
    if hasattr(stock, "_sessions"):
        stock._sessions = [_Recorded(session, scores) for session in stock._sessions]
    return scores


class _Recorded:
    """A benchmark inside another, whose score is kept by its identifier."""

    def __init__(self, benchmark: Any, scores: dict[str, Any]):
        self._benchmark, self._scores = benchmark, scores

    def __getattr__(self, name: str) -> Any:
        return getattr(self._benchmark, name)

    def __call__(self, candidate: Any) -> Any:
        """The benchmark's score, kept."""
        self._scores[self._benchmark.identifier] = self._benchmark(candidate)
        return self._scores[self._benchmark.identifier]


def _row(benchmark: Benchmark, protocol: str, scored: Scored) -> ScoreRow:
    """The row of the region, over all subjects."""
    score = scored.score
    ceiling = None if benchmark.ceiling == "none" else score_file.number(score.attrs["ceiling"])
    raw = score_file.number(score.attrs["raw"])
    scale, reason = scale_of(benchmark, protocol), reason_of(scored.parts)
    if reason is None and benchmark.ceiling != "none" and ceiling is None:
        reason = unusable(np.nan)
    value = None if reason else _scaled(scale, scored)
    if value is None and reason is None:
        reason = f"the score is not finite: {scored.score.values}"
    n_targets, n_mapping = _sizes(benchmark, scored)
    row: ScoreRow = {
        "region": benchmark.region,
        "subject": None,
        "score": value,
        "raw": raw,
        "ceiling": ceiling,
        "error": score_file.number(score.attrs.get("error")),
        "scale": scale,
        "reason": reason,
        "layer": score_file.main_layer(scored.layers),
        "n_targets": n_targets,
        "n_mapping": n_mapping,
    }
    if len(set(scored.layers)) > 1:
        row["layers"] = list(scored.layers)
    if scored.components:
        row["n_components"] = min(scored.components)
    lower = score.attrs["ceiling"].attrs.get("lower_bound_loo") if ceiling is not None else None
    if lower is not None:
        row["ceiling_lower"] = score_file.number(lower)
    return row


def _subject(benchmark: Benchmark, protocol: str, part: score_file.Part) -> dict[str, Any]:
    return part.row(scale_of(benchmark, protocol)) | ({"ceiling": None} if benchmark.ceiling == "none" else {})


def _scaled(scale: str, scored: Scored) -> float | None:
    """Brain-Score's own number; on the scale of brainscore_vision up to 2.3.12 the mean over the parts."""
    if scale == "(r/c)2":
        return score_file.number(np.mean([part.on(scale) for part in scored.parts]))
    return score_file.number(scored.score)


def _sizes(benchmark: Benchmark, scored: Scored) -> tuple[int | None, int | None]:
    """Neuroids, and images that a mapping is fitted on: none where nothing is, and none for behaviour's readout."""
    if benchmark.kind == "behavior":
        return None, None
    inner = _inner(scored.stock)
    images = [_fitted_images(part, _assembly(part)) for part in inner]
    fitted = [n for n in images if n is not None]
    targets = sum(int(_assembly(part).sizes["neuroid"]) for part in inner)
    return targets, sum(fitted) if len(fitted) == len(images) else None


def _inner(stock: Any) -> list[Any]:
    """The benchmarks that hold a metric, without what records their scores."""
    return [getattr(part, "_benchmark", part) for part in metric_parts(stock)]


def _assembly(part: Any) -> Any:
    """The recordings that a benchmark fits or compares."""
    return part.train_assembly if hasattr(part, "train_assembly") else part._assembly


def _ceiling_images(stock: Any) -> list[int]:
    """Different images that the ceiling of each inner benchmark rests on: those of the test where there is one."""
    inner = [getattr(part, "_benchmark", part) for part in getattr(stock, "_sessions", [stock])]
    found = [part.test_assembly if hasattr(part, "test_assembly") else part._assembly for part in inner]
    return [len(np.unique(assembly["stimulus_id"].values)) for assembly in found]


def _fitted_images(part: Any, assembly: Any) -> int | None:
    if hasattr(part, "train_assembly"):
        return int(assembly.sizes["presentation"])
    splits = getattr(getattr(part, "_similarity_metric", None), "cross_validation", None)
    return None if splits is None else len(splits._split.build_splits(assembly)[1][0][0])


def _check_width(benchmark: Benchmark, job: Job, layer: str) -> None:
    _, features = job.activations.shape(layer)
    if benchmark.metric == "pls" and features < COMPONENTS:
        what, allowed = "too few features for partial least squares", f"at least {COMPONENTS} (its components)"
        fix = "choose a wider layer, or keep more of it: `reduction:`"
        raise DataError(
            Problem(what=what, where=f"{job.activations.path}: layer {layer}", value=features, allowed=allowed, fix=fix)
        )


def _check_memory(stock: Any, benchmark: Benchmark, job: Job, layers: Sequence[str]) -> None:
    """Refuse what would not fit: kernel takes one layer after another; stock, and behaviour, hold all features."""
    whole = job.engine == "stock" or benchmark.kind == "behavior"
    targets = 1 if benchmark.kind == "behavior" else max(int(_assembly(p).sizes["neuroid"]) for p in _inner(stock))
    estimates = []
    for layer in layers:
        kept = tuple(what for what in ("features", "gram") if job.activations.keeps(layer, what))
        engine = "stock" if whole else "kernel"
        estimates.append(estimate_mb(*job.activations.shape(layer), targets, engine, kept))
    refuse_above_limit(sum(estimates) if whole else max(estimates), ", ".join(layers), benchmark.benchmark)
