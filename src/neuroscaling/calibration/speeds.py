"""How fast a GPU trains, by its name: as a store has measured it, else by a stated utilisation. Light at import."""

from functools import cache
from pathlib import Path

from neuroscaling.calibration.gpus import DEFAULT, GPUS, gpu
from neuroscaling.calibration.training import Speeds
from neuroscaling.calibration.training_rates import devices, read_rates


@cache
def stored_speeds(name: str, store: Path) -> Speeds:
    """What the store's calibrations say of the GPU `name`: of the first device whose name holds this word.

    For the rest a stated utilisation. Raises StudyError for a name that is neither a GPU's nor a calibrated device's.
    """
    found = devices_named(name, store)
    return Speeds(stated_name(name, found), tuple(read_rates(store, found[0])) if found else ())


def devices_named(name: str, store: Path) -> list[str]:
    """Folders of the devices calibrated in `store` whose names hold this word.

    Empty for a GPU that was not measured there. Raises StudyError for a name that is neither a GPU's nor a device's.
    """
    found = [device for device in devices(store) if name in device or name in device.replace("-", "")]
    if not found:
        gpu(name)
    return found


def stated_name(name: str | None, found: list[str]) -> str:
    """Which of GPUS stands in for what was not measured, for a device of this `name` or of these folders."""
    named = [key for key in GPUS if key == name or any(key in device.replace("-", "") for device in found)]
    return named[0] if named else DEFAULT
