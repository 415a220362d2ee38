"""Images that can't be decoded, found before they are trained on."""

import os
from concurrent.futures import ThreadPoolExecutor

from neuroscaling.datasets.source import Source
from neuroscaling.errors import DataError, Problem

FAULTS_SHOWN = 50


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
    """The first faults and, ahead of them, how many there are, and may be."""
    what, allowed = f"{len(faults)} of {n_images} images can't be decoded", f"corrupt_limit: {limit}"
    fix = "replace these files or move them away, or raise the data set's `corrupt_limit`"
    return [Problem(what, where, allowed=allowed, fix=fix), *faults[:FAULTS_SHOWN]]
