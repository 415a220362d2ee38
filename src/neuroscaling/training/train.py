"""One run of the run table is made, whatever its kind: trained, untrained, pretrained or a baseline."""

import gc
import logging
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.leases import Held, Lease, held, sweep_within
from neuroscaling.core.records import DEFINITION, RUN_RECORD, read_run
from neuroscaling.datasets.index import load_index
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_pretrained
from neuroscaling.models.heads import classes_of
from neuroscaling.models.state import shapes, tensors_of
from neuroscaling.study.architectures import architecture
from neuroscaling.study.code_fingerprints import version_of
from neuroscaling.study.recipes import Recipe
from neuroscaling.training.checkpoints import Checkpoints, heeding_signals, load_state, write_weights
from neuroscaling.training.distributed import any_of, rank, together, world
from neuroscaling.training.evaluation import accuracy_kind, evaluate
from neuroscaling.training.feeding.training_feed import training_pack
from neuroscaling.training.feeding.validation import open_validation
from neuroscaling.training.image_views import image_passes
from neuroscaling.training.loop import Training, fit, restore
from neuroscaling.training.run_folder import RunFailed, is_complete, run_counts, write_failed_run, write_run
from neuroscaling.training.setup import chosen_device, prepare_training, single_images_told
from neuroscaling.training.torch_runtime import keep_freed_memory, reproducible

log = logging.getLogger(__name__)
KINDS = ("trained", "untrained", "pretrained", "baseline")
# Untrained networks that belong to no data set get the head that parameters are counted with.
CLASSES_WITHOUT_DATASET = 1000
# Seconds after which processes that wait for process 0 hear from it; longer than a dead holder is believed.
PATIENCE = 600.0
DEFINING = ("run", "arch", "fingerprint", "samples_per_class", "subset", "subset_seed", "seed", "recipe", "start")


def train(
    run: dict[str, Any],
    subset: str | Path | None,
    out: Path,
    operating: dict[str, Any] | None = None,
    base: str | Path | None = None,
    wait: bool = True,
) -> str | None:
    """Make the run `run` in the folder `out`: weights, history and run.json; one that is there is left as it is.

    run: the run's settings (a row of the run table) and its `definition`, of which its name is a hash; subset: the file
    of its training images, None where it has none; base: folder of the run that it starts from, where it names one;
    operating: `device`, `threads` (of torch on the CPU), `checkpoint_seconds`, `checkpoint_steps`, `nan_steps`,
    `compile`, `channels_last`, and those of feeding.

    States for resuming are written to `out/state/`; a killed run goes on from there and ends with the same weights (on
    the CPU: to the last bit). A run whose weights were deleted is made again. One that fails for a reason of its own
    gets a run.json that says so where it would fail again, such as a loss that is no longer finite, and a failed.json
    where it may be mended, such as damaged images; the reason is returned. Another process that makes the run is waited
    for; without `wait`, Held is raised. Raises DataError for missing or unfit data, and for an altered run.json.
    """
    subset = None if subset is None else Path(subset)
    base = None if base is None else Path(base)
    out, operating = Path(out), operating or {}
    if run["kind"] not in KINDS:
        raise DataError(
            Problem(
                what="unknown kind",
                where=run["run"],
                value=run["kind"],
                allowed=", ".join(KINDS),
                nearest=nearest(run["kind"], KINDS),
            )
        )
    if not _is_left(run, out):
        return None
    if operating.get("threads"):
        torch.set_num_threads(operating["threads"])
    device = chosen_device(operating)
    if device.type == "cpu":
        keep_freed_memory()
    with _leased(run, out, wait) as lease:
        if not _is_left(run, out):  # another process may have made it in the meantime
            return None
        problem = None
        if run["kind"] == "trained":
            problem = _trained(run, subset, out, base, device, operating, lease)
        elif rank() == 0:
            _not_trained(run, out, device, operating)
        if rank() == 0 and problem is None:  # the last sound state of a run that failed tells what went wrong
            shutil.rmtree(out / "state", ignore_errors=True)
        together()
    return problem


def _is_left(run: dict[str, Any], out: Path) -> bool:
    """Is there anything to do?"""
    (left,) = any_of(rank() == 0 and not is_complete(out))
    if not left:
        log.info("%s is complete", run["run"])
    return left


@contextmanager
def _leased(run: dict[str, Any], out: Path, wait: bool) -> Iterator[Lease | None]:
    """The lease of the run, which process 0 holds for all that train it together; None for the others."""
    patience = PATIENCE if world() > 1 else math.inf
    with ExitStack() as stack:
        while True:
            lease, busy = None, None
            if rank() == 0:
                try:
                    lease = stack.enter_context(held(out, f"run {run['run']}", wait, patience))
                    sweep_within(out)
                except Held as error:
                    busy = error
            (is_held,) = any_of(busy is not None)
            if not is_held:
                break
            if not wait:
                raise busy or Held(Problem(what="the run is being made by another process", where=run["run"]))
        yield lease


