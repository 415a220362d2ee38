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
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ConstantInputWarning

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.brainscore import score_file
from neuroscaling.brainscore.benchmark_sizes import (
    assembly_of,
    ceiling_images,
    count_neuroids,
    inner_benchmarks,
    mapping_sizes,
    training_images,
)
from neuroscaling.brainscore.ceilings import judged, keep_ceilings, reason_of
from neuroscaling.brainscore.environment import estimate_mb, refuse_above_limit
from neuroscaling.brainscore.kernel_engine import Mappings, one_layer, use_kernel, use_stock
from neuroscaling.brainscore.kernel_regression import KernelRegression
from neuroscaling.brainscore.row_numbers import Layers, View
from neuroscaling.brainscore.stored_model import StoredBrainModel
from neuroscaling.core.counting import counted
from neuroscaling.core.errors import DataError, Problem, StudyError, nearest
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_files import ScoreFile, ScoreRow
from neuroscaling.regression.denominators import unusable
from neuroscaling.regression.mapping_images import SampleSize
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
    run's layers as the kernel engine reads them, to share them between benchmarks; samples: numbers of mapping images;
    few: the layers of each split that were chosen inside so many mapping images.
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
    samples: tuple[SampleSize, ...] = ("all",)
    few: dict[int, list[str]] = field(default_factory=dict)

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

    def layers_of(self, benchmark: Benchmark, n_images: int | None = None) -> str | list[str]:
        """Layer, or layer of each split, that answers `benchmark` with `n_images` mapping images, or with all.

        Raises DataError when its region has none.
        """
        if benchmark.kind == "behavior":
            return self.readout
        if n_images in self.few:
            return _one_or_each(self.few[n_images])
        for name in (benchmark.benchmark, benchmark.region):
            if name in self.layers:
                return _one_or_each(self.layers[name])
        allowed = ", ".join(self.layers)
        raise DataError(
            Problem(what="no layer for this region", where=f"run {self.run}", value=benchmark.region, allowed=allowed)
        )


def _one_or_each(layers: str | list[str]) -> str | list[str]:
    return layers if isinstance(layers, str) or len(set(layers)) > 1 else layers[0]


@dataclass(frozen=True)
class Scored:
    """What Brain-Score made of a benchmark: its Score, its object, the parts of the score and the layer of each fit.

    n_mapping: images that each mapping was fitted on (benchmark_sizes.py); components: of PLS by engine `kernel`, those
    that each fit found; empty for others, which don't tell.
    """

    score: Any
    stock: Any
    parts: list[score_file.Part]
    layers: list[str]
    n_mapping: int | None
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
    stock = scored[0].stock
    shares = [(one, part) for one in scored for part in one.parts if part.subject is not None]
    content = ScoreFile(
        run=job.run,
        data=job.data,
        simulated=job.simulated,
        benchmark=benchmark.benchmark,
        metric=benchmark.metric,
        engine=job.engine,
        protocol=job.protocol,
        versions={"brainscore_vision": brainscore_version(), "benchmark": stock.version},
        rows=[_row(benchmark, job.protocol, one) for one in scored],
        splits=[row for one in scored for row in score_file.split_rows(one.parts, one.layers, one.n_mapping)],
        left_out=list(getattr(stock, "left_out", [])),
        subjects=[_subject(benchmark, job.protocol, one, part) for one, part in shares],
        provenance=provenance(PACKAGES, time.perf_counter() - started),
    )
    targets = [score_file.target_rows(one.parts, benchmark.region, one.n_mapping) for one in scored]
    return content, [row for rows in targets for row in rows]


def run_benchmark(benchmark: Benchmark, load: Callable[[str], Any], job: Job) -> list[Scored]:
    """Score with the job's engine, as `score_benchmark` says: for each number of mapping images, ascending."""
    with _quiet():
        stock = load(benchmark.benchmark)
        sizes = mapping_sizes(stock, benchmark, job.samples)
        layers = [job.layers_of(benchmark, n_images) for n_images in sizes]
        names = sorted({name for own in layers for name in ([own] if isinstance(own, str) else own)})
        for name in names:
            _check_width(benchmark, job, name)
        _check_memory(stock, benchmark, job, names, few=sizes != [None])
        keep_ceilings(stock, job.ceilings, ceiling_definition(benchmark, job.data_hash, job.code))
        view = View(job.stored or Layers(job.activations)) if _takes_rows(benchmark, job) else None
        mappings = _mappings(stock, benchmark, layers, view, sizes)
        sessions = _record_sessions(stock)
        found = []
        for n_images, own in zip(counted(sizes, "mapping size"), layers, strict=True):
            mappings.begin(own, n_images)
            # Not brainscore_vision.score: that probes the memory by running the model on the stimuli first.
            score = stock(_model(benchmark, job, stock, own, view))
            shares = score_file.parts_of(score, _subjects(stock), sessions)
            shares = judged(benchmark, shares, score.attrs["ceiling"], ceiling_images(stock))
            fits = [own] if isinstance(own, str) else list(own)
            n_mapping = training_images(benchmark, stock) if n_images is None else n_images
            found.append(Scored(score, stock, shares, fits, n_mapping, _components(job, benchmark, mappings, fits)))
    return found


