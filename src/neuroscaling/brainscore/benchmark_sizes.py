"""How many neuroids and images a benchmark object has, and which numbers of mapping images it can give.

Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neuroscaling.brainscore.kernel_engine import metric_parts
from neuroscaling.core.errors import StudyError
from neuroscaling.regression.mapping_images import SampleSize, too_many_images
from neuroscaling.study.benchmarks import Benchmark


def mapping_sizes(stock: Any, benchmark: Benchmark, samples: Sequence[SampleSize]) -> list[int | None]:
    """The numbers of mapping images that are asked for, ascending; None, the last, for all training images.

    Only all where nothing is fitted. Raises StudyError for more than a mapping of the benchmark can be fitted on.
    """
    numbers = sorted({size for size in samples if size != "all"})
    counts = [] if not numbers or benchmark.kind == "behavior" else [n for n in _training_sets(stock) if n]
    if not counts:
        return [None]
    larger = [size for size in numbers if size > min(counts)]
    if larger:
        raise StudyError(
            replace(too_many_images(benchmark.benchmark, larger, min(counts)), where="brainscore: samples")
        )
    fewer: list[int | None] = [size for size in numbers if {size} != set(counts)]
    return [*fewer, None] if "all" in samples or len(fewer) < len(numbers) else fewer


def training_images(benchmark: Benchmark, stock: Any) -> int | None:
    """Images that a mapping is fitted on, of several parts on average.

    None where nothing is fitted, and of the readout of behaviour.
    """
    counts = [None] if benchmark.kind == "behavior" else _training_sets(stock)
    fitted = [n for n in counts if n is not None]
    return round(sum(fitted) / len(fitted)) if len(fitted) == len(counts) else None


def count_neuroids(benchmark: Benchmark, stock: Any) -> int | None:
    """Neuroids that are scored; None of behaviour."""
    if benchmark.kind == "behavior":
        return None
    return sum(int(assembly_of(part).sizes["neuroid"]) for part in inner_benchmarks(stock))


def ceiling_images(stock: Any) -> list[int]:
    """Different images that the ceiling of each inner benchmark rests on: those of the test where there is one."""
    inner = [getattr(part, "_benchmark", part) for part in getattr(stock, "_sessions", [stock])]
    found = [part.test_assembly if hasattr(part, "test_assembly") else part._assembly for part in inner]
    return [len(np.unique(assembly["stimulus_id"].values)) for assembly in found]


def inner_benchmarks(stock: Any) -> list[Any]:
    """The benchmarks that hold a metric, without what records their scores."""
    return [getattr(part, "_benchmark", part) for part in metric_parts(stock)]


def assembly_of(part: Any) -> Any:
    """The recordings that a benchmark fits or compares."""
    return part.train_assembly if hasattr(part, "train_assembly") else part._assembly


def _training_sets(stock: Any) -> list[int | None]:
    """Training images of each part of a benchmark; None of a part that fits nothing."""
    return [_fitted_images(part, assembly_of(part)) for part in inner_benchmarks(stock)]


def _fitted_images(part: Any, assembly: Any) -> int | None:
    if hasattr(part, "train_assembly"):
        return int(assembly.sizes["presentation"])
    splits = getattr(getattr(part, "_similarity_metric", None), "cross_validation", None)
    return None if splits is None else len(splits._split.build_splits(assembly)[1][0][0])
