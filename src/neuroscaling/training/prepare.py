"""All that a training works with, from the settings of its run."""

import logging
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from neuroscaling.core.run_record import RECORD, checked_weights, failure_in
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.split import SPLITS
from neuroscaling.datasets.subsets import read_subset
from neuroscaling.devices import device_of, lost_gpu
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.models.build import build
from neuroscaling.models.names import architecture
from neuroscaling.models.weights import load_weights
from neuroscaling.training.averaging import make_ema, start_note
from neuroscaling.training.batchnorm import share_batch_norm
from neuroscaling.training.distributed import rank, world
from neuroscaling.training.evaluate import evaluator
from neuroscaling.training.failures import RunFailed
from neuroscaling.training.feeding import open_training_feed
from neuroscaling.training.keep import keeper
from neuroscaling.training.launch import local_rank
from neuroscaling.training.loop import Training
from neuroscaling.training.objectives.make import make_objective
from neuroscaling.training.optimise import make_optimizer
from neuroscaling.training.precision import compile_in_place, make_scaler
from neuroscaling.training.recipe import Recipe
from neuroscaling.training.steps import Plan

log = logging.getLogger(__name__)


def prepare(
    run: dict[str, Any], subset: Path, out: Path, base: Path | None, device: torch.device, operating: dict[str, Any]
) -> Training:
    """The training of `run` on the images of the file `subset`, at its beginning, on `device`.

    base: folder of the run that it starts from. Raises DataError for unfit data, or RunFailed where `base` failed.
    """
    _check_classes(run, operating)
    recipe = Recipe.model_validate(run["recipe"])
    columns, facts = read_subset(subset)
    size = architecture(run["arch"]).input_size
    plan = make_plan(run, recipe, len(columns["index"]))
    drop_path = recipe.drop_path.get(run["arch"], 0.0)
    network = build(run["arch"], facts["n_classes"], run["seed"], drop_path, recipe.drop_path_form)
    if run.get("start"):
        _load_start(run, network, base)
    memory = torch.channels_last if operating.get("channels_last", True) else torch.contiguous_format
    network = network.to(device, memory_format=memory)
    objective = make_objective(recipe, network, run["arch"], facts["n_classes"], plan.n_steps, run["seed"])
    ema = make_ema(recipe, network)
    if (note := start_note(recipe, plan.n_steps)) and rank() == 0:
        log.warning("%s: %s", run["run"], note)
    if world() > 1:
        objective = share_batch_norm(objective, device)
    compile_in_place(objective, operating)
    return Training(
        run=run["run"],
        objective=objective,
        module=_spread(objective, device),
        optimizer=make_optimizer(recipe, objective, device),
        scaler=make_scaler(recipe, device),
        ema=ema,
        recipe=recipe,
        plan=plan,
        feed=open_training_feed(run, subset, size, recipe, device, operating),
        device=device,
        image_ids=columns["image_id"],
        n_classes=facts["n_classes"],
        evaluate=evaluator(run, subset, size, recipe, device, operating, facts["class_names"]),
        keep=keeper(run, out, recipe),
        memory=memory,
        nan_steps=operating.get("nan_steps", 5),
    )


def make_plan(run: dict[str, Any], recipe: Recipe, n_images: int) -> Plan:
    """The steps of `run` on this process. Raises DataError where there are more processes than images for them."""
    plan = Plan.of(recipe, run["arch"], run["seed"], n_images, world(), rank())
    if plan.smallest_part() < 1:
        what = "too few images in a step for so many processes"
        raise DataError(Problem(what, run["run"], f"{world()} processes", fix="train it on fewer GPUs"))
    return plan


def chosen_device(operating: dict[str, Any]) -> torch.device:
    """The device of this process: the one that is asked for, or its GPU, where there is one, or the CPU.

    Raises DataError where there are fewer GPUs than processes, or StudyError for an unknown name.
    """
    device = device_of(operating.get("device"))
    if device.type == "cuda":
        index = device.index if device.index is not None else local_rank()
        device = device_of(f"cuda:{index}")
        torch.cuda.set_device(device)
    elif not operating.get("device") and (told := lost_gpu()):
        _warn_of_cpu(told)
    return device


@cache
def _warn_of_cpu(told: str) -> None:
    """Once a process, however many runs it trains."""
    log.warning("torch finds no GPU, though the job's environment says %s: this trains on the CPU", told)


def _check_classes(run: dict[str, Any], operating: dict[str, Any]) -> None:
    # Labels are positions among the class names: with other names, accuracy would be of other classes.
    cache = Path(operating["cache_dir"]) if operating.get("cache_dir") else None
    names = [
        set(load_index(run["dataset"], run["dataset_settings"], split, run["fingerprint"], cache).class_names)
        for split in SPLITS
    ]
    differing = sorted(names[0] ^ names[1])
    if differing:
        what = "training and validation images have different classes"
        where = f"dataset {run['dataset']}"
        raise DataError(Problem(what, where, listing(differing), fix="both need the same folders"))


def _load_start(run: dict[str, Any], network: nn.Module, base: Path | None) -> None:
    """The final weights of the run that this one starts from."""
    if base is None:
        raise DataError(Problem("the folder of the run that this one starts from is needed", run["run"], run["start"]))
    if (reason := failure_in(base)) is not None:
        problem = Problem("the run that it starts from failed", run["run"], run["start"], fix=reason)
        raise RunFailed(problem, lasting=(base / RECORD).is_file())
    load_weights(network, checked_weights(base), run["arch"])
    log.info("%s starts from %s", run["run"], run["start"])


def _spread(objective: nn.Module, device: torch.device) -> nn.Module:
    """The objective, or what averages its gradients over the processes."""
    if world() == 1:
        return objective
    return DistributedDataParallel(
        objective,
        device_ids=[device.index] if device.type == "cuda" else None,
        forward_sync_buffers=False,  # running statistics are put together after each step
        gradient_as_bucket_view=True,
    )