def _trained(
    run: dict[str, Any],
    subset: Path | None,
    out: Path,
    base: Path | None,
    device: torch.device,
    operating: dict[str, Any],
    lease: Lease | None,
) -> str | None:
    if subset is None:
        raise DataError(Problem(what="a trained run needs its subset", where=run["run"]))
    started, training, made_from = time.monotonic(), None, {}
    gc.collect()  # a compiled network refers to itself, and would stay in a GPU's memory beside that of the next run
    try:
        with reproducible(device):
            training = prepare_training(run, subset, out, base, device, operating)
            made_from = _made_from(subset, base if run.get("start") else None)
            with single_images_told(run["run"], training.recipe, run["arch"]):
                _run(run, training, out, operating, made_from, lease)
    except RunFailed as failure:
        log.error("%s", failure)
        seconds = training.seconds if training else time.monotonic() - started
        history = training.progress.history if training else []
        if lease is not None:
            lease.check()
            made = {"device": device.type, "seconds": round(seconds, 3)}
            write_failed_run(run, out, history, made_from, made, str(failure), failure.lasting, **failure.facts)
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
    return DataError(Problem(what=f"the memory of {device} does not suffice", where=run["run"], value=images, fix=fix))


def _made_from(subset: Path, base: Path | None) -> dict[str, str]:
    """Checksums of the files that a trained run is made from, by their names in the store."""
    made_from = {f"subsets/{subset.parent.name}/{subset.name}": f"sha256:{file_sha256(subset)}"}
    if base is not None:
        record = read_run(base / RUN_RECORD)
        made_from[f"runs/{base.name}/{record.weights}"] = f"sha256:{record.weights_sha256}"
    return made_from


def _run(
    run: dict[str, Any],
    training: Training,
    out: Path,
    operating: dict[str, Any],
    made_from: dict[str, str],
    lease: Lease | None,
) -> None:
    """Train from the last state, if there is one, to the end, and write what the run leaves."""
    settings = {"version": version_of("training"), **{key: run.get(key) for key in (DEFINITION, *DEFINING)}}
    definition = content_hash(settings, digits=32)
    state = load_state(out / "state", definition)
    if state is not None:
        restore(training, state)
        log.info("%s resumes at step %d", run["run"], training.progress.step)
    seconds, steps = operating.get("checkpoint_seconds", 60.0), operating.get("checkpoint_steps")
    checkpoints = Checkpoints(training, out / "state", definition, seconds, steps, lease)
    with heeding_signals(checkpoints):
        fit(training, checkpoints.after_step, checkpoints.after_epoch)
    training.feed.settle()
    if lease is not None:
        lease.check()
        history = training.progress.history
        made = {
            "device": training.device.type,
            "seconds": round(training.seconds, 3),
            "pack": _pack_name(run, training, operating),
        }
        write_run(run, out, history, made_from, made, **_trained_facts(run, training))
        log.info("%s: validation accuracy %.3f", run["run"], history[-1]["val_accuracy"])


def _pack_name(run: dict[str, Any], training: Training, operating: dict[str, Any]) -> str | None:
    """Form and size of the packed data set that was read, if one was."""
    pack = training_pack(run, architecture(run["arch"]).input_size, training.recipe, operating)
    return pack.name if pack else None


def _trained_facts(run: dict[str, Any], training: Training) -> dict[str, Any]:
    """What run.json says of a trained run; `total_flops = 3 flops n_samples_seen image_passes`."""
    recipe, progress = training.recipe, training.progress
    passes = image_passes(recipe, architecture(run["arch"]).input_size)
    last = progress.checkpoints[-1]
    return {
        "n_classes": training.n_classes,
        "n_samples": training.plan.n_images,
        "n_epochs": recipe.epochs,
        "n_samples_seen": progress.images_seen,
        "n_samples_nominal": training.plan.n_images * recipe.epochs,
        "image_passes": passes,
        "total_flops": round(3 * run_counts(run)["flops"] * progress.images_seen * passes),
        "acc_kind": accuracy_kind(recipe),
        "weights": last["file"],
        "weights_sha256": last["sha256"],
        "checkpoints": progress.checkpoints,
        "corrupt": training.corrupt,
    }


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
    facts = _other_facts(run, model, n_classes, out)
    made = {"device": device.type, "seconds": round(time.monotonic() - started, 3)}
    outside = Path(run["weights"]) if run.get("weights") else None
    made_from = {outside.name: f"sha256:{file_sha256(outside)}"} if outside and outside.is_file() else {}
    write_run(run, out, history, made_from, made, **facts)


def _other_facts(run: dict[str, Any], model: torch.nn.Module | None, n_classes: int, out: Path) -> dict[str, Any]:
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
    }


def _published_classes(arch: str, model: torch.nn.Module) -> int:
    """Outputs of the head that published weights have; 0 for none."""
    n_classes = classes_of(arch, shapes(tensors_of(model)))
    if n_classes is None:
        raise DataError(Problem(what="no number of classes fits the head of these weights", where=arch))
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
