"""Brain-Score's benchmarks as a table, and where the files of their data sets lie.

Source: `registered.json`, which registry_table reads from the installed brainscore_vision.

Local: `<root>/assy_*.nc`, `<root>/stimulus_*.csv` and the images in `<root>/stimulus_*/`. Official (`BRAINIO_HOME`):
`<root>/<sha1>/assy_*.nc`, `<root>/<sha1>/stimulus_*.csv`, `<root>/<sha1>/stimulus_*.zip`, with the sha1 of the table;
another file of the same name counts as missing. Light: imports nothing of Brain-Score.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.hashing import content_hash, file_sha1

BRAINSCORE_REGIONS = ("V1", "V2", "V4", "IT")
"""Recorded regions; behaviour has a readout layer instead of a region's layer."""


@dataclass(frozen=True)
class RegisteredStimuli:
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
STIMULUS_SETS = {name: RegisteredStimuli(**entry) for name, entry in _table["stimulus_sets"].items()}
DATA_SETS = {name: DataSet(**entry) for name, entry in _table["data_sets"].items()}
BENCHMARKS = {name: _entry(entry) for name, entry in _table["benchmarks"].items()}
NOT_SERVED: dict[str, str] = _table["not_served"]
"""Registered benchmarks that can't be scored here, with the reason."""


def registered_benchmark(name: str) -> Benchmark:
    """The benchmark registered as `name`.

    Raises StudyError for one that is not served, with the reason, and for an unknown one, with the nearest name.
    """
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    where = "brainscore.benchmarks"
    if name in NOT_SERVED:
        allowed = "metrics pls, ridge, ridgecv, rdm, cka, neuron_to_neuron, i2n: `neuroscaling benchmarks`"
        raise StudyError(
            Problem(what=f"this benchmark is not served: {NOT_SERVED[name]}", where=where, value=name, allowed=allowed)
        )
    fix = "`neuroscaling benchmarks` lists all; one of your own is defined under `brainscore.define`"
    raise StudyError(
        Problem(
            what="unknown benchmark",
            where=where,
            value=name,
            allowed=listing(list(BENCHMARKS)),
            nearest=nearest(name, BENCHMARKS),
            fix=fix,
        )
    )


FIX = "docs/brainscore.md says what the folder holds"
WITH_GAPS = ("Cadena2017",)
"""Data that have NaN where an image was not shown; their benchmarks drop these images."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as Brain-Score keeps it: name, sha1, and where it is downloaded from."""

    name: str
    sha1: str
    bucket: str
    key: str
    version_id: str

    @property
    def url(self) -> str:
        """Where it is downloaded from, in words that `aws s3 cp` takes."""
        return f"s3://{self.bucket}/{self.key}"

    def place(self, root: Path) -> Path:
        """Where it lies below a directory in the layout of Brain-Score's cache."""
        return root / self.sha1 / self.name


@dataclass(frozen=True)
class StimulusFiles:
    """The files of one stimulus set. `images` is a folder (local) or a zip (official)."""

    stimulus_set: RegisteredStimuli
    csv: Path
    images: Path

    @property
    def official(self) -> bool:
        """Whether they lie in the layout of Brain-Score's cache."""
        return self.images.suffix == ".zip"

    @property
    def degrees(self) -> float:
        """Width of the images in degrees of visual angle."""
        return self.stimulus_set.degrees


@dataclass(frozen=True)
class DataSetFiles:
    """The files of one data set, its stimuli included. `images` is a folder (local) or a zip (official)."""

    data_set: DataSet
    assembly: Path
    csv: Path
    images: Path

    @property
    def official(self) -> bool:
        """Whether they lie in the layout of Brain-Score's cache."""
        return self.images.suffix == ".zip"

    @property
    def stimuli(self) -> StimulusFiles:
        """The stimuli alone."""
        return StimulusFiles(STIMULUS_SETS[self.data_set.stimulus_set], self.csv, self.images)


def remote_assembly(data_set: DataSet) -> RemoteFile:
    """The recordings of a data set."""
    return _remote(data_set, data_set.assembly_file, data_set.sha1, data_set.version_id)


def remote_stimuli(stimulus_set: RegisteredStimuli) -> tuple[RemoteFile, RemoteFile]:
    """The CSV and the zip of a stimulus set."""
    csv = _remote(stimulus_set, f"{stimulus_set.stem}.csv", stimulus_set.csv_sha1, stimulus_set.csv_version)
    return csv, _remote(stimulus_set, f"{stimulus_set.stem}.zip", stimulus_set.zip_sha1, stimulus_set.zip_version)


def remote_files(benchmark: Benchmark) -> list[RemoteFile]:
    """Every file that a registered benchmark needs, each once."""
    assemblies = [remote_assembly(DATA_SETS[data]) for data in benchmark.data]
    stimuli = [file for name in benchmark.stimulus_sets for file in remote_stimuli(STIMULUS_SETS[name])]
    return list(dict.fromkeys([*assemblies, *stimuli]))


def find_files(root: str | Path, data_set: DataSet) -> DataSetFiles:
    """The files of `data_set` below `root`. Raises DataError with every file that is missing and where to have it."""
    root = Path(root)
    stimuli = STIMULUS_SETS[data_set.stimulus_set]
    found = _found(root, _both(root, data_set, stimuli))
    return DataSetFiles(data_set, *found)


def find_stimuli(root: str | Path, stimulus_set: RegisteredStimuli) -> StimulusFiles:
    """The files of a stimulus set below `root`. Raises DataError as `find_files`."""
    root = Path(root)
    return StimulusFiles(stimulus_set, *_found(root, _both(root, None, stimulus_set)))


