"""How long images of a network take to train, as any finished run of the store recorded it, of this study or another.

A run counts whose network and recipe are the same but for its epochs, on the GPU that the study names: other subsets,
seeds and data sets take as long for an image. Stores hold thousands of runs, and a study asks for thousands: names are
listed once, and of each network and recipe a few records are read, once.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from neuroscaling.core.file_names import readable_name
from neuroscaling.core.records import DEFINITION, DONE, RUN_RECORD, unchecked_record
from neuroscaling.planning.training_throughput import is_named
from neuroscaling.study.paths import Store
from neuroscaling.study.run_table import Run

LOOKED_AT, TAKEN = 12, 3
"""Records that are read of a network, and those that count, at most."""
LEAST_SECONDS = 30.0
"""Runs that took less tell of their start, and not of their images."""
FREE = ("name", "epochs", "warmup_epochs", "learning_rate", "min_learning_rate", "weight_decay")
"""Of a recipe: what changes no time of an image."""


@dataclass(frozen=True)
class StoredTrainings:
    """The trainings of a store. gpu: the name that the study gives its GPUs, None where it gives none."""

    store: Store
    gpu: str | None
    _known: dict[tuple[Any, ...], float | None] = field(default_factory=dict, compare=False)

    def device_seconds(self, run: Run) -> float | None:
        """Seconds of one device for each image that a training like `run` sees; None where no record tells."""
        key = run.arch, run.dataset, run.recipe.name if run.recipe else None
        if key not in self._known:
            self._known[key] = self._looked_up(run)
        return self._known[key]

    def _looked_up(self, run: Run) -> float | None:
        found: dict[str, list[float]] = {}
        for record in self._records(run):
            if (seconds := self._seconds(run, record)) is not None:
                found.setdefault(str(record["provenance"].get("device")), []).append(seconds)
        # Where the study names no GPU, nobody knows which device it will be: the slowest of them.
        return max((median(seconds[:TAKEN]) for seconds in found.values()), default=None)

    def _records(self, run: Run) -> Iterator[dict[str, Any]]:
        """Records of runs of this architecture, on the same data set first."""
        objective = run.training_recipe.objective
        of_arch = readable_name(f"{run.arch}_" if objective == "supervised" else f"{objective}_{run.arch}_")
        found = [*self._begun_with(readable_name(f"{of_arch}{run.dataset}_")), *self._begun_with(of_arch)]
        for path in dict.fromkeys(found):
            yield unchecked_record(path / RUN_RECORD)

    def _begun_with(self, beginning: str) -> list[Path]:
        """Folders of runs whose names begin so, spread over all of them."""
        first = bisect_left(self._names, (beginning,))
        last = bisect_left(self._names, (f"{beginning}\uffff",))
        step = max(1, -(-(last - first) // LOOKED_AT))
        return [folder / name for name, folder in self._names[first:last:step]]

    @cached_property
    def _names(self) -> list[tuple[str, Path]]:
        folders = [folder / "runs" for folder in self.store.folders]
        return sorted((name, folder) for folder in folders if folder.is_dir() for name in os.listdir(folder))

    def _seconds(self, run: Run, record: dict[str, Any]) -> float | None:
        made, asked, own = record.get("provenance") or {}, record.get(DEFINITION) or {}, run.definition
        seconds, images, processes = made.get("seconds") or 0.0, record.get("n_samples_seen"), made.get("processes")
        if record.get("status") != DONE or not images or not processes or seconds < LEAST_SECONDS:
            return None
        if asked.get("network") != own.get("network") or _lasting(asked) != _lasting(own):
            return None
        if not is_named(self.gpu, str(made.get("gpu", ""))):
            return None
        return float(seconds) * processes / images


def _lasting(definition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (definition.get("recipe") or {}).items() if key not in FREE}
