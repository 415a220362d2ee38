"""What of a study is not in its store. Jobs come from absence alone: what is there belongs to none. Light."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.core.run_record import FAILED, record_of
from neuroscaling.runs import Run
from neuroscaling.store.inventory import Inventory
from neuroscaling.targets import RECORD, Targets


@dataclass(frozen=True)
class Absent:
    """The artefacts of a study that have to be made."""

    targets: Targets
    inventory: Inventory
    _folders: dict[str, Path] = field(default_factory=dict, compare=False)

    def __call__(self, path: Path) -> bool:
        """Whether what is written to `path` is in no folder of the store."""
        return not self.inventory.has(path)

    def any_of(self, paths: Iterable[Path]) -> bool:
        """Whether any of `paths` is absent."""
        return any(map(self, paths))

    @cached_property
    def runs(self) -> list[Run]:
        """The runs to make, each behind the one that it starts from, as in the run table.

        A run is left where it has no record, or where its weights are gone and something absent needs them: its
        activations, or a run that starts from it. A run that failed for good is there, and so is one whose weights
        were deleted when its activations had been made.
        """
        runs = self.targets.study.runs
        made = {name for name in runs if self(self._record(name))}
        while True:
            bases = {runs[name].start for name in made}
            needed = self._without_activations | {base for base in bases if base}
            more = {name for name in needed - made if name in runs and self._needs_weights(name)}
            if not more:
                return [run for name, run in runs.items() if name in made]
            made |= more

    @cached_property
    def failed(self) -> frozenset[str]:
        """The runs that are known to have failed for good: they have no activations and no scores."""
        incomplete = self._without_activations | self._without_scores
        return frozenset(name for name in incomplete if self._known(name).get("status") == FAILED)

    def folder(self, run: str) -> Path:
        """Where a run lies, or will be made."""
        if run not in self._folders:
            made = self.targets.store.run(run)
            self._folders[run] = made if run in self._to_make else self.targets.store.find(made / RECORD).parent
        return self._folders[run]

    @cached_property
    def _to_make(self) -> frozenset[str]:
        return frozenset(run.run for run in self.runs)

    @cached_property
    def _without_activations(self) -> set[str]:
        return {run for (run, _), path in self.targets.all_activations.items() if self(path)}

    @cached_property
    def _without_scores(self) -> set[str]:
        return {score.run for score in self.targets.scores if self(score.path(self.targets.store))}

    def _record(self, run: str) -> Path:
        return self.targets.store.run(run) / RECORD

    def _known(self, run: str) -> dict[str, Any]:
        return record_of(self.targets.store.find(self._record(run)))

    def _needs_weights(self, run: str) -> bool:
        """Whether a run whose record is there must be made again for its weights."""
        record = self._known(run)
        if record.get("status") == FAILED:
            return False
        folder = self.targets.store.find(self._record(run)).parent
        return not record or (record.get("weights") is not None and not (folder / record["weights"]).is_file())
