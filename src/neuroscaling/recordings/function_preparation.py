"""A `Recording` that a function of one's own returns is looked through, and written as prepared recordings."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuroscaling.core.dotted_paths import find_path
from neuroscaling.core.errors import DataError, NeuroscalingError, Problem, listing, nearest
from neuroscaling.core.leases import Lease
from neuroscaling.recordings.prepared import (
    MANIFEST,
    TRAINING,
    About,
    SplitRows,
    TargetColumns,
    make_once,
    write_recording,
)
from neuroscaling.recordings.recording import Recording, Split
from neuroscaling.regression.scores import varies
from neuroscaling.study.own_arrays import NAME, NAME_IN_WORDS, read_own_stimuli
from neuroscaling.study.own_functions import FORM, HELP, load_function
from neuroscaling.study.preparation_jobs import FunctionJob

log = logging.getLogger(__name__)
SIDES = ("lh", "rh", "both")
SHOWN = 5


def prepare_function_subject(job: FunctionJob) -> Path:
    """Call the function for a subject and write what it returns to the job's folder; returns its manifest.

    Targets that don't vary are kept in the files and left out by the reader. Raises StudyError where the function can't
    be imported or called, DataError with everything that is wrong with what it returns.
    """
    manifest, what = job.folder / MANIFEST, f"recordings of {job.subject}"
    return make_once(manifest, what, job.definition, lambda lease: _prepare(job, lease))


def _prepare(job: FunctionJob, lease: Lease) -> None:
    recording, where = _called(job)
    if problems := list(recording_problems(recording, job.subject, read_own_stimuli(job.images).ids, where)):
        raise DataError(problems)
    settings = {"function": job.function, "options": job.options, "left_out": _plain(recording.masked)}
    about = About(job.definition, job.dataset, job.subject, recording.simulated, settings)
    splits = {TRAINING: recording.training, **recording.tests}
    rows = {
        name: SplitRows(list(split.stimulus_ids), np.asarray(split.repeats).tolist()) for name, split in splits.items()
    }

    def fill(written: Mapping[str, np.memmap]) -> TargetColumns:
        usable = _copied(splits, written, job.memory_mb, where)
        if left_out := int((~usable).sum()):
            log.warning("%d targets that answer equally to every image are left out", left_out)
        return _targets(recording, usable)

    write_recording(job.folder, about, rows, recording.n_targets, fill, lease)


def _called(job: FunctionJob) -> tuple[Recording, str]:
    """What the function returns, and the file that it stands in. Raises StudyError where it can't be called, DataError
    where it fails or gives something else."""
    function, where = load_function(job.function), str(find_path(job.function, "function", FORM).file)
    try:
        returned = function(dict(job.options), job.subject)
    except NeuroscalingError:
        raise  # it says by itself what is wrong
    except Exception as error:  # whatever the function raises
        what = f"the function fails for {job.subject}: {type(error).__name__}: {error}"
        raise DataError(Problem(what=what, where=where, value=job.function, fix=HELP)) from error
    if not isinstance(returned, Recording):
        what, allowed = (
            f"the function gives `{type(returned).__name__}`",
            "a neuroscaling.recordings.recording.Recording",
        )
        raise DataError(Problem(what=what, where=where, value=job.function, allowed=allowed, fix=HELP))
    return returned, where


def recording_problems(recording: Recording, subject: str, stimuli: Sequence[str], where: str) -> Iterator[Problem]:
    """Everything that is wrong with a recording, its responses aside. stimuli: ids of the images that there are; where:
    the file of the function."""
    if recording.name != subject:
        yield Problem(what="the recording has another name", where=where, value=recording.name, allowed=subject)
    if not recording.n_targets:
        yield Problem(what="a recording without targets", where=where, value=subject)
    for name, split in ((TRAINING, recording.training), *recording.tests.items()):
        place = f"{where}: {subject}, {name}"
        if not NAME.fullmatch(name) or (split is not recording.training and name == TRAINING):
            what = "not a name of a test set"
            yield Problem(what=what, where=place, value=name, allowed=f"{NAME_IN_WORDS}, and not `{TRAINING}`")
        yield from _split_problems(split, recording.n_targets, stimuli, place)
    seen = set(recording.training.stimulus_ids)
    for name, split in recording.tests.items():
        if shared := [one for one in dict.fromkeys(split.stimulus_ids) if one in seen]:
            what, value = f"{len(shared)} images of the training split are test images too", listing(shared, SHOWN)
            yield Problem(
                what=what, where=f"{where}: {subject}, {name}", value=value, fix="leave them out of one split"
            )
    yield from _target_problems(recording, f"{where}: {subject}")


def _split_problems(split: Split, n_targets: int, stimuli: Sequence[str], where: str) -> Iterator[Problem]:
    n, known = len(split.stimulus_ids), set(stimuli)
    if not n:
        yield Problem(what="a split without rows", where=where)
    if unknown := [one for one in dict.fromkeys(split.stimulus_ids) if one not in known]:
        near = nearest(unknown[0], stimuli)
        what, fix = f"{len(unknown)} images are not among those of `images:`", "give rows the ids of their images"
        yield Problem(what=what, where=where, value=listing(unknown, SHOWN), nearest=near, fix=fix)
    if split.responses is None:
        yield Problem(what="no responses", where=where, allowed="responses of every split")
    elif split.responses.shape != (n, n_targets):
        allowed = f"{(n, n_targets)}: rows, targets"
        yield Problem(what="responses of another shape", where=where, value=split.responses.shape, allowed=allowed)
    repeats = None if split.repeats is None else np.asarray(split.repeats)
    if repeats is None or repeats.shape != (n,) or repeats.dtype.kind not in "iu" or (repeats < 1).any():
        allowed = f"{n} whole numbers from 1: repetitions that were averaged into each row"
        found = "none" if repeats is None else f"{repeats.dtype} {repeats.shape}"
        yield Problem(what="`repeats` are missing, or no such numbers", where=where, value=found, allowed=allowed)
    if split.ceiling is not None:
        yield from _number_problems("ceiling", split.ceiling, n_targets, 1.0, where)


def _target_problems(recording: Recording, where: str) -> Iterator[Problem]:
    n = recording.n_targets
    sides = sorted({str(side) for side in np.asarray(recording.hemisphere).ravel().tolist()} - set(SIDES))
    if np.shape(recording.hemisphere) != (n,) or sides:
        value = listing(sides, SHOWN) or np.shape(recording.hemisphere)
        what, allowed = "`hemisphere` is not one word a target", f"{n} of {', '.join(SIDES)}"
        yield Problem(what=what, where=where, value=value, allowed=allowed)
    if np.asarray(recording.vertex).dtype.kind not in "iu" or np.ndim(recording.vertex) != 1:
        what, allowed = "`vertex` is not one number a target", "whole numbers, such as numpy.arange(n)"
        yield Problem(what=what, where=where, value=np.asarray(recording.vertex).dtype, allowed=allowed)
    if not recording.regions:
        yield Problem(what="no region", where=where, allowed='regions={"V4": <boolean array of the targets>}')
    for name, mask in recording.regions.items():
        if np.shape(mask) != (n,) or np.asarray(mask).dtype != bool:
            value = f"{np.asarray(mask).dtype} {np.shape(mask)}"
            what, allowed = f"region `{name}` is no mask of the targets", f"bool {(n,)}"
            yield Problem(what=what, where=where, value=value, allowed=allowed)
    if recording.ncsnr is not None:
        yield from _number_problems("ncsnr", recording.ncsnr, n, np.inf, where)
    if recording.fsaverage is not None and np.shape(recording.fsaverage) != (n,):
        value = np.shape(recording.fsaverage)
        yield Problem(what="`fsaverage` is not one number a target", where=where, value=value, allowed=str((n,)))


def _number_problems(name: str, values: np.ndarray, n: int, highest: float, where: str) -> Iterator[Problem]:
    """Of an array that has a number from 0 to `highest` for each target."""
    values = np.asarray(values)
    allowed = f"{n} numbers from 0" + (f" to {highest:g}" if np.isfinite(highest) else ", all finite")
    if values.shape != (n,) or values.dtype.kind not in "fiu":
        what = f"`{name}` is not one number a target"
        yield Problem(what=what, where=where, value=f"{values.dtype} {values.shape}", allowed=allowed)
        return
    wrong = ~(np.isfinite(values) & (values >= 0) & (values <= highest))
    if wrong.any():
        what, value = f"{int(wrong.sum())} values of `{name}` are out of range", listing(values[wrong].tolist(), SHOWN)
        yield Problem(what=what, where=where, value=value, allowed=allowed, fix="leave these targets out")


def _plain(masked: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Columns that the function left out, by part, as JSON."""
    return {str(part): [int(column) for column in columns] for part, columns in masked.items()}


