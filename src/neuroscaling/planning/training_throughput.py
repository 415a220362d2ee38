"""Images a second that a GPU trains are measured, scaled from a measured network's, or stated.

The folder `calibration/` of a store can be copied to another machine's: a plan made there then speaks of this one.
"""

import re
from dataclasses import asdict, dataclass
from functools import cache
from math import log
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.files import read_json, write_json
from neuroscaling.planning.workload import Work, definition_of, recipe_facts
from neuroscaling.study.architectures import architecture
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.networks import GPUS, RATES_FOLDER, devices_named, known_gpu


@dataclass(frozen=True)
class Interval:
    """An estimate with its ends; low and high in size, whatever is better."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> "Interval":
        """All three numbers times `factor`."""
        return Interval(self.low * factor, self.expected * factor, self.high * factor)

    def plus(self, other: "Interval") -> "Interval":
        """Sum of two estimates whose errors go together."""
        return Interval(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def inverse(self) -> "Interval":
        """Seconds an image from images a second, and back."""
        return Interval(1 / self.high, 1 / self.expected, 1 / self.low)

    def at_least(self, other: "Interval") -> "Interval":
        """The larger one of each of the numbers."""
        return Interval(max(self.low, other.low), max(self.expected, other.expected), max(self.high, other.high))

    def at_most(self, other: "Interval") -> "Interval":
        """The smaller one of each of the numbers."""
        return Interval(min(self.low, other.low), min(self.expected, other.expected), min(self.high, other.high))


DEFAULT_GPU = "a100"
# Shares of the peak that training reaches in half precision. Convolutions with batch normalisation: published figures
# of ResNet-50 on A100 and H100 lie at 14 to 20 %, timm's on an RTX 3090 at 15 to 27 %; transformers at 20 to 50 %;
# depthwise convolutions wait for memory: EfficientNet-B0 reaches 3 %.
UTILISATION = {
    "convolutions": Interval(0.10, 0.17, 0.30),
    "tokens": Interval(0.20, 0.35, 0.50),
    "depthwise": Interval(0.015, 0.03, 0.06),
}
TOKENS = ("ViT", "ViTFlex", "DeiT", "Swin")
DEPTHWISE = ("EfficientNet", "MobileNet", "MobileNetV3", "MobileViT", "FastViT", "GhostNet", "MnasNet")
# Images of 224 x 224 pixels a second that the smallest networks reach: their steps wait for kernels to be launched.
# Evaluation launches fewer.
CEILING = Interval(7_000, 14_000, 20_000)
CEILING_SIZE = 224
FORWARD_SHARE = 3
"""A training step is worth three forward passes."""


def kind_of_family(family: str) -> str:
    """Which utilisation a family of networks has: `tokens`, `depthwise` or `convolutions`."""
    return "tokens" if family in TOKENS else "depthwise" if family in DEPTHWISE else "convolutions"


def stated_rates(name: str, family: str, macs: int, size: int) -> tuple[Interval, Interval]:
    """Images a second in training and in evaluation, of a network of `macs` at `size` pixels, on the GPU `name`."""
    step = 2 * FORWARD_SHARE * max(macs, 1)
    computed = UTILISATION[kind_of_family(family)].times(known_gpu(name).peak / step)
    ceiling = CEILING.times((CEILING_SIZE / size) ** 2)
    return computed.at_most(ceiling), computed.times(FORWARD_SHARE).at_most(ceiling.times(2))


def widened(rate: float, factor: float) -> Interval:
    """An interval of a measured or scaled rate, `factor` to both sides."""
    return Interval(rate / factor, rate, rate * factor)


RATE_FORMAT = "training-rate/1"


@dataclass(frozen=True)
class TrainingRate:
    """Images a second that `device` trained and evaluated, resident synthetic images, warm-up apart.

    definition: hash of the architecture that was measured; precision: `fp32`, `bf16` or `fp16`; batch: images at once;
    size: pixels of each side; steps: that were timed; torch: its version; compiled: whether by torch.compile.
    """

    device: str
    arch: str
    definition: str
    family: str
    precision: str
    size: int
    macs: int
    batch: int
    steps: int
    train: float
    evaluate: float
    torch: str
    compiled: bool


def training_rate_file(store: Path, device: str, arch: str, precision: str) -> Path:
    """Where the rate of `arch` on `device` (as torch names it) is kept."""
    return Path(store) / RATES_FOLDER / slug(device) / f"{slug(arch)}-{precision}.json"


def slug(text: str) -> str:
    """`NVIDIA H100 80GB HBM3` as `nvidia-h100-80gb-hbm3`."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def write_training_rate(store: Path, rate: TrainingRate) -> None:
    """Keep `rate` in the store."""
    write_json(
        training_rate_file(store, rate.device, rate.arch, rate.precision), {"format": RATE_FORMAT, **asdict(rate)}
    )


