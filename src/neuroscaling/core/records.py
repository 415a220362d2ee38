"""Records state what artefacts and runs are, and are checked before their use.

`definition` is what the artefact's name is a hash of (core/hashing.py); `made_from` has the checksums of the files that
were read, by their names in the store; `provenance` tells versions, machine and seconds, and is in no name.

A run whose run.json is there is done, or failed for good. One that failed for a reason that can be mended, such as
damaged images or a URL that gives no file, leaves `failed.json` in its place, and is absent: the next start makes it.
Beside a run.json failed.json says why weights that were deleted can't be made again; what was made of them stays.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from neuroscaling.core.errors import DataError, Place, Problem, listing
from neuroscaling.core.files import DELETE_AND_RERUN, read_json, read_object, require_file, write_json
from neuroscaling.core.hashing import canonical_json, file_sha256, key_of

CHECKSUM, DEFINITION, FORMAT_KEY = "checksum", "definition", "format"


def checksum_of(record: Mapping[str, Any]) -> str:
    """The checksum of a record: of its content as JSON, without the checksum itself."""
    content = {key: value for key, value in record.items() if key != CHECKSUM}
    return "sha256:" + hashlib.sha256(canonical_json(content).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """`record` as JSON knows it, with its checksum. Raises ValueError for NaN, TypeError for what is no JSON."""
    plain = json.loads(json.dumps(dict(record), allow_nan=False))
    return {**plain, CHECKSUM: checksum_of(plain)}


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record with its checksum, whole or not at all."""
    write_json(path, sealed(record))


def read_record(path: str | Path, form: str, again: str = DELETE_AND_RERUN) -> dict[str, Any]:
    """The record at `path`, of the format `form`. `again` is the next step that an error names.

    Raises DataError, naming both, for another format and for a checksum that its content does not have; and for a file
    that is missing or no JSON object.
    """
    record = read_object(path)
    if record.get(FORMAT_KEY) != form:
        raise DataError(
            Problem(
                what="a file of another format",
                where=Place(path) / FORMAT_KEY,
                value=record.get(FORMAT_KEY),
                allowed=form,
                fix=again,
            )
        )
    require_checksum(record, path, again)
    return record


def require_checksum(record: Mapping[str, Any], path: str | Path, again: str = DELETE_AND_RERUN) -> None:
    """Raise DataError, naming both, unless a record has the checksum that it states."""
    found = checksum_of(record)
    if record.get(CHECKSUM) != found:
        what = "the file was altered: its content does not have the checksum that it states"
        raise DataError(
            Problem(what=what, where=Place(path) / CHECKSUM, value=record.get(CHECKSUM), allowed=found, fix=again)
        )


def require_name(record: Mapping[str, Any], path: str | Path, name: str, again: str = DELETE_AND_RERUN) -> None:
    """Raise DataError, naming both, unless what determines a record gives the key that its name ends in.

    name: that part of the path which ends in the key, such as the stem of the file. A file that was copied over another
    one is told by it.
    """
    stated = record.get(DEFINITION)
    key = key_of(stated) if isinstance(stated, dict) else "nothing"
    if not name.endswith(f"-{key}"):
        what = "the file of another artefact stands under this name"
        raise DataError(
            Problem(
                what=what,
                where=str(path),
                value=f"its content is defined by {key}",
                allowed=name.rpartition("-")[2],
                fix=again,
            )
        )


