"""One run of the run table is made, whatever its kind: trained, untrained, pretrained or a baseline."""

import gc
import logging
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.leases import Held, Lease, held, sweep_within
from neuroscaling.core.machine import keep_freed_memory
from neuroscaling.core.progress import STATE_FOLDER
from neuroscaling.core.records import DEFINITION, RUN_RECORD, read_run
from neuroscaling.datasets.index import load_index
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_pretrained
from neuroscaling.models.heads import classes_of
from neuroscaling.models.state import shapes, tensors_of
from neuroscaling.study.architectures import architecture
from neuroscaling.study.code_fingerprints import version_of
from neuroscaling.study.packaged_weights import packaged_weights
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.checkpoint_runs import checkpoint_network, finished_checkpoint, known_checkpoint
from neuroscaling.training.checkpoints import Checkpoints, heeding_signals, load_state, write_weights
from neuroscaling.training.distributed import any_of, rank, together, world
from neuroscaling.training.evaluation import accuracy_kind, evaluate
from neuroscaling.training.feeding.training_feed import training_pack
from neuroscaling.training.feeding.validation import open_validation
from neuroscaling.training.image_views import image_passes
from neuroscaling.training.live import LiveTraining, live_training
from neuroscaling.training.loop import Training, fit, restore
from neuroscaling.training.run_folder import (
    EpochRow,
    FinishedRun,
    RunFailed,
    RunOutcome,
    is_complete,
    run_counts,
    write_failed_run,
    write_run,
)
from neuroscaling.training.setup import chosen_device, prepare_training, single_images_told, subset_of
from neuroscaling.training.torch_runtime import reproducible

log = logging.getLogger(__name__)
KINDS = ("trained", "untrained", "pretrained", "checkpoint", "baseline")
# Untrained networks that belong to no data set get the head that parameters are counted with.
CLASSES_WITHOUT_DATASET = 1000
# Seconds after which processes that wait for process 0 hear from it; longer than a dead holder is believed.
PATIENCE = 600.0
DEFAULT_OPTIONS = TrainingOptions()
DEFINING = ("run", "arch", "fingerprint", "samples_per_class", "subset", "subset_seed", "seed", "recipe", "start")


def train(job: RunJob, options: TrainingOptions = DEFAULT_OPTIONS, wait: bool = True) -> str | None:
    """Make the run of `job` in its folder: weights, history and run.json; one that is there is left as it is.

    States for resuming are written to `state/` in the folder; a killed run goes on from there and ends with the same
    weights (on the CPU: to the last bit). A run whose weights were deleted is made again. One that fails for a reason
    of its own gets a run.json with this reason where it would fail again, such as a loss that is no longer finite or a
    checkpoint that is refused, and a failed.json where it may be mended, such as damaged images or a URL that gives no
    file; the reason is returned. A run that was finished before and can't be made again, such as a checkpoint whose
    link died, keeps its run.json, and failed.json stands beside it. Another process that makes the run is waited for;
    without `wait`, Held is raised. Raises DataError for missing or unfit data, and for an altered run.json.
    """
    run, out = job.run, job.out
    if run.kind not in KINDS:
        raise DataError(
            Problem(
                what="unknown kind",
                where=run.run,
                value=run.kind,
                allowed=", ".join(KINDS),
                nearest=nearest(run.kind, KINDS),
            )
        )
    if not _is_left(run, out):
        return None
    if options.threads:
        torch.set_num_threads(options.threads)
    device = chosen_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    with _leased(run, out, wait) as lease:
        if not _is_left(run, out):  # another process may have made it in the meantime
            return None
        problem = None
        if run.kind == "trained":
            problem = _trained(job, device, options, lease)
        elif rank() == 0 and run.checkpoint is not None:
            problem = _from_checkpoint(job, device)
        elif rank() == 0:
            _not_trained(run, out, device, options)
        if rank() == 0 and problem is None:  # the last sound state of a run that failed tells what went wrong
            shutil.rmtree(out / STATE_FOLDER, ignore_errors=True)
        together()
    return problem


def _is_left(run: Run, out: Path) -> bool:
    """Is there anything to do?"""
    (left,) = any_of(rank() == 0 and not is_complete(out))
    if not left:
        log.info("%s is complete", run.run)
    return left


