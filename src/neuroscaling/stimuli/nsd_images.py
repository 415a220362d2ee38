"""Images of the Natural Scenes Dataset, read one by one from its HDF5 file of 73,000 (about 40 GB)."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.hdf5 import dataset, hdf5_dataset, open_hdf5
from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError, Problem
from neuroscaling.stimuli.sources import Stimulus

DATASET = "imgBrick"
NSD_SHAPE = (73000, 425, 425, 3)


@dataclass(frozen=True)
class NsdStimulus(Stimulus):
    """Row `row` (from 0) of the images in `file`."""

    row: int = 0

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.file}: {DATASET}[{self.row}]"

    @property
    def suffix(self) -> str:
        """Ending of its file name."""
        return ".png"

    def read(self) -> bytes:
        """The image as a PNG, the same bytes at each call. Raises DataError when it can't be read."""
        from PIL import Image

        with reading(self.file, "an image in an HDF5 file", where=self.name):
            pixels = _images(self.file)[self.row]
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def stimuli_file(root: str | Path) -> Path:
    """The file of all images in a tree."""
    return Path(root) / "nsddata_stimuli" / "stimuli" / "nsd" / "nsd_stimuli.hdf5"


def nsd_images(source: dict[str, Any]) -> Iterator[NsdStimulus]:
    """Images that subjects saw in the scan sessions whose responses are there, each once, by NSD id.

    source: {"root", "subjects": list or "all", "space": one of NSD's; optional: any}. Raises DataError for subjects
    and files that are missing, and for ids beyond the images.
    """
    import numpy as np

    from neuroscaling.encoding.nsd.design import read_design

    root = Path(source["root"])
    file = stimuli_file(root)
    n = len(_images(file))
    design = read_design(root)
    shown = [design.shown(subject, sessions).ravel() for subject, sessions in _sessions(root, source)]
    ids = np.unique(np.concatenate(shown)) if shown else np.empty(0, int)
    if len(ids) and ids[-1] >= n:
        raise DataError(
            Problem("the design names images that the file doesn't have", str(file), int(ids[-1]), f"< {n}")
        )
    yield from (NsdStimulus(f"nsd-{row:05d}", file, row=row) for row in ids.tolist())


def stimuli_problems(root: Path, simulated: bool) -> list[Problem]:
    """What is wrong with the file of images, by its header."""
    file = stimuli_file(root)
    try:
        with hdf5_dataset(file, DATASET) as images:
            shape, dtype = images.shape, images.dtype
    except DataError as error:
        return error.problems
    allowed = "(images, height, width, 3) uint8" if simulated else f"{NSD_SHAPE} uint8"
    fits = len(shape) == 4 and shape[-1] == 3 if simulated else shape == NSD_SHAPE
    if fits and dtype == "uint8":
        return []
    return [Problem("not NSD's images", str(file), f"{shape} {dtype}", allowed, fix="copy or download it again")]


def _sessions(root: Path, source: dict[str, Any]) -> Iterator[tuple[str, list[int]]]:
    """Subjects and their scan sessions of which there are responses in the source's space, or in any."""
    from neuroscaling.encoding.nsd.layout import SPACES, Place, subject_problems, subjects_of

    subjects = source.get("subjects", "all")
    problems = subject_problems(root, subjects)
    if problems:
        raise DataError(problems)
    spaces = [source["space"]] if source.get("space") else SPACES
    for subject in subjects_of(root) if subjects == "all" else subjects:
        there = {session for space in spaces for session in Place(root, subject, space).sessions()}
        if there:
            yield subject, sorted(there)


_open_files: dict[Path, Any] = {}


def _images(file: Path) -> Any:
    """The images (n, height, width, 3) uint8 in the file, opened once a process and never read whole."""
    if file not in _open_files:
        _open_files[file] = dataset(open_hdf5(file), DATASET, file)
    return _open_files[file]