RUN_FORMAT = "run/3"
RUN_RECORD, FAILURE_RECORD, HISTORY_FILE = "run.json", "failed.json", "history.parquet"
DONE, FAILED = "done", "failed"
RESTORE_RUN = "restore the file; or delete it, and the next start makes the run again"


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights in the folder of a run, with the sha256 that run.json states."""

    name: str
    sha256: str


@dataclass(frozen=True)
class KeptWeights:
    """A file of weights in the folder of a run, and the epoch after which it was written."""

    epoch: int
    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What run.json states of a finished run, and failed.json or run.json of one that failed: `status` tells which.

    None stands for what does not apply to a run: the data set of a baseline, the weights of a failed run.
    """

    run: str
    """Its name."""
    kind: str
    """`trained`, `untrained`, `pretrained`, `checkpoint` or `baseline`."""
    status: str
    """DONE or FAILED."""
    definition: dict[str, Any] | None = None
    """What its name is a hash of."""
    arch: str | None = None
    family: str | None = None
    dataset: str | None = None
    fingerprint: str | None = None
    """Hash of the index of its data set."""
    samples_per_class: int | str | None = None
    """A number of training images a class, or `all`."""
    subset: str | None = None
    """Names its training images within the data set."""
    subset_seed: int | None = None
    seed: int | None = None
    recipe: dict[str, Any] | None = None
    """The settings of its training."""
    start: str | None = None
    """The run that its training began from."""
    n_params: float | None = None
    macs: float | None = None
    """Multiply-accumulates of one forward pass of one image."""
    paper_macs: float | None = None
    """The same, as the published study counted them."""
    flops: float | None = None
    """2 macs."""
    n_classes: int | None = None
    n_samples: float | None = None
    """Training images; 0 for a run that was not trained here, None where nobody knows."""
    n_epochs: float | None = None
    n_samples_seen: float | None = None
    n_samples_nominal: float | None = None
    image_passes: float | None = None
    """Forward passes of an image in a step, in units of one at the full size."""
    total_flops: float | None = None
    """FLOPs of the training."""
    acc: float | None = None
    """Validation accuracy, a fraction of 1."""
    acc_kind: str | None = None
    weights: str | None = None
    """The file of the final weights."""
    weights_sha256: str | None = None
    checkpoints: tuple[KeptWeights, ...] = ()
    corrupt: tuple[str, ...] = ()
    """Training images that could not be decoded."""
    training: dict[str, Any] | None = None
    """What is known of the training of a checkpoint that others trained."""
    history_sha256: str | None = None
    problem: str | None = None
    """Why it failed."""
    lasting: bool | None = None
    """Whether a failed run would fail again."""
    step: int | None = None
    """Where it failed, and with what: learning rate and ids of images."""
    learning_rate: float | None = None
    batch: list[Any] | None = None
    made_from: dict[str, str] = field(default_factory=dict)
    """Checksums of the files that were read, by their names in the store."""
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Mapping[str, Any], path: str | Path) -> "RunRecord":
        """The record of the JSON object `content`, of the file `path`.

        Raises DataError for keys that are missing and for values of another type.
        """
        needed = NEEDED if content.get("status") == FAILED else (*NEEDED, *NEEDED_OF_DONE)
        if missing := [key for key in needed if key not in content]:
            fix = "delete the run and train it again"
            raise DataError(Problem(what="key is missing", where=str(path), value=listing(missing), fix=fix))
        known = {key: value for key, value in content.items() if key in RUN_KEYS}
        problems = [
            Problem(
                what="not a value of this key",
                where=Place(path) / key,
                value=value,
                allowed=" or ".join(kind.__name__ for kind in RUN_KEYS[key]).replace("NoneType", "null"),
                fix=RESTORE_RUN,
            )
            for key, value in known.items()
            if not isinstance(value, RUN_KEYS[key])
        ]
        listed = known.get("checkpoints", ())
        if not problems and not all(isinstance(one, dict) and one.keys() == KEPT_KEYS for one in listed):
            what, where = "weights that were kept lack a key", Place(path) / "checkpoints"
            problems.append(Problem(what=what, where=where, allowed=", ".join(sorted(KEPT_KEYS)), fix=RESTORE_RUN))
        if problems:
            raise DataError(problems)
        kept = tuple(KeptWeights(**one) for one in listed)
        return cls(**{**known, "checkpoints": kept, "corrupt": tuple(known.get("corrupt", ()))})

    @property
    def failure(self) -> str | None:
        """Why the run failed; None for a sound one."""
        return None if self.status != FAILED else self.problem or "no reason is given"

    @property
    def seconds(self) -> float | None:
        """What the making of the run took; None where nobody knows, and for a failed run."""
        seconds = self.provenance.get("seconds")
        return float(seconds) if seconds and self.failure is None else None

    @property
    def weights_files(self) -> list[WeightsFile]:
        """The final weights and those that were kept on the way; nothing for a baseline or a failed run."""
        final = [WeightsFile(self.weights, str(self.weights_sha256))] if self.weights else []
        kept = [WeightsFile(one.file, one.sha256) for one in self.checkpoints]
        return list(dict.fromkeys([*final, *kept]))

    def lacks_weights(self, folder: str | Path) -> bool:
        """Is any of the weights that the record names not in `folder`?"""
        return any(not (Path(folder) / file.name).is_file() for file in self.weights_files)

    def content(self) -> dict[str, Any]:
        """The JSON object that a file of the record holds, but for its checksum."""
        others = FACTS_OF_DONE if self.status == FAILED else FACTS_OF_FAILED
        own = {key: value for key, value in asdict(self).items() if key not in others}
        for key in (DEFINITION, "training"):
            if own[key] is None:
                del own[key]
        return {**own, FORMAT_KEY: RUN_FORMAT}