@contextmanager
def _leased(run: Run, out: Path, wait: bool) -> Iterator[Lease | None]:
    """The lease of the run, which process 0 holds for all that train it together; None for the others."""
    patience = PATIENCE if world() > 1 else math.inf
    with ExitStack() as stack:
        while True:
            lease, busy = None, None
            if rank() == 0:
                try:
                    lease = stack.enter_context(held(out, f"run {run.run}", wait, patience))
                    sweep_within(out)
                except Held as error:
                    busy = error
            (is_held,) = any_of(busy is not None)
            if not is_held:
                break
            if not wait:
                raise busy or Held(Problem(what="the run is being made by another process", where=run.run))
        yield lease


def _trained(job: RunJob, device: torch.device, options: TrainingOptions, lease: Lease | None) -> str | None:
    """Train the run of `job`; the reason why it failed, or None."""
    run, started = job.run, time.monotonic()
    training: Training | None = None
    made_from: dict[str, str] = {}
    gc.collect()  # a compiled network refers to itself, and would stay in a GPU's memory beside that of the next run
    try:
        with reproducible(device), live_training(job, device, options, lease) as live:
            training = prepare_training(job, device, options)
            made_from = _made_from(job)
            with single_images_told(run.run, training.recipe, run.arch):
                _run(job, training, options, made_from, lease, live)
    except RunFailed as failure:
        log.error("%s", failure)
        seconds = training.seconds if training else time.monotonic() - started
        history = training.progress.history if training else []
        if lease is not None:
            lease.check()
            made: dict[str, Any] = {"device": device.type, "seconds": round(seconds, 3)}
            write_failed_run(RunOutcome(run, job.out, history, made_from, made), failure)
        return str(failure)
    except torch.OutOfMemoryError as error:
        raise _too_large(run, device) from error
    finally:
        if training is not None:
            training.feed.close()
    return None


def _too_large(run: Run, device: torch.device) -> DataError:
    """The error of a network whose images do not fit a GPU."""
    images = f"{run.training_recipe.images_at_once(run.arch)} images of {run.arch} at once"
    fix = "a GPU with more memory, more GPUs, or in the recipe `micro_batches:` with a smaller number for it"
    return DataError(Problem(what=f"the memory of {device} does not suffice", where=run.run, value=images, fix=fix))


def _made_from(job: RunJob) -> dict[str, str]:
    """Checksums of the files that a trained run is made from, by their names in the store."""
    subset, base = subset_of(job), job.base if job.run.start else None
    made_from = {f"subsets/{subset.parent.name}/{subset.name}": f"sha256:{file_sha256(subset)}"}
    if base is not None:
        record = read_run(base / RUN_RECORD)
        made_from[f"runs/{base.name}/{record.weights}"] = f"sha256:{record.weights_sha256}"
    return made_from


def _run(
    job: RunJob,
    training: Training,
    options: TrainingOptions,
    made_from: dict[str, str],
    lease: Lease | None,
    live: LiveTraining,
) -> None:
    """Train from the last state, if there is one, to the end, and write what the run leaves."""
    run, states = job.run, job.out / STATE_FOLDER
    definition = content_hash({"version": version_of("training"), **run.content((DEFINITION, *DEFINING))}, digits=32)
    state = load_state(states, definition)
    if state is not None:
        restore(training, state)
        log.info("%s resumes at step %d", run.run, training.progress.step)
    seconds, steps = options.checkpoint_seconds, options.checkpoint_steps
    checkpoints = Checkpoints(training, states, definition, seconds, steps, lease)
    live.begins(training)
    with heeding_signals(checkpoints):
        fit(training, checkpoints.after_step, checkpoints.after_epoch)
    training.feed.settle()
    if lease is not None:
        lease.check()
        history = training.progress.history
        made: dict[str, Any] = {
            "device": training.device.type,
            "seconds": round(training.seconds, 3),
            "processes": world(),
            "pack": _pack_name(run, training, options),
        }
        write_run(RunOutcome(run, job.out, history, made_from, made), _finished(run, training))
        log.info("%s: validation accuracy %.3f", run.run, history[-1].val_accuracy)


def _pack_name(run: Run, training: Training, options: TrainingOptions) -> str | None:
    """Form and size of the packed data set that was read, if one was."""
    pack = training_pack(run, architecture(run.arch).input_size, training.recipe, options)
    return pack.name if pack else None


def _finished(run: Run, training: Training) -> FinishedRun:
    """What run.json records of a trained run; `total_flops = 3 flops n_samples_seen image_passes`."""
    recipe, progress = training.recipe, training.progress
    passes = image_passes(recipe, architecture(run.arch).input_size)
    return FinishedRun(
        n_classes=training.n_classes,
        n_samples=training.plan.n_images,
        n_epochs=recipe.epochs,
        n_samples_seen=progress.images_seen,
        n_samples_nominal=training.plan.n_images * recipe.epochs,
        total_flops=round(3 * run_counts(run)["flops"] * progress.images_seen * passes),
        image_passes=passes,
        acc_kind=accuracy_kind(recipe),
        weights=progress.checkpoints[-1],
        checkpoints=tuple(progress.checkpoints),
        corrupt=tuple(training.corrupt),
    )


