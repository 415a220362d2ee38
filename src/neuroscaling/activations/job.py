"""One job extracts the activations of one or several runs, one stimulus set after another."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from neuroscaling.activations.extraction import extract, finish, free_weights, network_kept
from neuroscaling.core.files import atomic_path
from neuroscaling.core.logs import Pieces
from neuroscaling.core.provenance import peak_memory
from neuroscaling.core.records import failure_in
from neuroscaling.study.extraction_job import ExtractionJob
from neuroscaling.study.sections.extraction import ExtractionOptions

log = logging.getLogger(__name__)


def extract_all(jobs: Sequence[ExtractionJob], options: ExtractionOptions, sliced: bool = False) -> dict[str, float]:
    """Extract the activations that are not there, those of a run together, and return the seconds of each run.

    sliced: their slices are there and are put together. A run that failed has no activations. Weights that are no
    longer needed go. What goes wrong in one keeps no other from being made; all of it is raised as one DataError.
    """
    pieces, seconds = Pieces(len(jobs) == 1), dict.fromkeys((job.run.run for job in jobs), 0.0)
    with network_kept():
        for job in jobs:
            began = time.perf_counter()
            with pieces.piece(f"activations {job.run.run}/{job.output.stem}"):
                if reason := failure_in(job.folder):
                    log.info("%s failed, and has no activations: %s", job.run.run, reason)
                elif sliced:
                    finish(job, options)
                else:
                    extract(job, options)
            seconds[job.run.run] += time.perf_counter() - began
    for job in jobs:
        free_weights(job)
    pieces.end()
    return seconds


def write_seconds(folder: Path, part: str, seconds: dict[str, float]) -> None:
    """Write what the extractions of each run took, as the job of that run alone would have it from Snakemake.

    For a job that does more than extract: its own file of seconds is of all that it does. folder: of these files of
    extraction; part: of the stimulus sets. Columns of Snakemake that nobody reads are left out.
    """
    memory = peak_memory().get("peak_mb", "-")
    for run, taken in seconds.items():
        with atomic_path(folder / run / f"{part}.tsv") as temporary:
            temporary.write_text(f"s\tmax_rss\n{taken:.4f}\t{memory}\n", encoding="utf-8")
