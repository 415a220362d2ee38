"""One run of the run table, whatever its kind: trained, untrained, pretrained or a baseline."""

import gc
import logging
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from neuroscaling.datasets.index import load_index
from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.hashing import content_hash
from neuroscaling.models.build import build
from neuroscaling.models.heads import classes_of
from neuroscaling.models.names import architecture
from neuroscaling.models.pretrained import build_pretrained
from neuroscaling.models.state import shapes, tensors_of
from neuroscaling.training.allocation import keep_freed_memory
from neuroscaling.training.checkpoints import Checkpoints, heeding_signals
from neuroscaling.training.distributed import any_of, rank, together
from neuroscaling.training.evaluate import accuracy_kind, evaluate
from neuroscaling.training.failures import RunFailed
from neuroscaling.training.feeding import open_validation, training_pack
from neuroscaling.training.keep import write_weights
from neuroscaling.training.lock import run_lock
from neuroscaling.training.loop import Training, fit, restore
from neuroscaling.training.objectives.views import image_passes
from neuroscaling.training.precision import reproducible
from neuroscaling.training.prepare import chosen_device, prepare
from neuroscaling.training.recipe import Recipe
from neuroscaling.training.record import counts, is_complete, publish_again, write_failed_run, write_run
from neuroscaling.training.single_images import single_images_told
from neuroscaling.training.state import load_state
from neuroscaling.versions import version_of

log = logging.getLogger(__name__)
KINDS = ("trained", "untrained", "pretrained", "baseline")
# Untrained networks that belong to no data set get the head that parameters are counted with.
CLASSES_WITHOUT_DATASET = 1000
DEFINING = ("run", "arch", "fingerprint", "samples_per_class", "subset", "subset_seed", "seed", "recipe", "start")


def train(
    run: dict[str, Any],
    subset: str | Path | None,
    out: Path,
    operating: dict[str, Any] | None = None,
    base: str | Path | None = None,
) -> str | None:
    """Make the run `run` in the folder `out`: weights, history and run.json; a complete one is left as it is.

    run: the run's settings (a row of the run table); subset: the file of its training images, None where it has none;
    base: folder of the run that it starts from, where it names one; operating: `device`, `threads` (of torch on the
    CPU), `checkpoint_seconds`, `checkpoint_steps`, `nan_steps`, `compile`, `channels_last`, and those of feeding.

    States for resuming are written to `out/state/`; a killed run goes on from there and ends with the same weights (on
    the CPU: to the last bit). A run that fails for a reason of its own, such as a loss that is no longer finite or
    damaged images, gets a run.json that says so, and the reason is returned. Raises DataError for missing or unfit
    data, or another process at work on this run.
    """
    subset = None if subset is None else Path(subset)
    base = None if base is None else Path(base)
    out, operating = Path(out), operating or {}
    if run["kind"] not in KINDS:
        raise DataError(Problem("unknown kind", run["run"], run["kind"], ", ".join(KINDS), nearest(run["kind"], KINDS)))
    if not _is_left(run, out):
        return None
    if operating.get("threads"):
        torch.set_num_threads(operating["threads"])
    device = chosen_device(operating)
    if device.type == "cpu":
        keep_freed_memory()
    with run_lock(out / "state" / "lock") if rank() == 0 else nullcontext():
        together()
        if not _is_left(run, out):  # another process may have made it in the meantime
            return None
        problem = None
        if run["kind"] == "trained":
            problem = _trained(run, subset, out, base, device, operating)
        elif rank() == 0:
            _not_trained(run, out, device, operating)
        if rank() == 0 and problem is None:  # the last sound state of a run that failed tells what went wrong
            shutil.rmtree(out / "state")
        together()
    return problem


def _is_left(run: dict[str, Any], out: Path) -> bool:
    """Is there anything to do? What was finished by a job that failed later is published again."""
    left = rank() == 0 and not is_complete(run, out) and not publish_again(run, out)
    (left,) = any_of(left)
    if not left:
        log.info("%s is complete", run["run"])
    return left


def _trained(
    run: dict[str, Any],
    subset: Path | None,
    out: Path,
    base: Path | None,
    device: torch.device,
    operating: dict[str, Any],
) -> str | None:
    if subset is None:
        raise DataError(Problem("a trained run needs its subset", run["run"]))
    started, training = time.monotonic(), None
    gc.collect()  # a compiled network refers to itself, and would stay in a GPU's memory beside that of the next run
    try:
        with reproducible(device):
            training = prepare(run, Path(subset), out, base, device, operating)
            with single_images_told(run["run"], training.recipe, run["arch"]):
                _run(run, training, out, operating)
    except RunFailed as failure:
        log.error("%s", failure)
        seconds = training.seconds if training else time.monotonic() - started
        history = training.progress.history if training else []
        if rank() == 0:
            _write_failure(run, out, device, failure, history, seconds)
        return str(failure)
    except torch.OutOfMemoryError as error:
        raise _too_large(run, device) from error
    finally:
        if training is not None:
            training.feed.close()
    return None


def _too_large(run: dict[str, Any], device: torch.device) -> DataError:
    """The error of a network whose images do not fit a GPU."""
    recipe = Recipe.model_validate(run["recipe"])
    images = f"{recipe.images_at_once(run['arch'])} images of {run['arch']} at once"
    fix = "a GPU with more memory, more GPUs, or in the recipe `micro_batches:` with a smaller number for it"
    return DataError(Problem(f"the memory of {device} does not suffice", run["run"], images, fix=fix))


