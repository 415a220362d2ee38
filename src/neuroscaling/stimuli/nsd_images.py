"""Images of the Natural Scenes Dataset, read from its HDF5 files one by one."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neuroscaling.core.array_files import hdf5_dataset, open_hdf5, opened_dataset
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading
from neuroscaling.stimuli.nsd_design import read_design
from neuroscaling.stimuli.stimulus import Stimulus
from neuroscaling.study.nsd_tree import SPACES, NsdPlace, nsd_subject_problems, nsd_subjects
from neuroscaling.study.stimulus_sources import NsdTree

NSD_DATASET = "imgBrick"
NSD_SHAPE = (73000, 425, 425, 3)


@dataclass(frozen=True)
class NsdStimulus(Stimulus):
    """Row `row` (from 0) of the images in `file`."""

    row: int = 0

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.file}: {NSD_DATASET}[{self.row}]"

    @property
    def suffix(self) -> str:
        """Ending of its file name."""
        return ".png"

    def read(self) -> bytes:
        """Return the image as a PNG, the same bytes at each call. Raises DataError when it can't be read."""
        with reading(self.file, "an image in an HDF5 file", where=self.name):
            pixels = self.shown(image_array(self.file)[self.row])
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def shown(self, stored: np.ndarray) -> np.ndarray:
        """Return what networks are shown of the pixels (height, width, 3) uint8 in the file: all."""
        return stored


def nsd_stimuli_file(root: str | Path) -> Path:
    """Return the file of all images in a tree."""
    return Path(root) / "nsddata_stimuli" / "stimuli" / "nsd" / "nsd_stimuli.hdf5"


def nsd_images(source: NsdTree) -> Iterator[NsdStimulus]:
    """Yield images that subjects saw in the scan sessions whose responses are there, each once, by NSD id.

    Raises DataError for subjects and files that are missing, and for ids beyond the images.
    """
    root = source.root
    file = nsd_stimuli_file(root)
    n = len(image_array(file))
    design = read_design(root)
    shown = [design.shown(subject, sessions).ravel() for subject, sessions in _nsd_sessions(source)]
    ids = np.unique(np.concatenate(shown)) if shown else np.empty(0, int)
    if len(ids) and ids[-1] >= n:
        raise DataError(
            Problem(
                what="the design names images that the file doesn't have",
                where=str(file),
                value=int(ids[-1]),
                allowed=f"< {n}",
            )
        )
    yield from (NsdStimulus(f"nsd-{row:05d}", file, row=row) for row in ids.tolist())


def nsd_stimuli_problems(root: Path, simulated: bool) -> list[Problem]:
    """Return what is wrong with the file of images, by its header."""
    return header_problems(nsd_stimuli_file(root), (None, None, None, 3) if simulated else NSD_SHAPE)


def header_problems(file: Path, expected: tuple[int | None, ...]) -> list[Problem]:
    """Return what is wrong with a file of images, by its header; expected: its shape, None where any number will do."""
    try:
        with hdf5_dataset(file, NSD_DATASET) as images:
            shape, dtype = images.shape, images.dtype
    except DataError as error:
        return error.problems
    fits = len(shape) == len(expected) and all(wanted in (None, n) for n, wanted in zip(shape, expected, strict=True))
    if fits and dtype == "uint8":
        return []
    names = ("images", "height", "width", "colours")
    allowed = [str(name if wanted is None else wanted) for name, wanted in zip(names, expected, strict=True)]
    return [
        Problem(
            what="not NSD's images",
            where=str(file),
            value=f"{shape} {dtype}",
            allowed=f"({', '.join(allowed)}) uint8",
            fix="copy or download it again",
        )
    ]


def _nsd_sessions(source: NsdTree) -> Iterator[tuple[str, list[int]]]:
    """Yield subjects and their scan sessions of which there are responses in any space."""
    root, subjects = source.root, source.subjects
    problems = nsd_subject_problems(root, subjects)
    if problems:
        raise DataError(problems)
    for subject in nsd_subjects(root) if subjects == "all" else subjects:
        there = {session for space in SPACES for session in NsdPlace(root, subject, space).sessions()}
        if there:
            yield subject, sorted(there)


_open_files: dict[Path, Any] = {}


def image_array(file: Path) -> Any:
    """Return the images (n, height, width, 3) uint8 in the file, opened once a process and never read whole."""
    if file not in _open_files:
        _open_files[file] = opened_dataset(open_hdf5(file), NSD_DATASET, file)
    return _open_files[file]
