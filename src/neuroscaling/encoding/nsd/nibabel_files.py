"""NIfTI and FreeSurfer files, opened without reading their numbers."""

import warnings
from pathlib import Path
from typing import Any

from neuroscaling.core.reading import reading

KIND = "an image that nibabel reads"


def open_image(file: Path) -> Any:
    """nibabel's image of a file; its `dataobj` reads on demand. Raises DataError for a missing or damaged file."""
    import nibabel

    with reading(file, KIND), warnings.catch_warnings():
        # nibabel leaves the header of an mgh file to the garbage collector, which says so for each of them.
        warnings.simplefilter("ignore", ResourceWarning)
        # A compressed file that stays open is unpacked once, not again for each stretch of trials.
        return nibabel.load(file, keep_file_open=True)
