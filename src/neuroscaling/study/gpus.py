"""Kinds of GPU that a study may name, and the devices that a store's calibrations measured."""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.errors import Problem, StudyError, nearest


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU; peak: FLOP/s of dense matrix products in half precision, which utilisation is a share of."""

    title: str
    peak: float


# Makers' data sheets, without sparsity.
GPUS = {
    "rtx3090": Gpu("NVIDIA RTX 3090", 142e12),
    "a100": Gpu("NVIDIA A100", 312e12),
    "h100": Gpu("NVIDIA H100", 989e12),
    "h200": Gpu("NVIDIA H200", 989e12),
}


def known_gpu(name: str) -> Gpu:
    """The GPU of this name. Raises StudyError with the nearest name where there is none."""
    if name not in GPUS:
        raise StudyError(Problem(what="unknown GPU", value=name, allowed=", ".join(GPUS), nearest=nearest(name, GPUS)))
    return GPUS[name]


RATES_FOLDER = "calibration"


def calibrated_devices(store: Path) -> list[str]:
    """Folders of the devices that were calibrated in the store."""
    root = Path(store) / RATES_FOLDER
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def devices_named(name: str, store: Path) -> list[str]:
    """Folders of the devices calibrated in `store` whose names hold this word.

    Empty for a GPU that was not measured there. Raises StudyError for a name that is neither a GPU's nor a device's.
    """
    found = [device for device in calibrated_devices(store) if name in device or name in device.replace("-", "")]
    if not found:
        known_gpu(name)
    return found
