"""An extraction is given one object: the run, the stimuli, and which features of the network to store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import FeatureOptions, Layers, Reduction


@dataclass(frozen=True)
class FeatureSpec:
    """Which features of a network are stored: of which layers, how they are reduced, and with which options."""

    layers: Layers = field(default_factory=Layers)
    reduction: Reduction = field(default_factory=Reduction)
    options: FeatureOptions = field(default_factory=FeatureOptions)

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> "FeatureSpec":
        """The features that a definition of activations states. Raises ValidationError for one that states others."""
        return cls(
            Layers.model_validate(definition["layers"]),
            Reduction.model_validate(definition["reduction"]),
            FeatureOptions.model_validate(definition["options"]),
        )

    def settings(self) -> dict[str, Any]:
        """The part of a definition of activations that `of` reads."""
        return {
            "layers": self.layers.settings(),
            "reduction": self.reduction.settings(),
            "options": self.options.determining(),
        }


@dataclass(frozen=True, repr=False)
class ExtractionJob:
    """Activations to extract: of a run to the stimulus set of a manifest.

    folder: of the run, with run.json and weights; stimuli: manifest of the set; output: manifest of the activations;
    definition: what the name of `output` is a hash of; None where it is no such name; freed_by: manifests of
    activations with which the run's weights are no longer needed and go; empty where they stay.
    """

    run: Run
    folder: Path
    stimuli: Path
    output: Path
    features: FeatureSpec = field(default_factory=FeatureSpec)
    definition: dict[str, Any] | None = None
    freed_by: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        return f"{self.output.parent.name}/{self.output.stem}"
