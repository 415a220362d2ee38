"""What finished runs took, for the comparison with what was estimated."""

from pathlib import Path

from neuroscaling.core.run_record import RECORD, read_run, seconds_of


def recorded_seconds(folder: Path) -> float | None:
    """Seconds of the run in `folder`; None where it is not there, or failed. Raises DataError for an altered record."""
    path = folder / RECORD
    return seconds_of(read_run(path)) if path.is_file() else None
