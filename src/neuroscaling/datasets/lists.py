"""Text files that name one image a line: `path label`."""

import os
from array import array
from collections import Counter
from pathlib import Path

import numpy as np

from neuroscaling.datasets.labels import Coded, Coder, open_text
from neuroscaling.datasets.names import Names, names_of
from neuroscaling.datasets.split import Split
from neuroscaling.errors import DataError, Problem, listing

SHOWN = 5


def file_state(path: Path, key: str) -> list[str | int]:
    """Name, size and date of a file that the study names under `key`. Raises DataError when it is missing."""
    try:
        stat = os.stat(path)
    except OSError as error:
        fix = f"check `{key}:` in the study file"
        raise DataError(Problem("file is missing", str(path), fix=fix)) from error
    return [path.name, stat.st_size, stat.st_mtime_ns]


def read_list(path: Path, key: str) -> tuple[Names, Coded]:
    """Paths and labels of a list; the label is what stands after the last space or tab of a line.

    A `/` before a path is left out: paths are below a folder. Empty lines and lines that begin with `#` don't count.
    Raises DataError that names the lines without a label, and the paths that stand there twice.
    """
    # Line by line into flat arrays: WebVision's list has 13 million lines.
    text, lengths, hashes, labels, bad = bytearray(), array("q"), array("q"), Coder(), []
    with open_text(path, key) as file:
        for number, line in enumerate(file, 1):
            parts = line.rsplit(None, 1)
            if not parts or line[0] == "#":
                continue
            if len(parts) == 1:
                bad.append(number)
                continue
            name = os.fsencode(parts[0].lstrip("/"))
            text += name
            lengths.append(len(name))
            hashes.append(hash(name))
            labels.add(parts[1])
    names = names_of(text, lengths)
    problems = (
        [Problem("lines without a label", str(path), f"lines {listing(bad, SHOWN)}", "`path label`")] if bad else []
    )
    problems += repeated_names(names, np.frombuffer(hashes, np.int64), str(path))
    if problems:
        raise DataError(problems)
    return names, labels.coded()


def repeated_names(names: Names, hashes: np.ndarray, where: str) -> list[Problem]:
    """The problem of names that stand there twice. hashes: int64 (n,), of the names."""
    if len(np.unique(hashes)) == len(hashes):
        return []
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    fix = "each image needs a name of its own"
    return [Problem("images that are named twice", where, listing(repeated, SHOWN), fix=fix)] if repeated else []


def missing_files(folder: Path, split: Split, where: str) -> list[Problem]:
    """The first image of each class that is not there: enough to see that a root is wrong, without a look at all."""
    first = [split.names[row] for row in np.unique(split.labels, return_index=True)[1].tolist()]
    missing = [name for name in first if not (folder / name).is_file()]
    if not missing:
        return []
    what = f"{len(missing)} of {len(first)} images looked at (the first of each class) are not below {folder}"
    return [Problem(what, where, listing(missing, SHOWN), fix="check `root:` in the study file")]