KEPT_KEYS = {"epoch", "file", "sha256"}
NEEDED = ("run", "kind", "status")
NEEDED_OF_DONE = (
    "arch", "family", "dataset", "samples_per_class", "seed", "n_params", "macs", "n_samples", "n_epochs",
    "n_samples_seen", "total_flops", "acc", "weights", "checkpoints",
)  # fmt: skip
"""Keys that every record of a run has, and those that the record of a finished one has too."""
FACTS_OF_DONE = (
    "n_classes", "n_samples", "n_epochs", "n_samples_seen", "n_samples_nominal", "image_passes", "total_flops",
    "acc_kind",
)  # fmt: skip
FACTS_OF_FAILED = ("problem", "lasting", "step", "learning_rate", "batch")
"""Keys of a finished run's record alone, and of a failed one's alone."""


def _types_of(annotation: Any) -> tuple[type, ...]:
    """The types that JSON has for a field of this annotation; a whole number may stand for a real one."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    plain = [get_origin(part) or part for part in parts]
    plain = [list if part is tuple else part for part in plain]
    return tuple(plain) + ((int,) if float in plain else ())


RUN_KEYS = {key: _types_of(annotation) for key, annotation in get_type_hints(RunRecord).items()}
"""The types that the keys of run.json may have."""


def write_run_record(path: str | Path, record: RunRecord) -> None:
    """Write the record of a run with its checksum, whole or not at all."""
    write_record(path, record.content())


def read_run(path: str | Path) -> RunRecord:
    """The record at `path` (run.json or failed.json in the folder of a run).

    Raises DataError for a missing one, for one of another format, altered, or of another run than its folder is named
    after, and for values that its keys can't have.
    """
    path = Path(path)
    content = read_record(path, RUN_FORMAT, RESTORE_RUN)
    if DEFINITION in content:
        require_name(content, path, path.parent.name, RESTORE_RUN)
    return RunRecord.of(content, path)


def read_outcome(path: str | Path) -> RunRecord:
    """How the run of the run.json at `path` ended: that record, or failed.json where it stands in its place.

    Raises DataError as read_run.
    """
    path = Path(path)
    failure = path.with_name(FAILURE_RECORD)
    return read_run(failure if failure.is_file() and not path.is_file() else path)


def loss_of_weights(path: str | Path) -> str | None:
    """Why the weights of the finished run of the run.json at `path` can't be made again, though they are gone.

    None where they are there, or nobody tried. Raises DataError as read_run.
    """
    path = Path(path)
    failure = path.with_name(FAILURE_RECORD)
    if not (path.is_file() and failure.is_file() and read_run(path).lacks_weights(path.parent)):
        return None
    return read_run(failure).failure


def unchecked_record(path: str | Path) -> dict[str, Any]:
    """What the record at `path` states, unchecked; empty where there is none, or none that can be read.

    For looking through many of them, where nothing is made of what they state.
    """
    try:
        record = read_json(path)
    except DataError:
        return {}
    return record if isinstance(record, dict) else {}


def failure_in(folder: str | Path) -> str | None:
    """Why the run in `folder` failed, for good or not, or why weights that it lost can't be made again.

    None for a sound or absent run. Raises DataError as read_run.
    """
    record = Path(folder) / RUN_RECORD
    there = any(path.is_file() for path in (record, record.with_name(FAILURE_RECORD)))
    return (read_outcome(record).failure or loss_of_weights(record)) if there else None


def checked_weights(folder: str | Path) -> Path:
    """The file of the final weights of the run in `folder`, which are those that its run.json states.

    Raises DataError, naming both checksums, where they are others; and where the run failed, has no weights, or they
    were deleted.
    """
    path = Path(folder) / RUN_RECORD
    record = read_run(path)
    if record.failure is not None:
        raise DataError(Problem(what=f"the run failed: {record.failure}", where=str(path)))
    if not record.weights:
        raise DataError(Problem(what="the run has no weights", where=str(path), value=record.kind))
    weights = Path(folder) / record.weights
    require_file(weights, fix="they were deleted, and are needed again: the next start makes the run again")
    if (found := file_sha256(weights)) != record.weights_sha256:
        what = "the weights are not those that run.json tells of"
        raise DataError(
            Problem(
                what=what,
                where=str(weights),
                value=f"sha256 {found}",
                allowed=f"sha256 {record.weights_sha256}",
                fix=RESTORE_RUN,
            )
        )
    return weights
