"""A job that prepares stimuli or recordings is given one object: what it reads, with which settings, and its folder.

`definition` is what a name of the folder is a hash of; None where it is no such name. The repr of an object is the name
of its artefact: Snakemake shows it, and keeps it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroscaling.study.sections.simulated_brains import BrainSettings
from neuroscaling.study.stimulus_sources import StimulusSource


@dataclass(frozen=True, repr=False)
class StimuliJob:
    """A stimulus set to prepare in `folder` from the images of all sources.

    degrees: width of the models' field of view. Images of Brain-Score's sets are placed on such a screen, and those of
    other sources stay as they are. With None every image stays as it is.
    """

    folder: Path
    sources: tuple[StimulusSource, ...]
    degrees: float | None
    definition: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return self.folder.name


@dataclass(frozen=True, repr=False)
class BrainJob:
    """A simulated brain to make in `folder`."""

    folder: Path
    settings: BrainSettings = field(default_factory=BrainSettings)
    definition: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return self.folder.name


@dataclass(frozen=True, repr=False)
class V4AssemblyJob:
    """A session of V4 recordings in the folder `root` (public layout), to write as an assembly to `folder`."""

    root: Path
    session: str
    folder: Path
    definition: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return self.folder.name
