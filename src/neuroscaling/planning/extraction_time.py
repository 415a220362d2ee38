"""The GPU-hours of an extraction, and the bytes that it moves, are estimated from shapes and the speed of the network.

`seconds of a pass = max(images / forward rate, images / DECODED + bytes written / WRITTEN)`: one core decodes and
writes while the GPU computes. Gram matrices follow: features are read again, and multiplied in double precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from neuroscaling.planning.training_throughput import Speeds
from neuroscaling.planning.training_time import JOB_START
from neuroscaling.study.sections.extraction import Extraction
from neuroscaling.study.sections.networks import DOUBLE

DECODED = 250.0
"""Images a second that one core decodes and resizes: 140 (PNG of 425 pixels) to 490 (PNG of 224) on a Xeon."""
WRITTEN = {"zstd": 0.25e9, "none": 0.5e9}
"""Bytes of features a second that one core writes, by codec: .12 to .35, and .4 to 1.6 (perf/results/store.json)."""
READ = {"zstd": 0.3e9, "none": 0.7e9}
"""Bytes a second that one core reads of them again."""
DOUBLE_SHARE = 0.8
"""Share of the peak that products of large matrices reach in double precision."""
CPU_PRODUCTS = 20e9
"""FLOP/s of such products on one thread of a CPU, at least."""


@dataclass(frozen=True)
class ExtractionCost:
    """Of one network and stimulus set: seconds of a GPU, the start of the job left out; bytes written and read."""

    seconds: float
    written: int
    read: int


def extraction_cost(
    layers: Sequence[Mapping[str, Any]], n_stimuli: int, rate: float, weights: int, codec: str, gpu: str | None
) -> ExtractionCost:
    """The cost of extracting `layers` (as `planned_layers` gives them) of `n_stimuli` images.

    rate: images a second of the forward pass; weights: bytes of the network's file; codec: of the stored features; gpu:
    a name of GPUS, for Gram matrices; None: one thread of a CPU makes them. Bytes are those before compression, without
    the images.
    """
    seconds, features, gram = 0.0, 0, sum(layer["gram_bytes"] for layer in layers)
    for number in {layer["pass"] for layer in layers}:
        own = sum(layer["bytes"] + layer["scratch_bytes"] for layer in layers if layer["pass"] == number)
        seconds += max(n_stimuli / rate, n_stimuli / DECODED + own / WRITTEN[codec])
        features += own
    if gram:
        width = sum(layer["features"] for layer in layers)
        products = 2.0 * n_stimuli**2 * width / (DOUBLE_SHARE * DOUBLE[gpu] if gpu else CPU_PRODUCTS)
        seconds += max(features / READ[codec], products) + gram / WRITTEN["none"]
    return ExtractionCost(seconds, features + gram, weights + (features if gram else 0))


def written_seconds(n: int, rate: float, width: int, number_bytes: int, options: Extraction, gpu: str | None) -> float:
    """Seconds of an extraction from the sum of its layers' widths alone, as `extraction_cost` has them from layers.

    rate: images a second of the forward pass; number_bytes: of a stored number; gpu: a name of GPUS; None: one thread
    of a CPU makes the Gram matrices.
    """
    codec = "none" if options.keep == "gram" else options.codec
    features = n * width * number_bytes
    room = options.scratch_gb * 1e9 if options.keep == "gram" else features
    n_passes = max(ceil(features / max(room, 1)), 1)
    seconds = n_passes * n * max(1 / rate, 1 / DECODED) + features / WRITTEN[codec]
    if options.keep == "features":
        return seconds
    products = DOUBLE_SHARE * DOUBLE[gpu] if gpu else CPU_PRODUCTS
    return seconds + features / READ[codec] + 2.0 * n**2 * width / products


def start_seconds(runs_per_job: int) -> float:
    """Seconds of a job's start that fall on each network of it."""
    return JOB_START / runs_per_job


def speed_note(speeds: Speeds, autocast: str) -> str:
    """What hours of extraction rest on, in a line."""
    precision = "single precision" if autocast == "none" else autocast
    basis = f"a stated speed of an {speeds.gpu.upper()} in {precision}"
    measured = " where the network was not calibrated in it" if speeds.measured else ""
    if speeds.on_cpu:
        measured = f" where the network was not calibrated in it on {next(iter(speeds.measured.values())).device}"
    return f"hours of extraction: by {basis}{measured}, one core that decodes and writes; good to a factor of 2"
