"""Images of a prepared stimulus set, decoded batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from neuroscaling.errors import DataError, Problem
from neuroscaling.files import read_json
from neuroscaling.hashing import content_hash

BATCH = 64
FORMAT = "stimuli/1"


@dataclass(frozen=True)
class StimulusImages:
    """Which images, in which order: `<folder>/images/<filename>` for each stimulus id; `facts` go to the manifest."""

    stimulus_ids: list[str]
    paths: list[Path]
    facts: dict[str, Any]


def stimulus_images(manifest: str | Path) -> StimulusImages:
    """Read a stimulus set's `manifest.json`. Raises DataError for another file, and for images that are missing."""
    manifest = Path(manifest)
    content = read_json(manifest)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(Problem("not the manifest of a stimulus set", str(manifest), allowed=FORMAT))
    stimuli = content["stimuli"]
    paths = [manifest.parent / "images" / stimulus["filename"] for stimulus in stimuli]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        what = f"{len(missing)} of {len(paths)} images are missing"
        raise DataError(Problem(what, str(manifest), ", ".join(missing[:5]), fix="prepare the stimulus set again"))
    identity = [[stimulus["stimulus_id"], stimulus["sha1"]] for stimulus in stimuli]
    facts = {
        "set": content["set"],
        "degrees": content.get("degrees"),
        "simulated": content.get("simulated"),
        "stimuli": content_hash(identity, 64),
    }
    return StimulusImages([str(stimulus["stimulus_id"]) for stimulus in stimuli], paths, facts)


def batches(paths: Sequence[Path], size: int, mode: str = "RGB", batch: int = BATCH) -> Iterator[np.ndarray]:
    """Images as uint8 (b, size, size, 3), or (b, size, size) for mode "L"; resized bilinearly with antialiasing."""
    for start in range(0, len(paths), batch):
        yield np.stack([_decode(path, size, mode) for path in paths[start : start + batch]])


def _decode(path: Path, size: int, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            image = image.convert("RGB").convert(mode)
            same = image.size == (size, size)
            return np.asarray(image if same else image.resize((size, size), Image.Resampling.BILINEAR))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(Problem(f"the image can't be decoded: {error}", str(path))) from error