def read_training_rates(store: Path, device: str) -> list[TrainingRate]:
    """All rates of the device whose folder is `device`, of architectures as they are defined now.

    Raises DataError for files that hold none.
    """
    files = sorted((Path(store) / RATES_FOLDER / device).glob("*.json"))
    problems: list[Problem] = []
    rates = [rate for file in files for rate in _read_rate(file, problems)]
    if problems:
        raise DataError(problems)
    return [rate for rate in rates if _is_current(rate)]


def _is_current(rate: TrainingRate) -> bool:
    """Rates of architectures that are defined otherwise today, or no more, say nothing."""
    try:
        return definition_of(rate.arch) == rate.definition
    except NeuroscalingError:
        return False


def _read_rate(path: Path, problems: list[Problem]) -> list[TrainingRate]:
    content = read_json(path)
    wanted = TrainingRate.__annotations__
    if not isinstance(content, dict) or content.get("format") != RATE_FORMAT or set(content) != {"format", *wanted}:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        problems.append(
            Problem(
                what="not a rate of training",
                where=str(path),
                value=found,
                allowed=RATE_FORMAT,
                fix="delete it and calibrate anew",
            )
        )
        return []
    values: dict[str, Any] = {key: content[key] for key in wanted}
    for key in ("macs", "size", "train", "evaluate"):
        if not isinstance(values[key], int | float) or isinstance(values[key], bool) or values[key] <= 0:
            problems.append(Problem(what="not a number above 0", where=f"{path}: {key}", value=values[key]))
    return [TrainingRate(**values)]


@dataclass(frozen=True)
class Speed:
    """Images a second in training and in evaluation, and where the numbers are from, in words."""

    train: Interval
    evaluate: Interval
    source: str

    def computing(self, work: Work) -> Interval:
        """Seconds that a device computes for training."""
        return self.train.inverse().times(work.images_seen * work.passes)


@dataclass(frozen=True)
class Speeds:
    """What is known of a device. gpu: its name among GPUS, for what nobody measured; measured: rates of the store."""

    gpu: str
    measured: tuple[TrainingRate, ...] = ()

    def of(self, run: Run, macs: int) -> Speed:
        """Speed of `run`'s network of `macs`: measured, else scaled from its family, else a stated utilisation."""
        size, precision = architecture(run.arch).input_size, recipe_facts(run).precision
        usable = [rate for rate in self.measured if rate.precision == precision]
        own = next((rate for rate in usable if rate.arch == run.arch), None)
        if own:
            return Speed(widened(own.train, MEASURED), widened(own.evaluate, MEASURED), "measured")
        family = [rate for rate in usable if rate.family == run.family]
        if family:
            near = min(family, key=lambda rate: (abs(log(rate.macs / macs)), rate.arch))
            share = near.macs / macs
            scaled = [widened(rate * share, SCALED) for rate in (near.train, near.evaluate)]
            return Speed(scaled[0], scaled[1], f"scaled from {near.arch}")
        share = UTILISATION[kind_of_family(run.family)].expected
        return Speed(*stated_rates(self.gpu, run.family, macs, size), f"{100 * share:g} % of {GPUS[self.gpu].title}")


@cache
def stored_speeds(name: str, store: Path) -> Speeds:
    """What the store's calibrations say of the GPU `name`: of the first device whose name holds this word.

    For the rest a stated utilisation. Raises StudyError for a name that is neither a GPU's nor a calibrated device's.
    """
    found = devices_named(name, store)
    return Speeds(stated_name(name, found), tuple(read_training_rates(store, found[0])) if found else ())


def stated_name(name: str | None, found: list[str]) -> str:
    """Which of GPUS stands in for what was not measured, for a device of this `name` or of these folders."""
    named = [key for key in GPUS if key == name or any(key in device.replace("-", "") for device in found)]
    return named[0] if named else DEFAULT_GPU


# How far off a rate may be to either side: measured in 30 steps, or scaled by operations from another network's.
MEASURED, SCALED = 1.15, 1.6
