"""Storing stimulus sets: every image checked, placed on the model's screen where needed, listed in a manifest."""

import errno
import hashlib
import io
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.files import atomic_path, read_json, write_json
from neuroscaling.provenance import provenance
from neuroscaling.stimuli.screen import place_on_screen
from neuroscaling.stimuli.sources import Stimulus, find_stimuli, is_simulated

FORMAT = "stimuli/1"
PLACES = ("root", "csv", "images")
"""Keys of a source that say where it lies, which the manifest leaves out."""
MAX_NAMED = 50
"""Damaged images that an error names; it counts them all."""


def prepare(sources: dict[str, Any] | Sequence[dict[str, Any]], degrees: float | None, out: Path) -> Path:
    """Write the stimuli of one or several sources as one set to the folder `out`; returns the manifest's path.

    degrees: width of the models' field of view; images of Brain-Score's sets are placed on such a screen, those of
    other sources (shown whole, whatever their angle) stay as they are, and so does everything with None. An image that
    is not changed keeps its file's bytes; a changed one is a PNG (Brain-Score would write JPEGs again, with loss). Of
    several jobs that prepare the same set at once, the first one's folder stays. Raises DataError naming all images
    that can't be decoded, and ids that stand for two different images.
    """
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
        image_paths(out)
    except DataError:
        return False
    return all(ours[key] == theirs[key] for key in ("set", "degrees", "stimuli", "simulated"))


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of a stimulus set; `path` is its folder or the manifest. Raises DataError for another format."""
    path = Path(path)
    path = path / "manifest.json" if path.is_dir() else path
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(Problem("not the manifest of a stimulus set", str(path), None, FORMAT))
    return manifest


def image_paths(path: str | Path) -> dict[str, Path]:
    """Image file of each stimulus id, in the order of the manifest. Raises DataError for files that are missing."""
    path = Path(path)
    folder = (path if path.is_dir() else path.parent) / "images"
    paths = {row["stimulus_id"]: folder / row["filename"] for row in read_manifest(path)["stimuli"]}
    missing = [str(file) for file in paths.values() if not file.is_file()]
    if missing:
        raise DataError(Problem(f"{len(missing)} images are missing", str(folder), listing(missing, 5)))
    return paths


def _store_all(stimuli: list[Stimulus], degrees: float | None, folder: Path) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    damaged, conflicts = [], []
    for stimulus in stimuli:
        stored = _store(stimulus, degrees, folder)
        if stored is None:
            damaged.append(stimulus.name)
        elif rows.setdefault(stimulus.stimulus_id, stored)["sha1"] != stored["sha1"]:
            conflicts.append(stimulus.stimulus_id)
    if damaged:
        summary = Problem(
            f"{len(damaged)} of {len(stimuli)} images can't be decoded", fix="copy or download them again"
        )
        raise DataError([*(Problem("can't be decoded", name) for name in damaged[:MAX_NAMED]), summary])
    if conflicts:
        raise DataError(Problem(f"{len(conflicts)} ids stand for two images", "stimuli", listing(conflicts, 10)))
    return list(rows.values())


def _store(stimulus: Stimulus, degrees: float | None, folder: Path) -> dict[str, Any] | None:
    """Write one image and return its row, or None when it can't be decoded."""
    data = stimulus.read()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            shown = image if None in (degrees, stimulus.degrees) else place_on_screen(image, stimulus.degrees, degrees)
            size, suffix = shown.size, stimulus.suffix
            if shown is not image:
                data, suffix = _png(shown), ".png"
    except (OSError, SyntaxError, ValueError):
        return None
    name = re.sub(r"[^A-Za-z0-9._-]", "_", stimulus.stimulus_id) + suffix
    sha1 = hashlib.sha1(data).hexdigest()
    path = folder / name
    if not path.exists():
        path.write_bytes(data)
    return {
        "stimulus_id": stimulus.stimulus_id,
        "filename": name,
        "sha1": sha1,
        "width": size[0],
        "height": size[1],
        "degrees": stimulus.degrees,
    }


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
