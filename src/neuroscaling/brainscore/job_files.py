"""Job files: what a rule asks of a command in Brain-Score's environment, as JSON.

The command line holds the names of two files and goes through no shell, so that paths and names may hold any
character. Light: rules and commands of both environments import it.
"""

import os
import types
import typing
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem, nearest
from neuroscaling.core.files import read_json, write_json

SOURCE = Path(__file__).parents[2]
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
    definition: dict
    commitment: Path | None = None


@dataclass(frozen=True)
class ScoringJob:
    """Score runs on benchmarks of one set of recordings.

    data: folder of the recordings; data_name: its name in score files; layers: of regions, the others by depth;
    readout: by default the last layer; definitions: benchmarks that the study defines; ceilings: folder where they are
    kept; code: fingerprint of the code that ceilings come from, the same for choices, scores and audits.
    """

    outputs: list[ScoreOutput]
    data: Path
    data_name: str
    simulated: bool = False
    layers: dict[str, str] = field(default_factory=dict)
    readout: str | None = None
    protocol: str = "corrected"
    engine: str = "kernel"
    definitions: dict[str, dict] = field(default_factory=dict)
    ceilings: Path | None = None
    code: str = ""


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
    definition: dict


@dataclass(frozen=True)
class ChoiceJob:
    """Choose layers of runs.

    choice: {way, hierarchy, inner_splits}; with a hierarchy the outputs of a run name all benchmarks of `sets`, since
    these choose together; others as ScoringJob.
    """

    outputs: list[ChoiceOutput]
    sets: list[ChosenSet]
    choice: dict[str, Any]
    definitions: dict[str, dict] = field(default_factory=dict)
    ceilings: Path | None = None
    code: str = ""


@dataclass(frozen=True)
class PrefetchJob:
    """Download the files of registered benchmarks below `root`; `manifest` lists them when all are there.

    definition: what the manifest's name is a hash of; empty for one without a key.
    """

    benchmarks: list[str]
    root: Path
    manifest: Path
    definition: dict = field(default_factory=dict)


@dataclass(frozen=True)
class AuditJob:
    """Score one benchmark by both engines. layers: one, or one for each split; others as ScoringJob."""

    activations: Path
    data: Path
    benchmark: str
    layers: list[str]
    definitions: dict[str, dict] = field(default_factory=dict)
    ceilings: Path | None = None
    code: str = ""


def write_job(path: str | Path, job: Any) -> Path:
    """Write a job of one of the kinds above as JSON."""
    write_json(path, _plain(asdict(job)))
    return Path(path)


def read_job(path: str | Path, kind: type[Job]) -> Job:
    """The job of `kind` at `path`. Raises DataError for a file that is none."""
    return _read(read_json(path), kind, str(path))


def become(python: str | Path, script: str | Path, job: Any, log: str | Path) -> typing.NoReturn:
    """Write `job` beside `log`, and let `script JOB LOG` under the interpreter `python` take this process's place."""
    path = write_job(Path(log).with_suffix(".job.json"), job)
    os.execve(python, [str(python), str(script), str(path), str(log)], with_source())


def with_source() -> dict[str, str]:
    """This process's environment, for one that imports this library from where it lies."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _read(content: Any, kind: type[Job], where: str) -> Job:
    """`content` as a dataclass; everything that is wrong with it at once."""
    if not isinstance(content, dict):
        raise DataError(Problem(what="not a job file", where=where, value=content, allowed="a JSON object"))
    known = {own.name: own for own in fields(kind)}  # type: ignore[arg-type]
    types_ = typing.get_type_hints(kind)
    problems = [
        Problem(
            what="unknown key in a job file",
            where=f"{where}, {key}",
            value=None,
            allowed=", ".join(known),
            nearest=nearest(key, known),
        )
        for key in content
        if key not in known
    ]
    values = {}
    for name, own in known.items():
        if name in content:
            try:
                values[name] = _value(content[name], types_[name], f"{where}, {name}")
            except NeuroscalingError as error:
                problems += error.problems
        elif own.default is MISSING and own.default_factory is MISSING:
            problems.append(Problem(what="key is missing in a job file", where=f"{where}, {name}"))
    if problems:
        raise DataError(problems)
    return kind(**values)


def _value(value: Any, kind: Any, where: str) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # X | None
        return None if value is None else _value(value, inner[0], where)
    if origin is list and isinstance(value, list):
        return [_value(part, inner[0], f"{where}[{i}]") for i, part in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _value(part, inner[1], f"{where}.{key}") for key, part in value.items()}
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is Any or (kind in (str, bool, dict) and isinstance(value, kind)):
        return value
    if hasattr(kind, "__dataclass_fields__"):
        return _read(value, kind, where)
    named = getattr(kind, "__name__", kind) if origin is None else kind
    raise DataError(Problem(what="not allowed in a job file", where=where, value=value, allowed=f"{named}"))
