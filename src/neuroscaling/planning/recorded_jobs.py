"""What the store recorded of like runs: the seconds that they took, and the memory that their process took at most.

A like run is another of the study with the same network and, where it was trained, the same recipe and data set. Few
are looked at, and one read of each is kept: the workflow asks for each job, and a study may have thousands of runs.
Where the study names its GPU, what a job took on another one says nothing of time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.records import DONE, RUN_RECORD, unchecked_record
from neuroscaling.planning.training_throughput import is_named
from neuroscaling.planning.workload import size_of, subset_images
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.run_table import Run
from neuroscaling.study.wanted import Targets

LOOKED_AT, TAKEN = 12, 3
"""Like runs whose records are looked for, and those that are read, at most."""


@dataclass(frozen=True)
class Recorded:
    """Of like jobs: seconds (0: nobody knows), and the most megabytes of the process on the host and on the GPU."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    gpu_peak_mb: float = 0.0


@dataclass(frozen=True)
class RecordedJobs:
    """The records of a study's store. targets: the artefacts that the study wants of it."""

    targets: Targets

    def of_run(self, run: Run) -> Recorded:
        """Of the making of like runs; seconds of a training are scaled to the images that `run` sees."""
        store, found = self.targets.store, []
        for other in self._like(run):
            record = self._read(store.run(other.run) / RUN_RECORD)
            if record.get("status") == DONE:
                ours, theirs = (self.images(run), self.images(other)) if run.recipe else (None, None)
                found.append((record, ours / theirs if ours and theirs else 1.0))
        return _joined(found, self._gpu)

    def of_activations(self, run: Run, stimuli: str) -> Recorded:
        """Of extractions of like runs to the same stimulus set, by its name."""
        images = self.targets.sets[stimuli]
        files = (self.targets.activations(other, images) for other in self._like(run))
        return _joined(((self._read(file), 1.0) for file in files), self._gpu)

    def of_encoding(self, run: Run, subject: EncodingJob) -> Recorded:
        """Of scores of like runs on the same subject."""
        files = (self.targets.encoding(other, subject).path(self.targets.store) for other in self._like(run))
        return _joined(((self._read(file), 1.0) for file in files), self._gpu)

    @property
    def _gpu(self) -> str | None:
        return self.targets.study.config.training.gpu

    def _like(self, run: Run) -> list[Run]:
        alike = self._alike.get(_kind(run), [])
        return [other for other in alike[: LOOKED_AT + 1] if other.run != run.run]

    @cached_property
    def _alike(self) -> dict[tuple[Any, ...], list[Run]]:
        found: dict[tuple[Any, ...], list[Run]] = {}
        for run in self.targets.study.runs.values():
            found.setdefault(_kind(run), []).append(run)
        return found

    @cached_property
    def _records(self) -> dict[Path, dict[str, Any]]:
        return {}

    def _read(self, path: Path) -> dict[str, Any]:
        """What the record at `path` states; empty where there is none yet: it may come while the study runs."""
        if path not in self._records:
            file = self.targets.store.find(path)
            if not file.is_file():
                return {}
            self._records[path] = unchecked_record(file)
        return self._records[path]

    def images(self, run: Run) -> float | None:
        """Images that the training of `run` sees; None where they can't be counted."""
        try:
            size = size_of(run, self.targets.store.cache())
            return subset_images(run.subset or str(run.samples_per_class), size) * run.training_recipe.epochs
        except NeuroscalingError:
            return None


def _kind(run: Run) -> tuple[Any, ...]:
    return run.kind, run.arch, run.dataset, run.recipe.name if run.recipe else None


def _joined(found: Iterable[tuple[dict[str, Any], float]], gpu: str | None) -> Recorded:
    """The median of seconds, each times its factor, and the largest peaks, of the first records that say any."""
    made = [(record.get("provenance") or {}, factor) for record, factor in found if record]
    seconds = [facts["seconds"] * factor for facts, factor in made if facts.get("seconds") and _is_ours(facts, gpu)]
    return Recorded(
        seconds=median(seconds[:TAKEN]) if seconds else 0.0,
        peak_mb=max((facts.get("peak_mb") or 0 for facts, _ in made), default=0),
        gpu_peak_mb=max((facts.get("gpu_peak_mb") or 0 for facts, _ in made), default=0),
    )


def _is_ours(facts: dict[str, Any], gpu: str | None) -> bool:
    """Whether a job had the GPU that the study names, or none: what took a CPU is a safe limit for a GPU."""
    return "gpu" not in facts or is_named(gpu, str(facts["gpu"]))
