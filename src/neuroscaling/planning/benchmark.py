"""A machine is timed at thirty steps of a training."""

import platform
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from neuroscaling.core.machine import device_of
from neuroscaling.models.build import build
from neuroscaling.planning.training_throughput import CPU_WORD, TrainingRate
from neuroscaling.planning.workload import definition_of
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.optimisers import make_optimizer
from neuroscaling.training.torch_runtime import autocast, compile_in_place, make_scaler, reproducible

CLASSES = 1000
STEPS, WARM_UP, FEWEST = 30, 3, 3
SECONDS = 60.0
"""Seconds after which no further step is timed; a step of a large network takes long on a CPU."""
# Images of 224 x 224 pixels at once, at most; a GPU takes half as many until they fit.
TRAINING_BATCH = {"cpu": 8, "cuda": 512}


def machine_name(place: torch.device) -> str:
    """Name of the device in words: the GPU's, or the CPU's kind and the threads that torch uses."""
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    return f"{platform.machine()}{CPU_WORD}{torch.get_num_threads()} threads"


def measure_training(
    arch: str, recipe: Recipe, device: str | None = None, options: TrainingOptions | None = None, steps: int = STEPS
) -> TrainingRate:
    """Images a second of `arch` under the recipe's optimiser and precision, in training and in evaluation.

    device: torch's name; CUDA where there is one. options: as trainings are told.
    Images and labels are random and stay on the device: what feeding costs is not in it. Raises StudyError for an
    unknown architecture or device, DataError for a GPU that is not there.
    """
    place, options = device_of(device), options or TrainingOptions()
    most = round(TRAINING_BATCH.get(place.type, TRAINING_BATCH["cpu"]) * (224 / architecture(arch).input_size) ** 2)
    batch = max(min(recipe.images_at_once(arch), most), 2)
    with reproducible(place):
        while True:
            try:
                trained, evaluated = _seconds(arch, recipe, place, batch, options, steps)
                break
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise
                batch //= 2
    return TrainingRate(
        device=machine_name(place),
        arch=arch,
        definition=definition_of(arch),
        precision=recipe.precision,
        batch=batch,
        train=batch / trained,
        evaluate=batch / evaluated,
        torch=torch.__version__,
        compiled=options.compile,
    )


def _seconds(
    arch: str, recipe: Recipe, place: torch.device, batch: int, options: TrainingOptions, steps: int
) -> tuple[float, float]:
    """Seconds of a step of training and of one of evaluation."""
    size = architecture(arch).input_size
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    model = build(arch, CLASSES, 0).to(place).to(memory_format=layout)
    compile_in_place(model, options)
    images = torch.randn(batch, 3, size, size, device=place).contiguous(memory_format=layout)
    labels = torch.randint(CLASSES, (batch,), device=place)
    trained = _seconds_of_step(_training_step(model.train(), recipe, images, labels), place, steps)
    return trained, _seconds_of_step(_evaluation(model.eval(), recipe, images), place, steps)


def _training_step(model: nn.Module, recipe: Recipe, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    optimizer, scaler = make_optimizer(recipe, model, images.device), make_scaler(recipe, images.device)

    def step() -> None:
        with autocast(recipe.precision, images.device):
            logits = model(images)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(functional.cross_entropy(logits.float(), labels)).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def _evaluation(model: nn.Module, recipe: Recipe, images: torch.Tensor) -> Callable[[], None]:
    @torch.inference_mode()
    def forward() -> None:
        with autocast(recipe.precision, images.device):
            model(images)

    return forward


def _seconds_of_step(step: Callable[[], None], place: torch.device, steps: int) -> float:
    """Mean seconds of a step; the first ones, which compile and warm up, are not timed."""
    for _ in range(WARM_UP):
        step()
    wait_for_device(place)
    start, timed = time.perf_counter(), 0
    while timed < steps and (timed < FEWEST or time.perf_counter() - start < SECONDS):
        step()
        timed += 1
        if timed % FEWEST == 0:
            wait_for_device(place)
    wait_for_device(place)
    return (time.perf_counter() - start) / timed


def wait_for_device(place: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)
