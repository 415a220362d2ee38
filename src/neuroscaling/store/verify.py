"""Whether the artefacts of a store are what was written: each is compared with its record, byte by byte.

Zarr, which takes a second, is loaded where activations are looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.files import DELETE_AND_RERUN, read_object, require_file
from neuroscaling.core.hashing import file_sha1, file_sha256
from neuroscaling.core.records import (
    DEFINITION,
    HISTORY_FILE,
    RESTORE_RUN,
    RUN_RECORD,
    read_record,
    read_run,
    require_checksum,
    require_name,
)
from neuroscaling.datasets.pack_reading import PACK_AGAIN, pack_facts, pack_files
from neuroscaling.datasets.subset_file import read_subset
from neuroscaling.simulate.record import check_simulated
from neuroscaling.stimuli.manifest import PREPARE_AGAIN, image_files
from neuroscaling.store.contents import Artefact, Contents
from neuroscaling.study.published_tables import PUBLISHED_FILES
from neuroscaling.study.recording_folders import v4_sha256


@dataclass(frozen=True)
class Checked:
    """What is known of an artefact after a look at all of its bytes; known: is there anything to compare it with?"""

    artefact: Artefact
    known: bool
    problems: tuple[Problem, ...] = ()


def verify_artefacts(found: Contents, artefacts: Sequence[Artefact], jobs: int = 1) -> Iterator[Checked]:
    """Compare artefacts with their records, `jobs` at once; each as soon as it is done."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(check_artefact, found, artefact) for artefact in artefacts]
        for done in as_completed(waiting):
            yield done.result()


def check_artefact(found: Contents, artefact: Artefact) -> Checked:
    """Compare one artefact with its record. Of what has no record nothing is known."""
    compare = CHECKS.get(artefact.stage)
    if compare is None:
        return Checked(artefact, False)
    try:
        known = compare(found, artefact)
    except NeuroscalingError as error:
        return Checked(artefact, True, tuple(error.problems))
    except OSError as error:
        return Checked(artefact, True, (Problem(what=f"can't be read: {error.strerror}", where=artefact.name),))
    return Checked(artefact, known is not False)


def _subset(found: Contents, artefact: Artefact) -> None:
    read_subset(_record(artefact))


def _pack(found: Contents, artefact: Artefact) -> None:
    record = _record(artefact)
    files = pack_files(pack_facts(record.parent, record.stem))
    _compare({record.with_name(file["file"]): file["sha256"] for file in files}, PACK_AGAIN)


def _run(found: Contents, artefact: Artefact) -> None:
    """run.json and the history; weights may have been deleted, and are an artefact of their own."""
    record = read_run(_record(artefact))
    _compare({_record(artefact).with_name(HISTORY_FILE): str(record.history_sha256)}, RESTORE_RUN)
    verify_adopted(found.root / artefact.name)


def _weights(found: Contents, artefact: Artefact) -> None:
    """Those that are there: some of them may have been deleted, but what is there must be of the run."""
    folder = found.root / artefact.name
    stated = {file.name: file.sha256 for file in read_run(folder / RUN_RECORD).weights_files}
    if strange := [part for part in artefact.parts if part.name not in stated]:
        fix = "remove it, or restore the run.json that tells of it"
        raise DataError(
            [Problem(what="weights that run.json does not tell of", where=str(file), fix=fix) for file in strange]
        )
    _compare({part: stated[part.name] for part in artefact.parts}, RESTORE_RUN)


def _simulated(found: Contents, artefact: Artefact) -> None:
    check_simulated(found.root / artefact.name)


def _stimuli(found: Contents, artefact: Artefact) -> None:
    files = image_files(found.root / artefact.name).values()
    _compare({file.path: str(file.sha1) for file in files}, PREPARE_AGAIN, file_sha1)


def _activations(found: Contents, artefact: Artefact) -> None:
    from neuroscaling.activations.zarr_reading import open_store

    stored = open_store(_record(artefact))
    _of_run(stored.manifest.record, artefact)
    stored.verify()


def _of_a_run(found: Contents, artefact: Artefact) -> None:
    """A score file or a choice of layers, and the files beside it that it states."""
    record, path = _sealed(artefact, _record(artefact).parent.name), _record(artefact)
    _of_run(record, artefact)
    _beside(record, path)


