"""Where activations come from: a network or a baseline; both give batches {layer: (stimuli, features)}."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from neuroscaling.activations.baselines import baseline_batches
from neuroscaling.activations.store import Batch


class Source(Protocol):
    """What extraction asks for."""

    def batches(self, paths: Sequence[Path]) -> Iterator[Batch]:
        """Activations to the images at `paths`, batch by batch."""

    def facts(self) -> dict[str, Any]:
        """What was done to the images, for the manifest."""

    def device(self) -> str:
        """Where the computation ran."""


@dataclass(frozen=True)
class Baseline:
    """Image features that no network computes."""

    name: str

    def batches(self, paths: Sequence[Path]) -> Iterator[Batch]:
        return baseline_batches(self.name, paths)

    def facts(self) -> dict[str, Any]:
        return {"preprocessing": {"colour": "grey", "resize": "bilinear, antialiased", "range": [0, 1]}}

    def device(self) -> str:
        return "cpu"


@dataclass(frozen=True)
class Network:
    """A network, built when the first set needs it: a process that finds all sets done imports no torch."""

    run: dict[str, Any]
    run_dir: Path
    layers: Any
    reduction: dict[str, Any]
    wanted_device: str | None

    @cached_property
    def _extractor(self) -> Any:
        from neuroscaling.activations.networks import extractor_of

        return extractor_of(self.run, self.run_dir, self.layers, self.reduction, self.wanted_device)

    def batches(self, paths: Sequence[Path]) -> Iterator[Batch]:
        return self._extractor.batches(paths)

    def facts(self) -> dict[str, Any]:
        return self._extractor.facts()

    def device(self) -> str:
        return str(self._extractor.device)
