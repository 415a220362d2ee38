"""What finished runs took, for the comparison with what was estimated."""

from pathlib import Path

from neuroscaling.errors import NeuroscalingError
from neuroscaling.files import read_json


def recorded_seconds(folder: Path) -> float | None:
    """Seconds of the run in `folder`; None where it is not there, not readable, or failed."""
    try:
        record = read_json(folder / "run.json")
    except NeuroscalingError:
        return None
    seconds = record.get("seconds") if isinstance(record, dict) and record.get("status", "done") == "done" else None
    return float(seconds) if seconds else None