def _components(job: Job, benchmark: Benchmark, mappings: Mappings, layers: list[str]) -> list[int]:
    """Components of partial least squares that each fit of the kernel engine found; empty for other metrics.

    Fewer than were asked for are told.
    """
    kernel = [regression for regression in mappings.regressions if isinstance(regression, KernelRegression)]
    counts = [count for regression in kernel for count in regression.components]
    found = [count for count in counts if count is not None]
    if not found or len(found) < len(counts):
        return []
    asked = kernel[0].asked or 0
    if min(found) < asked:
        what = "run %s, %s: layers %s have %d of %d components for partial least squares (fewer in %d of %d fits)"
        of_each = layers * len(found) if len(layers) == 1 else layers
        short = [layer for layer, count in zip(of_each, found, strict=True) if count < asked]
        facts = (", ".join(dict.fromkeys(short)), min(found), asked, len(short), len(found))
        logger.warning(what, job.run, benchmark.benchmark, *facts)
    return found


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


def _takes_rows(benchmark: Benchmark, job: Job) -> bool:
    """Whether the benchmark is called with row numbers in place of features."""
    return job.engine == "kernel" and benchmark.kind != "behavior"


def _mappings(
    stock: Any,
    benchmark: Benchmark,
    layers: Sequence[str | list[str]],
    view: View | None,
    sizes: Sequence[int | None],
) -> Mappings:
    """The benchmark's mappings, which serve the engine; none where its own metric is left as it is."""
    if benchmark.kind == "behavior":
        one_layer(layers[0], benchmark.benchmark)
        return Mappings([])
    if view is not None:
        return use_kernel(stock, view, layers[0])
    several = any(not isinstance(own, str) for own in layers)
    return use_stock(stock, layers[0]) if several or list(sizes) != [None] else Mappings([])


def _model(benchmark: Benchmark, job: Job, stock: Any, layers: str | list[str], view: View | None) -> StoredBrainModel:
    """The model that the benchmark is called with: `layers` answer its region, side by side where features are seen."""
    own = layers if isinstance(layers, str) or view is not None else sorted(set(layers))
    by_region: dict[str, str | Sequence[str]] = {} if benchmark.kind == "behavior" else {benchmark.region: own}
    inner = next(iter(getattr(stock, "_sessions", [stock])))
    return StoredBrainModel(job.run, job.activations, by_region, job.readout, inner._visual_degrees, view)


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
        "n_targets": count_neuroids(benchmark, scored.stock),
        "n_mapping": scored.n_mapping,
    }
    if len(set(scored.layers)) > 1:
        row["layers"] = list(scored.layers)
    if scored.components:
        row["n_components"] = min(scored.components)
    lower = score.attrs["ceiling"].attrs.get("lower_bound_loo") if ceiling is not None else None
    if lower is not None:
        row["ceiling_lower"] = score_file.number(lower)
    return row


def _subject(benchmark: Benchmark, protocol: str, scored: Scored, part: score_file.Part) -> dict[str, Any]:
    row = part.row(scale_of(benchmark, protocol)) | {"n_mapping": scored.n_mapping}
    return row | ({"ceiling": None} if benchmark.ceiling == "none" else {})


def _scaled(scale: str, scored: Scored) -> float | None:
    """Brain-Score's own number; on the scale of brainscore_vision up to 2.3.12 the mean over the parts."""
    if scale == "(r/c)2":
        return score_file.number(np.mean([part.on(scale) for part in scored.parts]))
    return score_file.number(scored.score)


def _check_width(benchmark: Benchmark, job: Job, layer: str) -> None:
    _, features = job.activations.shape(layer)
    if benchmark.metric == "pls" and features < COMPONENTS:
        what, allowed = "too few features for partial least squares", f"at least {COMPONENTS} (its components)"
        fix = "choose a wider layer, or keep more of it: `reduction:`"
        raise DataError(
            Problem(what=what, where=f"{job.activations.path}: layer {layer}", value=features, allowed=allowed, fix=fix)
        )


def _check_memory(stock: Any, benchmark: Benchmark, job: Job, layers: Sequence[str], few: bool) -> None:
    """Refuse what would not fit: kernel takes one layer after another; stock, and behaviour, hold all features."""
    whole = job.engine == "stock" or benchmark.kind == "behavior"
    targets = (
        1
        if benchmark.kind == "behavior"
        else max(int(assembly_of(p).sizes["neuroid"]) for p in inner_benchmarks(stock))
    )
    estimates = []
    for layer in layers:
        kept = tuple(what for what in ("features", "gram") if job.activations.keeps(layer, what))
        engine = "stock" if whole else "kernel"
        estimates.append(estimate_mb(*job.activations.shape(layer), targets, engine, kept, few))
    refuse_above_limit(sum(estimates) if whole else max(estimates), ", ".join(layers), benchmark.benchmark)
