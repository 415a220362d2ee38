"""What finished runs took, for the comparison with what was estimated."""

from pathlib import Path

from neuroscaling.failures import record_of


def recorded_seconds(folder: Path) -> float | None:
    """Seconds of the run in `folder`; None where it is not there, not readable, or failed."""
    record = record_of(folder / "run.json")
    seconds = record.get("seconds") if record.get("status", "done") == "done" else None
    return float(seconds) if seconds else None
