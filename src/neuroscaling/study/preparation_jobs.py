"""A job that prepares recordings is given one object: whose files it reads, with which settings, and its folder.

`definition` is what a name of the folder is a hash of; None where it is no such name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from neuroscaling.study.own_arrays import OwnArrays, OwnImages

Repeats = Literal["average", "keep"]
HeldOut = Literal["shared1000", "challenge"]
"""Images of NSD itself that no mapping sees: those that all subjects saw, or the challenge's."""
SYNTHETIC = "nsd_synthetic"
Test = HeldOut | Literal["nsd_synthetic"]


class _NamedByFolder:
    """Its repr is the name of its artefact: Snakemake shows it, and keeps it."""

    folder: Path

    def __repr__(self) -> str:
        return self.folder.name


@dataclass(frozen=True, repr=False)
class NsdJob(_NamedByFolder):
    """A subject of raw NSD in the tree `root`, whose responses in one space are converted to `folder`.

    sessions: scan sessions from 1; repeats: trials of an image are averaged, or kept apart; tests: the test sets, the
    main one first, one of them of NSD itself; regions: targets in any of them (docs/nsd.md); memory_mb: bound of what
    is held at once.
    """

    root: Path
    subject: str
    folder: Path
    space: str
    sessions: Sequence[int] | Literal["all"] = "all"
    repeats: Repeats = "average"
    tests: tuple[Test, ...] = ("shared1000",)
    regions: Sequence[str] | str = "nsdgeneral"
    memory_mb: float = 1000
    definition: dict[str, Any] | None = None


@dataclass(frozen=True, repr=False)
class ArraysJob(_NamedByFolder):
    """A subject of recordings of one's own, whose responses are converted to `folder`. memory_mb: bound of what is held
    at once."""

    arrays: OwnArrays
    subject: str
    folder: Path
    memory_mb: float = 1000
    definition: dict[str, Any] | None = None


@dataclass(frozen=True, repr=False)
class TvsdJob(_NamedByFolder):
    """A monkey of TVSD in the tree `root`, whose normalised responses are converted to `folder`.

    reliability: sites whose mean correlation between repetitions is lower are left out.
    """

    root: Path
    subject: str
    folder: Path
    reliability: float = 0.1
    definition: dict[str, Any] | None = None


@dataclass(frozen=True, repr=False)
class ThingsFmriJob(_NamedByFolder):
    """A subject of THINGS-fMRI in the tree `root`, whose single-trial responses are converted to `folder`.

    voxels: those of any of these regions (docs/things.md); zscore: within each session, or not at all; memory_mb: bound
    of what is held at once.
    """

    root: Path
    subject: str
    folder: Path
    voxels: Sequence[str] | str = "regions"
    zscore: Literal["none", "session"] = "none"
    memory_mb: float = 1000
    definition: dict[str, Any] | None = None


@dataclass(frozen=True, repr=False)
class FunctionJob(_NamedByFolder):
    """A subject of recordings that a function of one's own returns, to write to `folder`.

    function: its dotted path; options: what it is given beside the subject; dataset: what the recordings are called;
    images: those that networks are shown, which it names by their ids; memory_mb: bound of what is held at once beside
    what the function returns.
    """

    function: str
    options: dict[str, Any]
    dataset: str
    subject: str
    folder: Path
    images: OwnImages
    memory_mb: float = 1000
    definition: dict[str, Any] | None = None


PreparationJob = NsdJob | ArraysJob | FunctionJob | TvsdJob | ThingsFmriJob
"""A job that converts a subject's files to prepared recordings (`recordings/prepared.py`)."""
