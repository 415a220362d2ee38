"""A job that prepares stimuli or recordings is given one object: what it reads, with which settings, and its folder.

`definition` is what a name of the folder is a hash of; None where it is no such name. The repr of an object is the name
of its artefact: Snakemake shows it, and keeps it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from neuroscaling.study.sections.simulated_brains import BrainSettings
from neuroscaling.study.stimulus_sources import StimulusSource

Repeats = Literal["average", "keep"]
Test = Literal["shared1000", "challenge"]


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
class NsdJob:
    """A subject of raw NSD in the tree `root`, whose responses in one space are converted to `folder`.

    sessions: scan sessions from 1; repeats: trials of an image are averaged, or kept apart; test: the images of the
    test split; regions: targets in any of them (docs/nsd.md); memory_mb: bound of what is held at once.
    """

    root: Path
    subject: str
    folder: Path
    space: str
    sessions: Sequence[int] | Literal["all"] = "all"
    repeats: Repeats = "average"
    test: Test = "shared1000"
    regions: Sequence[str] | str = "nsdgeneral"
    memory_mb: float = 1000
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
