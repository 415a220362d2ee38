"""Network, objective, optimiser, steps and images of a training are made from its run's settings."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from neuroscaling.core.errors import DataError, Problem, StudyError, listing
from neuroscaling.core.machine import device_of, lost_gpu
from neuroscaling.core.records import checked_weights
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.split import SPLITS
from neuroscaling.datasets.subset_file import read_subset
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.state import network_device
from neuroscaling.models.weights import load_weights
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipe_parts import Adversarial, Dino, Simclr
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.batch_normalisation import share_batch_norm
from neuroscaling.training.checkpoints import weights_writer
from neuroscaling.training.distributed import rank, world
from neuroscaling.training.evaluation import evaluator
from neuroscaling.training.feeding.training_feed import open_training_feed
from neuroscaling.training.image_views import views_of
from neuroscaling.training.launch import local_rank
from neuroscaling.training.loop import Objective, Training
from neuroscaling.training.optimisers import make_optimizer
from neuroscaling.training.run_folder import RunFailed, require_sound
from neuroscaling.training.schedule import StepPlan
from neuroscaling.training.self_supervised_objectives import DinoTraining, SimclrTraining
from neuroscaling.training.supervised_objectives import AdversarialTraining, Supervised
from neuroscaling.training.torch_runtime import compile_in_place, make_scaler
from neuroscaling.training.weight_averaging import make_ema, start_note

log = logging.getLogger(__name__)


def prepare_training(job: RunJob, device: torch.device, options: TrainingOptions) -> Training:
    """The training of the run of `job`, at its beginning, on `device`.

    Raises DataError for unfit data, or RunFailed where the run that it starts from failed.
    """
    run, subset = job.run, subset_of(job)
    recipe = run.training_recipe
    _check_classes(run, options)
    columns, facts = read_subset(subset)
    size = architecture(run.arch).input_size
    plan = make_steps(run, recipe, len(columns["index"]))
    drop_path = recipe.drop_path.get(run.arch, 0.0)
    network = build(run.arch, facts["n_classes"], run.seed, drop_path, recipe.drop_path_form)
    if run.start:
        _load_start(run, network, job.base)
    memory = torch.channels_last if options.channels_last else torch.contiguous_format
    network = network.to(device).to(memory_format=memory)
    objective = make_objective(recipe, network, run.arch, facts["n_classes"], plan.n_steps, run.seed)
    ema = make_ema(recipe, network)
    if (note := start_note(recipe, plan.n_steps)) and rank() == 0:
        log.warning("%s: %s", run.run, note)
    if world() > 1:
        share_batch_norm(objective, device)
    compile_in_place(objective, options)
    return Training(
        run=run.run,
        objective=objective,
        module=_spread(objective, device),
        optimizer=make_optimizer(recipe, objective, device),
        scaler=make_scaler(recipe, device),
        ema=ema,
        recipe=recipe,
        plan=plan,
        feed=open_training_feed(run, subset, size, recipe, device, options),
        device=device,
        image_ids=columns["image_id"],
        n_classes=facts["n_classes"],
        evaluate=evaluator(run, subset, size, recipe, device, options, facts["class_names"]),
        keep=weights_writer(run, job.out),
        memory=memory,
        nan_steps=options.nan_steps,
    )


def subset_of(job: RunJob) -> Path:
    """The file of the images of a run that is trained. Raises DataError for a job without one."""
    if job.subset is None:
        raise DataError(Problem(what="a trained run needs its subset", where=job.run.run))
    return job.subset


def make_steps(run: Run, recipe: Recipe, n_images: int) -> StepPlan:
    """The steps of `run` on this process. Raises DataError where there are more processes than images for them."""
    plan = StepPlan.of(recipe, run.arch, run.seed, n_images, world(), rank())
    if plan.smallest_part() < 1:
        what = "too few images in a step for so many processes"
        raise DataError(Problem(what=what, where=run.run, value=f"{world()} processes", fix="train it on fewer GPUs"))
    return plan


def chosen_device(asked: str | None) -> torch.device:
    """The device of this process: the one that is asked for, or its GPU, where there is one, or the CPU.

    asked: torch's name of a device. Raises DataError where there are fewer GPUs than processes, or StudyError for an
    unknown name.
    """
    device = device_of(asked)
    if device.type == "cuda":
        index = device.index if device.index is not None else local_rank()
        device = device_of(f"cuda:{index}")
        torch.cuda.set_device(device)
    elif not asked and (told := lost_gpu()):
        _warn_of_cpu(told)
    return device


@cache
def _warn_of_cpu(told: str) -> None:
    """Once a process, however many runs it trains."""
    log.warning("torch finds no GPU, though the job's environment says %s: this trains on the CPU", told)


def _check_classes(run: Run, options: TrainingOptions) -> None:
    # Labels are positions among the class names: with other names, accuracy would be of other classes.
    cache = Path(options.cache_dir) if options.cache_dir else None
    images = run.images
    names = [
        set(load_index(images.dataset, images.settings, split, images.fingerprint, cache).class_names)
        for split in SPLITS
    ]
    differing = sorted(names[0] ^ names[1])
    if differing:
        what = "training and validation images have different classes"
        where = f"dataset {images.dataset}"
        raise DataError(Problem(what=what, where=where, value=listing(differing), fix="both need the same folders"))


def _load_start(run: Run, network: nn.Module, base: Path | None) -> None:
    """The final weights of the run that this one starts from."""
    if base is None:
        raise DataError(
            Problem(what="the folder of the run that this one starts from is needed", where=run.run, value=run.start)
        )
    require_sound(base, run)
    load_weights(network, checked_weights(base), run.arch)
    log.info("%s starts from %s", run.run, run.start)


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


def make_objective(recipe: Recipe, network: nn.Module, arch: str, n_classes: int, n_steps: int, seed: int) -> Objective:
    """The recipe's objective around `network`, on its device.

    arch: name of the architecture; n_steps: of the whole run; seed: of the weights of heads. The global random state is
    left as it was. In self-supervised training the network's output is from here on its features, (b, features), in
    place of logits, and its classifier is not trained. Raises StudyError for a network without parameters to train.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        fix = "name it under `untrained:`, or give its parameters gradients (`requires_grad`)"
        raise StudyError(Problem(what="a network without parameters that can be trained", where=arch, fix=fix))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        objective = _objective(recipe, network, arch, n_classes, n_steps)
    return objective.to(network_device(network))


