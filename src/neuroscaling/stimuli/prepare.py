"""Storing stimulus sets: every image checked, placed on the model's screen where needed, listed in a manifest."""

import hashlib
import io
import re
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
MAX_NAMED = 50
"""Damaged images that an error names; it counts them all."""


def prepare(sources: dict[str, Any] | Sequence[dict[str, Any]], degrees: float | None, out: Path) -> Path:
    """Write the stimuli of one or several sources as one set to the folder `out`; returns the manifest's path.

    degrees: width of the models' field of view; images of Brain-Score's sets are placed on such a screen, those of
    other sources (shown whole, whatever their angle) stay as they are, and so does everything with None. An image that
    is not changed keeps its file's bytes; a changed one is a PNG (Brain-Score would write JPEGs again, with loss).
    Raises DataError naming all images that can't be decoded, and ids that stand for two different images.
    """
    sources = [sources] if isinstance(sources, dict) else list(sources)
    stimuli = [stimulus for source in sources for stimulus in find_stimuli(source)]
    with atomic_path(out) as folder:
        (folder / "images").mkdir(parents=True)
        rows = _store_all(stimuli, degrees, folder / "images")
        write_json(
            folder / "manifest.json",
            {
                "format": FORMAT,
                "set": out.name,
                "degrees": degrees,
                "source": [{key: value for key, value in source.items() if key != "root"} for source in sources],
                "simulated": any(is_simulated(source) for source in sources),
                "stimuli": rows,
                "provenance": provenance(("pillow", "numpy")),
            },
        )
    return out / "manifest.json"


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
    }


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
