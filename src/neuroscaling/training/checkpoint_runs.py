"""A checkpoint becomes a run: its file is fetched, checked, read and written as weights.

Others trained it, or a run of the study, which keeps its file. A downloaded file lies in the run's `state/`, and goes
when the run is made, or the file refused: what is kept is the network's weights.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import nn

from neuroscaling.core.downloads import download, few_at_once
from neuroscaling.core.errors import DataError, FullDiskError, Problem
from neuroscaling.core.files import require_file
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.progress import progress_of_run
from neuroscaling.core.records import HISTORY_FILE, RUN_RECORD, KeptWeights, read_run
from neuroscaling.core.table_files import read_parquet
from neuroscaling.models.checkpoint_files import read_checkpoint
from neuroscaling.models.checkpoints import network_with
from neuroscaling.study.checkpoint_tables import Checkpoint, kept_weights
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.training.run_folder import FinishedRun, RunFailed, require_sound

log = logging.getLogger(__name__)
DOWNLOADED = "downloaded"
"""The file in the run's state folder, before its suffix."""
PAGES = (b"<!doctype", b"<html", b"<?xml")
"""What a page in a browser begins with, in small letters."""


def known_checkpoint(job: RunJob) -> Checkpoint:
    """The checkpoint of a job with all that is known of it.

    Of weights that another run of the study kept, its record and its history tell what they say of that epoch. Raises
    RunFailed where that run failed.
    """
    one = job.run.checkpoint
    if one is None:
        raise DataError(Problem(what="a run without a checkpoint", where=job.run.run))
    if job.run.kept_epoch is None or job.base is None:
        return one
    require_sound(job.base, job.run)
    kept = (found for found in kept_weights(job.base / RUN_RECORD) if found.epoch == one.epoch)
    found = next(kept, None)
    if found is None:
        what, fix = "the training kept no weights of this epoch", "delete its folder, and the next start trains it anew"
        raise DataError(Problem(what=what, where=str(job.base), value=one.epoch, fix=fix))
    history = read_parquet(job.base / HISTORY_FILE, ["epoch", "val_accuracy"]).to_pylist()
    accuracy = {row["epoch"]: row["val_accuracy"] for row in history}
    return replace(found, acc=accuracy.get(one.epoch))


def checkpoint_network(run: Run, one: Checkpoint, out: Path) -> tuple[nn.Module, dict[str, str]]:
    """The network of a checkpoint, and the checksum of its file by its name.

    one: what is known of it (`known_checkpoint`). The file is that of the sha256 that the run is named after; or, where
    it is named after a URL, that which the run's record states since it was first fetched; or that which the training
    of the study wrote. Raises RunFailed: where the file can't be had, which may be mended; and, for good, where it is
    refused: another file, one that can't be read, weights of another architecture, or another epoch than its table
    says. Raises FullDiskError where the file has no room.
    """
    with _failing(lasting=False):
        file = _fetched(one, out) if one.is_url else Path(one.place)
        require_file(file, "copy it there; its table says where it lies")
    try:
        with _failing(lasting=True):
            return _read(run, one, file, out)
    except RunFailed:
        if one.is_url:  # else another start would look at it, and not at what the URL gives then
            shutil.rmtree(file.parent)
        raise


@contextmanager
def _failing(lasting: bool) -> Iterator[None]:
    """Within it an error of data is a failure of the run's own; a full disk is the machine's."""
    try:
        yield
    except FullDiskError:
        raise
    except DataError as error:
        raise RunFailed(error.problems, lasting) from error


def _read(run: Run, one: Checkpoint, file: Path, out: Path) -> tuple[nn.Module, dict[str, str]]:
    """The network in `file`, and the file's checksum by its name. Raises DataError for a file that is refused."""
    name = one.place if one.is_url else file.name if run.kept_epoch is None else f"runs/{run.start}/{file.name}"
    found = file_sha256(file)
    _require_same(run, one, name, found, out)
    read = read_checkpoint(file, one.ema)
    # Others count the epochs from 0, or write the one that they are in.
    if read.layout == "Composer" and None not in (read.epoch, one.epoch) and read.epoch != one.epoch:
        what = "the file was written after another epoch than the table says"
        raise DataError(Problem(what=what, where=name, value=read.epoch, allowed=str(one.epoch), fix="mend the table"))
    average = ", averaged weights" if read.averaged else ""
    log.info("%s: %s of %s%s, epoch %s", name, read.form, read.layout, average, read.epoch)
    return network_with(run.arch, read.tensors, read.metadata, file), {name: f"sha256:{found}"}


def finished_checkpoint(one: Checkpoint, n_classes: int, kept: KeptWeights, base: Path | None) -> FinishedRun:
    """What run.json records of a checkpoint: what its table says of the training, and null for the rest.

    base: the run of the study that kept it, which says what a table does not.
    """
    finished = FinishedRun(
        n_classes=n_classes,
        n_samples=one.n_samples,
        n_epochs=one.n_epochs,
        n_samples_seen=one.n_samples_seen,
        n_samples_nominal=one.n_samples_seen,
        total_flops=None if one.total_flops is None else round(one.total_flops),
        acc=one.acc,
        weights=kept,
    )
    if base is None:
        return finished
    record = read_run(base / RUN_RECORD)
    return replace(
        finished,
        n_samples_nominal=None if None in (one.n_samples, one.epoch) else (one.n_samples or 0) * (one.epoch or 0),
        image_passes=record.image_passes or 1.0,
        acc_kind=record.acc_kind or finished.acc_kind,
    )


def _fetched(one: Checkpoint, out: Path) -> Path:
    target = out / "state" / f"{DOWNLOADED}{Path(one.place).suffix}"
    if target.is_file():
        return target
    with few_at_once(out.parent.parent / "data" / "checkpoints"):
        log.info("download %s", one.place)
        download(one.place, target, record=progress_of_run(out))
    _refuse_page(target, one.place)
    return target


def _refuse_page(file: Path, url: str) -> None:
    """Raise DataError for a page in place of the file, as networks with a login and servers that are ill answer.

    The file is deleted: it says nothing of the one that is meant.
    """
    with open(file, "rb") as opened:
        start = opened.read(100).lstrip()
    if start.lower().startswith(PAGES):
        file.unlink()
        what, fix = "the server gives a page in place of a file", "open the URL in a browser, and look what it says"
        raise DataError(Problem(what=what, where=url, value=start[:40].decode(errors="replace"), fix=fix))


def _require_same(run: Run, one: Checkpoint, name: str, found: str, out: Path) -> None:
    """Raise DataError, naming both checksums, for another file than the one that is known."""
    named = run.definition["weights"].get("sha256")
    expected, whose = (named, "its table says") if named else (_recorded(name, out), "was first fetched")
    if run.kept_epoch is not None:
        expected, whose = one.sha256, "its training wrote"
    if expected is None or expected == found:
        return
    what = f"the file is not the one that {whose}"
    fix = f"get that file again; or trust this one: give its sha256 in the table, or delete {out}"
    raise DataError(Problem(what=what, where=name, value=f"sha256 {found}", allowed=f"sha256 {expected}", fix=fix))


def _recorded(name: str, out: Path) -> str | None:
    """The sha256 of the file of this name that the run was made from; None where it was not made before."""
    record = out / RUN_RECORD
    return read_run(record).made_from.get(name, "").removeprefix("sha256:") or None if record.is_file() else None
