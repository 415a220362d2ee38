"""A study defines benchmarks on recordings of its own, which Brain-Score's classes score.

Nothing of Brain-Score is imported; benchmark_objects.py builds the objects.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.study import benchmarks

METRICS = ("pls", "ridge", "neuron_to_neuron", "rdm", "cka")
CEILINGS = ("internal_consistency", "none")
SPLIT_METRICS = ("pls", "ridge", "neuron_to_neuron")
"""Metrics with splits, which Brain-Score ceils by the consistency of repetitions."""


@dataclass(frozen=True)
class Definition:
    """A benchmark of recordings that Brain-Score does not have.

    assembly: netCDF (presentation, neuroid, time_bin or none) with coordinates stimulus_id and neuroid_id, and where
    they are needed repetition, region, subject, time_bin_start and time_bin_end; stimuli: CSV with stimulus_id and
    filename; images: folder; degrees: width of the images; stratified_by: column of the stimuli that balances the
    splits; time_window: milliseconds whose bins are averaged, all without it; ceiling: of `rdm` and `cka` `none`
    alone is possible, except that `rdm` on several subjects has Brain-Score's ceiling between subjects.
    """

    name: str
    region: str
    metric: str
    assembly: Path
    stimuli: Path
    images: Path
    degrees: float
    stratified_by: str | None = None
    time_window: tuple[float, float] | None = None
    ceiling: str = "internal_consistency"
    trials: int = 1

    @property
    def benchmark(self) -> benchmarks.Benchmark:
        """The same as an entry of the table of benchmarks."""
        return benchmarks.Benchmark(
            benchmark=self.name,
            region=self.region,
            metric=self.metric,
            kind="neural" if self.metric in SPLIT_METRICS else "rsa",
            data=(self.name,),
            stimulus_sets=(self.name,),
            degrees=self.degrees,
            stratified_by=self.stratified_by,
            plugin="",
            version=1,
            trials=self.trials,
            subjects=None if self.metric in SPLIT_METRICS else "subject",
            identifier=self.name,
            ceiling=self.ceiling,
        )


def benchmark_entry(name: str, definitions: Mapping[str, Definition] | None = None) -> benchmarks.Benchmark:
    """The benchmark called `name`: defined in the study, or registered. Raises StudyError for an unknown one."""
    return definitions[name].benchmark if definitions and name in definitions else benchmarks.registered_benchmark(name)


def check_definitions(settings: Mapping[str, Mapping[str, Any]], root: str | Path) -> dict[str, Definition]:
    """`settings` (by name) with defaults, paths below `root`. Raises StudyError with everything that is wrong."""
    problems = [problem for name, entry in settings.items() for problem in _problems(name, entry)]
    if problems:
        raise StudyError(problems)
    return {name: _definition(name, entry, Path(root)) for name, entry in settings.items()}


def require_files(definition: Definition) -> None:
    """Raise DataError with each file of `definition` that is missing."""
    paths = {"assembly": definition.assembly, "stimuli": definition.stimuli, "images": definition.images}
    fix = "paths of a definition are relative to the data folder; docs/brainscore.md says what the files hold"
    missing = [
        Problem(what="file is missing", where=f"brainscore.define.{definition.name}.{key}", value=str(path), fix=fix)
        for key, path in paths.items()
        if not path.exists()
    ]
    if missing:
        raise DataError(missing)


def _definition(name: str, entry: Mapping[str, Any], root: Path) -> Definition:
    values = {key: root / value if key in ("assembly", "stimuli", "images") else value for key, value in entry.items()}
    if values.get("time_window") is not None:
        start, end = values["time_window"]
        values["time_window"] = (float(start), float(end))
    return Definition(name=name, **values)


def _problems(name: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    where = f"brainscore.define.{name}"
    if name in benchmarks.BENCHMARKS or name in benchmarks.NOT_SERVED:
        yield Problem(
            what="a registered benchmark has this name", where=where, value=name, fix="give the definition another name"
        )
    known = {field.name: field for field in fields(Definition) if field.name != "name"}
    for key in entry:
        if key not in known:
            yield Problem(
                what="unknown key",
                where=f"{where}.{key}",
                value=key,
                allowed=listing(list(known)),
                nearest=nearest(key, known),
            )
    for key, field in known.items():
        if field.default is MISSING and key not in entry:
            yield Problem(what="key is missing", where=where, value=None, allowed=key)
    for key, (allowed, is_fine) in RULES.items():
        if key in entry and not is_fine(entry[key]):
            yield Problem(
                what="not allowed here",
                where=f"{where}.{key}",
                value=entry[key],
                allowed=allowed,
                nearest=nearest(entry[key], allowed.split(", ")),
            )
    if entry.get("metric") == "cka" and entry.get("ceiling", "internal_consistency") != "none":
        yield Problem(
            what="linear CKA has no ceiling of Brain-Score's",
            where=f"{where}.ceiling",
            value=entry.get("ceiling"),
            allowed="none",
        )


def _is_window(value: Any) -> bool:
    if value is None:
        return True
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    return is_pair and all(isinstance(time, (int, float)) for time in value) and value[0] < value[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "region": (", ".join(benchmarks.BRAINSCORE_REGIONS), lambda value: value in benchmarks.BRAINSCORE_REGIONS),
    "metric": (", ".join(METRICS), lambda value: value in METRICS),
    "ceiling": (", ".join(CEILINGS), lambda value: value in CEILINGS),
    "degrees": ("a number of degrees above 0", lambda value: _is_number(value) and value > 0),
    "time_window": ("[from, to] in milliseconds", _is_window),
    "trials": ("a whole number from 1", lambda value: isinstance(value, int) and value >= 1),
    "stratified_by": ("a column of the stimuli", lambda value: value is None or isinstance(value, str)),
}
