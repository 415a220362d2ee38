"""Where activations come from: a baseline or a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.activations.baselines import baseline_batches
from neuroscaling.activations.options import Request
from neuroscaling.activations.writing import Batch
from neuroscaling.images import ImageFile

if TYPE_CHECKING:
    from neuroscaling.activations.networks import Extractor


@dataclass(frozen=True)
class Baseline:
    """Image features that no network computes."""

    name: str

    def batches(self, files: Sequence[ImageFile]) -> Iterator[Batch]:
        """Features of the images in `files`, batch by batch."""
        return baseline_batches(self.name, files)

    def facts(self) -> dict[str, Any]:
        """What was done to the images, for the manifest."""
        return {"preprocessing": {"colour": "grey", "resize": "bilinear, antialiased", "range": [0, 1]}}


@dataclass(frozen=True)
class Network:
    """A network, built when the first set needs it: a process that finds all sets done imports no torch."""

    run: dict[str, Any]
    run_dir: Path
    request: Request
    wanted_device: str | None

    @cached_property
    def extractor(self) -> "Extractor":
        """The network with its layers."""
        from neuroscaling.activations.networks import extractor_of

        return extractor_of(self.run, self.run_dir, self.request, self.wanted_device)
