"""One run of the run table, whatever its kind: trained, untrained, pretrained or a baseline."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.hashing import content_hash
from neuroscaling.models.build import build
from neuroscaling.models.names import architecture
from neuroscaling.models.pretrained import build_pretrained
from neuroscaling.training.checkpoints import Checkpoints, heeding_signals
from neuroscaling.training.data import n_classes, training_images, validation_images
from neuroscaling.training.evaluate import evaluate
from neuroscaling.training.lock import run_lock
from neuroscaling.training.loop import Training, fit, make_optimizer, reproducible, restore
from neuroscaling.training.recipe import Recipe
from neuroscaling.training.record import is_complete, write_run
from neuroscaling.training.state import load_state
from neuroscaling.training.version import TRAINING_VERSION

log = logging.getLogger(__name__)
KINDS = ("trained", "untrained", "pretrained", "baseline")
# Untrained networks that belong to no data set get the head that parameters are counted with.
CLASSES_WITHOUT_DATASET = 1000


def train(
    run: dict[str, Any],
    subset: Path | None,
    out: Path,
    device: str | None = None,
    threads: int | None = None,
    checkpoint_seconds: float = 60.0,
    checkpoint_steps: int | None = None,
) -> None:
    """Make the run `run` in the folder `out`: weights, history and run.json; a complete one is left as it is.

    run: the run's settings (a row of the run table); subset: the file of its training images, None where it has none;
    device: such as "cpu" or "cuda", by default a GPU where there is one; threads: of torch on the CPU. States for
    resuming are written to `out/state/` every `checkpoint_seconds` and `checkpoint_steps`; a killed run goes on from
    there and ends with the same weights (on the CPU: to the last bit). Raises DataError for missing or unfit data,
    another process at work on this run, or a loss that is no longer finite.
    """
    out = Path(out)
    if run["kind"] not in KINDS:
        raise DataError(Problem("unknown kind", run["run"], run["kind"], ", ".join(KINDS), nearest(run["kind"], KINDS)))
    if is_complete(run, out):
        log.info("%s is complete", run["run"])
        return
    if threads:
        torch.set_num_threads(threads)
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with run_lock(out / "state" / "lock"):
        if not is_complete(run, out):
            if run["kind"] == "trained":
                _trained(run, subset, out, target, checkpoint_seconds, checkpoint_steps)
            else:
                _not_trained(run, out, target)
        shutil.rmtree(out / "state")


def _trained(
    run: dict[str, Any],
    subset: Path | None,
    out: Path,
    device: torch.device,
    checkpoint_seconds: float,
    checkpoint_steps: int | None,
) -> None:
    if subset is None:
        raise DataError(Problem("a trained run needs its subset", run["run"]))
    definition = _definition(run)
    with reproducible(device):
        training = _prepare(run, Path(subset), device)
        state = load_state(out / "state", definition)
        if state is not None:
            restore(training, state)
            log.info("%s resumes at step %d", run["run"], training.progress.step)
        checkpoints = Checkpoints(training, out / "state", definition, checkpoint_seconds, checkpoint_steps)
        with heeding_signals(checkpoints):
            fit(training, checkpoints.after_step, checkpoints.after_epoch)
    epochs, history = training.recipe.epochs, training.progress.history
    write_run(run, out, training.model, history, len(training.images), epochs, training.seconds, device.type)
    log.info("%s: validation accuracy %.3f", run["run"], history[-1]["val_accuracy"])


def _prepare(run: dict[str, Any], subset: Path, device: torch.device) -> Training:
    recipe = Recipe.model_validate(run["recipe"])
    model = build(run["arch"], n_classes(run), run["seed"]).to(device, memory_format=torch.channels_last)
    return Training(
        run=run["run"],
        model=model,
        optimizer=make_optimizer(recipe, model),
        recipe=recipe,
        seed=run["seed"],
        size=architecture(run["arch"]).input_size,
        images=training_images(run, subset, device),
        validation=validation_images(run, device),
    )


def _not_trained(run: dict[str, Any], out: Path, device: torch.device) -> None:
    """An untrained or pretrained network, evaluated where it has a data set, or a baseline, which has no weights."""
    started = time.monotonic()
    model, history = None, []
    if run["kind"] == "untrained":
        model = build(run["arch"], n_classes(run) if run["dataset"] else CLASSES_WITHOUT_DATASET, run["seed"])
        history = _before_training(run, model.to(device), device) if run["dataset"] else []
    elif run["kind"] == "pretrained":
        model = build_pretrained(run["arch"], Path(run["weights"]) if run.get("weights") else None)
    n = None if run["kind"] == "pretrained" else 0
    write_run(run, out, model, history, n, n, time.monotonic() - started, device.type)


def _before_training(run: dict[str, Any], model: torch.nn.Module, device: torch.device) -> list[dict[str, Any]]:
    loss, accuracy = evaluate(model, validation_images(run, device), architecture(run["arch"]).input_size)
    counts = dict.fromkeys(("epoch", "step", "images_seen"), 0)
    unknown = dict.fromkeys(("learning_rate", "train_loss", "seconds"))
    return [counts | unknown | {"val_loss": loss, "val_accuracy": accuracy}]


def _definition(run: dict[str, Any]) -> str:
    """What must be equal for a state to be of this run."""
    keys = ("run", "arch", "fingerprint", "samples_per_class", "subset_seed", "seed", "recipe")
    return content_hash({"version": TRAINING_VERSION, **{key: run[key] for key in keys}}, digits=32)
