"""What a folder holds, told without reading it."""

import os
from pathlib import Path

IMAGES = (".png", ".jpg", ".jpeg")


def listing_of(folder: Path) -> list[tuple[str, int | None]]:
    """Names and sizes of all files below `folder`: tells one local data set from another.

    Of images only the names: a data set has tens of thousands, and asking a shared disk for each takes minutes.
    """
    found: list[tuple[str, int | None]] = []
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(place) / name
            size = None if path.suffix.lower() in IMAGES else path.stat().st_size
            found.append((str(path.relative_to(folder)), size))
    return sorted(found, key=lambda entry: entry[0])
