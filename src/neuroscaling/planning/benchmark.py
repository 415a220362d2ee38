"""A machine is timed at a little of each kind of work, and at thirty steps of a training."""

import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from neuroscaling.activations.stimulus_images import Preprocessing
from neuroscaling.core.devices import device_of
from neuroscaling.core.images import ImageFile
from neuroscaling.models.build import build
from neuroscaling.models.cost import count
from neuroscaling.planning.machine_throughput import Rates
from neuroscaling.planning.training_throughput import TrainingRate
from neuroscaling.planning.workload import cost_of, definition_of
from neuroscaling.regression.voxelwise.budget import SPECTRUM
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.training_options import TrainingOptions
from neuroscaling.training.optimisers import make_optimizer
from neuroscaling.training.torch_runtime import autocast, compile_in_place, make_scaler, reproducible

AUTOCAST = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
LIMIT, REPETITIONS = 0.5, 3  # seconds that a kind of work is repeated for at least, and how often
# Networks that stand for others, on a CPU and on a GPU: large enough to keep it busy.
ARCHS = {
    "cpu": {"tokens": "vit_small_patch16_224", "convolutions": "convnext_tiny"},
    "cuda": {"tokens": "vit_large_patch14_clip_224", "convolutions": "convnext_large"},
}
BATCH = {"cpu": 4, "cuda": 64}
PRODUCT = {"cpu": 2048, "cuda": 8192}
FACTORED = {"cpu": 512, "cuda": 4096}
PICTURE, PICTURES = 425, 32  # pixels of each side, as NSD's; how many are decoded
WRITTEN = 256_000_000  # bytes


def measure_machine(
    device: str | None = None, folder: Path | None = None, autocasts: tuple[str, ...] = ("none",)
) -> Rates:
    """Rates of this machine, in well under a minute on two cores.

    device: torch's name; CUDA where there is one. folder: on the disk whose speed counts; the system's temporary folder
    by default. autocasts: types that networks compute in (`none`, `bf16`, `fp16`).
    """
    place = device_of(device)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        disk, pictures = _write(Path(temporary)), _decode(Path(temporary))
    return Rates(
        machine=machine_name(place),
        cuda=place.type == "cuda",
        products=_product(place, torch.float32),
        products64=_product(place, torch.float64),
        eigen=_eigen(place),
        decode=pictures,
        write=disk,
        forward=_forward(place, autocasts),
    )


def machine_name(place: torch.device) -> str:
    """Name of the device in words: the GPU's, or the CPU's kind and the threads that torch uses."""
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _product(place: torch.device, dtype: torch.dtype) -> float:
    n = PRODUCT.get(place.type, PRODUCT["cpu"])
    matrix = torch.randn(n, n, dtype=dtype, device=place)
    return 2 * n**3 / _fastest(lambda: matrix @ matrix, place)


def _eigen(place: torch.device) -> float:
    n = FACTORED.get(place.type, FACTORED["cpu"])
    matrix = torch.randn(n, n, dtype=torch.float64, device=place)
    matrix = matrix @ matrix.T
    return SPECTRUM * n**3 / _fastest(lambda: torch.linalg.eigh(matrix), place)


def _forward(place: torch.device, autocasts: tuple[str, ...]) -> dict[str, dict[str, float]]:
    rates: dict[str, dict[str, float]] = {precision: {} for precision in autocasts}
    for kind, arch in ARCHS.get(place.type, ARCHS["cpu"]).items():
        model = build(arch, 1000, 0).eval().to(place)
        for precision in autocasts:
            rates[precision][kind] = _network(model, 2 * count(arch)["macs"], place, precision)
    return rates


@torch.inference_mode()
def _network(model: nn.Module, operations: int, place: torch.device, precision: str) -> float:
    batch = BATCH.get(place.type, BATCH["cpu"])
    images = torch.randn(batch, 3, 224, 224, device=place)
    kind = AUTOCAST[precision]
    with torch.autocast(place.type, dtype=kind) if kind else nullcontext():
        return batch * operations / _fastest(lambda: model(images), place)