def find_benchmark(root: str | Path, benchmark: Benchmark) -> tuple[list[DataSetFiles], list[StimulusFiles]]:
    """The data sets of a registered benchmark, and the stimulus sets that come with none of them.

    Raises DataError with every file that is missing.
    """
    files: list[DataSetFiles] = []
    alone: list[StimulusFiles] = []
    problems: list[Problem] = []
    with_data = {DATA_SETS[data].stimulus_set for data in benchmark.data}
    for data in benchmark.data:
        try:
            files.append(find_files(root, DATA_SETS[data]))
        except DataError as error:
            problems += error.problems
    for name in benchmark.stimulus_sets:
        try:
            alone += [] if name in with_data else [find_stimuli(root, STIMULUS_SETS[name])]
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return files, alone


def all_files(root: str | Path) -> list[DataSetFiles]:
    """The files of every data set whose recordings are below `root`.

    Raises DataError when there is none, and when a file of one that is there is missing.
    """
    root = Path(root)
    there = [data_set for data_set in DATA_SETS.values() if any(path.exists() for path in _assemblies(root, data_set))]
    if not there:
        expected = listing([data_set.assembly_file for data_set in DATA_SETS.values() if data_set.access == "public"])
        raise DataError(
            Problem(
                what="no Brain-Score data set in this folder", where=str(root), value=None, allowed=expected, fix=FIX
            )
        )
    return [find_files(root, data_set) for data_set in there]


def is_official(root: str | Path, benchmark: str) -> bool:
    """Whether files of a registered benchmark below `root` lie as in Brain-Score's cache (any of them)."""
    return any(file.place(Path(root)).is_file() for file in remote_files(registered_benchmark(benchmark)))


def source_hash(root: str | Path | None, benchmarks: str | Sequence[str]) -> str:
    """Eight digits that tell the content of the files of registered benchmarks apart.

    root: a local folder, whose files count by name and size (and images by their number), or None for official files,
    which count by the table's sha1s, so that the hash is known before they are there.
    """
    names = [benchmarks] if isinstance(benchmarks, str) else benchmarks
    entries = [registered_benchmark(name) for name in names]
    if root is None:
        return content_hash(sorted({file.sha1 for entry in entries for file in remote_files(entry)}))
    sets = {name for entry in entries for name in entry.stimulus_sets}
    assemblies = {DATA_SETS[data].assembly_file for entry in entries for data in entry.data}
    stems = {STIMULUS_SETS[name].stem for name in sets}
    paths = [Path(root) / name for name in sorted(assemblies | stems | {f"{stem}.csv" for stem in stems})]
    return content_hash([[path.name, _size(path)] for path in paths])


def sha1_problems(files: DataSetFiles | StimulusFiles) -> Iterator[Problem]:
    """Official files whose content is not the one that the table names; local files have no known content."""
    if not files.official:
        return
    stimuli = files.stimuli if isinstance(files, DataSetFiles) else files
    known = [(files.assembly, files.data_set.sha1)] if isinstance(files, DataSetFiles) else []
    known += [(stimuli.csv, stimuli.stimulus_set.csv_sha1), (stimuli.images, stimuli.stimulus_set.zip_sha1)]
    for path, expected in known:
        found = file_sha1(path)
        if found != expected:
            fix = "delete it and fetch it again"
            yield Problem(
                what="SHA1 mismatch: this is not the file that its folder names",
                where=str(path),
                value=found,
                allowed=expected,
                nearest="",
                fix=fix,
            )


def _remote(entry: DataSet | RegisteredStimuli, name: str, sha1: str, version_id: str) -> RemoteFile:
    return RemoteFile(name, sha1, entry.bucket, f"{entry.prefix}/{name}", version_id)


@dataclass(frozen=True)
class _Place:
    """Where one file may lie, in both layouts."""

    local: Path
    official: Path
    remote: RemoteFile


def _both(root: Path, data_set: DataSet | None, stimuli: RegisteredStimuli) -> list[_Place]:
    csv, images = remote_stimuli(stimuli)
    places = [] if data_set is None else [remote_assembly(data_set)]
    found = [_Place(root / file.name, file.place(root), file) for file in [*places, csv]]
    return [*found, _Place(root / stimuli.stem, images.place(root), images)]


def _found(root: Path, places: list[_Place]) -> list[Path]:
    """The paths in the layout that holds all of them. Raises DataError with what the fuller layout lacks."""
    local, official = ([place.local for place in places], [place.official for place in places])
    for paths in (local, official):
        if all(path.exists() for path in paths):
            return paths
    expect_official = sum(path.exists() for path in official) > sum(path.exists() for path in local)
    missing = [p for p in places if not (p.official if expect_official else p.local).exists()]
    raise DataError([_missing(root, place, expect_official) for place in missing])


def _missing(root: Path, place: _Place, official: bool) -> Problem:
    remote = place.remote
    strays = [path for path in sorted(root.glob(f"*/{remote.name}")) if path.parent.name != remote.sha1]
    if strays:
        what = "file is missing (another file of its name lies in a folder of another sha1)"
    else:
        what = "file is missing"
    value = str(place.official.relative_to(root)) if official else place.local.name
    fix = (
        f"download {remote.url} (sha1 {remote.sha1}, version {remote.version_id}) to {place.official}, or let "
        "`data: {download: true}` do it"
    )
    if not official:
        fix += f"; or put a file of your own at {place.local}. {FIX}"
    return Problem(what=what, where=str(root), value=value, fix=fix)


def _assemblies(root: Path, data_set: DataSet) -> tuple[Path, Path]:
    return root / data_set.assembly_file, remote_assembly(data_set).place(root)


def _size(path: Path) -> int | None:
    """Bytes of a file, or number of entries of a folder; None where there is none."""
    if path.is_dir():
        return sum(1 for _ in path.iterdir())
    return path.stat().st_size if path.is_file() else None
