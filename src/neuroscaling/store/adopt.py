"""Taking weights, or a finished run, from outside into a store, with a record of what is known of them.

Weights become the run that a study names with `pretrained:` and `weights:`. The file stays as it was given, in the
folder of the run: its sha256 is part of the run's name, so studies read it again. torch is loaded where weights are.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuroscaling.core.array_files import SAFETENSORS_METADATA, safetensors_header
from neuroscaling.core.errors import DataError, Problem, StudyError, nearest
from neuroscaling.core.files import atomic_path, require_file
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import (
    DONE,
    HISTORY_FILE,
    RUN_FORMAT,
    RUN_RECORD,
    RunRecord,
    read_record,
    read_run,
    require_name,
    write_record,
)
from neuroscaling.store.contents import require_store
from neuroscaling.store.transfer import staging, take_in
from neuroscaling.store.verify import ADOPTED, ADOPTED_FORMAT
from neuroscaling.study.architectures import architecture
from neuroscaling.study.published_weights import SAFETENSORS, SUFFIXES
from neuroscaling.study.run_table import Run, RunJob, expand_runs
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Adopted:
    """A run that was taken in. line: what of a study's `runs:` names it; new: was it not there before?"""

    run: str
    folder: Path
    line: str
    new: bool


def adopt_weights(
    root: str | Path, weights: str | Path, arch: str | None = None, classes: int | None = None, note: str = ""
) -> Adopted:
    """Take the file `weights` of a network of `arch` into the store at `root`, as a run that nobody knows more of.

    arch: as studies name architectures; what the file says where it is None; classes: how many its head should have.
    The weights are loaded into the architecture once. Raises StudyError for an unknown architecture, DataError for
    a missing file or one that doesn't fit.
    """
    root, weights = Path(root), Path(weights)
    require_store(root)
    require_file(weights)
    if weights.suffix not in SUFFIXES:
        what, found = "not a file of weights, by its name", weights.suffix or weights.name
        raise DataError(
            Problem(
                what=what,
                where=str(weights),
                value=found,
                allowed=", ".join(SUFFIXES),
                nearest=nearest(found, SUFFIXES),
            )
        )
    arch = architecture(arch or _said_arch(weights)).name
    n_classes = _loaded(arch, weights, classes)
    run = _named(arch, weights)
    folder = root / "runs" / run.run
    new = not (folder / RUN_RECORD).is_file()
    kept = folder / f"{arch}{weights.suffix}"
    with held(folder, run.run):
        if not (kept.is_file() and file_sha256(kept) == run.definition["weights"]):
            with atomic_path(kept) as temporary:
                shutil.copyfile(weights, temporary)
        known = {
            "format": ADOPTED_FORMAT,
            "run": run.run,
            "arch": arch,
            "file": kept.name,
            "sha256": run.definition["weights"],
            "bytes": kept.stat().st_size,
            "n_classes": n_classes,
            "was_called": weights.name,
            "training": UNKNOWN,
            "note": note,
            "provenance": provenance(("torch", "timm")),
        }
        if not (folder / ADOPTED).is_file():
            write_record(folder / ADOPTED, known)
    _make(run, folder, kept)
    return Adopted(run.run, folder, line_of(read_run(folder / RUN_RECORD), folder), new)


def adopt_run(root: str | Path, folder: str | Path) -> Adopted:
    """Take the run in `folder`, as `train` left it, into the store at `root`: its record, history and weights.

    Raises DataError where it is not finished or failed, where one of its files is not what run.json says, and where
    the store has something else under its name.
    """
    root, folder = Path(root), Path(folder)
    path = folder / RUN_RECORD
    record = RunRecord.of(read_record(path, RUN_FORMAT, "give the folder of a finished run, as it was made"), path)
    if record.failure is not None:
        raise DataError(
            Problem(
                what=f"the run failed: {record.failure}", where=str(folder), allowed=f"a run whose status is `{DONE}`"
            )
        )
    if record.definition is not None:  # the folder may be called otherwise outside
        require_name(record.content(), path, record.run)
    with staging(root) as stage:
        inside = stage / "runs" / record.run
        inside.mkdir(parents=True)
        for name in _files_of(record, folder):
            shutil.copyfile(folder / name, inside / name)
        brought = take_in(stage, root)
    target = root / "runs" / record.run
    return Adopted(record.run, target, line_of(record, target), any(one.new for one in brought))