def _ceiling(found: Contents, artefact: Artefact) -> None:
    _beside(_sealed(artefact, _record(artefact).stem), _record(artefact))


def _recording(found: Contents, artefact: Artefact) -> None:
    path = _record(artefact)
    stated = _sealed(artefact, path.parents[1].name)["sha256"]
    _compare({path.with_name(name): sha256 for name, sha256 in stated.items()}, DELETE_AND_RERUN)


def _data(found: Contents, artefact: Artefact) -> bool:
    """Downloads, where their checksum is known: in the names of Brain-Score's folders, or in this package."""
    path, again = found.root / artefact.name, "delete it and run again"
    kind, name = artefact.name.split("/")[1:3]
    if kind == "brainscore" and path.is_dir():
        files = [file for file in path.iterdir() if file.is_file()]
        if not any(file_sha1(file) == name for file in files):
            what = "no file here has the sha1 that the folder is named after"
            raise DataError(
                Problem(
                    what=what, where=str(path), value=", ".join(file.name for file in files) or "nothing", fix=again
                )
            )
        return True
    if kind == "published" and name in PUBLISHED_FILES:
        _compare({path: PUBLISHED_FILES[name].sha256}, again)
        return True
    if kind == "v4":
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        known = {file: v4_sha256().get(file.relative_to(found.root / "data/v4").as_posix()) for file in files}
        _compare({file: sha256 for file, sha256 in known.items() if sha256}, again)
        return any(known.values())
    return False


CHECKS: dict[str, Callable[[Contents, Artefact], bool | None]] = {
    "subsets": _subset,
    "packs": _pack,
    "runs": _run,
    "weights": _weights,
    "simulated": _simulated,
    "stimuli": _stimuli,
    "activations": _activations,
    "commitments": _of_a_run,
    "ceilings": _ceiling,
    "scores": _of_a_run,
    "recordings": _recording,
    "data": _data,
}
"""What compares an artefact of a stage with its record; False: there is nothing to compare it with."""


def _record(artefact: Artefact) -> Path:
    assert artefact.record is not None
    return artefact.record


def _sealed(artefact: Artefact, name: str) -> dict[str, Any]:
    """The record of an artefact, whose checksum holds, and which determines the key that `name` ends in."""
    path = _record(artefact)
    record = read_object(path)
    require_checksum(record, path)
    if record.get(DEFINITION) is not None:
        require_name(record, path, name)
    return record


def _of_run(record: dict[str, Any], artefact: Artefact) -> None:
    """Raise DataError for what was copied from another run: all runs on a benchmark share its key."""
    if record.get("run") not in (None, artefact.run):
        what = "the file of another run stands under this name"
        raise DataError(
            Problem(
                what=what,
                where=str(artefact.record),
                value=record["run"],
                allowed=str(artefact.run),
                fix=DELETE_AND_RERUN,
            )
        )


def _beside(record: dict[str, Any], path: Path) -> None:
    stated = record.get("files", {})
    _compare(
        {path.with_name(f"{path.name.removesuffix('.json')}.{kind}"): sha for kind, sha in stated.items()},
        DELETE_AND_RERUN,
    )


def _compare(stated: dict[Path, str], again: str, digest: Callable[[Path], str] = file_sha256) -> None:
    """Raise DataError, naming both, for each file that has not the checksum that is stated of it."""
    problems = []
    for path, checksum in stated.items():
        found = digest(path) if path.is_file() else None
        if found is None:
            problems.append(Problem(what="the file is missing", where=str(path), fix=again))
        elif found != checksum:
            what = "the file was altered: it has not the checksum that its record states"
            problems.append(Problem(what=what, where=str(path), value=found, allowed=checksum, fix=again))
    if problems:
        raise DataError(problems)


ADOPTED, ADOPTED_FORMAT = "adopted.json", "adopted/1"


def verify_adopted(folder: Path) -> None:
    """Raise DataError where the weights that were taken in are not those that the record beside them tells of."""
    path = folder / ADOPTED
    if not path.is_file():
        return
    record = read_record(path, ADOPTED_FORMAT)
    file = folder / record["file"]
    fix = "put the file there again"
    require_file(file, fix)
    if (found := file_sha256(file)) != record["sha256"]:
        raise DataError(
            Problem(
                what="these are not the weights that were taken in",
                where=str(file),
                value=found,
                allowed=record["sha256"],
                fix=fix,
            )
        )
