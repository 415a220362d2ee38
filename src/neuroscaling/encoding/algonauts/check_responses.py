"""Responses, ceilings and numbers of repetitions of a subject: do their values make sense?"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neuroscaling.core.npy import read_npy
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.layout import HEMISPHERES
from neuroscaling.encoding.algonauts.scan import Scan
from neuroscaling.errors import Problem, listing
from neuroscaling.percent import percent

MOST_MASKED = 0.5
"""Share of a hemisphere's vertices; where more can't be used, the file is damaged rather than the vertices."""
MOST_REPEATS = 3


def response_problems(folder: Path, found: Scan) -> Iterator[Problem]:
    """Rows without a number, hemispheres that can't be used, hemispheres that are copies, values out of range."""
    for file, rows in found.empty.items():
        what = f"{len(rows)} rows are NaN throughout, so that no vertex can be used"
        yield Problem(what, str(file), listing(rows), "a number in every row", fix="rows are counted from 1")
    if not found.empty:
        yield from _masked_problems(folder, found)
    for split in layout.SPLITS:
        yield from _copy_problems(layout.response_files(folder, split))
    yield from _ceiling_problems(folder)
    yield from _repeats_problems(folder)


def vertex_notes(folder: Path, found: Scan) -> Iterator[Problem]:
    """Vertices that are left out, by hemisphere and reason; rows in another order than the challenge's."""
    for side in HEMISPHERES:
        for vertices, reason in ((found.nan[side], "have NaN"), (found.constant[side], "don't vary")):
            if vertices:
                what = f"{len(vertices)} of {found.width[side]} {side} vertices {reason} and are left out"
                yield Problem(what, str(folder), listing(vertices))
    for split in layout.SPLITS:
        numbers = [number for _, number, _ in layout.images(folder, split)]
        if numbers != sorted(numbers):
            what = f"{split} images aren't in ascending order of NSD numbers, as the challenge's are"
            yield Problem(what, str(layout.image_folder(folder, split)))


def _masked_problems(folder: Path, found: Scan) -> Iterator[Problem]:
    for side in HEMISPHERES:
        masked = len(found.masked(side))
        if masked > MOST_MASKED * found.width[side]:
            what = f"{masked} of {found.width[side]} {side} vertices have NaN or don't vary"
            yield Problem(what, str(folder), allowed=f"at most {percent(MOST_MASKED)} of a hemisphere")


def _copy_problems(files: list[Path]) -> Iterator[Problem]:
    if not files[0].is_file():
        return
    left, right = (read_npy(file, mapped=True) for file in files)
    rows = zip(left, right, strict=True)
    if left.shape == right.shape and all(np.array_equal(a, b, equal_nan=True) for a, b in rows):
        yield Problem("both hemispheres hold the same numbers", str(files[0].parent), fix="copy the right file again")


def _ceiling_problems(folder: Path) -> Iterator[Problem]:
    for file in (file for file in layout.ceiling_files(folder) if file.is_file()):
        low, high = _range(file)
        if low < 0 or high > 1:
            fix = "divide per cent by 100" if low >= 0 and high <= 100 else ""
            yield Problem("noise ceiling out of range", str(file), f"{low:.4g} to {high:.4g}", "0 to 1", fix=fix)
    for file in (file for file in layout.ncsnr_files(folder) if file.is_file()):
        low, high = _range(file)
        if low < 0:
            yield Problem("signal-to-noise ratio below 0", str(file), f"{low:.4g} to {high:.4g}", "0 and above")


def _repeats_problems(folder: Path) -> Iterator[Problem]:
    for split in layout.SPLITS:
        file = layout.repeats_file(folder, split)
        if file.is_file():
            low, high = _range(file)
            if low < 1 or high > MOST_REPEATS:
                allowed = f"1 to {MOST_REPEATS}, as NSD shows an image"
                yield Problem("number of repetitions out of range", str(file), f"{low:g} to {high:g}", allowed)


def _range(file: Path) -> tuple[float, float]:
    values = read_npy(file)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