def _copied(splits: Mapping[str, Split], written: Mapping[str, np.memmap], memory_mb: float, where: str) -> np.ndarray:
    """Write the responses of all splits in blocks of targets; returns which targets vary (V,). Raises DataError for
    responses that are no number."""
    n_rows = sum(len(split.stimulus_ids) for split in splits.values())
    n_targets = next(iter(written.values())).shape[1]
    block = max(1, int(memory_mb * 1e6 / (8 * max(n_rows, 1))))
    usable = np.zeros(n_targets, bool)
    for start in range(0, n_targets, block):
        stop = min(start + block, n_targets)
        parts = {name: split.known_responses.read(start, stop) for name, split in splits.items()}
        for name, values in parts.items():
            if not np.isfinite(values).all():
                raise DataError(_not_finite(name, values, splits[name], start, where))
            written[name][:, start:stop] = values
        usable[start:stop] = varies(np.concatenate(list(parts.values())))
    return usable


def _not_finite(name: str, values: np.ndarray, split: Split, start: int, where: str) -> Problem:
    row, column = (int(place) for place in np.argwhere(~np.isfinite(values))[0])
    n, found = int((~np.isfinite(values)).sum()), f"{values[row, column]}"
    value = f"{found} of target {start + column} to {split.stimulus_ids[row]}"
    what, fix = f"{n} responses are no numbers", "leave out such targets, or such images"
    return Problem(what=what, where=f"{where}: {name}", value=value, fix=fix)


def _targets(recording: Recording, usable: np.ndarray) -> TargetColumns:
    return TargetColumns(
        hemisphere=np.asarray(recording.hemisphere),
        vertex=np.asarray(recording.vertex),
        usable=usable,
        regions=recording.regions,
        ceilings={name: split.ceiling for name, split in recording.tests.items() if split.ceiling is not None},
        ncsnr=recording.ncsnr,
        fsaverage=recording.fsaverage,
    )
