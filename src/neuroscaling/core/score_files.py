"""Score files hold scores on named scales; those of one benchmark agree in their settings.

scores/<benchmark>-<key>/<run>.json        the record; `files` has the sha256 of each file beside it
scores/<benchmark>-<key>/<run>.<kind>      `targets.parquet`, `accuracy.parquet`, `lh_pred_test.npy`, ...

Names, records and checksums keep another setting's file from standing under a name; this is in case they don't.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Required, TypedDict

from neuroscaling.core.counting import Tally
from neuroscaling.core.errors import DataError, Place, Problem, listing
from neuroscaling.core.files import DELETE_AND_RERUN, require_file
from neuroscaling.core.hangs import NEVER, Patience
from neuroscaling.core.hashing import file_sha256, key_of
from neuroscaling.core.json_records import from_json
from neuroscaling.core.leases import Lease, held, sweep
from neuroscaling.core.records import CHECKSUM, FORMAT_KEY, read_record, require_name, write_record
from neuroscaling.core.score_scales import SCORE_FORMAT
from neuroscaling.core.watching import watched_lease

DELETE_SCORE = "delete the score file and run again"
log = logging.getLogger(__name__)


def file_beside(path: str | Path, kind: str) -> Path:
    """The file of a kind (`targets.parquet`, ...) that belongs to the score file `path`."""
    path = Path(path)
    return path.with_name(f"{path.name.removesuffix('.json')}.{kind}")


class ScoreRow(TypedDict, total=False):
    """One number of a score file and what it is of (docs/formats.md); some stages alone give the keys after n_mapping.

    score: on `scale`, or None with a `reason`; raw: a correlation; error: of the score; metric: in place of the file's.
    """

    region: Required[str]
    subject: Required[str | None]
    score: Required[float | None]
    raw: Required[float | None]
    ceiling: Required[float | None]
    error: Required[float | None]
    scale: Required[str]
    reason: Required[str | None]
    layer: Required[str | None]
    n_targets: Required[int | None]
    n_mapping: Required[int | None]
    metric: str
    layers: list[str]
    n_components: int
    ceiling_lower: float | None
    raw_pooled: float
    test_set: str
    challenge_score: float
    unclipped_score: float


@dataclass(frozen=True)
class ScoreFile:
    """A score file: the scores of one run on one benchmark, how they were made, and from what.

    data: name of the recordings; definition: what the key in its path is a hash of; made_from: checksums of what was
    read, by name; files: sha256 of each file beside it, by kind. Of Brain-Score alone are versions, splits, subjects
    and left_out; of encoding alone are details.
    """

    run: str
    data: str
    simulated: bool
    benchmark: str
    metric: str
    engine: str
    protocol: str
    rows: list[ScoreRow]
    definition: dict[str, Any] = field(default_factory=dict)
    made_from: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] | None = None
    splits: list[dict[str, Any]] | None = None
    subjects: list[dict[str, Any]] | None = None
    left_out: list[str] | None = None
    details: dict[str, Any] | None = None


def write_score_file(path: str | Path, scores: ScoreFile, kinds: Sequence[str] = ()) -> None:
    """Write a score file, last of its files.

    kinds: of the files beside it, which are there already. Raises ValueError for NaN in `scores`.
    """
    files = {kind: file_sha256(file_beside(path, kind)) for kind in sorted(kinds)}
    content = {key: value for key, value in vars(replace(scores, files=files)).items() if value is not None}
    write_record(path, {**content, FORMAT_KEY: SCORE_FORMAT})


@contextmanager
def making_score(
    path: str | Path, what: str, kinds: Sequence[str] = (), tally: Tally | None = None, patience: Patience = NEVER
) -> Iterator[Lease | None]:
    """Hold the lease of the record `path` for the length of the block; None where the record is there already.

    what: a name for it in messages; kinds: of the files beside it, whose remains of dead writers are removed. To be
    called `check()` on before the record is written. tally: of the job, which counts this one when it is there; how far
    the job is then stands beside the lease, and the process is ended where it makes no step for longer than `patience`.
    """
    path = Path(path)
    with held(path, what) as lease:
        if path.exists():
            log.info("%s: another process has made it", what)
            if tally:
                tally.done += 1
            yield None
            return
        for kind in kinds:
            sweep(file_beside(path, kind))
        with watched_lease(lease, what, tally, patience) if tally else nullcontext():
            yield lease
    if tally:
        tally.done += 1


def read_score(path: str | Path) -> ScoreFile:
    """The score file at `path`.

    Raises DataError as `read_record_of_run`, and for keys and values that no score file has.
    """
    record = read_record_of_run(path, SCORE_FORMAT, DELETE_SCORE)
    content = {key: value for key, value in record.items() if key not in (FORMAT_KEY, CHECKSUM)}
    return from_json(content, ScoreFile, Place(path), "a score file", DELETE_SCORE)


def read_record_of_run(path: str | Path, form: str, again: str = DELETE_SCORE) -> dict[str, Any]:
    """The record `<name>-<key>/<run>.json`, of the format `form`.

    Raises DataError, naming both, for another format, a checksum that its content does not have, a definition that its
    folder is not named after, and the record of another run; and for a file that is missing or no JSON object.
    """
    path = Path(path)
    record = read_record(path, form, again)
    require_name(record, path, path.parent.name, again)
    run = path.name.removesuffix(".json")
    if record.get("run") != run:
        what = "the file of another run stands under this name"
        raise DataError(Problem(what=what, where=str(path), value=record.get("run"), allowed=run, fix=again))
    return record


def checked_file(path: str | Path, files: Mapping[str, str], kind: str, again: str = DELETE_SCORE) -> Path:
    """The file of a kind that belongs to the score file `path`, when it is what was written: its sha256 is in `files`.

    Raises DataError, naming both checksums, for another one, and for a file that is missing or not of this score.
    """
    file, stated = file_beside(path, kind), files.get(kind)
    require_file(file, again)
    found = file_sha256(file)
    if found != stated:
        what = "the file was altered: it does not have the checksum that the record beside it states"
        raise DataError(Problem(what=what, where=str(file), value=found, allowed=str(stated), fix=again))
    return file


def stored_name(path: str | Path) -> str:
    """What a file three folders deep in the store is called in `made_from`: `activations/<run>/<set>-<key>.json`."""
    return "/".join(Path(path).parts[-3:])


FREE_SETTINGS = ("layers", "readout", "reference", "activations.layers")
"""Settings of an architecture: they differ between the runs of one benchmark."""
SHARED_SETTINGS = ("protocol", "engine", "code")
"""Settings that all benchmarks of a stage share."""
STAGE_KEYS = {"defined": "Brain-Score", "entry": "encoding"}
"""What the stages' definitions are told by."""
ONE_STUDY_ALONE = "list the score files of one study alone; what asks for another setting has another name"
Scores = Sequence[tuple[Path, ScoreFile]]