def _not_trained(run: Run, out: Path, device: torch.device, options: TrainingOptions) -> None:
    """A network that isn't trained here, evaluated where it has a data set, or a baseline, which has no weights."""
    started = time.monotonic()
    outside = Path(run.weights) if run.weights else None
    model: nn.Module | None = None
    history: list[EpochRow] = []
    n_classes = CLASSES_WITHOUT_DATASET
    if run.kind == "untrained":
        n_classes = _n_classes(run, options) if run.dataset else CLASSES_WITHOUT_DATASET
        model = build(run.arch, n_classes, run.seed).to(device)
        history = [_before_training(run, model, device, options)] if run.dataset else []
    elif run.kind == "pretrained":
        model = build_pretrained(run.arch, outside, run.definition.get("weights"))
        n_classes = _published_classes(run.arch, model)
    finished = _not_trained_here(run, model, n_classes, out)
    made = _made_in(started, device)
    write_run(RunOutcome(run, out, history, _weights_made_from(run, outside), made), finished)


def _from_checkpoint(job: RunJob, device: torch.device) -> str | None:
    """A checkpoint is fetched and read, and written as weights; the reason why it failed, or None.

    Its weights stand under the epoch that its table says; 0 where it says none.
    """
    started, run, out = time.monotonic(), job.run, job.out
    try:
        checkpoint = known_checkpoint(job)
        model, made_from = checkpoint_network(run, checkpoint, out)
    except RunFailed as failure:
        log.error("%s", failure)
        write_failed_run(RunOutcome(run, out, [], {}, _made_in(started, device)), failure)
        return str(failure)
    n_classes = _published_classes(run.arch, model)
    kept = write_weights(run, model, out, checkpoint.epoch or 0, n_classes)
    outcome = RunOutcome(replace(run, checkpoint=checkpoint), out, [], made_from, _made_in(started, device))
    base = None if run.kept_epoch is None else job.base
    write_run(outcome, finished_checkpoint(checkpoint, n_classes, kept, base))
    return None


def _made_in(started: float, device: torch.device) -> dict[str, Any]:
    """What is recorded of a making that began at `started`, in seconds of the monotonic clock."""
    return {"device": device.type, "seconds": round(time.monotonic() - started, 3)}


def _weights_made_from(run: Run, outside: Path | None) -> dict[str, str]:
    """Checksum of the file that published weights were read from, by its name; nothing for those of a hub."""
    if outside is not None:
        return {outside.name: f"sha256:{file_sha256(outside)}"} if outside.is_file() else {}
    held = packaged_weights(run.arch) if run.kind == "pretrained" else None
    return {Path(held.file).name: f"sha256:{held.sha256}"} if held else {}


def _not_trained_here(run: Run, model: nn.Module | None, n_classes: int, out: Path) -> FinishedRun:
    """What run.json records of a network that isn't trained here; nobody knows what a pretrained one has seen."""
    seen = None if run.kind == "pretrained" else 0
    kept = write_weights(run, model, out, 0, n_classes) if model is not None else None
    return FinishedRun(None if model is None else n_classes, seen, seen, seen, seen, seen, weights=kept)


def _published_classes(arch: str, model: torch.nn.Module) -> int:
    """Outputs of the head that published weights have; 0 for none."""
    n_classes = classes_of(arch, shapes(tensors_of(model)))
    if n_classes is None:
        raise DataError(Problem(what="no number of classes fits the head of these weights", where=arch))
    return n_classes


def _n_classes(run: Run, options: TrainingOptions) -> int:
    """Classes of the run's data set."""
    cache, images = Path(options.cache_dir) if options.cache_dir else None, run.images
    found = load_index(images.dataset, images.settings, "validation", images.fingerprint, cache)
    return len(found.class_names)


def _before_training(run: Run, model: nn.Module, device: torch.device, options: TrainingOptions) -> EpochRow:
    """The row of a network that is not trained."""
    validation = open_validation(run, architecture(run.arch).input_size, None, device, options)
    loss, accuracy = evaluate(model, validation, "fp32", device)
    return EpochRow(0, 0, 0, val_loss=loss, val_accuracy=accuracy)