def line_of(record: RunRecord, folder: Path) -> str:
    """What a study says under `runs:` to name the run of this record, which lies in `folder`, as a line of YAML."""
    entry: dict[str, Any] = {}
    match record.kind:
        case "pretrained":
            entry = {"pretrained": [record.arch]}
            if (folder / ADOPTED).is_file():
                entry["weights"] = os.path.abspath(folder)
        case "untrained":
            entry = {"untrained": [record.arch], "seeds": [record.seed]}
        case "checkpoint" if not record.start:  # the table decides over its name
            entry = {"checkpoints": f"<the table that has {(record.training or {}).get('id')}>"}
        case "baseline":
            entry = {"baselines": [record.arch]}
        case _:
            entry = {"archs": [record.arch], "datasets": [record.dataset], **_images(str(record.subset))}
            entry |= {"seeds": [record.seed], "recipe": (record.recipe or {})["name"]}
            if record.subset_seed != record.seed:
                entry["subset_seed"] = record.subset_seed
            if record.training:
                entry["epochs"] = [record.training["epoch"]]
    return f"- {json.dumps(entry)}"


def _said_arch(weights: Path) -> str:
    """The architecture that a file names in its metadata."""
    said = safetensors_header(weights)[SAFETENSORS_METADATA].get("arch") if weights.suffix == SAFETENSORS else None
    if said is None:
        what, fix = "the file does not say of which architecture it is", "name it with --arch"
        raise StudyError(Problem(what=what, where=str(weights), fix=fix))
    return said


def _loaded(arch: str, weights: Path, classes: int | None) -> int:
    """Outputs of the head of the weights, which fit the architecture; 0 for no head."""
    from neuroscaling.models.checkpoints import build_with
    from neuroscaling.models.heads import classes_of
    from neuroscaling.models.state import shapes, tensors_of

    found = classes_of(arch, shapes(tensors_of(build_with(arch, weights)))) or 0
    if classes is not None and found != classes:
        fix = "give the number that the weights have, or leave --classes out"
        raise DataError(
            Problem(
                what="the head has another number of classes",
                where=str(weights),
                value=found,
                allowed=str(classes),
                fix=fix,
            )
        )
    return found


def _named(arch: str, weights: Path) -> Run:
    """The run that studies name with these weights."""
    with tempfile.TemporaryDirectory(prefix="neuroscaling-adopt-") as folder:
        (Path(folder) / f"{arch}{weights.suffix}").symlink_to(weights.absolute())
        group = {"pretrained": [arch], "weights": folder}
        (run,) = expand_runs(Study.model_validate({"study": "adopted", "runs": [group]}), {})
    return run


def _make(run: Run, folder: Path, kept: Path) -> None:
    """Make the run as a job would: weights under this package's names, and run.json."""
    from neuroscaling.training.train import train

    weights = str(kept.with_name(f"{run.arch}{SAFETENSORS}"))
    train(RunJob(replace(run, weights=weights), None, folder), TrainingOptions(device="cpu"))


def _files_of(record: RunRecord, folder: Path) -> Sequence[str]:
    """The files of a run to take in: its record and history, its weights, and what tells of their adoption."""
    if record.weights is not None:
        require_file(
            folder / record.weights, fix="a run without its weights is of no use in a store: copy them beside run.json"
        )
    names = [RUN_RECORD, HISTORY_FILE, *(file.name for file in record.weights_files if (folder / file.name).is_file())]
    if (folder / ADOPTED).is_file():
        names += [ADOPTED, Path(read_record(folder / ADOPTED, ADOPTED_FORMAT)["file"]).name]
    return names


def _images(token: str) -> dict[str, list[int | str]]:
    """How a study names training images by the token of their subset: `10`, `all`, `n5000`, `c100`, `p10`."""
    kinds = {"n": "images", "c": "classes", "p": "samples_per_class"}
    kind = kinds.get(token[0], "samples_per_class") if token != "all" else "samples_per_class"
    number = token[1:] if token[0] in kinds and token != "all" else token
    return {kind: [int(number) if number.isdigit() else number]}
