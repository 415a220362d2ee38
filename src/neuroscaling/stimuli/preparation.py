"""A stimulus set is stored with each image checked, placed on the model's screen, and listed.

Source: brainscore_vision 2.4.2, `benchmark_helpers/screen.py`, class ImageConverter.
"""

import hashlib
import io
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import atomic_path
from neuroscaling.core.images import decode_picture, eight_bits, load_image
from neuroscaling.core.leases import Lease, held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import CHECKSUM
from neuroscaling.stimuli.manifest import MANIFEST, StimuliManifest, StimulusRow, file_stems, write_manifest
from neuroscaling.stimuli.sources import brain_record, find_stimuli, is_simulated
from neuroscaling.stimuli.stimulus import Stimulus
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import StimulusSource

SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
MAX_NAMED = 50
"""Damaged images that an error names; it counts them all."""


def prepare_stimuli(job: StimuliJob) -> Path:
    """Write the stimuli of one or several sources as one set to the job's folder, unless it is there.

    Returns the path of its manifest. Images of Brain-Score's sets are placed on a screen of the job's degrees. Those of
    other sources are shown whole, whatever their angle. An image that is not changed keeps its file's bytes; a changed
    one is a PNG (Brain-Score would write JPEGs again, with loss). Raises DataError naming all images that can't be
    decoded, ids that stand for two different images, and files of a simulated brain that were altered.
    """
    out = job.folder
    if (out / MANIFEST).exists():
        return out / MANIFEST
    with held(out, f"the stimulus set {out}") as lease:
        if not (out / MANIFEST).exists():  # another process may have made it meanwhile
            _make(job, lease)
    return out / MANIFEST


def _make(job: StimuliJob, lease: Lease) -> None:
    start = time.perf_counter()
    found = [find_stimuli(source) for source in job.sources]
    brains = [brain_record(source, stimuli) for source, stimuli in zip(job.sources, found, strict=True)]
    with atomic_path(job.folder) as folder:
        (folder / "images").mkdir(parents=True)
        manifest = StimuliManifest(
            set=job.folder.name,
            degrees=job.degrees,
            simulated=any(is_simulated(source) for source in job.sources),
            stimuli=_store_all([one for stimuli in found for one in stimuli], job.degrees, folder / "images"),
            source=[source.content() for source in job.sources],
            definition=job.definition,
            made_from={f"simulated/{name}/{MANIFEST}": record[CHECKSUM] for name, record in filter(None, brains)},
            provenance=provenance(("pillow", "numpy"), time.perf_counter() - start),
        )
        write_manifest(folder / MANIFEST, manifest)
        lease.check()


def image_faults(source: StimulusSource) -> list[Problem]:
    """Images of a source that can't be read or shown faithfully, found by decoding all of them on all processors.

    Raises DataError as `find_stimuli`.
    """
    stimuli = find_stimuli(source)

    def attempt(stimulus: Stimulus) -> list[Problem]:
        try:
            decode_picture(stimulus.read(), stimulus.name)
        except DataError as error:
            return error.problems
        return []

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return _shortened([problem for faults in pool.map(attempt, stimuli) for problem in faults], len(stimuli))


def _shortened(faults: list[Problem], n: int) -> list[Problem]:
    """Return the first faults of `n` images, and how many there are."""
    what = f"{len(faults)} of {n} images can't be read or decoded"
    return [*faults[:MAX_NAMED], Problem(what=what, fix="copy or download them again")] if faults else []


def _store_all(stimuli: list[Stimulus], degrees: float | None, folder: Path) -> tuple[StimulusRow, ...]:
    rows: dict[str, StimulusRow] = {}
    damaged, conflicts = [], []
    stems = file_stems([stimulus.stimulus_id for stimulus in stimuli])
    for stimulus in stimuli:
        try:
            row, data = _row(stimulus, degrees, stimulus.read(), stems[stimulus.stimulus_id])
        except DataError as error:
            damaged += error.problems
            continue
        known = rows.get(stimulus.stimulus_id)
        if known is None:
            rows[stimulus.stimulus_id] = row
            with open(folder / row.filename, "xb") as file:  # never the file of another id
                file.write(data)
        elif known.sha1 != row.sha1:
            conflicts.append(stimulus.stimulus_id)
    if damaged:
        raise DataError(_shortened(damaged, len(stimuli)))
    if conflicts:
        raise DataError(
            Problem(what=f"{len(conflicts)} ids stand for two images", where="stimuli", value=listing(conflicts, 10))
        )
    return tuple(rows.values())


def _row(stimulus: Stimulus, degrees: float | None, data: bytes, stem: str) -> tuple[StimulusRow, bytes]:
    """Return the row of an image, and the bytes that are stored. Raises DataError when it can't be decoded."""
    image = load_image(data, stimulus.name)
    shown = eight_bits(image, stimulus.name)  # ahead of a cut: one of CMYK or of 16 bits could not be read again
    width, height = image.size
    suffix = stimulus.suffix if SUFFIX.fullmatch(stimulus.suffix) else f".{(image.format or 'image').lower()}"
    if degrees is not None and stimulus.degrees is not None and degrees != stimulus.degrees:
        shown = place_on_screen(shown, stimulus.degrees, degrees)
        (width, height), data, suffix = shown.size, _png(shown), ".png"
    sha1 = hashlib.sha1(data).hexdigest()
    return StimulusRow(stimulus.stimulus_id, stem + suffix, sha1, width, height, stimulus.degrees), data


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


BACKGROUND = "gray"


def place_on_screen(image: Image.Image, source_degrees: float, target_degrees: float) -> Image.Image:
    """Return `image`, `source_degrees` wide, as a screen of `target_degrees` shows it, at the same pixels a degree.

    A larger screen shows the image in the middle of gray (128); a smaller one shows its centre. Equal degrees return
    the image itself.
    """
    if source_degrees == target_degrees:
        return image
    ratio = target_degrees / source_degrees
    size = np.array(image.size)
    target = (ratio * size).round().astype(int)
    return _pad(image, size, target) if ratio >= 1 else _crop(image, size, target)


def _pad(image: Image.Image, size: np.ndarray, target: np.ndarray) -> Image.Image:
    screen = Image.new("RGB", tuple(target.tolist()), BACKGROUND)
    screen.paste(image, tuple(((target - size) / 2).round().astype(int).tolist()))
    return screen


def _crop(image: Image.Image, size: np.ndarray, target: np.ndarray) -> Image.Image:
    left, upper = ((size - target) / 2).round().astype(int).tolist()
    width, height = target.tolist()
    return image.crop((left, upper, left + width, upper + height))
