"""The pictures of a split: can they be decoded, and are they NSD's?"""

from collections.abc import Iterator
from pathlib import Path

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.layout import IMAGE_SIZE
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.images import file_bytes, load_image

SAMPLE = 20
"""Pictures of a split that are decoded unless all are asked for: first, last, and some at equal distances between."""


def picture_problems(folder: Path, every: bool) -> Iterator[Problem]:
    """Pictures that can't be decoded, and those that aren't RGB of 425 x 425 px; `every`: of all, not of a sample."""
    for split in layout.SPLITS:
        files = [file for _, _, file in layout.images(folder, split)]
        damaged, other = [], []
        for file in files if every else _sample(files):
            kind = _kind(file)
            if kind is None:
                damaged.append(file.name)
            elif kind != f"RGB {IMAGE_SIZE} x {IMAGE_SIZE}":
                other.append(f"{file.name} ({kind})")
        place = str(layout.image_folder(folder, split))
        if damaged:
            yield Problem(f"{len(damaged)} images can't be decoded", place, listing(damaged, 4), fix="copy them again")
        if other:
            what = f"{len(other)} images aren't the challenge's"
            yield Problem(what, place, listing(other, 4), f"RGB, {IMAGE_SIZE} x {IMAGE_SIZE} px")


def _sample(files: list[Path]) -> list[Path]:
    step = max(1, (len(files) - 1) / (SAMPLE - 1))
    return [files[round(i * step)] for i in range(min(SAMPLE, len(files)))]


def _kind(file: Path) -> str | None:
    """Mode and size, or None for a file that can't be decoded."""
    try:
        image = load_image(file_bytes(file), str(file))
    except DataError:
        return None
    return f"{image.mode} {image.width} x {image.height}"
