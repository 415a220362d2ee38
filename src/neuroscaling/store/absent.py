"""What of a study is not in its store. Jobs come from absence alone: what is there belongs to none. Light."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.core.run_record import FAILED, record_of
from neuroscaling.runs import Run
from neuroscaling.store.inventory import Inventory
from neuroscaling.targets import RECORD, Score, Targets, published_tables


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
        and activations were deleted when its scores had been made.
        """
        runs = self.targets.study.runs
        made = {name for name in runs if self(self._record(name))}
        extracted = {run for run, _ in self.activations}
        while True:
            bases = {runs[name].start for name in made}
            needed = extracted | {base for base in bases if base}
            more = {name for name in needed - made if name in runs and self._needs_weights(name)}
            if not more:
                return [run for name, run in runs.items() if name in made]
            made |= more

    @cached_property
    def activations(self) -> frozenset[tuple[str, str]]:
        """The activations to extract, by run and stimulus set: absent ones that something absent needs."""
        scores = [score for score in self.scores if not self.is_hopeless(score.run, score.chosen_on)]
        needed = {(score.run, score.stimulus_set) for score in scores}
        for run in self._chosen_on(scores):
            needed |= {(run.run, stimuli) for stimuli in self.choice_sets(run)}
        return frozenset(pair for pair in needed if self(self.targets.all_activations[pair]))

    @cached_property
    def scores(self) -> list[Score]:
        """The scores that are absent, those of failed runs among them."""
        return [score for score in self.targets.scores if self(score.path(self.targets.store))]

    @property
    def results(self) -> list[Path]:
        """What has to be made: runs, activations, scores, published tables; not what is made for them alone."""
        targets = self.targets
        scores = [score for score in self.scores if not self.is_hopeless(score.run, score.chosen_on)]
        return [
            *(self._record(run.run) for run in self.runs),
            *(targets.all_activations[pair] for pair in sorted(self.activations)),
            *(score.path(targets.store) for score in scores),
            *(path for path in published_tables(targets.study).values() if self(path)),
        ]

    def choice_sets(self, run: Run) -> list[str]:
        """The stimulus sets that a choice of layers on `run` reads, where one is absent."""
        chosen = self.targets.commitments(run)
        absent = [one for one in chosen if self(one.path(self.targets.store))]
        # With a hierarchy the regions choose together.
        read = chosen if absent and self.targets.names.hierarchy else absent
        return list(dict.fromkeys(one.job.stimuli.name for one in read))

    @cached_property
    def failed(self) -> frozenset[str]:
        """The runs that are known to have failed for good: they have no activations and no scores."""
        asked = {run for score in self.scores for run in (score.run, score.chosen_on) if run}
        return frozenset(name for name in asked if self._known(name).get("status") == FAILED)

    def is_hopeless(self, run: str, chosen_on: str | None) -> bool:
        """Whether nobody will make a score: its run failed, or the run that its layers are chosen on."""
        return run in self.failed or chosen_on in self.failed

    def folder(self, run: str) -> Path:
        """Where a run lies, or will be made."""
        if run not in self._folders:
            made = self.targets.store.run(run)
            self._folders[run] = made if run in self.run_names else self.targets.store.find(made / RECORD).parent
        return self._folders[run]

    @cached_property
    def run_names(self) -> frozenset[str]:
        """Names of the runs to make."""
        return frozenset(run.run for run in self.runs)

    def _chosen_on(self, scores: Iterable[Score]) -> list[Run]:
        """The runs on which layers of `scores` have to be chosen."""
        targets, found = self.targets, {}
        for score in scores:
            for one in targets.commitments(targets.study.runs[score.chosen_on]) if score.chosen_on else ():
                is_own = (one.job.data, one.benchmark) == (score.data, score.benchmark)
                if is_own and self(one.path(targets.store)):
                    found[one.run] = targets.study.runs[one.run]
        return list(found.values())

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
