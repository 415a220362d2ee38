"""A short calibration: the machine does a little of each kind of work, and the clock runs."""

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

from neuroscaling.activations.preprocess import Preprocessing
from neuroscaling.calibration.rates import Rates
from neuroscaling.devices import device_of
from neuroscaling.images import ImageFile
from neuroscaling.models.build import build
from neuroscaling.models.cost import count
from neuroscaling.regression.voxelwise.cost import SPECTRUM

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


def measure(device: str | None = None, folder: Path | None = None, autocasts: tuple[str, ...] = ("none",)) -> Rates:
    """Rates of this machine, in well under a minute on two cores.

    device: torch's name; CUDA where there is one. folder: on the disk whose speed counts; the system's temporary folder
    by default. autocasts: types that networks compute in (`none`, `bf16`, `fp16`).
    """
    place = device_of(device)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        disk, pictures = _write(Path(temporary)), _decode(Path(temporary))
    return Rates(
        machine=machine(place),
        cuda=place.type == "cuda",
        products=_product(place, torch.float32),
        products64=_product(place, torch.float64),
        eigen=_eigen(place),
        decode=pictures,
        write=disk,
        forward=_forward(place, autocasts),
    )


def machine(place: torch.device) -> str:
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
        wait(place)
        start = time.perf_counter()
        work()
        wait(place)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def wait(place: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)