def _objective(recipe: Recipe, network: nn.Module, arch: str, n_classes: int, n_steps: int) -> Objective:
    match recipe.section:
        case Simclr() as numbers:
            return SimclrTraining(network, arch, numbers)
        case Dino() as numbers:
            return DinoTraining(network, arch, numbers, recipe.epochs, n_steps)
        case Adversarial() as numbers:
            return AdversarialTraining(network, recipe, numbers, n_classes)
        case None:
            return Supervised(network, recipe, n_classes)


ONE_VALUE = "Expected more than 1 value per channel when training"
"""What torch says of it, in all kinds of batch normalisation."""


def trains_on_one_image(arch: str, recipe: Recipe, n_classes: int) -> bool:
    """Whether a step of `recipe` on one image gives `arch`, with its heads, batch statistics. By shapes alone.

    True also where shapes don't tell: then training does.
    """
    sizes = [view.size for view in views_of(recipe, architecture(arch).input_size)]
    try:
        objective = make_objective(recipe, skeleton(arch, n_classes), arch, n_classes, n_steps=1, seed=0).train()
        labels = torch.zeros(1, dtype=torch.int64, device="meta")
        views = [torch.empty(1, 3, size, size, device="meta") for size in sizes]
        # An attack is made in evaluation mode, and no other objective changes its images for a step.
        objective(*(objective.mixed(views, labels, seed=0) if recipe.objective == "supervised" else (views, labels)))
    except Exception as error:  # of any kind: it is somebody's network
        return ONE_VALUE not in str(error)
    return True


def single_image_problem(where: str, recipe: Recipe, arch: str) -> Problem:
    """The error of steps of one image, in a user's words. where: the runs."""
    what = "batch normalisation can't be trained on one image at a time"
    fix = "more images (`images:`, `samples_per_class:`), or an architecture without batch normalisation"
    if recipe.images_at_once(arch) == 1:
        fix = f"a larger {'batch_size' if recipe.batch_size == 1 else 'micro_batch'} in the recipe {recipe.name}"
    return Problem(what=what, where=where, fix=fix)


@contextmanager
def single_images_told(run: str, recipe: Recipe, arch: str) -> Iterator[None]:
    """Raise RunFailed for `run` where a block can't train a step of one image, as it will not the next time either."""
    try:
        yield
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        raise RunFailed(single_image_problem(run, recipe, arch), lasting=True) from error
