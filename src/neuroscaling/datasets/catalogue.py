"""The listing of a data set: found once, kept in the cache of the store while its folders don't change."""

import os
from pathlib import Path
from typing import Any

from neuroscaling.datasets.cache import cache_file, read_split, write_split
from neuroscaling.datasets.declared import located, no_root
from neuroscaling.datasets.formats import format_of
from neuroscaling.datasets.split import SPLITS, Split
from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.hashing import content_hash

# Above this number of images the state of a set is told from its class folders, lists or shards alone, and its images
# are checked as they are read: a look at each file of ImageNet on a network disk takes minutes, and a study is parsed
# again in every cluster job.
FILES_LOOKED_AT = 20_000


def listing(name: str, settings: dict[str, Any], split: str, cache_dir: Path | None = None) -> Split:
    """All images of one split ("train" or "validation") of the data set `name`.

    cache_dir: where the listings of large sets are kept; None: no cache. Raises DataError when the images or the
    split are missing, or the format is unknown.
    """
    form = format_of(name, settings)
    if split not in SPLITS:
        raise DataError(Problem("no such split", f"dataset {name}", split, ", ".join(SPLITS), nearest(split, SPLITS)))
    if not located(settings):
        raise DataError(no_root(name, settings))
    if cache_dir is None or form.identity(settings):
        return form.read(settings, split, lambda: listing(name, settings, "train").class_names)
    kept, key = cache_file(cache_dir, f"listing-{split}", place(settings), ".npz"), state_key(name, settings, [split])
    found = read_split(kept, key)
    if found is None:
        found = form.read(settings, split, lambda: listing(name, settings, "train", cache_dir).class_names)
        if len(found.names) > FILES_LOOKED_AT:
            write_split(kept, key, found)
    return found


def state_key(name: str, settings: dict[str, Any], splits: list[str]) -> str:
    """Changes when images are added, removed or renamed. Raises DataError with all that is missing."""
    form, states, problems = format_of(name, settings), [], []
    for split in splits:
        try:
            states.append(form.state(settings, split))
        except DataError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise DataError(problems)
    return content_hash(states, 32)


def place(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that say where and which the images are: what they are kept under in the cache."""
    kept = {key: value for key, value in settings.items() if key not in ("classes", "images", "corrupt_limit")}
    return kept | ({"root": os.path.realpath(settings["root"])} if settings.get("root") else {})
