"""The images that a run trains on, checked against its data set, and what takes the place of a corrupt one."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.datasets.subsets import read_subset
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.training.failures import RunFailed

SHOWN = 50


class Subset:
    """Images of a run by their position, 0 to n - 1. rows: positions in the data set; labels: both int64 (n,)."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray):
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.rows)

    def alternatives(self, position: int) -> Iterator[int]:
        """`position`, then the other images of its class: those behind it in the subset, then from the start."""
        yield position  # without a look at the others, which are hardly ever needed
        members = self._members(int(self.labels[position]))
        first = int(np.searchsorted(members, position))
        yield from np.roll(members, -first).tolist()[1:]

    def sound(self, corrupt: set[int]) -> np.ndarray:
        """For each position the one whose image is used, int64 (n,): its own, or the next that is not corrupt.

        corrupt: rows of the data set. Raises DataError when all images of a class are.
        """
        used = np.arange(len(self))
        for position in np.flatnonzero(np.isin(self.rows, list(corrupt))).tolist():
            sound = (other for other in self.alternatives(position) if int(self.rows[other]) not in corrupt)
            used[position] = next(sound, -1)
            if used[position] < 0:
                raise DataError(Problem("all images of a class are corrupt", value=int(self.labels[position])))
        return used

    def _members(self, label: int) -> np.ndarray:
        order, starts = self._classes
        return order[starts[label] : starts[label + 1]]

    @cached_property
    def _classes(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.labels, kind="stable")
        return order, np.searchsorted(self.labels[order], np.arange(self.labels.max() + 2))


def read_checked(run: dict[str, Any], path: Path, index: DatasetIndex) -> Subset:
    """The images of the file `path`. Raises DataError when they are another run's, or not in the data set."""
    columns, facts = read_subset(path)
    wanted = {"fingerprint": "fingerprint", "samples_per_class": "samples_per_class", "seed": "subset_seed"}
    problems = [
        Problem(
            f"the subset's {fact} is not the run's", str(path), facts[fact], str(run[key]), fix="run `subset` again"
        )
        for fact, key in wanted.items()
        if facts.get(fact) != run.get(key)
    ]
    rows = columns["index"]
    ids = zip(rows.tolist(), columns["image_id"].tolist(), strict=True)
    gone = [name for row, name in ids if row >= len(index) or index.image_ids[row] != name]
    if gone:
        problems.append(Problem("images of the subset are not where they were", str(path), listing(gone, 5)))
    if problems:
        raise DataError(problems)
    return Subset(rows, columns["label"])


def refuse_corrupt(problems: list[Problem], limit: int, dataset: str) -> None:
    """Raise RunFailed with all of `problems` (of corrupt images) when they are more than `limit`."""
    if len(problems) <= limit:
        return
    total = Problem(
        f"{len(problems)} images can't be decoded",
        f"dataset {dataset}",
        allowed=f"corrupt_limit: {limit}",
        fix="replace these files or move them away, or raise the data set's `corrupt_limit`",
    )
    raise RunFailed([total, *problems[:SHOWN]], lasting=False, corrupt=[problem.where for problem in problems])
