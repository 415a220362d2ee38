"""Images of a split: their numbers must count the rows of the responses from 1, each once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.layout import IMAGE, SPLITS
from neuroscaling.errors import Problem, listing


def image_problems(folder: Path, split: str) -> Iterator[Problem]:
    """What is wrong with the names of a split's images: numbering, NSD numbers, files that aren't images of it."""
    place = layout.image_folder(folder, split)
    images = layout.images(folder, split)
    yield from _name_problems(place, split)
    if not images:
        yield Problem(f"no {split} images", str(place), allowed=f"{SPLITS[split]}-0001_nsd-00013.png ...")
        return
    yield from _row_number_problems(place, [row for row, _, _ in images])
    yield from _nsd_problems(place, [number for _, number, _ in images])


def _name_problems(place: Path, split: str) -> Iterator[Problem]:
    files = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    matches = {name: IMAGE.fullmatch(name) for name in files if not name.startswith(".")}
    strange = [name for name, match in matches.items() if not match or match[1] != SPLITS[split]]
    if strange:
        what = f"{len(strange)} files that aren't {split} images"
        yield Problem(what, str(place), listing(strange, 4), f"{SPLITS[split]}-<row>_nsd-<number>.png")


def _row_number_problems(place: Path, rows: Sequence[int]) -> Iterator[Problem]:
    n, first = len(rows), min(rows)
    if first == 0:
        what = "image numbers start at 0, but rows of responses are counted from 1"
        yield Problem(what, str(place), f"{first} to {max(rows)}", f"1 to {n}", fix="every image is off by one")
        return
    lost = sorted(set(range(1, max(rows) + 1)) - set(rows))
    twice = sorted(row for row, count in Counter(rows).items() if count > 1)
    if lost or twice:
        what = f"{len(lost)} image numbers missing, {len(twice)} twice"
        yield Problem(what, str(place), listing(lost + twice), f"1 to {n}, each once")


def _nsd_problems(place: Path, numbers: Sequence[int]) -> Iterator[Problem]:
    twice = sorted(number for number, count in Counter(numbers).items() if count > 1)
    if twice:
        what = f"{len(twice)} NSD images twice; repetitions of an image are averaged into one row"
        yield Problem(what, str(place), listing([layout.stimulus_id(number) for number in twice]))
    beyond = [number for number in numbers if number >= layout.NSD_IMAGES]
    if beyond:
        allowed = f"0 to {layout.NSD_IMAGES - 1}"
        fix = "NSD's own tables count from 1 in places: subtract 1"
        yield Problem("no such NSD image", str(place), listing(beyond), allowed, fix=fix)