def setting_problems(scores: Scores) -> Iterator[Problem]:
    """Settings in which score files of one table differ, naming two files and both settings; and see `asked_problems`.

    scores: each file's path `<benchmark>-<key>/<run>.json` and content. Files of one benchmark on the same data agree
    in all that determines them but FREE; files of one stage in SHARED; all files in their protocol.
    """
    for path, content in scores:
        yield from asked_problems(path, content)
    by_benchmark: dict[str, dict[str, Any]] = {}
    by_stage: dict[str, dict[str, Any]] = {}
    told: set[str] = set()
    for path, content in scores:
        settings = _flat_settings(content.definition)
        own = {key: value for key, value in settings.items() if not _is_free_setting(key)}
        name = f"{_benchmark_of_path(path, content)} on {content.data}"
        yield from _setting_differences(by_benchmark, name, own, path, told)
        stage = next((stage for key, stage in STAGE_KEYS.items() if key in content.definition), "this stage")
        shared = {key: value for key, value in settings.items() if key in SHARED_SETTINGS}
        yield from _setting_differences(by_stage, stage, shared, path, told)
        protocol = {key: value for key, value in shared.items() if key == "protocol"}
        yield from _setting_differences(by_stage, "all scores", protocol, path, told)


def asked_problems(path: Path, content: ScoreFile) -> Iterator[Problem]:
    """Where a score file says another protocol, engine or number of mapping images than it was asked for."""
    asked = content.definition
    entry = asked.get("entry") or {}
    for key, found in (("protocol", content.protocol), ("engine", content.engine)):
        wanted = asked.get(key)
        if wanted is not None and found != wanted:
            what = f"scores of another {key} than was asked for"
            yield Problem(
                what=what,
                where=Place(path) / key,
                value=found,
                allowed=wanted,
                fix=DELETE_AND_RERUN,
            )
    samples = entry.get("samples")
    if samples:
        sizes = {n for row in content.rows if (n := row.get("n_mapping")) is not None}
        other = sorted(sizes - set(samples))
        if "all" in samples and sizes:  # whatever number that is, it is the largest
            other = [n for n in other if n != max(sizes)]
        if other:
            what, allowed = "scores of numbers of mapping images that were not asked for", listing(samples)
            where, fix = Place(path) / "n_mapping", DELETE_AND_RERUN
            yield Problem(what=what, where=where, value=listing(other), allowed=allowed, fix=fix)


def _setting_differences(
    groups: dict[str, dict[str, Any]], name: str, settings: dict[str, Any], path: Path, told: set[str]
) -> Iterator[Problem]:
    """A problem for each setting that differs from the first file's of its group, told once."""
    first = groups.setdefault(name, {"path": path, "settings": settings})
    for key in sorted({*settings, *first["settings"]}):
        known, own = first["settings"].get(key), settings.get(key)
        label = key if key in SHARED_SETTINGS else f"{name}: {key}"
        if known != own and label not in told:
            told.add(label)
            what = "scores of two settings in one table"
            allowed = f"{known!r}, as {name} in {first['path']}"
            yield Problem(what=what, where=Place(path) / key, value=repr(own), allowed=allowed, fix=ONE_STUDY_ALONE)


def _flat_settings(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by their keys with dots: {"activations.reduction": ...}; a FREE one stays whole."""
    found: dict[str, Any] = {}
    for key, own in value.items():
        if isinstance(own, Mapping) and own and not _is_free_setting(before + key):
            found |= _flat_settings(own, f"{before}{key}.")
        else:
            found[before + key] = own
    return found


def _is_free_setting(key: str) -> bool:
    return key in FREE_SETTINGS


def _benchmark_of_path(path: Path, content: ScoreFile) -> str:
    """The benchmark that the folder of a score file is named after."""
    return path.parent.name.removesuffix(f"-{key_of(content.definition)}")