def _run(run: dict[str, Any], training: Training, out: Path, operating: dict[str, Any]) -> None:
    """Train from the last state, if there is one, to the end, and write what the run leaves."""
    definition = content_hash({"version": version_of("training"), **{key: run.get(key) for key in DEFINING}}, digits=32)
    state = load_state(out / "state", definition)
    if state is not None:
        restore(training, state)
        log.info("%s resumes at step %d", run["run"], training.progress.step)
    seconds, steps = operating.get("checkpoint_seconds", 60.0), operating.get("checkpoint_steps")
    checkpoints = Checkpoints(training, out / "state", definition, seconds, steps)
    with heeding_signals(checkpoints):
        fit(training, checkpoints.after_step, checkpoints.after_epoch)
    training.feed.settle()
    if rank() == 0:
        history = training.progress.history
        write_run(run, out, history, training.device.type, **_trained_facts(run, training, operating))
        log.info("%s: validation accuracy %.3f", run["run"], history[-1]["val_accuracy"])


def _trained_facts(run: dict[str, Any], training: Training, operating: dict[str, Any]) -> dict[str, Any]:
    """What run.json says of a trained run; `total_flops = 3 flops n_samples_seen image_passes`."""
    recipe, progress = training.recipe, training.progress
    size = architecture(run["arch"]).input_size
    pack, passes = training_pack(run, size, recipe, operating), image_passes(recipe, size)
    last = progress.checkpoints[-1]
    return {
        "n_classes": training.n_classes,
        "n_samples": training.plan.n_images,
        "n_epochs": recipe.epochs,
        "n_samples_seen": progress.images_seen,
        "n_samples_nominal": training.plan.n_images * recipe.epochs,
        "image_passes": passes,
        "total_flops": round(3 * counts(run)["flops"] * progress.images_seen * passes),
        "acc_kind": accuracy_kind(recipe),
        "weights": last["file"],
        "weights_sha256": last["sha256"],
        "checkpoints": progress.checkpoints,
        "corrupt": training.corrupt,
        "pack": pack.name if pack else None,
        "seconds": round(training.seconds, 3),
    }


def _write_failure(
    run: dict[str, Any],
    out: Path,
    device: torch.device,
    failure: RunFailed,
    history: list[dict[str, Any]],
    seconds: float,
) -> None:
    facts = {"seconds": round(seconds, 3), **failure.facts}
    write_failed_run(run, out, history, device.type, str(failure), failure.lasting, **facts)


def _not_trained(run: dict[str, Any], out: Path, device: torch.device, operating: dict[str, Any]) -> None:
    """An untrained or pretrained network, evaluated where it has a data set, or a baseline, which has no weights."""
    started = time.monotonic()
    model, history, n_classes = None, [], CLASSES_WITHOUT_DATASET
    if run["kind"] == "untrained":
        n_classes = _n_classes(run, operating) if run["dataset"] else CLASSES_WITHOUT_DATASET
        model = build(run["arch"], n_classes, run["seed"]).to(device)
        history = _before_training(run, model, device, operating) if run["dataset"] else []
    elif run["kind"] == "pretrained":
        named = run.get("definition", {}).get("weights")
        model = build_pretrained(run["arch"], Path(run["weights"]) if run.get("weights") else None, named)
        n_classes = _published_classes(run["arch"], model)
    write_run(run, out, history, device.type, **_other_facts(run, model, n_classes, out, time.monotonic() - started))


def _other_facts(
    run: dict[str, Any], model: torch.nn.Module | None, n_classes: int, out: Path, seconds: float
) -> dict[str, Any]:
    """What run.json says of a network that isn't trained here; nobody knows what a pretrained one has seen."""
    seen = None if run["kind"] == "pretrained" else 0
    keys = ("n_samples", "n_epochs", "n_samples_seen", "n_samples_nominal", "total_flops")
    kept = write_weights(run, model, out, 0, n_classes) if model is not None else {"file": None, "sha256": None}
    return {
        "n_classes": None if model is None else n_classes,
        **dict.fromkeys(keys, seen),
        "image_passes": 1.0,
        "acc_kind": "top1",
        "weights": kept["file"],
        "weights_sha256": kept["sha256"],
        "checkpoints": [],
        "corrupt": [],
        "seconds": round(seconds, 3),
    }


def _published_classes(arch: str, model: torch.nn.Module) -> int:
    """Outputs of the head that published weights have; 0 for none."""
    n_classes = classes_of(arch, shapes(tensors_of(model)))
    if n_classes is None:
        raise DataError(Problem("no number of classes fits the head of these weights", arch))
    return n_classes


def _n_classes(run: dict[str, Any], operating: dict[str, Any]) -> int:
    cache = Path(operating["cache_dir"]) if operating.get("cache_dir") else None
    found = load_index(run["dataset"], run["dataset_settings"], "validation", run["fingerprint"], cache)
    return len(found.class_names)


def _before_training(
    run: dict[str, Any], model: torch.nn.Module, device: torch.device, operating: dict[str, Any]
) -> list[dict[str, Any]]:
    validation = open_validation(run, architecture(run["arch"]).input_size, None, device, operating)
    loss, accuracy = evaluate(model, validation, "fp32", device)
    zero = dict.fromkeys(("epoch", "step", "images_seen"), 0)
    unknown = dict.fromkeys(("learning_rate", "train_loss", "seconds"))
    return [zero | unknown | {"val_loss": loss, "val_accuracy": accuracy}]