def _decode(folder: Path) -> float:
    """As extraction decodes: in threads, half as many as cores."""
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURE // 5, PICTURE // 5, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((PICTURE, PICTURE), Image.Resampling.BICUBIC)
    files = [ImageFile(folder / f"{i}.png") for i in range(PICTURES)]
    for file in files:
        picture.save(file.path)
    preprocess = Preprocessing(224, "bicubic")
    with ThreadPoolExecutor(max(min(len(os.sched_getaffinity(0)) // 2, 8), 1)) as pool:
        seconds = _fastest(lambda: list(pool.map(preprocess.load, files)), torch.device("cpu"))
    return PICTURES / seconds


def _write(folder: Path) -> float:
    values = np.random.default_rng(0).bytes(WRITTEN)

    def write() -> None:
        with open(folder / "written", "wb") as file:
            file.write(values)
            file.flush()
            os.fsync(file.fileno())

    return WRITTEN / _fastest(write, torch.device("cpu"))


def _fastest(work: Callable[[], object], place: torch.device) -> float:
    """Seconds of the fastest of some repetitions: others' work on the machine slows the rest. The first warms up."""
    work()
    seconds, begun = [], time.perf_counter()
    while len(seconds) < REPETITIONS or time.perf_counter() - begun < LIMIT:
        wait_for_device(place)
        start = time.perf_counter()
        work()
        wait_for_device(place)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def wait_for_device(place: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)


CLASSES = 1000
STEPS, WARM_UP, FEWEST = 30, 5, 3
# Seconds after which no further step is timed; a step of a large network takes long on a CPU.
SECONDS = {"cpu": 10.0, "cuda": 60.0}
# Images of 224 x 224 pixels at once, at most; a GPU takes half as many until they fit.
TRAINING_BATCH = {"cpu": 8, "cuda": 512}


def measure_training(
    arch: str, recipe: Recipe, device: str | None = None, options: TrainingOptions | None = None, steps: int = STEPS
) -> TrainingRate:
    """Images a second of `arch` under the recipe's optimiser and precision, in training and in evaluation.

    device: torch's name; CUDA where there is one. options: as trainings are told.
    Images and labels are random and stay on the device: what feeding costs is not in it. Raises StudyError for an
    unknown architecture or device, DataError for a GPU that is not there.
    """
    place = device_of(device)
    size, options = architecture(arch).input_size, options or TrainingOptions()
    batch = _batch(recipe, arch, size, place)
    with reproducible(place):
        while True:
            try:
                train, evaluate, timed = _rates(arch, recipe, place, batch, size, options, steps)
                break
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise
                batch //= 2
    cost, family = cost_of(arch), architecture(arch).family
    return TrainingRate(
        device=machine_name(place),
        arch=arch,
        definition=definition_of(arch),
        family=family,
        precision=recipe.precision,
        size=size,
        macs=cost.macs,
        batch=batch,
        steps=timed,
        train=train,
        evaluate=evaluate,
        torch=torch.__version__,
        compiled=options.compile,
    )


def _batch(recipe: Recipe, arch: str, size: int, place: torch.device) -> int:
    """As many images as go through the network at once in a run, within what the device takes at this size."""
    most = round(TRAINING_BATCH.get(place.type, TRAINING_BATCH["cpu"]) * (224 / size) ** 2)
    return max(min(recipe.images_at_once(arch), most), 2)


def _rates(
    arch: str, recipe: Recipe, place: torch.device, batch: int, size: int, options: TrainingOptions, steps: int
) -> tuple[float, float, int]:
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    model = build(arch, CLASSES, 0).to(place).to(memory_format=layout)
    compile_in_place(model, options)
    images = torch.randn(batch, 3, size, size, device=place).contiguous(memory_format=layout)
    labels = torch.randint(CLASSES, (batch,), device=place)
    trained, timed = _timed(_training_step(model.train(), recipe, images, labels), place, steps)
    evaluated, _ = _timed(_evaluation(model.eval(), recipe, images), place, steps)
    return batch / trained, batch / evaluated, timed


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


def _timed(step: Callable[[], None], place: torch.device, steps: int) -> tuple[float, int]:
    """Mean seconds of a step, and how many were timed; the first ones, which compile and warm up, are not."""
    limit = SECONDS.get(place.type, SECONDS["cpu"])
    begun = time.perf_counter()
    for done in range(WARM_UP):
        step()
        wait_for_device(place)
        if done and time.perf_counter() - begun > limit:
            break
    start, timed = time.perf_counter(), 0
    while timed < steps and (timed < FEWEST or time.perf_counter() - start < limit):
        step()
        timed += 1
        if place.type == "cpu" or timed % FEWEST == 0:
            wait_for_device(place)
    wait_for_device(place)
    return (time.perf_counter() - start) / timed, timed
