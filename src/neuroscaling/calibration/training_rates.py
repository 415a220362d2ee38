"""Measured speed of training, one file for each device, architecture and precision (`training-rate/1`). Light.

The folder `calibration/` of a store can be copied to another machine's: a plan made there then speaks of this one.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.calibration.costs import definition_of
from neuroscaling.errors import DataError, NeuroscalingError, Problem
from neuroscaling.files import read_json, write_json

FORMAT = "training-rate/1"
FOLDER = "calibration"


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


def rate_file(store: Path, device: str, arch: str, precision: str) -> Path:
    """Where the rate of `arch` on `device` (as torch names it) is kept."""
    return Path(store) / FOLDER / slug(device) / f"{slug(arch)}-{precision}.json"


def slug(text: str) -> str:
    """`NVIDIA H100 80GB HBM3` as `nvidia-h100-80gb-hbm3`."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def write_rate(store: Path, rate: TrainingRate) -> None:
    """Keep `rate` in the store."""
    write_json(rate_file(store, rate.device, rate.arch, rate.precision), {"format": FORMAT, **asdict(rate)})


def devices(store: Path) -> list[str]:
    """Folders of the devices that were calibrated in the store."""
    root = Path(store) / FOLDER
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def read_rates(store: Path, device: str) -> list[TrainingRate]:
    """All rates of the device whose folder is `device`, of architectures as they are defined now.

    Raises DataError for files that hold none.
    """
    files = sorted((Path(store) / FOLDER / device).glob("*.json"))
    problems: list[Problem] = []
    rates = [rate for file in files for rate in _read(file, problems)]
    if problems:
        raise DataError(problems)
    return [rate for rate in rates if _is_current(rate)]


def _is_current(rate: TrainingRate) -> bool:
    """Rates of architectures that are defined otherwise today, or no more, say nothing."""
    try:
        return definition_of(rate.arch) == rate.definition
    except NeuroscalingError:
        return False


def _read(path: Path, problems: list[Problem]) -> list[TrainingRate]:
    content = read_json(path)
    wanted = TrainingRate.__annotations__
    if not isinstance(content, dict) or content.get("format") != FORMAT or set(content) != {"format", *wanted}:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        problems.append(Problem("not a rate of training", str(path), found, FORMAT, fix="delete it and calibrate anew"))
        return []
    values: dict[str, Any] = {key: content[key] for key in wanted}
    for key in ("macs", "size", "train", "evaluate"):
        if not isinstance(values[key], int | float) or isinstance(values[key], bool) or values[key] <= 0:
            problems.append(Problem("not a number above 0", f"{path}: {key}", values[key]))
    return [TrainingRate(**values)]
