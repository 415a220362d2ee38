"""NIfTI and FreeSurfer files, opened without reading their numbers."""

import warnings
from pathlib import Path
from typing import Any

from neuroscaling.errors import DataError, Problem


def open_image(file: Path) -> Any:
    """nibabel's image of a file; its `dataobj` reads on demand. Raises DataError for a missing or damaged file."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        with warnings.catch_warnings():
            # nibabel leaves the header of an mgh file to the garbage collector, which says so for each of them.
            warnings.simplefilter("ignore", ResourceWarning)
            # A compressed file that stays open is unpacked once, not again for each stretch of trials.
            return nibabel.load(file, keep_file_open=True)
    except FileNotFoundError as error:
        raise DataError(Problem("file is missing", str(file), fix="see docs/nsd.md")) from error
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise DataError(unreadable(file, error)) from error


def unreadable(file: Path, error: Exception) -> Problem:
    """What to tell of a file that can't be read."""
    return Problem(f"can't be read, or is cut short: {error}", str(file), fix="copy or download it again")
