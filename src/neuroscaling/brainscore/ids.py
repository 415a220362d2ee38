"""The Brain-Score benchmarks that can be scored, as a table. Light: imports nothing of Brain-Score.

Source: `registered.json`, which registry_table reads from the installed brainscore_vision.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.errors import Problem, StudyError, listing, nearest

REGIONS = ("V1", "V2", "V4", "IT")
"""Recorded regions; behaviour has a readout layer instead of a region's layer."""


@dataclass(frozen=True)
class StimulusSet:
    """Images of one registered id: a CSV and a zip.

    identifier: names the files; degrees: width of the images in degrees of visual angle; bucket, prefix, versions:
    where Brain-Score downloads them from.
    """

    stimulus_set: str
    identifier: str
    plugin: str
    degrees: float
    bucket: str
    prefix: str
    csv_sha1: str
    zip_sha1: str
    csv_version: str
    zip_version: str

    @property
    def stem(self) -> str:
        """Name of the CSV (and of the zip or folder) without its ending, as Brain-Score names it."""
        return f"stimulus_{self.identifier.replace('.', '_')}"


@dataclass(frozen=True)
class DataSet:
    """Recordings of one registered id.

    data: id in Brain-Score's data registry; stimulus_set: id of its stimuli; assembly: identifier that names the netCDF
    file; kind: class of the assembly; access: `public` or `private` where the source says so, else `not stated`.
    """

    data: str
    stimulus_set: str
    assembly: str
    plugin: str
    kind: str
    sha1: str
    bucket: str
    prefix: str
    version_id: str
    access: str

    @property
    def assembly_file(self) -> str:
        """File name of the recordings, as Brain-Score names it."""
        return f"assy_{self.assembly.replace('.', '_')}.nc"

    @property
    def stimulus_stem(self) -> str:
        """Name of the stimuli's CSV (and of their zip or folder) without its ending."""
        return STIMULUS_SETS[self.stimulus_set].stem

    @property
    def degrees(self) -> float:
        """Width of its images in degrees of visual angle."""
        return STIMULUS_SETS[self.stimulus_set].degrees


@dataclass(frozen=True)
class Benchmark:
    """A registered benchmark, or one that a study defines (definitions.py).

    kind: `neural` (splits of its own), `train_test` (given training and test images), `rsa` or `behavior`; data: ids of
    its recordings, training first; stimulus_sets: ids of all its images, those that a readout is fitted to among them;
    degrees: width of the images in degrees of visual angle; stratified_by: column that balances its splits; subjects:
    coordinate whose values are scored apart; parts: benchmarks inside that are averaged; identifier: name that
    Brain-Score's object bears; ceiling: `own` (whatever the registered class does), or as defined in the study.
    """

    benchmark: str
    region: str
    metric: str
    kind: str
    data: tuple[str, ...]
    stimulus_sets: tuple[str, ...]
    degrees: float
    stratified_by: str | None
    plugin: str
    version: int
    trials: int = 1
    subjects: str | None = None
    parts: int = 1
    identifier: str = ""
    ceiling: str = "own"


def scale_of(benchmark: Benchmark, protocol: str) -> str:
    """Scale of the benchmark's scores (`scales.SCALES`): how raw value and ceiling make them."""
    if benchmark.ceiling == "none":
        return "r" if benchmark.kind == "rsa" else "r2"
    fixed = {"behavior": "r/sqrt(c)", "rsa": "r/c"}
    return fixed.get(benchmark.kind) or {"corrected": "r2/c", "parity": "(r/c)2"}[protocol]


def _entry(benchmark: dict[str, Any]) -> Benchmark:
    return Benchmark(
        **benchmark | {"data": tuple(benchmark["data"]), "stimulus_sets": tuple(benchmark["stimulus_sets"])}
    )


_table = json.loads(Path(__file__).with_name("registered.json").read_text(encoding="utf-8"))

BRAINSCORE_VERSION: str = _table["brainscore_vision"]
"""Version of brainscore_vision that the table was read from."""
STIMULUS_SETS = {name: StimulusSet(**entry) for name, entry in _table["stimulus_sets"].items()}
DATA_SETS = {name: DataSet(**entry) for name, entry in _table["data_sets"].items()}
BENCHMARKS = {name: _entry(entry) for name, entry in _table["benchmarks"].items()}
NOT_SERVED: dict[str, str] = _table["not_served"]
"""Registered benchmarks that can't be scored here, with the reason."""


def benchmark(name: str) -> Benchmark:
    """The benchmark registered as `name`.

    Raises StudyError for one that is not served, with the reason, and for an unknown one, with the nearest name.
    """
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    where = "brainscore.benchmarks"
    if name in NOT_SERVED:
        allowed = "metrics pls, ridge, ridgecv, rdm, cka, neuron_to_neuron, i2n: `neuroscaling benchmarks`"
        raise StudyError(Problem(f"this benchmark is not served: {NOT_SERVED[name]}", where, name, allowed))
    fix = "`neuroscaling benchmarks` lists all; one of your own is defined under `brainscore.define`"
    raise StudyError(
        Problem("unknown benchmark", where, name, listing(list(BENCHMARKS)), nearest(name, BENCHMARKS), fix)
    )
