"""A run reads the images of its subset from the data set's files or from a pack."""

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.image_listing import state_key
from neuroscaling.datasets.index import files_key, open_source
from neuroscaling.datasets.pack_reading import PackSource, manifest_file, open_pack, pack_facts, staged_pack
from neuroscaling.datasets.split import FILES_LOOKED_AT, DatasetIndex, Source
from neuroscaling.datasets.subset_file import read_subset
from neuroscaling.study.run_table import ImagesOfRun, Run
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.run_folder import RunFailed

log = logging.getLogger(__name__)
_opened: dict[str, Source] = {}  # by what was asked for: listings of large data sets take their time


def run_source(run: Run, split: str, smallest: int | None, options: TrainingOptions) -> Source:
    """The images of one split of the run's data set.

    smallest: pixels that the short side has to have in a pack; None: nothing but the originals will do, and a pack of
    resized images is passed by. Raises DataError when a pack is of other images than the run's.
    """
    pack = pack_of(run, split, smallest, options)
    images = run.images
    # Between two runs of a process, files may come and go.
    state = None if pack else state_key(images.dataset, images.settings, [split])
    asked = [images.dataset, images.settings.content(), split, images.fingerprint, str(pack), state]
    key = content_hash(asked, 16)
    if key not in _opened:
        if not pack and options.packs.get(images.dataset):
            needed = f"images of {smallest} pixels" if smallest else "the originals"
            log.info("%s images are read from the data set's own files: its pack has not %s", split, needed)
        _opened[key] = (
            _open_pack(images, split, pack, options) if pack else _open_files(images, split, options.cache_dir)
        )
    return _opened[key]


def source_state(run: Run, split: str, source: Source) -> str:
    """Changes when the images do that `source` reads: what is kept of them under it is of these very ones.

    Where a pack or large sets are read, a file that is overwritten by another one in place goes unnoticed.
    """
    if isinstance(source, PackSource):
        return content_hash(pack_facts(source.shards[0].parent, split), 32)
    state = state_key(run.images.dataset, run.images.settings, [split])
    return files_key(state, source) if len(source.index) <= FILES_LOOKED_AT else state


def pack_of(run: Run, split: str, smallest: int | None, options: TrainingOptions) -> Path | None:
    """The folder of the pack that serves `run_source`, if there is one."""
    named = options.packs.get(run.images.dataset)
    if not named or not manifest_file(Path(named), split).exists():
        return None
    size = pack_facts(Path(named), split)["size"]
    return Path(named) if size is None or (smallest is not None and size >= smallest) else None


def _open_pack(images: ImagesOfRun, split: str, pack: Path, options: TrainingOptions) -> Source:
    source = open_pack(staged_pack(pack, split, options.stage, options.scratch), split)
    if source.index.fingerprint != images.fingerprint:
        found, what = source.index.fingerprint, "the pack is of other images than the run's"
        raise DataError(
            Problem(what=what, where=str(pack), value=found, allowed=images.fingerprint, fix="delete it and pack again")
        )
    return source


def _open_files(images: ImagesOfRun, split: str, cache_dir: str | None) -> Source:
    cache = Path(cache_dir) if cache_dir else None
    return open_source(images.dataset, images.settings, split, images.fingerprint, cache)


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
                raise DataError(Problem(what="all images of a class are corrupt", value=int(self.labels[position])))
        return used

    def _members(self, label: int) -> np.ndarray:
        order, starts = self._classes
        return order[starts[label] : starts[label + 1]]

    @cached_property
    def _classes(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.labels, kind="stable")
        return order, np.searchsorted(self.labels[order], np.arange(self.labels.max() + 2))


def read_checked(run: Run, path: Path, index: DatasetIndex) -> Subset:
    """The images of the file `path`. Raises DataError when they are another run's, or not in the data set."""
    columns, facts = read_subset(path)
    wanted = {"fingerprint": run.fingerprint, "samples_per_class": run.samples_per_class, "seed": run.subset_seed}
    problems = [
        Problem(
            what=f"the subset's {fact} is not the run's",
            where=str(path),
            value=facts[fact],
            allowed=str(value),
            fix="run `subset` again",
        )
        for fact, value in wanted.items()
        if facts.get(fact) != value
    ]
    rows = columns["index"]
    ids = zip(rows.tolist(), columns["image_id"].tolist(), strict=True)
    gone = [name for row, name in ids if row >= len(index) or index.image_ids[row] != name]
    if gone:
        problems.append(
            Problem(what="images of the subset are not where they were", where=str(path), value=listing(gone, 5))
        )
    if problems:
        raise DataError(problems)
    return Subset(rows, columns["label"])


def refuse_corrupt(problems: list[Problem], limit: int, dataset: str) -> None:
    """Raise RunFailed with all of `problems` (of corrupt images) when they are more than `limit`."""
    if len(problems) <= limit:
        return
    total = Problem(
        what=f"{len(problems)} images can't be decoded",
        where=f"dataset {dataset}",
        allowed=f"corrupt_limit: {limit}",
        fix="replace these files or move them away, or raise the data set's `corrupt_limit`",
    )
    raise RunFailed([total, *problems[:SHOWN]], lasting=False, corrupt=[str(problem.where) for problem in problems])
