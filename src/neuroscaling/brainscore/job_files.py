"""Job files: what a rule asks of a command in Brain-Score's environment, as JSON.

The command line holds the names of two files and goes through no shell, so that paths and names may hold any
character. Rules and commands of both environments import the module.
"""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from neuroscaling.core.errors import Place
from neuroscaling.core.files import read_json, write_json
from neuroscaling.core.hangs import NEVER, Patience
from neuroscaling.core.installation import with_library
from neuroscaling.core.json_records import from_json, plain

Job = TypeVar("Job")


@dataclass(frozen=True)
class ScoreOutput:
    """A score file to make.

    path: `scores/<benchmark>-<key>/<run>.json`; activations: manifest of the run's activations; definition: what the
    key is a hash of; commitment: file of the chosen layers that the score takes, or None.
    """

    path: Path
    run: str
    benchmark: str
    activations: Path
    definition: dict[str, Any]
    commitment: Path | None = None

    @property
    def samples(self) -> tuple[int | Literal["all"], ...]:
        """Numbers of mapping images that are asked for."""
        return tuple(self.definition.get("samples") or ["all"])


@dataclass(frozen=True)
class ScoringJob:
    """Score runs on benchmarks of one set of recordings.

    data: folder of the recordings; data_name: its name in score files; layers: of regions, the others by depth;
    readout: by default the last layer; definitions: benchmarks that the study defines; ceilings: folder where they are
    kept; code: fingerprint of the code that ceilings come from, the same for choices, scores and audits; patience: with
    each score.
    """

    outputs: list[ScoreOutput]
    data: Path
    data_name: str
    simulated: bool = False
    layers: dict[str, str] = field(default_factory=dict)
    readout: str | None = None
    protocol: str = "corrected"
    engine: str = "kernel"
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    ceilings: Path | None = None
    code: str = ""
    patience: Patience = NEVER


@dataclass(frozen=True)
class ChosenSet:
    """A stimulus set that layers are chosen on: where its recordings lie, their name, and its benchmarks."""

    stimuli: str
    folder: Path
    data: str
    benchmarks: list[str]


@dataclass(frozen=True)
class ChoiceOutput:
    """A file of chosen layers to make.

    path: `commitments/<benchmark>-<key>/<run>.json`; stimuli: the stimulus set, as `ChosenSet` calls it; activations:
    manifest of the run's activations to it; definition: what the key is a hash of.
    """

    path: Path
    run: str
    benchmark: str
    stimuli: str
    activations: Path
    definition: dict[str, Any]

    @property
    def samples(self) -> tuple[int | Literal["all"], ...]:
        """Numbers of mapping images that layers are chosen in."""
        return tuple(self.definition.get("samples") or ["all"])


@dataclass(frozen=True)
class WayOfChoice:
    """How layers are chosen. way: `nested` or `reported`; hierarchy: in the order of the ventral stream; inner_splits:
    of the training images of each split."""

    way: str
    hierarchy: bool
    inner_splits: int


@dataclass(frozen=True)
class ChoiceJob:
    """Choose layers of runs.

    choice: how; with a hierarchy the outputs of a run name all benchmarks of `sets`, since
    these choose together; others as ScoringJob.
    """

    outputs: list[ChoiceOutput]
    sets: list[ChosenSet]
    choice: WayOfChoice
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    ceilings: Path | None = None
    code: str = ""
    patience: Patience = NEVER


@dataclass(frozen=True)
class RunsJob:
    """All that one process does for some runs: it chooses their layers first where nothing else needs these (one
    ChoiceJob or none), then scores them on each set of recordings."""

    choices: list[ChoiceJob]
    scoring: list[ScoringJob]


@dataclass(frozen=True)
class PrefetchJob:
    """Download the files of registered benchmarks below `root`; `manifest` lists them when all are there.

    definition: what the manifest's name is a hash of; empty for one without a key.
    """

    benchmarks: list[str]
    root: Path
    manifest: Path
    definition: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditJob:
    """Score one benchmark by both engines. layers: one, or one for each split; others as ScoringJob."""

    activations: Path
    data: Path
    benchmark: str
    layers: list[str]
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    ceilings: Path | None = None
    code: str = ""


def write_job(path: str | Path, job: Any) -> Path:
    """Write a job of one of the kinds above as JSON."""
    write_json(path, plain(asdict(job)))
    return Path(path)


def read_job(path: str | Path, kind: type[Job]) -> Job:
    """The job of `kind` at `path`. Raises DataError for a file that is none."""
    return from_json(read_json(path), kind, Place(path), "a job file")


def become(python: str | Path, script: str | Path, job: Any, log: str | Path) -> NoReturn:
    """Write `job` beside `log`, and let `script JOB LOG` under the interpreter `python` take this process's place."""
    path = write_job(Path(log).with_suffix(".job.json"), job)
    os.execve(python, [str(python), str(script), str(path), str(log)], with_library())
