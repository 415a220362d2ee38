"""These checks find what is wrong with a data set, in names and in images, all faults at once."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.errors import listing as listed
from neuroscaling.datasets.formats import declared_problems, format_of, has_declared_size, has_root, no_root
from neuroscaling.datasets.image_listing import (
    cache_file,
    list_images,
    location_settings,
    read_cache,
    state_key,
    write_cache,
)
from neuroscaling.datasets.index import files_key, unnamed_source
from neuroscaling.datasets.packed_names import names_not_in_utf8
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import FAULTS_SHOWN, FILES_LOOKED_AT, NAMES_SHOWN, SPLITS, Source, Split
from neuroscaling.datasets.subset_sampling import token_problems


def light_problems(
    name: str, settings: DatasetSettings, subsets: Iterable[int | str], cache_dir: Path | None = None
) -> list[Problem]:
    """Return faults that the names of files and folders show; quick, run whenever a study is read.

    subsets: every token (k, "all", "n5000", "c100", "p10") that the study asks of this data set; cache_dir: where the
    result is kept for large sets, while their class folders, lists or shards don't change.
    """
    wanted = list(dict.fromkeys(subsets))
    try:
        format_of(name, settings)
    except NeuroscalingError as error:
        return error.problems
    if not has_root(settings):
        return [no_root(name, settings), *_declared_subsets(name, settings, wanted)]
    try:
        counts, problems = _looked_at(name, settings, cache_dir)
    except NeuroscalingError as error:
        return error.problems
    filled = {label: count for label, count in counts.items() if count}
    problems += declared_problems(name, settings, len(counts), sum(counts.values()))
    return problems + [problem for token in wanted for problem in token_problems(name, filled, token)]


def deep_problems(name: str, settings: DatasetSettings, cache_dir: Path | None) -> list[Problem]:
    """Return images that can't be decoded where a split has more of them than `corrupt_limit`; each image is opened.

    Their number is kept while the files don't change. Splits of more than 20,000 images are left out: theirs are
    checked as training reads them. Raises DataError when images are missing.
    """
    if not has_root(settings):
        return [] if has_declared_size(settings) else [no_root(name, settings)]
    return [p for split in SPLITS for p in _decoding_problems(name, settings, split, cache_dir)]


def _looked_at(name: str, settings: DatasetSettings, cache_dir: Path | None) -> tuple[dict[str, int], list[Problem]]:
    """Return training images of each class, and what is wrong with the names of files and folders."""
    kept, key = cache_file(cache_dir, "look", location_settings(settings)), state_key(name, settings, list(SPLITS))
    found = read_cache(kept, key)
    if found is not None and not found["problems"]:
        return dict(found["counts"]), []
    splits = {split: list_images(name, settings, split, cache_dir) for split in SPLITS}
    problems, counts = list(_faults(name, settings, splits)), splits["train"].counts()
    # Images may be put where they are missing without a change of the list that names them.
    if len(splits["train"].names) > FILES_LOOKED_AT and not problems:
        write_cache(kept, key, {"counts": list(counts.items()), "problems": []})
    return counts, problems


def _faults(name: str, settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    yield from format_of(name, settings).problems(settings, splits)
    for kind, found in splits.items():
        # They could be written to no file of the store, and another machine might read them otherwise.
        strange = names_not_in_utf8(found.class_names) + names_not_in_utf8(found.names)
        if strange:
            what = f"{len(strange)} names of {kind} images or classes are not in UTF-8"
            fix = "rename them, as `convmv -r -f latin1 -t utf8 --notest FOLDER` does"
            yield Problem(what=what, where=f"dataset {name}", value=listed(strange, NAMES_SHOWN), fix=fix)


def _declared_subsets(name: str, settings: DatasetSettings, subsets: list[int | str]) -> list[Problem]:
    """Return subsets that the declared numbers can't give, however evenly the images are spread over the classes."""
    if not settings.classes or not settings.images:
        return []
    each, more = divmod(settings.images, settings.classes)
    counts = {f"class {i}": each + (i < more) for i in range(settings.classes)}
    return [replace(p, where=f"{p.where} (declared)") for token in subsets for p in token_problems(name, counts, token)]


def _decoding_problems(name: str, settings: DatasetSettings, split: str, cache_dir: Path | None) -> list[Problem]:
    found = list_images(name, settings, split, cache_dir)
    if len(found.names) > FILES_LOOKED_AT:
        return []
    source = unnamed_source(name, settings, split, found)
    key = files_key(state_key(name, settings, [split]), source)
    kept = cache_file(cache_dir, f"decoding-{split}", location_settings(settings))
    limit, n_known = settings.corrupt_limit, read_cache(kept, key)
    if isinstance(n_known, int) and n_known <= limit:
        return []
    faults = undecodable(source)
    write_cache(kept, key, len(faults))
    return shortened(faults, len(found.names), f"dataset {name}, {split}", limit) if len(faults) > limit else []


def undecodable(source: Source) -> list[Problem]:
    """A Problem for each image that can't be decoded to its end; all processors look (PIL decodes outside the lock)."""

    def attempt(row: int) -> list[Problem]:
        try:
            source.decoded(row)
        except DataError as error:
            return error.problems
        return []

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [problem for problems in pool.map(attempt, range(len(source.index))) for problem in problems]


def shortened(faults: list[Problem], n_images: int, where: str, limit: int) -> list[Problem]:
    """Return the first faults and, ahead of them, how many there are, and may be."""
    what, allowed = f"{len(faults)} of {n_images} images can't be decoded", f"corrupt_limit: {limit}"
    fix = "replace these files or move them away, or raise the data set's `corrupt_limit`"
    return [Problem(what=what, where=where, allowed=allowed, fix=fix), *faults[:FAULTS_SHOWN]]
