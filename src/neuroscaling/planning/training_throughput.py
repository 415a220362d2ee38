"""The images that a GPU trains in a second are measured on that device, or else stated as a share of its peak.

The folder `calibration/` of a store can be copied to another machine: a plan that is made there describes this device.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading, write_json
from neuroscaling.planning.workload import definition_of, recipe_facts
from neuroscaling.study.architectures import architecture
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.networks import GPUS, RATES_FOLDER, SINGLE, calibrated_devices, devices_named

DEFAULT_GPU = "a100"
CPU_WORD = " CPU, "
"""In the names of calibrated CPUs."""
# Shares of the peak that training reaches in half precision. Convolutions with batch normalisation: published figures
# of ResNet-50 on A100 and H100 lie at 14 to 20 %, timm's on an RTX 3090 at 15 to 27 %; transformers at 20 to 50 %;
# depthwise convolutions wait for memory: EfficientNet-B0 reaches 3 %.
CONVOLUTIONS, TOKENS, DEPTHWISE = 0.17, 0.35, 0.03
UTILISATION = dict.fromkeys(("ViT", "ViTFlex", "DeiT", "Swin"), TOKENS) | dict.fromkeys(
    ("EfficientNet", "MobileNet", "MobileNetV3", "MobileViT", "FastViT", "GhostNet", "MnasNet"), DEPTHWISE
)
"""By family; CONVOLUTIONS for any other."""
CEILING, CEILING_SIZE = 14_000, 224
"""Images a second, of so many pixels a side, that the smallest networks reach: their steps wait for kernel launches."""
EVALUATION_CEILING = 2 * CEILING
"""Evaluation launches fewer kernels."""
FORWARD_SHARE = 3
"""A training step is worth three forward passes."""
EXACT_SHARE = 0.5
"""Share of the peak that a forward pass reaches in single precision without tensor cores; it is seldom below .3."""


MEASURED, RECORDED = "measured", "recorded"
"""Sources of a speed: a calibration, and what finished runs took."""


@dataclass(frozen=True)
class Speed:
    """Images a second in training and in evaluation; source: MEASURED, RECORDED, or a stated share in words."""

    train: float
    evaluate: float
    source: str


def stated_speed(gpu: str, family: str, macs: int, size: int) -> Speed:
    """Speed of a network of `macs` at `size` pixels, from a share of the peak of `gpu`, which is a name of GPUS."""
    share, scale = UTILISATION.get(family, CONVOLUTIONS), (CEILING_SIZE / size) ** 2
    computed = share * GPUS[gpu] / (2 * FORWARD_SHARE * max(macs, 1))
    return Speed(
        train=min(computed, CEILING * scale),
        evaluate=min(computed * FORWARD_SHARE, EVALUATION_CEILING * scale),
        source=f"{100 * share:g} % of {gpu.upper()}",
    )


def stated_forward(gpu: str, family: str, macs: int, size: int, autocast: str) -> float:
    """Images a second of a forward pass alone in the precision `autocast`, as extraction has it: by default `none`.

    Single precision goes without tensor cores, so that all devices agree; what waits for memory waits twice as long.
    """
    mixed = stated_speed(gpu, family, macs, size).evaluate
    return mixed if autocast != "none" else min(mixed / 2, EXACT_SHARE * SINGLE[gpu] / (2 * max(macs, 1)))


class TrainingRate(BaseModel):
    """Images a second that `device` trained and evaluated, synthetic images that are resident, warm-up apart.

    definition: hash of the architecture that was measured; precision: `fp32`, `bf16` or `fp16`; batch: images at once;
    torch: its version; compiled: whether by torch.compile.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["training-rate/2"] = "training-rate/2"
    device: str
    arch: str
    definition: str
    precision: str
    batch: PositiveInt
    train: PositiveFloat
    evaluate: PositiveFloat
    torch: str
    compiled: bool


RateKey = tuple[str, str]
"""Definition of an architecture, and precision."""


def training_rate_file(store: Path, device: str, arch: str, precision: str) -> Path:
    """Path of the rate of `arch` on `device` (as torch names it)."""
    return Path(store) / RATES_FOLDER / slug(device) / f"{slug(arch)}-{precision}.json"


def slug(text: str) -> str:
    """`NVIDIA H100 80GB HBM3` as `nvidia-h100-80gb-hbm3`."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def is_named(gpu: str | None, found: str) -> bool:
    """Whether the GPU `found`, by its full name, is the one that a study names; any is where it names none."""
    name = slug(found)
    return gpu is None or gpu in name or gpu in name.replace("-", "")


def write_training_rate(store: Path, rate: TrainingRate) -> None:
    """Keep `rate` in the store."""
    write_json(training_rate_file(store, rate.device, rate.arch, rate.precision), rate.model_dump())


def read_training_rates(store: Path, device: str) -> dict[RateKey, TrainingRate]:
    """The rates of the device whose folder is `device`. Raises DataError for a file that holds none."""
    rates = [_read_rate(file) for file in sorted((Path(store) / RATES_FOLDER / device).glob("*.json"))]
    return {(rate.definition, rate.precision): rate for rate in rates}


def _read_rate(path: Path) -> TrainingRate:
    fix = "delete the file and calibrate again"
    with reading(path, "a rate of training", fix):
        text = path.read_text(encoding="utf-8")
    try:
        return TrainingRate.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ": ".join([str(path), *map(str, fault["loc"])])
        raise DataError(
            Problem(what="not a rate of training", where=where, value=fault["input"], allowed=fault["msg"], fix=fix)
        ) from None


@dataclass(frozen=True)
class Speeds:
    """What is known of a device. gpu: its name among GPUS, for what was not measured; measured: rates of the store."""

    gpu: str
    measured: dict[RateKey, TrainingRate] = field(default_factory=dict)

    @property
    def on_cpu(self) -> bool:
        """Whether the device is a CPU: one that was calibrated, since none is stated."""
        return any(CPU_WORD in rate.device for rate in self.measured.values())

    def of(self, run: Run, macs: int) -> Speed:
        """Speed of `run`'s network of `macs`: measured as the network is defined now, else a stated share."""
        if rate := self.measured.get((definition_of(run.arch), recipe_facts(run).precision)):
            return Speed(rate.train, rate.evaluate, MEASURED)
        return stated_speed(self.gpu, run.family, macs, architecture(run.arch).input_size)

    def forward(self, run: Run, macs: int, autocast: str) -> float:
        """Images a second through `run`'s network in extraction: as calibrated in this precision, or stated."""
        precision = "fp32" if autocast == "none" else autocast
        if rate := self.measured.get((definition_of(run.arch), precision)):
            return rate.evaluate
        return stated_forward(self.gpu, run.family, macs, architecture(run.arch).input_size, autocast)


def speeds_of(name: str | None, store: Path) -> Speeds:
    """Speeds of the GPU `name`: of the first device calibrated in `store` whose name holds this word, else stated ones.

    None: the only calibrated device, else the default GPU. Raises StudyError for a name that is neither a GPU's nor a
    calibrated device's.
    """
    known = calibrated_devices(store)
    found = (devices_named(name, store) if name else known if len(known) == 1 else [])[:1]
    gpu = next((key for key in GPUS if key == name or any(key in one.replace("-", "") for one in found)), DEFAULT_GPU)
    return Speeds(gpu, read_training_rates(store, found[0]) if found else {})


stored_speeds = cache(speeds_of)
"""The same, read once for all jobs of a workflow."""
