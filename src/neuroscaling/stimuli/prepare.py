"""Storing stimulus sets: every image checked, placed on the model's screen where needed, listed in a manifest."""

import errno
import hashlib
import io
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.files import atomic_path, write_json
from neuroscaling.images import eight_bits, load_image, picture
from neuroscaling.provenance import provenance
from neuroscaling.stimuli.manifest import FORMAT, file_stems, image_files, read_manifest
from neuroscaling.stimuli.screen import place_on_screen
from neuroscaling.stimuli.sources import Stimulus, find_stimuli, is_simulated

PLACES = ("root", "csv", "images")
"""Keys of a source that say where it lies, which the manifest leaves out."""
SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
MAX_NAMED = 50
"""Damaged images that an error names; it counts them all."""


def prepare(sources: dict[str, Any] | Sequence[dict[str, Any]], degrees: float | None, out: str | Path) -> Path:
    """Write the stimuli of one or several sources as one set to the folder `out`; returns the manifest's path.

    degrees: width of the models' field of view; images of Brain-Score's sets are placed on such a screen, those of
    other sources (shown whole, whatever their angle) stay as they are, and so does everything with None. An image that
    is not changed keeps its file's bytes; a changed one is a PNG (Brain-Score would write JPEGs again, with loss). Of
    several jobs that prepare the same set at once, the first one's folder stays. Raises DataError naming all images
    that can't be decoded, and ids that stand for two different images.
    """
    out = Path(out)
    sources = [sources] if isinstance(sources, dict) else list(sources)
    stimuli = [stimulus for source in sources for stimulus in find_stimuli(source)]
    built = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.built")
    try:
        with atomic_path(built) as folder:
            (folder / "images").mkdir(parents=True)
            rows = _store_all(stimuli, degrees, folder / "images")
            write_json(folder / "manifest.json", _manifest(sources, degrees, out.name, rows))
        _put(built, out)
    finally:
        shutil.rmtree(built, ignore_errors=True)
    return out / "manifest.json"


def image_faults(source: dict[str, Any]) -> list[Problem]:
    """Images of a source that can't be read or shown faithfully, found by decoding all of them on all processors.

    Raises DataError as `find_stimuli`.
    """
    stimuli = find_stimuli(source)

    def attempt(stimulus: Stimulus) -> list[Problem]:
        try:
            picture(stimulus.read(), stimulus.name)
        except DataError as error:
            return error.problems
        return []

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return _shortened([problem for faults in pool.map(attempt, stimuli) for problem in faults], len(stimuli))


def _shortened(faults: list[Problem], n: int) -> list[Problem]:
    """The first faults of `n` images, and how many there are."""
    what = f"{len(faults)} of {n} images can't be read or decoded"
    return [*faults[:MAX_NAMED], Problem(what, fix="copy or download them again")] if faults else []


def _manifest(
    sources: Sequence[dict[str, Any]], degrees: float | None, name: str, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "set": name,
        "degrees": degrees,
        "source": [{key: value for key, value in source.items() if key not in PLACES} for source in sources],
        "simulated": any(is_simulated(source) for source in sources),
        "stimuli": rows,
        "provenance": provenance(("pillow", "numpy")),
    }


def _put(built: Path, out: Path) -> None:
    """Give the folder `built` the name `out`, unless the same set is already there, made by another job meanwhile."""
    while True:
        try:
            os.rename(built, out)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if _is_same_set(built, out):
            return
        aside = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.old")
        try:
            os.rename(out, aside)
        except FileNotFoundError:  # another job has just moved it
            continue
        shutil.rmtree(aside, ignore_errors=True)


def _is_same_set(built: Path, out: Path) -> bool:
    try:
        ours, theirs = read_manifest(built), read_manifest(out)
        image_files(out)
    except DataError:
        return False
    return all(ours[key] == theirs[key] for key in ("set", "degrees", "stimuli", "simulated"))


def _store_all(stimuli: list[Stimulus], degrees: float | None, folder: Path) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
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
            with open(folder / row["filename"], "xb") as file:  # never the file of another id
                file.write(data)
        elif known["sha1"] != row["sha1"]:
            conflicts.append(stimulus.stimulus_id)
    if damaged:
        raise DataError(_shortened(damaged, len(stimuli)))
    if conflicts:
        raise DataError(Problem(f"{len(conflicts)} ids stand for two images", "stimuli", listing(conflicts, 10)))
    return list(rows.values())


def _row(stimulus: Stimulus, degrees: float | None, data: bytes, stem: str) -> tuple[dict[str, Any], bytes]:
    """The row of an image, and the bytes that are stored. Raises DataError when it can't be decoded."""
    image = load_image(data, stimulus.name)
    shown = eight_bits(image, stimulus.name)  # ahead of a cut: one of CMYK or of 16 bits could not be read again
    width, height = image.size
    suffix = stimulus.suffix if SUFFIX.fullmatch(stimulus.suffix) else f".{(image.format or 'image').lower()}"
    if None not in (degrees, stimulus.degrees) and degrees != stimulus.degrees:
        shown = place_on_screen(shown, stimulus.degrees, degrees)
        (width, height), data, suffix = shown.size, _png(shown), ".png"
    row = {
        "stimulus_id": stimulus.stimulus_id,
        "filename": stem + suffix,
        "sha1": hashlib.sha1(data).hexdigest(),
        "width": width,
        "height": height,
        "degrees": stimulus.degrees,
    }
    return row, data


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
